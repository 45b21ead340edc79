//! Watches: what is told, from when, and how does it end?

use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    answers::{Events, core, events, grouped, said, version},
    ground::Ground,
};

const INITIAL: &str = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
const NUDGE: &str = "k8s.io/initial-events-end";

fn leases(ground: &Ground) -> String {
    grouped(ground, "coordination.k8s.io/v1", "leases")
}

async fn create(ground: &Ground, name: &str) {
    let body = json!({ "metadata": { "name": name } });
    let made = ground.post(&leases(ground), &body).await;
    assert_eq!(made.code, 201, "{}", made.text);
}

async fn label(ground: &Ground, name: &str, value: &str) -> u64 {
    let patch = json!({ "metadata": { "labels": { "l": value } } });
    let patched = ground.patch(&format!("{}/{name}", leases(ground)), "merge", &patch).await;
    version(&patched).parse().unwrap()
}

async fn delete(ground: &Ground, name: &str) {
    let gone = ground.delete(&format!("{}/{name}", leases(ground)), &Value::Null).await;
    assert_eq!(gone.code, 200, "{}", gone.text);
}

/// A watch from the version of a list tells each change after it, once and in order.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn a_watch_goes_on_where_a_list_ended() {
    let ground = Ground::new().await;
    create(&ground, "before").await;
    let from = version(&ground.get(&leases(&ground)).await);
    create(&ground, "one").await;
    label(&ground, "one", "a").await;

    let path = format!("{}?watch=1&resourceVersion={from}", leases(&ground));
    let mut watch = Events::of(&ground, &path).await;
    delete(&ground, "one").await;

    let told = watch.told(3).await;
    assert_eq!(told, events([("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]));
}

/// A watch from no version, or from any, begins with what is there.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-watch>
#[tokio::test]
async fn a_watch_from_nowhere_begins_with_what_is_there() {
    let ground = Ground::new().await;
    create(&ground, "a").await;
    create(&ground, "b").await;

    for from in ["", "&resourceVersion="] {
        let path = format!("{}?watch=true{from}", leases(&ground));
        let mut watch = Events::of(&ground, &path).await;

        assert_eq!(watch.told(2).await, events([("ADDED", "a"), ("ADDED", "b")]));
    }
    let mut any =
        Events::of(&ground, &format!("{}?watch=1&resourceVersion=0", leases(&ground))).await;
    assert_eq!(any.told(2).await, events([("ADDED", "a"), ("ADDED", "b")]));
}

/// Each event carries the object as it was then, and its version.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn an_event_shows_the_object_as_it_was() {
    let ground = Ground::new().await;
    create(&ground, "one").await;
    let from = version(&ground.get(&leases(&ground)).await);
    let first = label(&ground, "one", "a").await;
    let second = label(&ground, "one", "b").await;

    let path = format!("{}?watch=1&resourceVersion={from}", leases(&ground));
    let mut watch = Events::of(&ground, &path).await;

    for (value, version) in [("a", first), ("b", second)] {
        let object = &watch.next().await.unwrap()["object"];
        assert_eq!(
            (&object["kind"], &object["apiVersion"]),
            (&"Lease".into(), &"coordination.k8s.io/v1".into())
        );
        assert_eq!(object["metadata"]["labels"]["l"], value);
        assert_eq!(object["metadata"]["resourceVersion"], version.to_string());
    }
}

/// The end of an object is told with what it was last, under a version of its own.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn an_end_shows_what_was_there() {
    let ground = Ground::new().await;
    let body = json!({ "metadata": { "name": "one", "finalizers": ["example.com/f"] } });
    ground.post(&leases(&ground), &body).await;
    delete(&ground, "one").await;
    let last = ground.get(&format!("{}/one", leases(&ground))).await;

    let path = format!("{}?watch=1&resourceVersion={}", leases(&ground), version(&last));
    let mut watch = Events::of(&ground, &path).await;
    let released = json!({ "metadata": { "finalizers": null }, "spec": { "holderIdentity": "h" } });
    ground.patch(&format!("{}/one", leases(&ground)), "merge", &released).await;

    let event = watch.next().await.unwrap();
    let end = &event["object"];
    assert_eq!(event["type"], "DELETED");
    assert_eq!(end["metadata"]["finalizers"], json!(["example.com/f"]));
    assert_eq!(end["spec"], json!({}));
    let version = |it: &Value| it["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>();
    assert!(version(end).unwrap() > version(&last.json()).unwrap());
}

/// Who sees a selection sees objects come into it and leave it.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn a_selection_is_entered_and_left() {
    let ground = Ground::new().await;
    create(&ground, "one").await;
    let from = version(&ground.get(&leases(&ground)).await);
    label(&ground, "one", "in").await;
    let out = label(&ground, "one", "out").await;
    label(&ground, "one", "gone").await;
    delete(&ground, "one").await;
    create(&ground, "two").await;
    label(&ground, "two", "in").await;

    let path = format!("{}?watch=1&labelSelector=l%3Din&resourceVersion={from}", leases(&ground));
    let mut watch = Events::of(&ground, &path).await;

    assert_eq!(watch.told(1).await, events([("ADDED", "one")]));
    let left = watch.next().await.unwrap();
    assert_eq!(left["type"], "DELETED");
    // It leaves as it was when last seen, with the version that took it away.
    assert_eq!(left["object"]["metadata"]["labels"]["l"], "in");
    assert_eq!(left["object"]["metadata"]["resourceVersion"], out.to_string());
    assert_eq!(watch.told(1).await, events([("ADDED", "two")]));
}

/// A watch of one object is one of those with its name.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>
#[tokio::test]
async fn one_object_is_watched_by_its_name() {
    let ground = Ground::new().await;
    create(&ground, "other").await;

    let path = format!("{}?watch=1&fieldSelector=metadata.name%3Done", leases(&ground));
    let mut watch = Events::of(&ground, &path).await;
    create(&ground, "more").await;
    create(&ground, "one").await;
    delete(&ground, "one").await;

    assert_eq!(watch.told(2).await, events([("ADDED", "one"), ("DELETED", "one")]));
}

/// The path of one object is read, whether or not a watch is asked for.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn the_path_of_one_object_is_not_watched() {
    let ground = Ground::new().await;
    create(&ground, "one").await;

    let read = ground.get(&format!("{}/one?watch=1", leases(&ground))).await;
    let none = ground.get(&format!("{}/none?watch=1", leases(&ground))).await;

    assert_eq!(read.json()["metadata"]["name"], "one");
    assert_eq!(none.code, 404);
}

/// The time of a watch is up to its client: it ends without a word.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn a_watch_ends_in_time() {
    let ground = Ground::new().await;
    create(&ground, "one").await;

    let mut watch =
        Events::of(&ground, &format!("{}?watch=1&timeoutSeconds=1", leases(&ground))).await;

    assert_eq!(watch.told(1).await, events([("ADDED", "one")]));
    assert_eq!(watch.next().await, None);
}

/// A watch from a version that is forgotten says so, rather than leave out what happened since.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses>
#[tokio::test]
async fn a_forgotten_version_is_gone() {
    let ground = Ground::new().await;

    let mut watch = Events::of(&ground, "/api/v1/namespaces?watch=1&resourceVersion=1").await;

    let first = watch.next().await.unwrap();
    if first["type"] == "ERROR" {
        let status = &first["object"];
        assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &410.into()));
        assert_eq!(status["reason"], "Expired");
        let message = status["message"].as_str().unwrap();
        assert!(message.starts_with("too old resource version: 1 ("), "{message}");
        assert_eq!(watch.next().await, None);
        return;
    }
    // One that remembers remembers all, from the first namespaces on.
    let mut told = vec![first["object"]["metadata"]["name"].clone()];
    while told.last() != Some(&json!(ground.namespace())) {
        told.push(watch.next().await.unwrap()["object"]["metadata"]["name"].clone());
    }
    assert!(told.contains(&json!("default")) && told.contains(&json!("kube-system")), "{told:?}");
}

/// What cannot be watched is refused before there is a watch.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn a_watch_is_asked_for_in_the_right_words() {
    let ground = Ground::new().await;
    let ask = async |query: &str| ground.get(&format!("{}?watch=1&{query}", leases(&ground))).await;

    let label = ask("labelSelector=a%20b").await;
    let field = ask("fieldSelector=spec.odd%3D1").await;
    let time = ask("timeoutSeconds=abc").await;
    let version = ask("resourceVersion=abc").await;

    assert_eq!((label.code, field.code, time.code, version.code), (400, 400, 400, 500));
    assert!(said(&label).2.starts_with("unable to parse requirement: found 'b'"));
    assert!(said(&version).2.ends_with("strconv.ParseUint: parsing \"abc\": invalid syntax"));
}

/// Initial events are asked for together with how versions are matched, and the other way around.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
#[tokio::test]
async fn initial_events_need_a_match() {
    let ground = Ground::new().await;
    let ask = async |query: &str| ground.get(&format!("{}?watch=1&{query}", leases(&ground))).await;
    let needs = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let alone = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";

    for (query, message) in [
        ("sendInitialEvents=true", needs),
        ("sendInitialEvents=false", needs),
        ("sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1", needs),
        ("resourceVersionMatch=NotOlderThan&resourceVersion=1", alone),
        ("continue=abc", "resourceVersionMatch is forbidden when continue is provided"),
    ] {
        let refused = ask(query).await;

        assert_eq!(refused.code, 422, "{query}");
        assert_eq!(refused.json()["details"]["kind"], "ListOptions");
        assert!(said(&refused).2.contains(message), "{}", refused.text);
    }
}

/// A list can be streamed: what is there, then a bookmark that says that this was all, then changes.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
#[tokio::test]
async fn a_list_can_be_streamed() {
    let ground = Ground::new().await;
    create(&ground, "a").await;
    create(&ground, "b").await;

    let path = format!("{}?watch=1&{INITIAL}&allowWatchBookmarks=true", leases(&ground));
    let mut watch = Events::of(&ground, &path).await;

    assert_eq!(watch.told(2).await, events([("ADDED", "a"), ("ADDED", "b")]));
    let end = watch.next().await.unwrap();
    assert_eq!((&end["type"], &end["object"]["kind"]), (&"BOOKMARK".into(), &"Lease".into()));
    assert_eq!(end["object"]["metadata"]["annotations"][NUDGE], "true");
    let at: u64 = end["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    create(&ground, "c").await;
    let next = watch.next().await.unwrap();
    assert_eq!(next["object"]["metadata"]["name"], "c");
    let next = next["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    assert!(next.parse::<u64>().unwrap() > at);
}

/// Without leave for bookmarks a streamed list has no word for its end.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
#[tokio::test]
async fn bookmarks_need_leave() {
    let ground = Ground::new().await;
    create(&ground, "a").await;

    let mut watch = Events::of(&ground, &format!("{}?watch=1&{INITIAL}", leases(&ground))).await;

    assert_eq!(watch.told(1).await, events([("ADDED", "a")]));
    create(&ground, "b").await;
    assert_eq!(watch.told(1).await, events([("ADDED", "b")]));
}

/// A client that wants no initial events gets none.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
#[tokio::test]
async fn initial_events_can_be_declined() {
    let ground = Ground::new().await;
    create(&ground, "a").await;
    let none = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan";

    let mut watch = Events::of(&ground, &format!("{}?watch=1&{none}", leases(&ground))).await;
    assert!(watch.is_quiet().await);
    create(&ground, "b").await;

    assert_eq!(watch.told(1).await, events([("ADDED", "b")]));
}

/// A streamed list of a version that the cluster has not come to ends with 504 as its one event.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#unavailable-resource-versions>
#[tokio::test]
async fn a_list_of_the_future_is_not_streamed() {
    let ground = Ground::new().await;

    let path = format!("{}?watch=1&{INITIAL}&resourceVersion=99999999999", leases(&ground));
    let mut watch = Events::of(&ground, &path).await;

    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&"ERROR".into(), &504.into()));
    assert_eq!(event["object"]["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(watch.next().await, None);
}

/// Watches, too, can be of metadata alone.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-metadata>
#[tokio::test]
async fn metadata_can_be_watched_alone() {
    let ground = Ground::new().await;
    let body = json!({ "metadata": { "name": "one" }, "spec": { "holderIdentity": "h" } });
    ground.post(&leases(&ground), &body).await;

    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let path = format!("{}?watch=1&{INITIAL}&allowWatchBookmarks=1", leases(&ground));
    let mut watch = Events::accepting(&ground, &path, accept).await;

    for kind in ["ADDED", "BOOKMARK"] {
        let event = watch.next().await.unwrap();
        assert_eq!(event["type"], kind);
        assert_eq!(event["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(event["object"]["apiVersion"], "meta.k8s.io/v1");
        assert_eq!(event["object"].get("spec"), None);
    }
}

/// A watch can be of Tables, a row each; the columns are named in the first alone.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>
#[tokio::test]
async fn tables_can_be_watched() {
    let ground = Ground::new().await;
    create(&ground, "a").await;
    create(&ground, "b").await;

    let accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let path = format!("{}?watch=1", leases(&ground));
    let mut watch = Events::accepting(&ground, &path, accept).await;

    let (first, second) = (watch.next().await.unwrap(), watch.next().await.unwrap());
    for (event, name) in [(&first, "a"), (&second, "b")] {
        assert_eq!((&event["type"], &event["object"]["kind"]), (&"ADDED".into(), &"Table".into()));
        assert_eq!(event["object"]["rows"][0]["cells"][0], name);
        assert_eq!(event["object"]["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    }
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
}

/// A watch of one namespace tells nothing of another.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn a_watch_stays_in_its_namespace() {
    let ground = Ground::new().await;
    let other = Ground::new().await;

    let mut watch = Events::of(&ground, &format!("{}?watch=1", leases(&ground))).await;
    create(&other, "there").await;
    create(&ground, "here").await;

    assert_eq!(watch.told(1).await, events([("ADDED", "here")]));
}

/// A rehearsal is told to nobody.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>
#[tokio::test]
async fn rehearsals_are_not_told() {
    let ground = Ground::new().await;

    let mut watch = Events::of(&ground, &format!("{}?watch=1", leases(&ground))).await;
    let body = json!({ "metadata": { "name": "dry" } });
    ground.post(&format!("{}?dryRun=All", leases(&ground)), &body).await;
    create(&ground, "real").await;
    let path = format!("{}/real?dryRun=All", leases(&ground));
    ground.delete(&path, &Value::Null).await;
    label(&ground, "real", "a").await;

    assert_eq!(watch.told(2).await, events([("ADDED", "real"), ("MODIFIED", "real")]));
}

/// A write of the same is told to nobody.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_write_of_the_same_is_not_told() {
    let ground = Ground::new().await;
    create(&ground, "one").await;

    let mut watch = Events::of(&ground, &format!("{}?watch=1", leases(&ground))).await;
    label(&ground, "one", "a").await;
    label(&ground, "one", "a").await;
    label(&ground, "one", "b").await;

    let told = watch.told(3).await;
    assert_eq!(told, events([("ADDED", "one"), ("MODIFIED", "one"), ("MODIFIED", "one")]));
    assert!(watch.is_quiet().await);
}

/// A list and a watch from its version leave out nothing and repeat nothing, whoever writes meanwhile.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>
#[tokio::test]
async fn a_list_and_its_watch_are_one_story() {
    let ground = Ground::new().await;
    let maps = core(&ground, "configmaps");
    let api = ground.api::<k8s_openapi::api::core::v1::ConfigMap>();
    let write = async {
        for index in 0..20 {
            let name = format!("m{index:02}");
            ground.post(&maps, &json!({ "metadata": { "name": name } })).await;
        }
    };
    let read = async {
        let params = kube::api::ListParams::default();
        let list = api.list(&params).await.unwrap();
        let mut seen: Vec<String> = list.items.iter().map(ResourceExt::name_any).collect();
        let version = list.metadata.resource_version.unwrap();
        let mut watch =
            Events::of(&ground, &format!("{maps}?watch=1&resourceVersion={version}")).await;
        while !seen.iter().any(|it| it == "m19") {
            let (kind, name) = watch.told(1).await.remove(0);
            seen.extend((kind == "ADDED").then_some(name));
        }
        seen
    };

    let ((), seen) = futures::join!(write, read);

    let mine: Vec<String> = seen.into_iter().filter(|it| it.starts_with('m')).collect();
    let all: Vec<String> = (0..20).map(|it| format!("m{it:02}")).collect();
    assert_eq!(mine, all);
}
