//! Secrets that hold a service account's token: filled in, and gone with their account.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::delete::Propagation,
    auth::{token::OLD_ISSUER, user},
    cluster::Cluster,
    controllers::{self, follow::Follow},
    object,
    store::{Key, State, log::Kind},
};

const MANAGER: &str = "kube-controller-manager";
const SECRETS: &str = "secrets";
const ACCOUNTS: &str = "serviceaccounts";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

/// Which Secrets are for tokens, and which of them to look at.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    follow: Follow,
    all: BTreeSet<Key>,
}

impl Secrets {
    /// Learns what happened since the last time; gives those that it concerns.
    fn learn(&mut self, state: &State) -> BTreeSet<Key> {
        let Some(news) = self.follow.news(state, [SECRETS, ACCOUNTS]) else {
            let all = state.tables.get(SECRETS).into_iter().flat_map(|it| &it.objects);
            let all = all.filter(|(_, it)| it.value.peek(is_due));
            self.all = all.map(|(key, _)| key.clone()).collect();
            return self.all.clone();
        };
        let mut concerned = BTreeSet::new();
        for (table, change) in news {
            let key = &change.key;
            if table == ACCOUNTS {
                let beside = self.all.range(Key::new(key.namespace(), "")..);
                let beside = beside.take_while(|it| it.namespace() == key.namespace());
                concerned.extend(beside.cloned());
            } else if change.kind != Kind::Deleted && change.object.value.peek(is_due) {
                self.all.insert(key.clone());
                concerned.insert(key.clone());
            } else {
                self.all.remove(key);
                concerned.remove(key);
            }
        }
        concerned
    }

    pub(super) fn round(&mut self, cluster: &Cluster, now: Timestamp) {
        let state = &mut *cluster.lock();
        let due = self.learn(state);
        let Some(resource) = state.registry.find("", SECRETS) else { return };
        for key in due {
            let Some(stored) = state.find(SECRETS, &key) else { continue };
            let secret = Value::clone(&stored.value);
            let account = secret["metadata"]["annotations"][ACCOUNT].as_str().unwrap_or_default();
            let Some(account) = state.find(ACCOUNTS, &Key::new(key.namespace(), account)) else {
                let what = (&resource, &secret);
                controllers::remove(state, what, Propagation::Background, (MANAGER, now));
                continue;
            };
            let uid = object::uid(&account.value);
            if let Some(secret) = filled(cluster, secret, uid) {
                controllers::change(state, (&resource, secret), (MANAGER, now));
            }
        }
    }
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
