//! Server-side apply: who owns what, and who is in the way.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::{Value, json};

use crate::support::{cluster, refusal, widget, with_widgets};

fn wanted(data: &Value) -> Patch<Value> {
    Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data,
    }))
}

fn managers(object: &impl ResourceExt) -> Vec<String> {
    object.managed_fields().iter().filter_map(|it| it.manager.clone()).collect()
}

#[tokio::test]
async fn what_is_applied_is_created_owned_and_given_up() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));

    let first = api.patch("a", &one, &wanted(&json!({"x": "1", "y": "1"}))).await.unwrap();
    let again = api.patch("a", &one, &wanted(&json!({"x": "1", "y": "1"}))).await.unwrap();
    api.patch("a", &two, &wanted(&json!({"y": "1", "z": "2"}))).await.unwrap();
    let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let given_up = api.patch("a", &one, &Patch::Apply(nothing)).await.unwrap();

    assert_eq!(first.resource_version(), again.resource_version());
    assert_eq!(json!(given_up.data), json!({"y": "1", "z": "2"}));
    assert_eq!(managers(&given_up), ["two"]);
}

#[tokio::test]
async fn a_conflict_names_the_other_manager_and_the_field() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    api.patch("a", &PatchParams::apply("one"), &wanted(&json!({"x": "1"}))).await.unwrap();

    let two = PatchParams::apply("two");
    let error = api.patch("a", &two, &wanted(&json!({"x": "2"}))).await.unwrap_err();

    let kube::Error::Api(status) = error else { panic!("not a status: {error:?}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .data.x");
    let causes = status.details.unwrap().causes;
    assert_eq!(
        (causes[0].reason.as_str(), causes[0].field.as_str()),
        ("FieldManagerConflict", ".data.x")
    );

    let forced = api.patch("a", &two.force(), &wanted(&json!({"x": "2"}))).await.unwrap();
    assert_eq!(forced.data.as_ref().unwrap()["x"], "2");
    assert_eq!(managers(&forced), ["two"]);
}

#[tokio::test]
async fn an_update_takes_ownership_and_an_apply_meets_it() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let mut object =
        api.patch("a", &PatchParams::apply("one"), &wanted(&json!({"x": "1"}))).await.unwrap();

    object.data.as_mut().unwrap().insert("x".into(), "9".into());
    let params = PostParams { field_manager: Some("editor".into()), ..PostParams::default() };
    let updated = api.replace("a", &params, &object).await.unwrap();
    let (code, _, message) =
        refusal(api.patch("a", &PatchParams::apply("one"), &wanted(&json!({"x": "1"}))).await);

    assert_eq!(managers(&updated), ["editor"]);
    assert_eq!(code, 409);
    assert!(message.contains("conflict with \"editor\" using v1: .data.x"), "{message}");
}

#[tokio::test]
async fn an_apply_without_a_manager_is_refused() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);

    let (code, _, message) =
        refusal(api.patch("a", &PatchParams::default(), &wanted(&json!({}))).await);

    assert_eq!(code, 422);
    assert!(message.contains("fieldManager: Required value"), "{message}");
}

#[tokio::test]
async fn items_of_a_keyed_list_have_owners_of_their_own() {
    let (_sandbox, _client, api) = with_widgets().await;
    let parts = |manager: &str, parts: Value| {
        let object = widget("a", &json!({"size": 1, "parts": parts}));
        (PatchParams::apply(manager), Patch::Apply(object))
    };
    let apply = async |(params, patch): (PatchParams, Patch<DynamicObject>)| {
        api.patch("a", &params, &patch).await.unwrap().data["spec"]["parts"].clone()
    };

    apply(parts("one", json!([{"name": "x", "count": 1}]))).await;
    let both = apply(parts("two", json!([{"name": "y", "count": 2}]))).await;
    let left = apply(parts("one", json!([]))).await;

    assert_eq!(both, json!([{"name": "x", "count": 1}, {"name": "y", "count": 2}]));
    assert_eq!(left, json!([{"name": "y", "count": 2}]));
}

#[tokio::test]
async fn the_status_is_applied_through_its_own_path() {
    let (_sandbox, _client, api) = with_widgets().await;
    api.create(&PostParams::default(), &widget("a", &json!({"size": 1}))).await.unwrap();
    let condition = |kind: &str| {
        Patch::Apply(json!({
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"},
            "status": {"conditions": [{"type": kind, "status": "True"}]},
        }))
    };

    api.patch_status("a", &PatchParams::apply("one"), &condition("Ready")).await.unwrap();
    let both = api.patch_status("a", &PatchParams::apply("two"), &condition("Seen")).await.unwrap();

    assert_eq!(both.data["status"]["conditions"].as_array().unwrap().len(), 2);
    assert_eq!(both.data["spec"]["size"], 1);
    let owner = both.managed_fields().iter().find(|it| it.manager.as_deref() == Some("two"));
    assert_eq!(owner.unwrap().subresource.as_deref(), Some("status"));
}
