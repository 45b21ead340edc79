//! Service accounts: which are there, and what they do to Pods.

use serde_json::{Value, json};

use crate::ground::{Answer, Ground};

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

/// A Pod of one container.
async fn pod(ground: &Ground, spec: Value) -> Answer {
    let mut body = json!({ "metadata": { "name": "one" }, "spec": spec });
    if body["spec"]["containers"].is_null() {
        body["spec"]["containers"] = json!([{ "name": "main", "image": "none" }]);
    }
    ground.post(&format!("/api/v1/namespaces/{}/pods", ground.namespace()), &body).await
}

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A Pod that names no account runs as `default`, with a token, the authority and its namespace mounted.
/// <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/>
#[tokio::test]
async fn a_pod_gets_an_account_and_its_token() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }

    let made = pod(&ground, json!({})).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let spec = made.json()["spec"].clone();
    assert_eq!(
        (&spec["serviceAccountName"], &spec["serviceAccount"]),
        (&json!("default"), &json!("default"))
    );
    let volume = spec["volumes"][0].clone();
    let name = volume["name"].as_str().unwrap_or_default();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    let sources = volume["projected"]["sources"].as_array().unwrap().clone();
    let token = json!({ "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } });
    let authority = json!([{ "key": "ca.crt", "path": "ca.crt" }]);
    let authority = json!({ "configMap": { "name": "kube-root-ca.crt", "items": authority } });
    assert_eq!(sources[..2], [token, authority]);
    assert_eq!(volume["projected"]["defaultMode"], 420);
    let mount = json!([{ "name": name, "readOnly": true, "mountPath": MOUNT }]);
    assert_eq!(spec["containers"][0]["volumeMounts"], mount);
}

/// What admission adds to a Pod belongs to no field manager.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>
#[tokio::test]
async fn what_a_pod_was_given_is_nobodys() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }

    let made = pod(&ground, json!({})).await.json();

    let fields = &made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
    assert!(fields["f:containers"].is_object(), "{made}");
    assert!(fields["f:volumes"].is_null() && fields["f:serviceAccountName"].is_null(), "{fields}");
}

/// A Pod of an account that is not there is forbidden.
/// <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#serviceaccount>
#[tokio::test]
async fn a_pod_needs_an_account_that_is_there() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }

    let refused = pod(&ground, json!({ "serviceAccountName": "nobody" })).await.json();

    let message = format!(
        "pods \"one\" is forbidden: error looking up service account {}/nobody: serviceaccount \
         \"nobody\" not found",
        ground.namespace()
    );
    assert_eq!((&refused["code"], &refused["message"]), (&json!(403), &json!(message)));
    assert_eq!(refused["details"], json!({ "name": "one", "kind": "pods" }));
}

/// A Pod or its account may do without the token; the Pod has the last word.
/// <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#opt-out-of-api-credential-automounting>
#[tokio::test]
async fn a_token_is_mounted_unless_nobody_wants_it() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let accounts = format!("/api/v1/namespaces/{}/serviceaccounts", ground.namespace());
    let pods = format!("/api/v1/namespaces/{}/pods", ground.namespace());
    let quiet = json!({
        "metadata": { "name": "quiet" }, "automountServiceAccountToken": false,
        "imagePullSecrets": [{ "name": "pull" }],
    });
    assert_eq!(ground.post(&accounts, &quiet).await.code, 201);
    let made = async |name: &str, account: &str, automount: Value| {
        let spec = json!({
            "serviceAccountName": account, "automountServiceAccountToken": automount,
            "containers": [{ "name": "main", "image": "none" }],
        });
        let body = json!({ "metadata": { "name": name }, "spec": spec });
        ground.post(&pods, &body).await.json()["spec"].clone()
    };

    let refusing = made("one", "default", json!(false)).await;
    let silent = made("two", "quiet", Value::Null).await;
    let asking = made("three", "quiet", json!(true)).await;

    assert!(refusing["volumes"].is_null() && silent["volumes"].is_null(), "{refusing} {silent}");
    assert_eq!(asking["volumes"].as_array().map(Vec::len), Some(1));
    assert_eq!(silent["imagePullSecrets"], json!([{ "name": "pull" }]));
    assert!(refusing["imagePullSecrets"].is_null(), "{refusing}");
}

/// A container that has mounted something in the token's place keeps it.
/// <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#serviceaccount>
#[tokio::test]
async fn a_container_keeps_its_own_mount() {
    let ground = Ground::new().await;
    if !ground.has_controllers() {
        return;
    }
    let own = json!([{ "name": "own", "mountPath": MOUNT }]);
    let spec = json!({
        "volumes": [{ "name": "own", "emptyDir": {} }],
        "containers": [
            { "name": "one", "image": "none", "volumeMounts": own },
            { "name": "two", "image": "none" },
        ],
        "initContainers": [{ "name": "first", "image": "none" }],
    });

    let made = pod(&ground, spec).await.json()["spec"].clone();

    assert_eq!(made["containers"][0]["volumeMounts"], own);
    let volume = &made["volumes"][1]["name"];
    assert_eq!(made["containers"][1]["volumeMounts"][0]["name"], *volume);
    assert_eq!(made["initContainers"][0]["volumeMounts"][0]["name"], *volume);
}

/// A Secret that is to hold an account's token must say whose.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets>
#[tokio::test]
async fn a_token_secret_names_its_account() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": { "name": "one" }, "type": "kubernetes.io/service-account-token",
    });

    let path = format!("/api/v1/namespaces/{}/secrets", ground.namespace());
    let refused = ground.post(&path, &body).await.json();

    let message = "Secret \"one\" is invalid: metadata.annotations[kubernetes.io/service-account.name]: \
        Required value";
    assert_eq!((&refused["code"], &refused["message"]), (&json!(422), &json!(message)));
}
