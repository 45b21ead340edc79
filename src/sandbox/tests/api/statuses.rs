//! Writes of the status alone: they are quicker than others, and come to the same.

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use kube_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::support::{definitions, dynamic, from, job, widget, widgets};

/// Clusters that answer the same when they are asked the same.
async fn twins(kind: (&str, &str), object: &Value) -> [Api<DynamicObject>; 2] {
    let mut apis = Vec::new();
    for _ in 0..2 {
        let sandbox = Sandbox::replayed("twin", Timestamp::UNIX_EPOCH, 7);
        let client = Client::new(sandbox.router(), "default");
        definitions(&client).create(&PostParams::default(), &from(judged())).await.unwrap();
        let api = dynamic(&client, kind.0, kind.1);
        api.create(&PostParams::default(), &from(object.clone())).await.unwrap();
        apis.push(api);
    }
    apis.try_into().unwrap()
}

/// Widgets with rules about the whole, and about how the status changes.
fn judged() -> Value {
    let mut definition = widgets();
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["x-kubernetes-validations"] = json!([
        {"rule": "!has(self.status) || !has(self.status.phase) || self.status.phase != 'Bad'"},
    ]);
    schema["properties"]["status"]["x-kubernetes-validations"] = json!([
        {"rule": "!has(oldSelf.phase) || oldSelf.phase != 'Frozen' || self.phase == 'Frozen'"},
    ]);
    definition
}

fn told(answer: kube::Result<DynamicObject>) -> Value {
    match answer {
        Ok(object) => serde_json::to_value(object).unwrap(),
        Err(kube::Error::Api(status)) => json!([status.code, status.reason]),
        Err(error) => panic!("{error}"),
    }
}

fn by(manager: &str) -> PatchParams {
    PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() }
}

/// Patches both, one of them with a word more, which changes nothing but that the patch is of more than the
/// status.
async fn patched(
    [alone, more]: &[Api<DynamicObject>; 2],
    (manager, status): (&str, &Value),
    form: fn(Value) -> Patch<Value>,
) -> [Value; 2] {
    tokio::time::advance(Duration::from_secs(2)).await;
    let short = form(json!({"status": status}));
    let long = form(json!({"status": status, "metadata": {}}));
    let one = alone.patch_status("a", &by(manager), &short).await;
    let two = more.patch_status("a", &by(manager), &long).await;
    [told(one), told(two)]
}

/// The same with PUTs of what was read, one of them without a field that no client can change.
async fn put([alone, more]: &[Api<DynamicObject>; 2], status: &Value) -> [Value; 2] {
    tokio::time::advance(Duration::from_secs(2)).await;
    let (mut short, mut long) = (alone.get("a").await.unwrap(), more.get("a").await.unwrap());
    short.data["status"] = status.clone();
    long.data["status"] = status.clone();
    long.metadata.creation_timestamp = None;
    let params = PostParams { field_manager: Some("x".to_owned()), ..PostParams::default() };
    let one = alone.replace_status("a", &params, &short).await;
    let two = more.replace_status("a", &params, &long).await;
    [told(one), told(two)]
}

fn of_widgets() -> Vec<(&'static str, Value)> {
    vec![
        ("x", json!({"phase": "New"})),
        ("x", json!({"phase": "New"})),
        ("x", json!({"phase": "Old"})),
        ("y", json!({"phase": "Mine"})),
        ("x", json!({"phase": "Bad"})),
        ("x", json!({"phase": 1})),
        ("x", json!({"what": 1})),
        ("x", json!({"conditions": [{"type": "a"}, {"type": "a"}]})),
        ("x", json!({"conditions": [{"status": "a"}]})),
        ("x", json!({"conditions": [{"type": "a"}, {"type": "b"}]})),
        ("x", json!({"conditions": [{"type": "b", "status": "True"}]})),
        ("x", json!({"phase": null})),
        ("x", json!({})),
        ("x", json!({"phase": "Frozen"})),
        ("x", json!({"phase": "Thawed"})),
        ("x", json!({"phase": "Frozen", "conditions": null})),
    ]
}

fn of_jobs() -> Vec<(&'static str, Value)> {
    let complete = json!([{"type": "Complete", "status": "True"}]);
    let suspended = json!([{"type": "Suspended", "status": "True"}]);
    vec![
        ("x", json!({"active": 1})),
        ("x", json!({"active": 1})),
        ("x", json!({"active": 2})),
        ("y", json!({"active": 3, "failed": 1})),
        ("x", json!({"active": -1})),
        ("x", json!({"active": "1"})),
        ("x", json!({"what": 1})),
        ("x", json!({"failed": 0})),
        ("x", json!({"conditions": complete})),
        ("x", json!({"conditions": suspended})),
        ("x", json!({"startTime": "2026-01-01T01:00:00+01:00"})),
        ("x", json!({"startTime": "2026-01-01T00:00:01Z"})),
        ("x", json!({"uncountedTerminatedPods": {"succeeded": ["a"]}})),
        ("x", json!({"uncountedTerminatedPods": {"succeeded": ["a", "a"]}})),
        ("x", json!({"active": null})),
        ("x", json!({})),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_patch_of_nothing_but_the_status_comes_to_the_same() {
    let spec = json!({"size": 1, "parts": [{"name": "x"}]});
    let widget = serde_json::to_value(widget("a", &spec)).unwrap();
    let widgets = twins(("example.com/v1", "Widget"), &widget).await;
    let job = serde_json::to_value(job("a")).unwrap();
    let jobs = twins(("batch/v1", "Job"), &job).await;
    let strategic = twins(("batch/v1", "Job"), &job).await;

    for (manager, status) in of_widgets() {
        let [one, two] = patched(&widgets, (manager, &status), Patch::Merge).await;
        assert_eq!(one, two, "{status}");
    }
    for (manager, status) in of_jobs() {
        let [one, two] = patched(&jobs, (manager, &status), Patch::Merge).await;
        assert_eq!(one, two, "{status}");
        let [one, two] = patched(&strategic, (manager, &status), Patch::Strategic).await;
        assert_eq!(one, two, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_of_nothing_but_the_status_comes_to_the_same() {
    let widget = serde_json::to_value(widget("a", &json!({"size": 1}))).unwrap();
    let widgets = twins(("example.com/v1", "Widget"), &widget).await;
    let jobs = twins(("batch/v1", "Job"), &serde_json::to_value(job("a")).unwrap()).await;

    for (_, status) in of_widgets() {
        let [one, two] = put(&widgets, &status).await;
        assert_eq!(one, two, "{status}");
    }
    for (_, status) in of_jobs() {
        let [one, two] = put(&jobs, &status).await;
        assert_eq!(one, two, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_was_refused_leaves_the_object_as_it_was() {
    let [api, _] = twins(("batch/v1", "Job"), &serde_json::to_value(job("a")).unwrap()).await;
    let before = api.get("a").await.unwrap();

    let refused = Patch::Merge(json!({"status": {"active": -1}}));
    let refused = api.patch_status("a", &by("x"), &refused).await;
    let after = api.get("a").await.unwrap();
    let kept =
        api.patch_status("a", &by("x"), &Patch::Merge(json!({"status": {"active": 1}}))).await;

    assert!(refused.is_err());
    assert_eq!(after, before);
    assert_eq!(kept.unwrap().data["spec"], before.data["spec"]);
    assert_ne!(after.resource_version(), api.get("a").await.unwrap().resource_version());
}
