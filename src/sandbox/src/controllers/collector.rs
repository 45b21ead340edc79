//! Garbage collection: what outlives its owners goes, and owners that wait for it or let it go.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::delete::Propagation,
    cluster::Cluster,
    controllers, object,
    registry::Resource,
    store::{State, Stored},
};

const MANAGER: &str = "generic-garbage-collector";

type Owned = (Arc<Resource>, Arc<Stored>);

pub(super) fn round(cluster: &Cluster, now: Timestamp) {
    let state = &mut *cluster.lock();
    let mut all: Vec<Owned> = Vec::new();
    for resource in controllers::resources(state) {
        let objects = state.table(&resource).into_iter().flat_map(|it| it.objects.values());
        all.extend(objects.map(|it| (Arc::clone(&resource), Arc::clone(it))));
    }
    let alive: HashSet<&str> = all.iter().map(|(_, it)| object::uid(&it.value)).collect();
    let waiting: HashSet<&str> = all
        .iter()
        .filter(|(_, it)| holds(&it.value, "foregroundDeletion"))
        .map(|(_, it)| object::uid(&it.value))
        .collect();

    for (resource, stored) in &all {
        let object = &stored.value;
        if holds(object, "orphan") {
            orphan(state, &all, object);
            release(state, resource, object, "orphan");
        }
        if object::items(object, "/metadata/ownerReferences").next().is_none()
            || object::is_deleting(object)
        {
            continue;
        }
        let owners = || object::items(object, "/metadata/ownerReferences");
        let uid = |it: &Value| it["uid"].as_str().unwrap_or_default().to_owned();
        let gone = owners().all(|it| !alive.contains(uid(it).as_str()));
        let awaited = owners().all(|it| {
            let uid = uid(it);
            !alive.contains(uid.as_str()) || waiting.contains(uid.as_str())
        });
        if gone || awaited {
            let how =
                if awaited && !gone { Propagation::Foreground } else { Propagation::Background };
            let how = if has_dependents(&all, object) { how } else { Propagation::Background };
            controllers::remove(state, (resource, object), how, (MANAGER, now));
        }
    }
    for (resource, stored) in all.iter().filter(|(_, it)| holds(&it.value, "foregroundDeletion")) {
        if !is_awaiting(state, &stored.value) {
            release(state, resource, &stored.value, "foregroundDeletion");
        }
    }
}

/// Whether a deleted object waits for the collector with this finalizer.
fn holds(object: &Value, finalizer: &str) -> bool {
    object::is_deleting(object) && object::finalizers(object).contains(&finalizer)
}

fn owns(owner: &Value, object: &Value) -> bool {
    object::items(object, "/metadata/ownerReferences")
        .any(|it| it["uid"] == owner["metadata"]["uid"])
}

fn has_dependents(all: &[Owned], owner: &Value) -> bool {
    all.iter().any(|(_, it)| owns(owner, &it.value))
}

/// Whether something that blocks the owner's deletion is still there.
fn is_awaiting(state: &State, owner: &Value) -> bool {
    let blocks = |object: &Value| {
        object::items(object, "/metadata/ownerReferences")
            .any(|it| it["uid"] == owner["metadata"]["uid"] && it["blockOwnerDeletion"] == true)
    };
    state.tables.values().any(|table| table.objects.values().any(|it| blocks(&it.value)))
}

/// Takes an owner out of all that it owns.
fn orphan(state: &mut State, all: &[Owned], owner: &Value) {
    for (resource, stored) in all.iter().filter(|(_, it)| owns(owner, &it.value)) {
        let Some(current) = state.find(&resource.table, &crate::store::Key::of(&stored.value))
        else {
            continue;
        };
        let mut object = current.value.clone();
        let kept: Vec<Value> = object::items(&object, "/metadata/ownerReferences")
            .filter(|it| it["uid"] != owner["metadata"]["uid"])
            .cloned()
            .collect();
        object::set_meta(&mut object, "ownerReferences", (!kept.is_empty()).then(|| kept.into()));
        state.put(&resource.table, object);
    }
}

/// Takes a finalizer from a deleted object, which goes with the last one.
fn release(state: &mut State, resource: &Arc<Resource>, object: &Value, finalizer: &str) {
    let key = crate::store::Key::of(object);
    let Some(current) = state.find(&resource.table, &key) else { return };
    if object::uid(&current.value) != object::uid(object) {
        return;
    }
    let mut object = current.value.clone();
    let kept: Vec<&str> =
        object::finalizers(&current.value).into_iter().filter(|it| *it != finalizer).collect();
    object::set_meta(&mut object, "finalizers", (!kept.is_empty()).then(|| json!(kept)));
    if kept.is_empty() {
        let ended = state.remove(&resource.table, object);
        crate::kinds::ended(state, resource, &ended);
    } else {
        state.put(&resource.table, object);
    }
}
