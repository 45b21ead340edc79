//! Can somebody who only watches know all that has happened?

use std::pin::pin;

use futures::{Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::time::timeout;

use crate::ground::{Ground, by_post, patience};
use crate::shapes::config_map;

/// The type and the name of an event; of an error its code.
fn told<K: kube::Resource>(event: &WatchEvent<K>) -> (&'static str, String) {
    match event {
        WatchEvent::Added(it) => ("ADDED", it.name_any()),
        WatchEvent::Modified(it) => ("MODIFIED", it.name_any()),
        WatchEvent::Deleted(it) => ("DELETED", it.name_any()),
        WatchEvent::Bookmark(_) => ("BOOKMARK", String::new()),
        WatchEvent::Error(status) => ("ERROR", status.code.to_string()),
    }
}

async fn next<K>(
    watch: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
) -> WatchEvent<K> {
    let next = timeout(patience(), watch.try_next()).await;
    next.unwrap_or_else(|_| panic!("nothing more is told")).unwrap().unwrap()
}

/// A watch tells each change after its version once, in the order in which they happened.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn each_change_is_told_once_and_in_order() {
    let ground = Ground::new().await;
    let api = ground.api::<ConfigMap>();
    let names = ["a", "b", "c", "d", "e", "f"];
    let from = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    for name in names {
        api.create(&by_post(), &config_map(name, "1")).await.unwrap();
    }
    for name in names {
        let patch = Patch::Merge(json!({ "data": { "k": "2" } }));
        api.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    let mut watch = pin!(api.watch(&WatchParams::default(), &from).await.unwrap());
    let mut seen = Vec::new();
    let last = ("MODIFIED", "f".to_owned());
    while seen.last() != Some(&last) {
        // Not of this case: every namespace is given it.
        let event = told(&next(&mut watch).await);
        seen.extend(Some(event).filter(|it| it.1 != "kube-root-ca.crt"));
    }

    let of = |kind| names.map(|it| (kind, it.to_owned()));
    assert_eq!(seen, [of("ADDED"), of("MODIFIED")].concat());
}

/// Who watches a selection is told that an object has left it, as if it were deleted.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#list-and-watch-filtering>
#[tokio::test]
async fn what_leaves_a_selection_is_told() {
    let ground = Ground::new().await;
    let api = ground.api::<ConfigMap>();
    let mut one = config_map("one", "1");
    one.labels_mut().insert("in".to_owned(), "yes".to_owned());
    let made = api.create(&by_post(), &one).await.unwrap();
    let of_those_in = WatchParams::default().labels("in=yes");
    let from = made.resource_version().unwrap();

    let mut watch = pin!(api.watch(&of_those_in, &from).await.unwrap());
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "in": "no" } } }));
    api.patch("one", &PatchParams::default(), &patch).await.unwrap();

    assert_eq!(told(&next(&mut watch).await), ("DELETED", "one".to_owned()));
    assert!(api.get_opt("one").await.unwrap().is_some());
}

/// A watch that begins with what is there says where that ends, with a bookmark that is marked.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
#[tokio::test]
async fn what_was_there_is_told_to_its_end() {
    let ground = Ground::new().await;
    let api = ground.api::<ConfigMap>();
    api.create(&by_post(), &config_map("one", "1")).await.unwrap();
    let only = WatchParams::default().fields("metadata.name=one").initial_events();

    let mut watch = pin!(api.watch(&only, "").await.unwrap());

    assert_eq!(told(&next(&mut watch).await), ("ADDED", "one".to_owned()));
    let WatchEvent::Bookmark(end) = next(&mut watch).await else {
        panic!("this was to be the end")
    };
    assert_eq!(end.metadata.annotations["k8s.io/initial-events-end"], "true");
}

/// A watch from a version that is forgotten gets 410: it never goes on with a gap.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses>
#[tokio::test]
async fn a_story_has_no_gap() {
    let ground = Ground::new().await;
    let namespaces = ground.all::<Namespace>();

    let mut watch = pin!(namespaces.watch(&WatchParams::default(), "1").await.unwrap());
    let mut seen = vec![told(&next(&mut watch).await)];
    let is_gone = seen[0] == ("ERROR", "410".to_owned());
    while !is_gone && seen.last().unwrap().1 != ground.namespace() {
        seen.push(told(&next(&mut watch).await));
    }

    // Who remembers so much remembers the first namespace.
    assert!(is_gone || seen.iter().any(|it| it.1 == "default"), "{seen:?}");
}
