//! Service accounts: which are there, and what they do to Pods.

use serde_json::{Value, json};

use crate::ground::Ground;

/// Every namespace has a service account `default`, and gets it back when it is deleted.
/// <https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts>
#[tokio::test]
async fn the_default_account_comes_back() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/default", ground.namespace());
    let first = ground.get(&path).await.json();

    let ended = ground.delete(&path, &Value::Null).await;
    let is_back = async || {
        let answer = ground.get(&path).await;
        let is_another =
            answer.code == 200 && answer.json()["metadata"]["uid"] != first["metadata"]["uid"];
        is_another.then(|| answer.json())
    };
    let second = ground.eventually("another default account", is_back).await;

    assert_eq!((ended.code, ended.json()["kind"].as_str()), (200, Some("ServiceAccount")));
    assert_eq!(second["metadata"]["name"], "default");
    assert!(second["secrets"].is_null(), "{second}");
}

/// Every namespace has a ConfigMap that says whom to trust, and gets it back when it is deleted.
/// <https://kubernetes.io/docs/concepts/security/service-accounts/#assign-to-pod>
#[tokio::test]
async fn every_namespace_knows_the_root_authority() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let path = format!("/api/v1/namespaces/{}/configmaps/kube-root-ca.crt", ground.namespace());
    let published = async || {
        let answer = ground.get(&path).await;
        (answer.code == 200).then(|| answer.json())
    };
    let first = ground.eventually("the root authority", published).await;

    ground.delete(&path, &Value::Null).await;
    let second = ground.eventually("the root authority again", published).await;

    let pem = second["data"]["ca.crt"].as_str().unwrap_or_default();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    assert_eq!(first["data"], second["data"]);
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    let about = &second["metadata"]["annotations"]["kubernetes.io/description"];
    assert!(about.as_str().is_some_and(|it| it.starts_with("Contains a CA bundle")), "{about}");
}

/// Whoever writes something else into that ConfigMap loses it: the controller writes it anew.
/// <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/>
#[tokio::test]
async fn the_root_authority_is_not_to_be_edited() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let path = format!("/api/v1/namespaces/{}/configmaps/kube-root-ca.crt", ground.namespace());
    let published = async || {
        let answer = ground.get(&path).await;
        (answer.code == 200).then(|| answer.json())
    };
    let first = ground.eventually("the root authority", published).await;

    let edited = json!({ "data": { "ca.crt": "nobody", "more": "x" } });
    ground.patch(&path, "merge", &edited).await;

    let is_mended = async || {
        let now = ground.get(&path).await.json();
        (now["data"] == first["data"]).then_some(now)
    };
    let mended = ground.eventually("the authority as it was", is_mended).await;
    assert_eq!(mended["metadata"]["uid"], first["metadata"]["uid"]);
}
