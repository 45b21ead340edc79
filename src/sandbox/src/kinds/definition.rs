//! CustomResourceDefinitions: served as soon as they are stored, gone when their last object is.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    clock,
    kinds::DEFINITIONS,
    object::{self, fill},
    refusal::Cause,
    registry::{Origin, custom},
    schema,
    store::{Key, State},
};

/// Holds the definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

pub(super) fn fill_in(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "conversion", json!({"strategy": "None"}));
    let names = object::section(spec, "names");
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
    names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
}

pub(super) fn prepare_create(object: &mut Value, now: Timestamp) {
    let mut finalizers = object::finalizers(object);
    if !finalizers.contains(&CLEANUP) {
        finalizers.push(CLEANUP);
        let finalizers = json!(finalizers);
        object::set_meta(object, "finalizers", Some(finalizers));
    }
    object["status"] = status(object, now);
}

pub(super) fn prepare_update(old: &Value, object: &mut Value, now: Timestamp) {
    let mut status = if object["status"].is_object() && old["status"] != object["status"] {
        object["status"].clone()
    } else {
        old["status"].clone()
    };
    let fresh = self::status(object, now);
    let mut stored: Vec<String> =
        object::strings(&status["storedVersions"]).into_iter().map(str::to_owned).collect();
    for version in object::strings(&fresh["storedVersions"]) {
        if !stored.iter().any(|it| it == version) {
            stored.push(version.to_owned());
        }
    }
    fill(&mut status, "conditions", fresh["conditions"].clone());
    status["storedVersions"] = json!(stored);
    status["acceptedNames"] = fresh["acceptedNames"].clone();
    object["status"] = status;
}

fn status(object: &Value, now: Timestamp) -> Value {
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": clock::seconds(now),
        })
    };
    let stored: Vec<&Value> = object::items(object, "/spec/versions")
        .filter(|it| it["storage"] == true)
        .map(|it| &it["name"])
        .collect();
    json!({
        "acceptedNames": object["spec"]["names"],
        "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    })
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = Vec::new();
    let spec = &object["spec"];
    let wanted =
        format!("{}.{}", object::text(spec, "/names/plural"), object::text(spec, "/group"));
    if object::name(object) != wanted {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        faults.push(Cause::invalid("metadata.name", &object["metadata"]["name"], detail));
    }
    for (field, value) in [("scope", &spec["scope"]), ("names.kind", &spec["names"]["kind"])] {
        if value.as_str().is_none_or(str::is_empty) {
            faults.push(Cause::required(format!("spec.{field}"), ""));
        }
    }
    let storing = object::items(spec, "/versions").filter(|it| it["storage"] == true).count();
    if storing != 1 {
        let detail = "must have exactly one version marked as storage version";
        faults.push(Cause::invalid("spec.versions", &spec["versions"], detail));
    }
    for (index, version) in object::items(spec, "/versions").enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        let stated = &version["schema"]["openAPIV3Schema"];
        if stated.is_object() {
            faults.extend(schema::check(stated, &path));
        } else {
            faults.push(Cause::required(path.clone(), "schemas are required"));
        }
        if version["subresources"]["status"].is_object() {
            faults.extend(root_faults(stated, &path));
        }
    }
    for field in ["group", "scope"] {
        if old.is_some_and(|it| it["spec"][field] != spec[field]) {
            let detail = "field is immutable";
            faults.push(Cause::invalid(format!("spec.{field}"), &spec[field], detail));
        }
    }
    faults
}

/// A status of its own is validated by itself, which only these keywords at the root allow.
fn root_faults(schema: &Value, path: &str) -> Option<Cause> {
    let known = |keyword: &str| {
        matches!(
            keyword,
            "description"
                | "type"
                | "format"
                | "title"
                | "required"
                | "properties"
                | "externalDocs"
                | "example"
                | "x-kubernetes-preserve-unknown-fields"
                | "x-kubernetes-validations"
        )
    };
    let odd = schema.as_object()?.keys().find(|it| !known(it))?;
    let detail = format!(
        "only description, type, required, properties, title and a few more fields are allowed at \
         the root of the schema if the status subresource is enabled, found {odd}"
    );
    Some(Cause::invalid(path, &"object".into(), &detail))
}

/// Serves what a stored definition asks for from now on.
pub(super) fn serve(state: &mut State, definition: &Value) {
    let resource = custom::resource(definition);
    let taken = state.registry.find(&resource.group, &resource.plural);
    if taken.is_some_and(|it| it.origin == Origin::BuiltIn) {
        return;
    }
    state.open(&resource.table);
    state.registry.insert(Arc::new(resource));
}

/// Stops serving what a definition asked for.
pub(super) fn withdraw(state: &mut State, definition: &Value) {
    let resource = custom::resource(definition);
    state.registry.remove(&resource.group, &resource.plural);
    state.close(&resource.table);
}

/// Lets a definition go that waits for the end of its last object.
pub(crate) fn release(state: &mut State, group: &str, plural: &str) {
    let name = format!("{plural}.{group}");
    let left = state.tables.get(&name).is_some_and(|it| !it.objects.is_empty());
    let Some(definition) = state.find(DEFINITIONS, &Key::new("", &name)) else { return };
    if left || !object::is_deleting(&definition.value) {
        return;
    }
    let mut definition = definition.value.clone();
    let kept: Vec<&str> =
        object::finalizers(&definition).into_iter().filter(|it| *it != CLEANUP).collect();
    if kept.is_empty() {
        object::set_meta(&mut definition, "finalizers", None);
        state.remove(DEFINITIONS, definition.clone());
        withdraw(state, &definition);
        return;
    }
    let kept = json!(kept);
    object::set_meta(&mut definition, "finalizers", Some(kept));
    state.put(DEFINITIONS, definition);
}
