//! As whom Pods run: an account that is there, with its token where containers look for it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    object,
    refusal::{Refusal, Result, Subject},
    store::{Key, State, Stored},
};

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The account that a new Pod runs as; nothing where no controller keeps accounts, or for a mirror.
pub(crate) fn of_pod(state: &State, namespace: &str, pod: &Value) -> Result<Option<Arc<Stored>>> {
    if !state.keeps_accounts {
        return Ok(None);
    }
    let refuse = |why: &str| {
        let name = object::name(pod);
        let name = if name.is_empty() { object::meta(pod, "generateName") } else { name };
        Err(Refusal::forbidden(&Subject { group: "", kind: "pods", name }, why))
    };
    let account = stated(pod);
    if pod["metadata"]["annotations"][MIRROR].is_string() {
        return match account {
            "" => Ok(None),
            _ => refuse("a mirror pod may not reference service accounts"),
        };
    }
    let account = if account.is_empty() { "default" } else { account };
    match state.find("serviceaccounts", &Key::new(namespace, account)) {
        Some(found) => Ok(Some(found)),
        None => refuse(&format!(
            "error looking up service account {namespace}/{account}: serviceaccount {account:?} \
             not found"
        )),
    }
}

fn stated(pod: &Value) -> &str {
    let name = object::text(pod, "/spec/serviceAccountName");
    if name.is_empty() { object::text(pod, "/spec/serviceAccount") } else { name }
}

/// Writes into a new Pod what its account gives it.
pub(crate) fn settle(state: &mut State, account: &Value, pod: &mut Value) {
    let name = object::name(account);
    for field in ["serviceAccountName", "serviceAccount"] {
        pod["spec"][field] = name.into();
    }
    let automount = [&pod["spec"], account]
        .into_iter()
        .find_map(|it| it["automountServiceAccountToken"].as_bool())
        .unwrap_or(true);
    if automount {
        mount(state, pod);
    }
    let has_own = object::items(pod, "/spec/imagePullSecrets").next().is_some();
    let given = &account["imagePullSecrets"];
    if !has_own && given.as_array().is_some_and(|it| !it.is_empty()) {
        pod["spec"]["imagePullSecrets"] = given.clone();
    }
}

/// Mounts the token into every container that has nothing there of its own.
fn mount(state: &mut State, pod: &mut Value) {
    let volume = format!("kube-api-access-{}", state.random.suffix());
    let mut mounted = 0;
    for list in ["/spec/initContainers", "/spec/containers"] {
        for container in object::items_mut(pod, list) {
            if object::items(container, "/volumeMounts").any(|it| it["mountPath"] == MOUNT) {
                continue;
            }
            let mount = json!({ "name": volume, "readOnly": true, "mountPath": MOUNT });
            push(container, "volumeMounts", mount);
            mounted += 1;
        }
    }
    if mounted > 0 {
        let namespace = json!({ "apiVersion": "v1", "fieldPath": "metadata.namespace" });
        let authority = json!([{ "key": "ca.crt", "path": "ca.crt" }]);
        let sources = json!([
            { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
            { "configMap": { "name": "kube-root-ca.crt", "items": authority } },
            { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": namespace }] } },
        ]);
        let projected = json!({ "sources": sources, "defaultMode": 420 });
        push(&mut pod["spec"], "volumes", json!({ "name": volume, "projected": projected }));
    }
}

fn push(object: &mut Value, field: &str, item: Value) {
    match &mut object[field] {
        Value::Array(list) => list.push(item),
        slot => *slot = json!([item]),
    }
}
