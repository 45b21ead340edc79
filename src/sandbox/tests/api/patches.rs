//! Merge, JSON and strategic merge patches.

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{cluster, config_map, from, refusal, widget, with_widgets};

fn params() -> PatchParams {
    PatchParams::default()
}

#[tokio::test]
async fn a_merge_patch_sets_and_takes_away() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();

    let patch = json!({"data": {"k": null, "other": "2"}});
    let patched = api.patch("a", &params(), &Patch::Merge(patch)).await.unwrap();

    assert_eq!(json!(patched.data), json!({"other": "2"}));
}

#[tokio::test]
async fn a_version_in_a_merge_patch_is_a_precondition_and_another_uid_a_change() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let created = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let with = |metadata: Value| Patch::Merge(json!({"metadata": metadata, "data": {"k": "2"}}));

    let stale = refusal(api.patch("a", &params(), &with(json!({"resourceVersion": "1"}))).await);
    let other = refusal(api.patch("a", &params(), &with(json!({"uid": "x"}))).await);
    let both = json!({"resourceVersion": "1", "uid": "x"});
    let both = refusal(api.patch("a", &params(), &with(both)).await);
    let right = json!({"resourceVersion": created.resource_version(), "uid": created.uid()});
    let patched = api.patch("a", &params(), &with(right)).await.unwrap();

    assert_eq!((stale.0, stale.1.as_str()), (409, "Conflict"));
    assert_eq!((both.0, both.1.as_str()), (409, "Conflict"));
    assert_eq!((other.0, other.1.as_str()), (422, "Invalid"));
    assert!(
        other.2.contains("metadata.uid: Invalid value: \"x\": field is immutable"),
        "{}",
        other.2
    );
    assert_eq!(patched.data.unwrap()["k"], "2");
}

#[tokio::test]
async fn a_json_patch_applies_whole_or_not_at_all() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let patch = |tested: &str| {
        from(json!([
            {"op": "add", "path": "/data/new", "value": "x"},
            {"op": "test", "path": "/data/k", "value": tested},
            {"op": "replace", "path": "/data/k", "value": "2"},
        ]))
    };

    let refused = refusal(api.patch("a", &params(), &Patch::<()>::Json(patch("9"))).await);
    let untouched = api.get("a").await.unwrap();
    let patched = api.patch("a", &params(), &Patch::<()>::Json(patch("1"))).await.unwrap();

    assert_eq!(refused.0, 422);
    assert_eq!(json!(untouched.data), json!({"k": "1"}));
    assert_eq!(json!(patched.data), json!({"k": "2", "new": "x"}));
}

#[tokio::test]
async fn a_strategic_patch_merges_lists_by_their_keys() {
    let (_sandbox, client) = cluster();
    let api: Api<Job> = Api::default_namespaced(client);
    let mut job = crate::support::job("a");
    let container = &mut job.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0];
    container.env = Some(from(json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])));
    api.create(&PostParams::default(), &job).await.unwrap();

    let meta = json!({"metadata": {"finalizers": ["example.com/a"]}});
    api.patch("a", &params(), &Patch::Strategic(meta)).await.unwrap();
    let meta = json!({
        "metadata": {"finalizers": ["example.com/b"]},
        "status": {"active": 1},
        "spec": {"suspend": false, "backoffLimit": 2},
    });
    let patched = api.patch("a", &params(), &Patch::Strategic(meta)).await.unwrap();

    assert_eq!(patched.finalizers(), ["example.com/b", "example.com/a"]);
    let spec = patched.spec.unwrap();
    assert_eq!((spec.suspend, spec.backoff_limit), (Some(false), Some(2)));
    assert_eq!(spec.template.spec.unwrap().containers[0].env.as_ref().unwrap().len(), 2);
    assert!(patched.status.is_none_or(|it| it.active.is_none()));
}

#[tokio::test]
async fn custom_kinds_take_no_strategic_patch() {
    let (_sandbox, _client, api) = with_widgets().await;
    api.create(&PostParams::default(), &widget("a", &json!({"size": 1}))).await.unwrap();

    let refused =
        refusal(api.patch("a", &params(), &Patch::Strategic(json!({"spec": {"size": 2}}))).await);

    assert_eq!(refused.0, 415);
}

#[tokio::test]
async fn a_patch_of_the_status_changes_the_status_alone() {
    let (_sandbox, _client, api) = with_widgets().await;
    api.create(&PostParams::default(), &widget("a", &json!({"size": 1}))).await.unwrap();

    let patch = json!({
        "metadata": {"labels": {"a": "b"}}, "spec": {"size": 2}, "status": {"phase": "Ready"},
    });
    let patched = api.patch_status("a", &params(), &Patch::Merge(&patch)).await.unwrap();
    let main = api.patch("a", &params(), &Patch::Merge(json!({"status": {"phase": "x"}}))).await;

    assert_eq!(patched.data["spec"]["size"], 1);
    assert_eq!(patched.data["status"]["phase"], "Ready");
    assert!(patched.labels().is_empty());
    assert_eq!(patched.metadata.generation, Some(1));
    assert_eq!(main.unwrap().data["status"]["phase"], "Ready");
}
