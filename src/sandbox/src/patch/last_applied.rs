//! How server-side apply takes over what kubectl applied by itself before, as its annotation says.

use serde_json::Value;

use crate::{
    api::Call,
    object,
    patch::{fields::FieldSet, typed},
    refusal::Result,
};

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The one manager whose annotation is looked at.
const MANAGER: &str = "kubectl";

/// The fields that kubectl may take from their owners: those it applied that are still as it did.
pub(super) fn allowed(call: &Call, live: Option<&Value>) -> Result<FieldSet> {
    let none = FieldSet::default();
    let Some(live) = live.filter(|_| call.options.manager == MANAGER) else { return Ok(none) };
    let text = live["metadata"]["annotations"][ANNOTATION].as_str().unwrap_or_default();
    let Ok(applied) = serde_json::from_str::<Value>(text) else { return Ok(none) };
    if applied["apiVersion"] != *call.target.api_version() {
        return Ok(none);
    }
    let node = call.target.version()?.schema.root();
    let mut set = typed::field_set(&applied, Some(node));
    let difference = typed::compare(Some(&applied), Some(live), Some(node));
    set.subtract(&difference.changed);
    set.subtract(&difference.removed);
    Ok(set)
}

/// Writes what is applied into the annotation, where there is one, so that kubectl can go back.
pub(super) fn keep_up(call: &Call, wanted: &Value, object: &mut Value) {
    let found = &object["metadata"]["annotations"][ANNOTATION];
    if call.options.manager != MANAGER || found.as_str().is_none_or(str::is_empty) {
        return;
    }
    let mut wanted = wanted.clone();
    if let Some(annotations) = wanted.pointer_mut("/metadata/annotations") {
        object::fields(annotations).remove(ANNOTATION);
    }
    let text = format!("{wanted}\n");
    if let Some(annotations) = object.pointer_mut("/metadata/annotations") {
        object::fields(annotations).insert(ANNOTATION.to_owned(), text.into());
    }
}
