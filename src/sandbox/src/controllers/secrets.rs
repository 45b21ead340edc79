//! Secrets that hold a service account's token: filled in, and gone with their account.

use std::sync::atomic::Ordering;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::delete::Propagation,
    auth::{token::OLD_ISSUER, user},
    cluster::Cluster,
    controllers, object,
    store::{Key, State},
};

const MANAGER: &str = "kube-controller-manager";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

pub(super) fn round(cluster: &Cluster, now: Timestamp) {
    let state = &mut *cluster.lock();
    let changed = ["secrets", "serviceaccounts"].map(|it| revision(state, it));
    let changed = changed.into_iter().max().unwrap_or_default();
    if cluster.tokens_filled.swap(changed, Ordering::Relaxed) == changed {
        return;
    }
    let Some(resource) = state.registry.find("", "secrets") else { return };
    let secrets = state.tables.get("secrets").into_iter().flat_map(|it| it.objects.values());
    let due: Vec<Value> =
        secrets.filter(|it| it.value.peek(is_due)).map(|it| Value::clone(&it.value)).collect();
    for secret in due {
        let account = object::text(
            &secret["metadata"]["annotations"],
            "/kubernetes.io~1service-account.name",
        );
        let namespace = object::meta(&secret, "namespace");
        let found = state.find("serviceaccounts", &Key::new(namespace, account));
        match found {
            None => controllers::remove(
                state,
                (&resource, &secret),
                Propagation::Background,
                (MANAGER, now),
            ),
            Some(account) => {
                let uid = object::uid(&account.value);
                if let Some(secret) = filled(cluster, secret, uid) {
                    controllers::change(state, (&resource, secret), (MANAGER, now));
                }
            }
        }
    }
}

fn revision(state: &State, table: &str) -> u64 {
    state.tables.get(table).map_or(0, |it| *it.changed.borrow())
}

fn is_due(secret: &Value) -> bool {
    secret["type"] == "kubernetes.io/service-account-token" && !object::is_deleting(secret)
}

/// The Secret with its token, or nothing if it has one already.
fn filled(cluster: &Cluster, mut secret: Value, uid: &str) -> Option<Value> {
    let account = secret["metadata"]["annotations"][ACCOUNT].as_str()?.to_owned();
    let known = secret["metadata"]["annotations"][UID] == uid;
    if known && secret["data"]["token"].is_string() {
        return None;
    }
    let namespace = object::meta(&secret, "namespace").to_owned();
    let claims = json!({
        "iss": OLD_ISSUER, "sub": user::account_name(&namespace, &account),
        format!("{OLD_ISSUER}/namespace"): namespace,
        format!("{OLD_ISSUER}/secret.name"): object::name(&secret),
        format!("{OLD_ISSUER}/service-account.name"): account,
        format!("{OLD_ISSUER}/service-account.uid"): uid,
    });
    let token = cluster.signer()?.sign(&claims)?;
    let authority = cluster.authority().ok()?.pem();
    secret["metadata"]["annotations"][UID] = uid.into();
    let data = object::section(&mut secret, "data");
    for (key, text) in [("token", &token), ("ca.crt", &authority), ("namespace", &namespace)] {
        data.insert(key.to_owned(), STANDARD.encode(text).into());
    }
    Some(secret)
}
