//! Deletion: preconditions, finalizers, owners, namespaces, finished Jobs.

use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    runtime::{
        wait::{await_condition, conditions},
        watcher,
    },
};
use kube_sandbox::Sandbox;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::support::{cluster, config_map, from, job, refusal};

/// Long in virtual time, an instant in ours.
const SOON: Duration = Duration::from_secs(30);

fn controlled() -> (Sandbox, Client, JoinSet<()>) {
    let (sandbox, client) = cluster();
    let mut tasks = JoinSet::new();
    tasks.spawn(sandbox.controllers().without_jobs().run());
    (sandbox, client, tasks)
}

async fn gone<K>(api: &Api<K>, object: &K)
where
    K: Resource + Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
{
    let (uid, name) = (object.uid().unwrap(), object.name_any());
    let condition = conditions::is_deleted(&uid);
    let wait = await_condition(api.clone(), &name, condition);
    timeout(SOON, wait).await.expect("it was to go soon").unwrap();
}

fn owned(name: &str, owner: &Job) -> ConfigMap {
    let mut object = config_map(name, "1");
    let mut reference = owner.controller_owner_ref(&()).unwrap();
    reference.block_owner_deletion = Some(true);
    object.owner_references_mut().push(reference);
    object
}

#[tokio::test]
async fn a_deletion_of_another_object_is_refused() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let created = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let only = |uid: Option<String>, resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        ..DeleteParams::default()
    };

    let other = refusal(api.delete("a", &only(Some("x".into()), None)).await);
    let stale = refusal(api.delete("a", &only(None, Some("1".into()))).await);
    let same = only(created.uid(), created.resource_version());
    let status = api.delete("a", &same).await.unwrap().right().unwrap();

    assert_eq!((other.0, other.1.as_str()), (409, "Conflict"));
    assert_eq!((stale.0, stale.1.as_str()), (409, "Conflict"));
    assert_eq!(status.details.unwrap().uid, created.uid().unwrap());
}

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_taken_away() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let mut object = config_map("a", "1");
    object.finalizers_mut().push("example.com/wait".into());
    api.create(&PostParams::default(), &object).await.unwrap();

    let held = api.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(held.metadata.deletion_timestamp.is_some());
    let finalizers =
        |list: serde_json::Value| Patch::Merge(json!({"metadata": {"finalizers": list}}));
    let more = finalizers(json!(["example.com/wait", "example.com/more"]));
    let refused = refusal(api.patch("a", &PatchParams::default(), &more).await);
    assert_eq!(refused.0, 422);
    api.patch("a", &PatchParams::default(), &finalizers(json!(null))).await.unwrap();

    assert_eq!(refusal(api.get("a").await).0, 404);
}

#[tokio::test]
async fn a_selector_deletes_many() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    for name in ["a", "b", "c"] {
        let mut object = config_map(name, "1");
        object.labels_mut().insert("kept".into(), (name == "b").to_string());
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    let params = ListParams::default().labels("kept=false");
    api.delete_collection(&DeleteParams::default(), &params).await.unwrap();

    let left = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_owned_follows_its_owner() {
    let (_sandbox, client, _tasks) = controlled();
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let job = jobs.create(&PostParams::default(), &job("a")).await.unwrap();
    let object = api.create(&PostParams::default(), &owned("o", &job)).await.unwrap();

    jobs.delete("a", &DeleteParams::background()).await.unwrap();

    assert_eq!(refusal(jobs.get("a").await).0, 404);
    gone(&api, &object).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_owned_goes_though_the_end_of_its_owner_is_forgotten() {
    let (sandbox, client, _tasks) = controlled();
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let job = jobs.create(&PostParams::default(), &job("a")).await.unwrap();
    let object = api.create(&PostParams::default(), &owned("o", &job)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(api.get("o").await.is_ok());

    jobs.delete("a", &DeleteParams::background()).await.unwrap();
    sandbox.compact();

    gone(&api, &object).await;
}

#[tokio::test(start_paused = true)]
async fn controllers_see_to_what_was_there_before_them() {
    let (sandbox, client) = cluster();
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let kept = jobs.create(&PostParams::default(), &job("kept")).await.unwrap();
    let lost = jobs.create(&PostParams::default(), &job("lost")).await.unwrap();
    api.create(&PostParams::default(), &owned("kept", &kept)).await.unwrap();
    let object = api.create(&PostParams::default(), &owned("lost", &lost)).await.unwrap();
    jobs.delete("lost", &DeleteParams::background()).await.unwrap();

    let mut tasks = JoinSet::new();
    tasks.spawn(sandbox.controllers().without_jobs().run());

    gone(&api, &object).await;
    assert!(api.get("kept").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_foreground_deletion_waits_for_what_is_owned() {
    let (_sandbox, client, _tasks) = controlled();
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let job = jobs.create(&PostParams::default(), &job("a")).await.unwrap();
    let mut object = owned("o", &job);
    object.finalizers_mut().push("example.com/wait".into());
    let object = api.create(&PostParams::default(), &object).await.unwrap();

    jobs.delete("a", &DeleteParams::foreground()).await.unwrap();
    let deleting = await_condition(api.clone(), "o", |it: Option<&ConfigMap>| {
        it.is_some_and(|it| it.metadata.deletion_timestamp.is_some())
    });
    timeout(SOON, deleting).await.unwrap().unwrap();
    assert!(jobs.get("a").await.is_ok());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("o", &PatchParams::default(), &patch).await.unwrap();

    gone(&api, &object).await;
    gone(&jobs, &job).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_deleted_without_a_word_orphans_what_it_owns() {
    let (_sandbox, client, _tasks) = controlled();
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let job = jobs.create(&PostParams::default(), &job("a")).await.unwrap();
    api.create(&PostParams::default(), &owned("o", &job)).await.unwrap();

    jobs.delete("a", &DeleteParams::default()).await.unwrap();
    gone(&jobs, &job).await;

    assert!(api.get("o").await.unwrap().owner_references().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_finished_job_ends_with_its_time() {
    let (sandbox, client, _tasks) = controlled();
    let jobs: Api<Job> = Api::default_namespaced(client);
    let mut object = job("a");
    object.spec.as_mut().unwrap().ttl_seconds_after_finished = Some(3600);
    let created = jobs.create(&PostParams::default(), &object).await.unwrap();
    let finished = created.metadata.creation_timestamp.clone().unwrap();
    let patch = json!({"status": {
        "startTime": finished, "completionTime": finished, "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True"},
            {"type": "Complete", "status": "True", "lastTransitionTime": finished},
        ],
    }});
    jobs.patch_status("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();

    tokio::time::advance(Duration::from_secs(3500)).await;
    assert!(jobs.get("a").await.is_ok());
    tokio::time::advance(Duration::from_secs(101)).await;

    gone(&jobs, &created).await;
    let audit = sandbox.audit();
    let last = audit.iter().rfind(|it| it.verb == "delete").unwrap();
    assert_eq!(last.client, "ttl-after-finished-controller");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_its_content() {
    let (_sandbox, client, _tasks) = controlled();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = from(json!({"metadata": {"name": "team"}}));
    let namespace = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client, "team");
    let mut object = config_map("a", "1");
    object.finalizers_mut().push("example.com/wait".into());
    api.create(&PostParams::default(), &object).await.unwrap();

    let dying = namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    let phase = dying.left().unwrap().status.unwrap().phase;
    let (code, _, message) =
        refusal(api.create(&PostParams::default(), &config_map("b", "1")).await);
    assert_eq!((phase.as_deref(), code), (Some("Terminating"), 403));
    assert!(message.contains("because it is being terminated"), "{message}");
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();

    gone(&namespaces, &namespace).await;
}

#[tokio::test(start_paused = true)]
async fn controllers_do_nothing_unless_they_are_driven() {
    let (_sandbox, client) = cluster();
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let job = jobs.create(&PostParams::default(), &job("a")).await.unwrap();
    api.create(&PostParams::default(), &owned("o", &job)).await.unwrap();
    jobs.delete("a", &DeleteParams::background()).await.unwrap();

    let config = watcher::Config::default();
    let events = Box::pin(watcher(api.clone(), config));
    let deleted = events.try_any(async |it| matches!(it, watcher::Event::Delete(_)));

    assert!(timeout(SOON, deleted).await.is_err());
    assert!(api.get("o").await.is_ok());
}
