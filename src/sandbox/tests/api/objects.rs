//! Objects: created, read, listed, replaced.

use k8s_openapi::api::{
    batch::v1::Job,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Namespace, Secret},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use kube_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::support::{cluster, config_map, from, job, refusal};

#[tokio::test]
async fn a_new_object_gets_what_only_the_api_gives() {
    let (sandbox, client) = cluster();
    let api: Api<Job> = Api::default_namespaced(client);

    let created = api.create(&PostParams::default(), &job("a")).await.unwrap();

    assert_eq!(created.metadata.generation, Some(1));
    assert_eq!(created.namespace().as_deref(), Some("default"));
    let stamp = json!(created.metadata.creation_timestamp).to_string();
    assert!(stamp.len() == 22 && stamp.ends_with("Z\""), "{stamp}");
    let record = sandbox.creations("jobs");
    assert_eq!(record.len(), 1);
    assert_eq!(record[0].uid, created.uid().unwrap());
    assert_eq!((record[0].client.as_str(), record[0].name.as_str()), ("in-process", "a"));
}

#[tokio::test]
async fn a_job_gets_its_defaults_and_the_labels_of_its_pods() {
    let (_sandbox, client) = cluster();
    let api: Api<Job> = Api::default_namespaced(client);

    let created = api.create(&PostParams::default(), &job("a")).await.unwrap();

    let uid = created.uid().unwrap();
    let spec = created.spec.unwrap();
    assert_eq!(
        (spec.parallelism, spec.completions, spec.backoff_limit),
        (Some(1), Some(1), Some(6))
    );
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels["batch.kubernetes.io/job-name"], "a");
    assert_eq!(labels["controller-uid"], uid);
    let selector = spec.selector.unwrap().match_labels.unwrap();
    assert_eq!(selector["batch.kubernetes.io/controller-uid"], uid);
}

#[tokio::test]
async fn a_second_object_of_a_name_is_refused_and_a_missing_one_not_found() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();

    let again = refusal(api.create(&PostParams::default(), &config_map("a", "2")).await);
    let missing = refusal(api.get("b").await);

    assert_eq!(again, (409, "AlreadyExists".into(), "configmaps \"a\" already exists".into()));
    assert_eq!(missing, (404, "NotFound".into(), "configmaps \"b\" not found".into()));
}

#[tokio::test]
async fn nothing_is_created_in_a_namespace_that_is_not_there() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::namespaced(client, "nowhere");

    let refused = refusal(api.create(&PostParams::default(), &config_map("a", "1")).await);

    assert_eq!(refused, (404, "NotFound".into(), "namespaces \"nowhere\" not found".into()));
}

#[tokio::test]
async fn a_stale_write_is_refused_and_an_empty_one_changes_nothing() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let first = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let mut second = first.clone();
    second.data.as_mut().unwrap().insert("k".into(), "2".into());
    let second = api.replace("a", &PostParams::default(), &second).await.unwrap();

    let (code, reason, message) = refusal(api.replace("a", &PostParams::default(), &first).await);
    let same = api.replace("a", &PostParams::default(), &second).await.unwrap();

    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(message.contains("the object has been modified"), "{message}");
    assert_eq!(same.resource_version(), second.resource_version());
}

#[tokio::test]
async fn a_lease_is_not_replaced_without_a_version() {
    let (_sandbox, client) = cluster();
    let api: Api<Lease> = Api::default_namespaced(client);
    let lease = Lease {
        metadata: ObjectMeta { name: Some("a".into()), ..ObjectMeta::default() },
        ..Lease::default()
    };
    api.create(&PostParams::default(), &lease).await.unwrap();

    let (code, reason, message) = refusal(api.replace("a", &PostParams::default(), &lease).await);

    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    assert!(message.contains("must be specified for an update"), "{message}");
}

#[tokio::test]
async fn the_generation_counts_changes_of_the_spec_alone() {
    let (_sandbox, client) = cluster();
    let api: Api<Job> = Api::default_namespaced(client);
    let mut job = api.create(&PostParams::default(), &job("a")).await.unwrap();

    job.labels_mut().insert("a".into(), "b".into());
    let mut labelled = api.replace("a", &PostParams::default(), &job).await.unwrap();
    labelled.status = Some(from(json!({"active": 3})));
    let mut unsuspended = api.replace("a", &PostParams::default(), &labelled).await.unwrap();
    assert_eq!(unsuspended.metadata.generation, Some(1));
    assert_eq!(unsuspended.status.as_ref().and_then(|it| it.active), None);
    unsuspended.spec.as_mut().unwrap().suspend = Some(false);
    let mut running = api.replace("a", &PostParams::default(), &unsuspended).await.unwrap();
    running.status = Some(from(json!({"active": 3})));
    running.spec.as_mut().unwrap().backoff_limit = Some(99);
    let reported = api.replace_status("a", &PostParams::default(), &running).await.unwrap();

    assert_eq!(running.metadata.generation, Some(2));
    assert_eq!(reported.metadata.generation, Some(2));
    assert_eq!(reported.status.unwrap().active, Some(3));
    assert_eq!(reported.spec.unwrap().backoff_limit, Some(6));
}

#[tokio::test]
async fn the_template_of_a_job_is_immutable() {
    let (_sandbox, client) = cluster();
    let api: Api<Job> = Api::default_namespaced(client);
    let mut job = api.create(&PostParams::default(), &job("a")).await.unwrap();

    let template = job.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    template.containers[0].image = Some("busybox:2".into());
    let (code, _, message) = refusal(api.replace("a", &PostParams::default(), &job).await);

    assert_eq!(code, 422);
    assert!(message.contains("spec.template.spec: Invalid value"), "{message}");
    assert!(message.contains("field is immutable"), "{message}");
}

#[tokio::test]
async fn wrong_names_labels_and_types_are_refused_with_their_paths() {
    let (_sandbox, client) = cluster();
    let api: Api<Job> = Api::default_namespaced(client.clone());
    let long = "x".repeat(64);

    let (code, _, message) = refusal(api.create(&PostParams::default(), &job(&long)).await);
    assert_eq!(code, 422);
    assert!(message.contains("spec.template.labels"), "{message}");
    let (code, _, message) = refusal(api.create(&PostParams::default(), &job("Big")).await);
    assert_eq!(code, 422);
    assert!(message.starts_with("Job.batch \"Big\" is invalid: "), "{message}");
    assert!(message.contains("metadata.name: Invalid value: \"Big\""), "{message}");
    let mut labelled = job("a");
    labelled.labels_mut().insert("k".into(), "not a value".into());
    let (code, _, message) = refusal(api.create(&PostParams::default(), &labelled).await);
    assert_eq!(code, 422);
    assert!(message.contains("metadata.labels: Invalid value: \"not a value\""), "{message}");

    let request = http::Request::post("/apis/batch/v1/namespaces/default/jobs")
        .header("content-type", "application/json")
        .body(br#"{"metadata":{"name":"a"},"spec":{"backoffLimit":"six"}}"#.to_vec())
        .unwrap();
    let (code, reason, _) = refusal(client.request::<Job>(request).await);
    assert_eq!((code, reason.as_str()), (400, "BadRequest"));
}

#[tokio::test]
async fn a_generated_name_begins_as_asked_and_is_new_every_time() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let mut object = config_map("", "1");
    object.metadata.name = None;
    object.metadata.generate_name = Some("run-".into());

    let first = api.create(&PostParams::default(), &object).await.unwrap().name_any();
    let second = api.create(&PostParams::default(), &object).await.unwrap().name_any();

    assert!(first.starts_with("run-") && first.len() == 9, "{first}");
    assert_ne!(first, second);
}

#[tokio::test]
async fn selectors_take_what_they_say() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for (name, tier) in [("a", "front"), ("b", "back"), ("c", "back"), ("d", "")] {
        let mut object = config_map(name, "1");
        if !tier.is_empty() {
            object.labels_mut().insert("tier".into(), tier.into());
        }
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let names = async |params: ListParams| {
        let list = api.list(&params).await.unwrap();
        list.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>().concat()
    };
    let labels = |it: &str| ListParams::default().labels(it);

    assert_eq!(names(labels("tier=back")).await, "bc");
    assert_eq!(names(labels("tier!=back")).await, "ad");
    assert_eq!(names(labels("tier in (front, back),tier notin (front)")).await, "bc");
    assert_eq!(names(labels("tier")).await, "abc");
    assert_eq!(names(labels("!tier")).await, "d");
    assert_eq!(names(ListParams::default().fields("metadata.name=c")).await, "c");
    assert_eq!(names(ListParams::default().fields("metadata.name!=c")).await, "abd");
    let wrong = refusal(api.list(&ListParams::default().fields("data.k=1")).await);
    assert_eq!(wrong.0, 400);
}

#[tokio::test]
async fn pages_show_the_list_as_it_was_at_the_first() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }

    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    api.delete("c", &kube::api::DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let second = api.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();

    assert_eq!(first.metadata.remaining_item_count, Some(1));
    assert_eq!(second.items.len(), 1);
    assert_eq!(second.items[0].name_any(), "c");
    assert_eq!(second.metadata.continue_.as_deref().unwrap_or_default(), "");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
}

#[tokio::test]
async fn an_old_page_token_expires_with_the_log() {
    let (sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    api.create(&PostParams::default(), &config_map("d", "1")).await.unwrap();
    sandbox.compact();

    let token = first.metadata.continue_.unwrap();
    let (code, reason, _) = refusal(api.list(&ListParams::default().continue_token(&token)).await);

    assert_eq!((code, reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn a_secret_takes_text_and_keeps_data() {
    let (_sandbox, client) = cluster();
    let api: Api<Secret> = Api::default_namespaced(client);
    let secret = from(json!({"metadata": {"name": "a"}, "stringData": {"user": "me"}}));

    let created = api.create(&PostParams::default(), &secret).await.unwrap();

    assert_eq!(created.string_data, None);
    assert_eq!(created.data.unwrap()["user"].0, b"me");
    assert_eq!(created.type_.as_deref(), Some("Opaque"));
}

#[tokio::test]
async fn a_rehearsal_answers_but_leaves_nothing() {
    let (sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let params = PostParams { dry_run: true, ..PostParams::default() };

    let rehearsed = api.create(&params, &config_map("a", "1")).await.unwrap();

    assert!(rehearsed.uid().is_some());
    assert_eq!(refusal(api.get("a").await).0, 404);
    assert!(sandbox.creations("configmaps").is_empty());
}

#[tokio::test(start_paused = true)]
async fn timestamps_follow_the_paused_clock() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let born = |it: &ConfigMap| it.metadata.creation_timestamp.clone().unwrap().0;

    let first = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    tokio::time::advance(std::time::Duration::from_hours(1)).await;
    let second = api.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();

    let apart = born(&second).duration_since(born(&first));
    assert!((3600..3602).contains(&apart.as_secs()), "{apart:?}");
}

#[tokio::test]
async fn clusters_are_apart_and_have_an_identity() {
    let uid = async |sandbox: &Sandbox| {
        let client = Client::new(sandbox.router(), "default");
        let api: Api<Namespace> = Api::all(client);
        api.get("kube-system").await.unwrap().uid().unwrap()
    };

    let (hub, spoke, again) = (Sandbox::new("a"), Sandbox::new("b"), Sandbox::new("a"));

    assert_ne!(uid(&hub).await, uid(&spoke).await);
    assert_ne!(uid(&hub).await, uid(&again).await);
    assert_eq!(uid(&hub).await, uid(&hub.clone()).await);
}

#[tokio::test]
async fn an_event_is_the_same_in_both_of_its_groups() {
    let (_sandbox, client) = cluster();
    let new: Api<k8s_openapi::api::events::v1::Event> = Api::default_namespaced(client.clone());
    let core: Api<k8s_openapi::api::core::v1::Event> = Api::default_namespaced(client);
    let event = from(json!({
        "metadata": {"name": "a"}, "regarding": {"kind": "Pod", "name": "p"}, "note": "hello",
        "reason": "Why", "action": "Do", "type": "Normal", "reportingController": "me",
        "reportingInstance": "me-1", "eventTime": "2026-01-01T00:00:00.000000Z",
    }));

    new.create(&PostParams::default(), &event).await.unwrap();

    let seen = core.get("a").await.unwrap();
    assert_eq!(seen.message.as_deref(), Some("hello"));
    assert_eq!(seen.involved_object.name.as_deref(), Some("p"));
    let by_name = ListParams::default().fields("involvedObject.name=p,type=Normal");
    assert_eq!(core.list(&by_name).await.unwrap().items.len(), 1);
    assert_eq!(new.get("a").await.unwrap().note.as_deref(), Some("hello"));
}

/// What a Job controller may write, so that a stand-in for one is held to the same.
#[tokio::test]
async fn a_status_that_no_job_can_have_is_refused() {
    let (_sandbox, client) = cluster();
    let jobs: Api<Job> = Api::default_namespaced(client);
    jobs.create(&PostParams::default(), &job("a")).await.unwrap();
    let write = async |status: Value| {
        let patch = Patch::Merge(json!({"status": status}));
        jobs.patch_status("a", &PatchParams::default(), &patch).await
    };
    let start = "2026-11-21T12:00:00Z";
    let is = |kind: &str| json!({"type": kind, "status": "True"});

    for (status, wanted) in [
        (
            json!({"startTime": start, "conditions": [is("Failed")]}),
            "without the FailureTarget=true",
        ),
        (json!({"conditions": [is("Failed"), is("FailureTarget")]}), "startTime is required"),
        (
            json!({"startTime": start, "conditions": [is("Complete"), is("SuccessCriteriaMet")]}),
            "completionTime is required for Complete jobs",
        ),
        (json!({"completionTime": start}), "when there is no Complete=True condition"),
        (json!({"active": 1, "ready": 2}), "cannot set more ready pods than active"),
    ] {
        let (code, _, message) = refusal(write(status).await);
        assert_eq!(code, 422);
        assert!(message.contains(wanted), "{message}");
    }
    let failed = json!([is("Failed"), is("FailureTarget")]);
    write(json!({"startTime": start, "conditions": failed})).await.unwrap();
    let (code, _, message) = refusal(write(json!({"conditions": []})).await);
    assert_eq!(code, 422);
    assert!(message.contains("cannot disable the terminal Failed=True condition"), "{message}");
}
