//! A namespace that was deleted loses its content, then its finalizer, then itself.

use jiff::Timestamp;

use crate::{
    api::delete::Propagation,
    cluster::Cluster,
    controllers, object,
    store::{State, Table},
};

const MANAGER: &str = "namespace-controller";

pub(super) fn round(cluster: &Cluster, now: Timestamp) {
    let state = &mut *cluster.lock();
    let Some(table) = state.tables.get("namespaces") else { return };
    let dying: Vec<String> = table
        .objects
        .values()
        .filter(|it| object::is_deleting(&it.value))
        .map(|it| object::name(&it.value).to_owned())
        .collect();
    for namespace in dying {
        if empty(state, &namespace, now) {
            finalize(state, &namespace);
        }
    }
}

/// Deletes what the namespace holds; whether nothing is left.
fn empty(state: &mut State, namespace: &str, now: Timestamp) -> bool {
    let mut left = 0;
    for resource in controllers::resources(state).into_iter().filter(|it| it.namespaced) {
        let content = |state: &State| {
            let objects = state.table(&resource).map(|it| &it.objects);
            let objects = objects.into_iter().flat_map(|it| Table::within(it, Some(namespace)));
            objects.map(|(_, it)| it.clone()).collect::<Vec<_>>()
        };
        for object in content(state).iter().filter(|it| !object::is_deleting(&it.value)) {
            let what = (&resource, &*object.value);
            controllers::remove(state, what, Propagation::Background, (MANAGER, now));
        }
        left += content(state).len();
    }
    left == 0
}

fn finalize(state: &mut State, name: &str) {
    let Some(namespace) = state.namespace(name) else { return };
    let mut object = namespace.value.clone();
    object["spec"] = serde_json::json!({});
    if object::finalizers(&object).is_empty() {
        state.remove("namespaces", object);
    } else if namespace.value != object {
        state.put("namespaces", object);
    }
}
