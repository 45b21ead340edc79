//! What every namespace has in it: the account that Pods are when they name none, and whom to trust.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    controllers, object,
    registry::Resource,
    store::{Key, State},
};

const MANAGER: &str = "kube-controller-manager";
const ACCOUNT: &str = "default";
const ROOT: &str = "kube-root-ca.crt";
const ABOUT: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when \
    using internal endpoints such as the internal service IP or kubernetes.default.svc. No other \
    usage is guaranteed across distributions of Kubernetes clusters.";

pub(super) fn round(cluster: &Cluster, now: Timestamp) {
    let pem = match cluster.authority() {
        Ok(authority) => authority.pem(),
        Err(error) => {
            tracing::error!(%error, "no namespace gets to know whom to trust");
            return;
        }
    };
    let state = &mut *cluster.lock();
    let Some(accounts) = state.registry.find("", "serviceaccounts") else { return };
    let Some(configs) = state.registry.find("", "configmaps") else { return };
    for namespace in alive(state) {
        if state.find(&accounts.table, &Key::new(&namespace, ACCOUNT)).is_none() {
            let account = json!({ "metadata": { "name": ACCOUNT, "namespace": namespace } });
            controllers::add(state, (&accounts, account), (MANAGER, now));
        }
        publish(state, (&configs, &namespace), (&pem, now));
    }
}

fn alive(state: &State) -> Vec<String> {
    let objects = state.tables.get("namespaces").into_iter().flat_map(|it| it.objects.values());
    let alive = objects.filter(|it| !object::is_deleting(&it.value));
    alive.map(|it| object::name(&it.value).to_owned()).collect()
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
