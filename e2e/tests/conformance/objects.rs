//! One object: how it comes to be, changes and ends.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Resource as _;
use serde_json::{Value, json};

use crate::ground::{Ground, by_post, refusal};
use crate::shapes::config_map;

/// A name is taken once in a namespace: a second creation gets 409 `AlreadyExists`.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
#[tokio::test]
async fn a_name_is_taken_once() {
    let ground = Ground::new().await;
    let api = ground.api::<ConfigMap>();
    api.create(&by_post(), &config_map("one", "a")).await.unwrap();

    let again = api.create(&by_post(), &config_map("one", "b")).await;

    let (code, reason, message) = refusal(again);
    assert_eq!((code, reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(message, r#"configmaps "one" already exists"#);
}

/// An update from an older version gets 409 `Conflict`, and nothing changes.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>
#[tokio::test]
async fn a_stale_update_is_refused() {
    let ground = Ground::new().await;
    let api = ground.api::<ConfigMap>();
    let first = api.create(&by_post(), &config_map("one", "a")).await.unwrap();
    let mut newer = first.clone();
    newer.data = config_map("one", "b").data;
    api.replace("one", &by_post(), &newer).await.unwrap();
    let mut stale = first;
    stale.data = config_map("one", "c").data;

    let refused = api.replace("one", &by_post(), &stale).await;

    let (code, reason, _) = refusal(refused);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    let kept = api.get("one").await.unwrap();
    assert_eq!(kept.data, newer.data);
    assert_ne!(kept.meta().resource_version, stale.meta().resource_version);
}

/// What a write left out comes back as the server filled it in, and a merge patch changes what it names.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_merge_patch_changes_what_it_names() {
    let ground = Ground::new().await;
    let path = format!("/api/v1/namespaces/{}/configmaps", ground.namespace());
    let body = json!({ "metadata": { "name": "one" }, "data": { "a": "1" } });
    let made = ground.post(&path, &body).await.json();

    let patch = json!({ "data": { "b": "2" } });
    let patched = ground.patch(&format!("{path}/one"), "merge", &patch).await;

    assert_eq!(patched.code, 200, "{}", patched.text);
    assert_eq!(patched.headers["content-type"], "application/json");
    assert_eq!(patched.json()["data"], json!({ "a": "1", "b": "2" }));
    assert_eq!(patched.json()["metadata"]["uid"], made["metadata"]["uid"]);
}

/// A deletion with the uid of another object gets 409 `Conflict`; with the object's own it ends it.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/>
#[tokio::test]
async fn a_deletion_may_be_for_one_uid_alone() {
    let ground = Ground::new().await;
    let api = ground.api::<ConfigMap>();
    let made = api.create(&by_post(), &config_map("one", "a")).await.unwrap();
    let path = format!("/api/v1/namespaces/{}/configmaps/one", ground.namespace());

    let other = json!({ "preconditions": { "uid": "00000000-0000-0000-0000-000000000000" } });
    let refused = ground.delete(&path, &other).await;
    let its_own = json!({ "preconditions": { "uid": made.meta().uid } });
    let ended = ground.delete(&path, &its_own).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (409, Some("Conflict")));
    assert_eq!((ended.code, ended.json()["status"].as_str()), (200, Some("Success")));
    assert_eq!(ground.get(&path).await.code, 404);
}

/// What nobody has made is not found: 404 for an object, and for a kind that is not served; what could be there
/// and is not is an empty list.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>
#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let ground = Ground::new().await;
    let secrets = format!("/api/v1/namespaces/{}/secrets", ground.namespace());

    let object = ground.get(&format!("{secrets}/none")).await;
    let kind = ground.get(&format!("{secrets}-none")).await;
    let list = ground.get(&secrets).await;

    assert_eq!((object.code, object.json()["reason"].as_str()), (404, Some("NotFound")));
    assert_eq!(object.json()["message"], r#"secrets "none" not found"#);
    assert_eq!((kind.code, kind.json()["reason"].as_str()), (404, Some("NotFound")));
    assert_eq!((list.code, list.json()["kind"].as_str()), (200, Some("SecretList")));
    assert_eq!(list.json()["items"], json!([]));
}

/// A PUT to a name that is not there is no creation for most kinds: 404.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>
#[tokio::test]
async fn a_put_to_nothing_is_not_found() {
    let ground = Ground::new().await;
    let path = format!("/api/v1/namespaces/{}/configmaps/none", ground.namespace());
    let body = json!({ "metadata": { "name": "none" } });

    let refused = ground.put(&path, &body).await;

    assert_eq!((refused.code, refused.json()["reason"].as_str()), (404, Some("NotFound")));
}

/// A namespace that is deleted ends once what is in it has ended.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>
#[tokio::test]
async fn a_namespace_takes_what_is_in_it_along() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let name = ground.unique("ends");
    let namespaces = ground.all::<Namespace>();
    let body = json!({ "metadata": { "name": name } });
    assert_eq!(ground.post("/api/v1/namespaces", &body).await.code, 201);
    let inside = format!("/api/v1/namespaces/{name}/configmaps");
    assert_eq!(ground.post(&inside, &json!({ "metadata": { "name": "one" } })).await.code, 201);

    ground.delete(&format!("/api/v1/namespaces/{name}"), &Value::Null).await;

    let is_gone = async || namespaces.get_opt(&name).await.unwrap().is_none().then_some(());
    ground.eventually("the end of the namespace", is_gone).await;
    assert_eq!(ground.get(&format!("{inside}/one")).await.code, 404);
}
