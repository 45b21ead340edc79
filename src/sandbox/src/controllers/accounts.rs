//! What every namespace has in it: the account that Pods are when they name none, and whom to trust.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    controllers::{self, follow::Follow},
    registry::Resource,
    store::{Key, State},
};

const MANAGER: &str = "kube-controller-manager";
const NAMESPACES: &str = "namespaces";
const ACCOUNTS: &str = "serviceaccounts";
const CONFIGS: &str = "configmaps";
const TABLES: [&str; 3] = [NAMESPACES, ACCOUNTS, CONFIGS];
const ACCOUNT: &str = "default";
const ROOT: &str = "kube-root-ca.crt";
const ABOUT: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when \
    using internal endpoints such as the internal service IP or kubernetes.default.svc. No other \
    usage is guaranteed across distributions of Kubernetes clusters.";

/// Which namespaces may lack something.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    follow: Follow,
    due: BTreeSet<String>,
}

impl Accounts {
    fn learn(&mut self, state: &State) {
        let Some(news) = self.follow.news(state, TABLES) else {
            let all = state.tables.get(NAMESPACES).into_iter().flat_map(|it| it.objects.keys());
            self.due.extend(all.map(|it| it.name().to_owned()));
            return;
        };
        for (table, change) in news {
            let (namespace, name) = (change.key.namespace(), change.key.name());
            let home = match (table, name) {
                (NAMESPACES, name) => name,
                (ACCOUNTS, ACCOUNT) | (CONFIGS, ROOT) => namespace,
                _ => continue,
            };
            self.due.insert(home.to_owned());
        }
    }

    pub(super) fn round(&mut self, cluster: &Cluster, now: Timestamp) {
        let state = &mut *cluster.lock();
        self.learn(state);
        if self.due.is_empty() {
            return;
        }
        let pem = match cluster.authority() {
            Ok(authority) => authority.pem(),
            Err(error) => {
                tracing::error!(%error, "no namespace gets to know whom to trust");
                return;
            }
        };
        let Some(accounts) = state.registry.find("", ACCOUNTS) else { return };
        let Some(configs) = state.registry.find("", CONFIGS) else { return };
        for namespace in std::mem::take(&mut self.due) {
            let home = state.namespace(&namespace);
            if home.is_none_or(|it| it.facts.is_deleting) {
                continue;
            }
            if state.find(ACCOUNTS, &Key::new(&namespace, ACCOUNT)).is_none() {
                let account = json!({ "metadata": { "name": ACCOUNT, "namespace": namespace } });
                controllers::add(state, (&accounts, account), (MANAGER, now));
            }
            publish(state, (&configs, &namespace), (&pem, now));
        }
    }
}

/// Writes the authority down where Pods find it, again if somebody wrote another.
fn publish(
    state: &mut State,
    (configs, namespace): (&Arc<Resource>, &str),
    (pem, now): (&str, Timestamp),
) {
    let data = json!({ "ca.crt": pem });
    let Some(stored) = state.find(&configs.table, &Key::new(namespace, ROOT)) else {
        let annotations = json!({ ABOUT: DESCRIPTION });
        let object = json!({
            "metadata": { "name": ROOT, "namespace": namespace, "annotations": annotations },
            "data": data,
        });
        controllers::add(state, (configs, object), (MANAGER, now));
        return;
    };
    if stored.value["data"] != data {
        let mut object: Value = stored.value.clone();
        object["data"] = data;
        controllers::change(state, (configs, object), (MANAGER, now));
    }
}
