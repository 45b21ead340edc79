//! Snapshots: what a cluster still is after its process has ended, and which files are refused.

use std::{fs, os::unix::fs::PermissionsExt as _};

use futures::StreamExt;
use http::Request;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use kube_sandbox::{Error, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{cluster, config_map, dynamic, from, refusal, widget, with_widgets};

/// The same cluster after a restart.
fn restarted(sandbox: &Sandbox) -> (Sandbox, Client) {
    let dir = TempDir::new().unwrap();
    sandbox.save(dir.path()).unwrap();
    let sandbox = Sandbox::load("again", dir.path()).unwrap();
    let client = Client::new(sandbox.router(), "default");
    (sandbox, client)
}

fn version(object: &ConfigMap) -> u64 {
    object.metadata.resource_version.as_deref().unwrap().parse().unwrap()
}

#[tokio::test]
async fn objects_are_as_they_were_and_versions_grow_on() {
    let (before, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let made = api.create(&PostParams::default(), &config_map("a", "ü\"\n")).await.unwrap();

    let (_after, client) = restarted(&before);

    let api: Api<ConfigMap> = Api::default_namespaced(client);
    assert_eq!(api.get("a").await.unwrap(), made);
    let mut changed = made.clone();
    changed.data.as_mut().unwrap().insert("k".into(), "2".into());
    let changed = api.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert!(version(&changed) > version(&made));
    let stale = api.replace("a", &PostParams::default(), &made).await;
    assert_eq!(refusal(stale).1, "Conflict");
    let listed = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(listed.metadata.resource_version, changed.metadata.resource_version);
}

#[tokio::test]
async fn custom_objects_are_served_and_validated_still() {
    let (before, _client, api) = with_widgets().await;
    api.create(&PostParams::default(), &widget("a", &json!({"size": 3}))).await.unwrap();

    let (_after, client) = restarted(&before);

    let api = dynamic(&client, "example.com/v1", "Widget");
    assert_eq!(api.get("a").await.unwrap().data["spec"], json!({"size": 3, "color": "red"}));
    let refused = api.create(&PostParams::default(), &widget("b", &json!({"size": 0}))).await;
    assert_eq!(refusal(refused).0, 422);
    let ruled = api.create(&PostParams::default(), &widget("b", &json!({"size": 100}))).await;
    assert!(refusal(ruled).2.contains("size must be below 100"));
    assert!(api.create(&PostParams::default(), &widget("b", &json!({"size": 1}))).await.is_ok());
}

#[tokio::test]
async fn a_finalizer_holds_an_object_across_a_restart() {
    let (before, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let mut held = config_map("a", "1");
    held.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();

    let (_after, client) = restarted(&before);

    let api: Api<ConfigMap> = Api::default_namespaced(client);
    assert!(api.get("a").await.unwrap().metadata.deletion_timestamp.is_some());
    let freed = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &freed).await.unwrap();
    assert_eq!(refusal(api.get("a").await).0, 404);
}

#[tokio::test]
async fn a_watch_from_before_the_restart_is_told_to_list_again() {
    let (before, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let last = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();

    let (_after, client) = restarted(&before);

    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let since = version(&last).to_string();
    let mut old = api.watch(&WatchParams::default(), &since).await.unwrap().boxed();
    assert!(matches!(old.next().await, Some(Ok(WatchEvent::Error(it))) if it.code == 410));
    let now = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut new = api.watch(&WatchParams::default(), &now).await.unwrap().boxed();
    api.create(&PostParams::default(), &config_map("b", "1")).await.unwrap();
    assert!(matches!(new.next().await, Some(Ok(WatchEvent::Added(_)))));
}

#[tokio::test]
async fn tokens_of_accounts_are_good_and_roles_decide_still() {
    let (before, client) = cluster();
    before.enforce_rbac();
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
    let robot = from(json!({"metadata": {"name": "robot"}}));
    accounts.create(&PostParams::default(), &robot).await.unwrap();
    let asked = from(json!({"spec": {"audiences": []}, "metadata": {}}));
    let token = accounts.create_token_request("robot", &PostParams::default(), &asked).await;
    let token = token.unwrap().status.unwrap().token;

    let (after, client) = restarted(&before);

    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
    });
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let request = Request::post(path).body(review.to_string().into_bytes()).unwrap();
    let answer: Value = client.request(request).await.unwrap();
    assert_eq!(answer["status"]["user"]["username"], "system:serviceaccount:default:robot");
    let jane = Client::new(after.router_as("jane", &[]), "default");
    let configs: Api<ConfigMap> = Api::default_namespaced(jane);
    assert_eq!(refusal(configs.list(&ListParams::default()).await).0, 403);
}

#[tokio::test]
async fn nobody_gets_a_uid_or_a_time_twice() {
    let dir = TempDir::new().unwrap();
    let (before, client) = cluster();
    before.jump_clock(SignedDuration::from_hours(5));
    before.save(dir.path()).unwrap();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let lost = api.create(&PostParams::default(), &config_map("lost", "1")).await.unwrap();

    let after = Sandbox::load("again", dir.path()).unwrap();

    let api: Api<ConfigMap> = Api::default_namespaced(Client::new(after.router(), "default"));
    let new = api.create(&PostParams::default(), &config_map("new", "1")).await.unwrap();
    assert_ne!(new.metadata.uid, lost.metadata.uid);
    assert!(version(&new) > version(&lost));
    let (new, lost) = (new.metadata.creation_timestamp, lost.metadata.creation_timestamp);
    assert!(new.unwrap().0 >= lost.unwrap().0);
}

#[tokio::test]
async fn a_save_replaces_the_one_before_and_is_for_its_owner() {
    let dir = TempDir::new().unwrap();
    let (sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    sandbox.save(dir.path().join("new/folder")).unwrap();
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();

    sandbox.save(dir.path().join("new/folder")).unwrap();

    let entries = fs::read_dir(dir.path().join("new/folder")).unwrap();
    let paths: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert_eq!(fs::metadata(&paths[0]).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&paths[0]).unwrap().contains("\"name\":\"a\""));
}

#[tokio::test]
async fn what_is_not_a_whole_file_of_this_format_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("cluster.jsonl");
    let load = |text: &str| {
        fs::write(&file, text).unwrap();
        Sandbox::load("again", dir.path()).map(|it| it.name().to_owned())
    };

    let absent = Sandbox::load("again", dir.path()).unwrap_err();
    Sandbox::new("test").save(dir.path()).unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let newer = load(&whole.replacen("\"format\":2", "\"format\":3", 1)).unwrap_err();

    assert!(matches!(absent, Error::Absent { .. }), "{absent}");
    assert!(matches!(newer, Error::Newer { format: 3, known: 2, .. }), "{newer}");
    assert!(newer.to_string().contains("the release that saved it"));
    let lines: Vec<&str> = whole.lines().collect();
    for kept in 0..lines.len() {
        let torn = load(&lines[..kept].join("\n")).unwrap_err();
        assert!(matches!(torn, Error::Torn { line, .. } if line == kept + 1), "{kept}: {torn}");
    }
    let half = load(&whole[..whole.len() / 2]).unwrap_err();
    assert!(matches!(half, Error::Torn { .. }), "{half}");
    let doubled = load(&format!("{whole}{whole}")).unwrap_err();
    assert!(matches!(doubled, Error::Torn { .. }), "{doubled}");
    assert_eq!(load(&whole).unwrap(), "again");
}
