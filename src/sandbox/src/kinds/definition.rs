//! CustomResourceDefinitions: served as soon as they are stored, gone when their last object is.

mod conversion;
mod hoist;
mod names;
mod validate;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    kinds::{DEFINITIONS, PLAIN, Rules, Trait},
    object::{self, fill},
    refusal::{Refusal, Subject},
    registry::{Origin, Resource, custom},
    store::{Key, State, Stored},
};

/// Holds the definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

pub(super) const RULES: Rules = Rules {
    traits: &[Trait::Generation, Trait::StatedVersion],
    fill_in,
    create: |_, object| prepare_create(object),
    update: prepare_update,
    validate: validate::validate,
    ..PLAIN
};

fn fill_in(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "conversion", json!({"strategy": "None"}));
    let names = object::section(spec, "names");
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !kind.is_empty() {
        names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
        names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
    }
}

/// Nobody is born with accepted names.
fn prepare_create(object: &mut Value) {
    let stored: Vec<Value> = storing(object).map(|it| vec![it]).unwrap_or_default();
    object["status"] = json!({
        "acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": stored,
    });
}

/// The first version that says that it is stored.
fn storing(definition: &Value) -> Option<Value> {
    let mut versions = object::items(definition, "/spec/versions");
    versions.find(|it| it["storage"] == true)?.get("name").cloned()
}

fn prepare_update(old: &Value, object: &mut Value) {
    let status = &mut object["status"];
    if !status.is_object() {
        *status = old["status"].clone();
    }
    let Some(version) = storing(object) else { return };
    // What a writer of the status took away stays away.
    if old["spec"]["versions"] == object["spec"]["versions"] {
        return;
    }
    if let Some(stored) = object["status"]["storedVersions"].as_array_mut()
        && !stored.contains(&version)
    {
        stored.push(version);
    }
}

/// Serves what a stored definition asks for from now on, if its names are its own.
pub(super) fn serve(state: &mut State, definition: &Value) {
    let (group, at) = (object::text(definition, "/spec/group"), names::last_write(definition));
    let key = Key::of(definition);
    let changed = names::settle(state, group, &at);
    for definition in changed.iter().filter(|it| Key::of(it) != key) {
        register(state, definition);
    }
    if let Some(stored) = state.find(DEFINITIONS, &key) {
        register(state, &stored.value);
    }
}

fn register(state: &mut State, definition: &Value) {
    if !names::is_true(definition, "Established") {
        return;
    }
    let mut resource = custom::resource(definition);
    if let Some(before) = state.registry.find(&resource.group, &resource.plural) {
        if before.origin == Origin::BuiltIn {
            return;
        }
        resource.reshapes |= before.reshapes || before.schemas().ne(resource.schemas());
    }
    state.open(&resource.table);
    state.registry.insert(Arc::new(resource));
}

/// Serves all that is stored again. How old what is stored under them is nobody knows any more.
pub(super) fn resume(state: &mut State) {
    let Some(definitions) = state.tables.get(DEFINITIONS) else { return };
    let definitions: Vec<Arc<Stored>> = definitions.objects.values().cloned().collect();
    for definition in definitions.iter().filter(|it| names::is_true(&it.value, "Established")) {
        let resource = Resource { reshapes: true, ..custom::resource(&definition.value) };
        if state.registry.find(&resource.group, &resource.plural).is_none() {
            state.open(&resource.table);
            state.registry.insert(Arc::new(resource));
        }
    }
}

/// Stops serving what a definition asked for; its names are free for others.
pub(super) fn withdraw(state: &mut State, definition: &Value) {
    let resource = custom::resource(definition);
    if names::is_true(definition, "Established") {
        state.registry.remove(&resource.group, &resource.plural);
        state.close(&resource.table);
    }
    let at = names::last_write(definition);
    for freed in names::settle(state, &resource.group, &at) {
        register(state, &freed);
    }
}

/// What the deletion of a definition shows on it, while its objects are being deleted.
pub(super) fn deleting(object: &mut Value) {
    let mut finalizers = object::finalizers(object);
    if !finalizers.contains(&CLEANUP) && !object::is_deleting(object) {
        finalizers.push(CLEANUP);
        let finalizers = json!(finalizers);
        object::set_meta(object, "finalizers", Some(finalizers));
    }
}

/// Says on a definition that its objects are to go.
pub(crate) fn mark_terminating(definition: &mut Value, at: &str) {
    let (reason, message) = (
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    );
    names::set(definition, ["Terminating", "True", reason, message], at);
}

/// The resource whose objects go with a definition, which says so from now on.
pub(crate) fn begin_end(state: &mut State, definition: &Value) -> Option<Arc<Resource>> {
    let stored = state.find(DEFINITIONS, &Key::of(definition))?;
    let mut definition = stored.value.clone();
    let at = object::meta(&definition, "deletionTimestamp").to_owned();
    let (reason, message) =
        ("InstanceDeletionInProgress", "CustomResource deletion is in progress");
    names::set(&mut definition, ["Terminating", "True", reason, message], &at);
    if stored.value != definition {
        state.put(DEFINITIONS, definition.clone());
    }
    if !names::is_true(&definition, "Established") {
        let resource = custom::resource(&definition);
        release(state, &resource.group, &resource.plural);
        return None;
    }
    let spec = &definition["spec"];
    state.registry.find(object::text(spec, "/group"), object::text(spec, "/names/plural"))
}

/// A kind that is going takes no new objects.
pub(crate) fn check_lives(state: &State, resource: &Resource, name: &str) -> Result<(), Refusal> {
    let definition = state.find(DEFINITIONS, &names::key(&resource.group, &resource.plural));
    if definition.is_none_or(|it| !object::is_deleting(&it.value)) {
        return Ok(());
    }
    let subject = Subject { group: &resource.group, kind: &resource.plural, name };
    let why = "create not allowed while custom resource definition is terminating";
    Err(Refusal::forbidden(&subject, why))
}

/// Lets a definition go that waits for the end of its last object.
pub(crate) fn release(state: &mut State, group: &str, plural: &str) {
    let key = names::key(group, plural);
    let left = state.tables.get(key.name()).is_some_and(|it| !it.objects.is_empty());
    let Some(definition) = state.find(DEFINITIONS, &key) else { return };
    if left || !object::is_deleting(&definition.value) {
        return;
    }
    let mut definition = definition.value.clone();
    let kept: Vec<&str> =
        object::finalizers(&definition).into_iter().filter(|it| *it != CLEANUP).collect();
    if kept.is_empty() {
        object::set_meta(&mut definition, "finalizers", None);
        state.remove(DEFINITIONS, &Key::of(&definition));
        withdraw(state, &definition);
        return;
    }
    let kept = json!(kept);
    object::set_meta(&mut definition, "finalizers", Some(kept));
    state.put(DEFINITIONS, definition);
}
