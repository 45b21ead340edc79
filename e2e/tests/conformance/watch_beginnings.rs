//! How does a watch begin, and by which paths is one asked for?

use serde_json::json;

use crate::answers::{Events, events, grouped, said};
use crate::ground::Ground;

const END: &str = "k8s.io/initial-events-end";

async fn create(ground: &Ground, name: &str) -> String {
    let leases = grouped(ground, "coordination.k8s.io/v1", "leases");
    let made = ground.post(&leases, &json!({ "metadata": { "name": name } })).await;
    assert_eq!(made.code, 201, "{}", made.text);
    leases
}

/// A watch from nowhere begins with what is there, and who takes bookmarks is told where that ends.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
#[tokio::test]
async fn a_beginning_that_was_not_asked_for_has_an_end_too() {
    let ground = Ground::new().await;
    let leases = create(&ground, "a").await;

    for from in ["", "&resourceVersion=0"] {
        let path = format!("{leases}?watch=1&allowWatchBookmarks=true{from}");
        let mut watch = Events::of(&ground, &path).await;

        assert_eq!(watch.told(1).await, events([("ADDED", "a")]));
        let end = watch.next().await.unwrap();
        assert_eq!(end["type"], "BOOKMARK", "{from}");
        assert_eq!(end["object"]["metadata"]["annotations"][END], "true", "{from}");
    }
}

/// The paths by which old clients ask for a watch are still there: of a kind, and of one object.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn old_paths_are_watched() {
    let ground = Ground::new().await;
    let leases = create(&ground, "a").await;
    create(&ground, "b").await;
    let old = leases.replace("/v1/namespaces/", "/v1/watch/namespaces/");

    let mut all = Events::of(&ground, &old).await;
    let mut one = Events::of(&ground, &format!("{old}/b")).await;
    let other = ground.get(&format!("{old}/b?fieldSelector=metadata.name%3Da")).await;
    let mut everywhere = Events::of(
        &ground,
        "/apis/coordination.k8s.io/v1/watch/leases?fieldSelector=metadata.name%3Da",
    )
    .await;

    assert_eq!(all.told(2).await, events([("ADDED", "a"), ("ADDED", "b")]));
    assert_eq!(one.told(1).await, events([("ADDED", "b")]));
    assert_eq!(everywhere.told(1).await, events([("ADDED", "a")]));
    assert_eq!(other.code, 400, "{}", other.text);
    assert_eq!(said(&other).2, "fieldSelector metadata.name doesn't match requested name");
}
