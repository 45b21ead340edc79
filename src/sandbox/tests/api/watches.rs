//! Watches: nothing lost, nothing twice, and an honest end.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams},
    runtime::{WatchStreamExt, watcher},
};
use kube_sandbox::{Fault, FaultKind, Sandbox};

use crate::support::{cluster, config_map};

fn told(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(it) => format!("+{}", it.name_any()),
        WatchEvent::Modified(it) => format!("~{}", it.name_any()),
        WatchEvent::Deleted(it) => format!("-{}", it.name_any()),
        WatchEvent::Bookmark(_) => "bookmark".into(),
        WatchEvent::Error(it) => it.code.to_string(),
    }
}

async fn watch(api: &Api<ConfigMap>, params: &WatchParams, from: &str) -> Vec<String> {
    let events = api.watch(params, from).await.unwrap().boxed();
    events.map_ok(|it| told(&it)).try_collect().await.unwrap()
}

async fn write_some(api: &Api<ConfigMap>) {
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
    }
    let mut changed = api.get("a").await.unwrap();
    changed.labels_mut().insert("tier".into(), "front".into());
    api.replace("a", &PostParams::default(), &changed).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_version_tells_all_that_came_after_it_in_order() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let list = api.list(&ListParams::default()).await.unwrap();
    let start = list.metadata.resource_version.unwrap();

    write_some(&api).await;

    let params = WatchParams::default().timeout(5).disable_bookmarks();
    assert_eq!(watch(&api, &params, &start).await, ["+a", "+b", "~a", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn a_selector_turns_changes_into_coming_and_going() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let list = api.list(&ListParams::default()).await.unwrap();
    let start = list.metadata.resource_version.unwrap();

    write_some(&api).await;

    let params = WatchParams::default().timeout(5).disable_bookmarks().labels("tier=front");
    assert_eq!(watch(&api, &params, &start).await, ["+a", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_nothing_begins_with_what_is_there() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    write_some(&api).await;

    let params = WatchParams::default().timeout(5).disable_bookmarks();
    assert_eq!(watch(&api, &params, "0").await, ["+b"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_gets_bookmarks_that_keep_it_fresh() {
    let (sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let list = api.list(&ListParams::default()).await.unwrap();
    let start = list.metadata.resource_version.unwrap();
    let mut events = api.watch(&WatchParams::default().timeout(290), &start).await.unwrap().boxed();
    let others: Api<k8s_openapi::api::core::v1::Secret> = Api::default_namespaced(client);
    let secret = crate::support::from(serde_json::json!({"metadata": {"name": "s"}}));
    others.create(&PostParams::default(), &secret).await.unwrap();

    let event = events.next().await.unwrap().unwrap();

    let WatchEvent::Bookmark(bookmark) = event else { panic!("not a bookmark: {event:?}") };
    assert_ne!(bookmark.metadata.resource_version, start);
    sandbox.compact();
    let params = WatchParams::default().timeout(5).disable_bookmarks();
    let fresh = watch(&api, &params, &bookmark.metadata.resource_version).await;
    assert_eq!(fresh, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_compacted_away_is_gone() {
    let (sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    let list = api.list(&ListParams::default()).await.unwrap();
    let start = list.metadata.resource_version.unwrap();
    write_some(&api).await;

    sandbox.compact();

    assert_eq!(watch(&api, &WatchParams::default().timeout(5), &start).await, ["410"]);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_outlives_drops_compactions_and_lost_history() {
    let sandbox = Sandbox::new("test");
    let api: Api<ConfigMap> =
        Api::default_namespaced(Client::new(sandbox.client_router("watcher"), "default"));
    let writer: Api<ConfigMap> =
        Api::default_namespaced(Client::new(sandbox.client_router("writer"), "default"));
    let mut seen = watcher(api, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .filter_map(async |it| it.ok())
        .boxed();

    for (round, name) in ["a", "b", "c"].into_iter().enumerate() {
        writer.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
        while seen.next().await.unwrap().name_any() != name {}
        sandbox.set_fault(Fault { client: Some("watcher".into()), kind: FaultKind::DropWatches });
        if round == 1 {
            writer.create(&PostParams::default(), &config_map("x", "1")).await.unwrap();
            sandbox.compact();
        }
    }

    let rest = tokio::time::timeout(Duration::from_mins(2), async {
        writer.create(&PostParams::default(), &config_map("last", "1")).await.unwrap();
        while seen.next().await.unwrap().name_any() != "last" {}
    });
    rest.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_says_when_it_is_complete() {
    let (_sandbox, client) = cluster();
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    write_some(&api).await;

    let params = WatchParams::default().timeout(5).initial_events();
    let events: Vec<_> =
        api.watch(&params, "0").await.unwrap().boxed().try_collect().await.unwrap();

    assert_eq!(events.iter().take(2).map(told).collect::<Vec<_>>(), ["+b", "bookmark"]);
    let WatchEvent::Bookmark(bookmark) = &events[1] else { panic!("not a bookmark") };
    assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
}
