//! Namespaces: alive until their content is gone.

use serde_json::{Value, json};

use crate::object::{self, fill};

/// Selectors find a namespace by its name through this label.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn fill_in(object: &mut Value) {
    let name = object::name(object).to_owned();
    if !name.is_empty() {
        let labels = object::metadata(object).entry("labels").or_insert_with(|| json!({}));
        fill(labels, NAME_LABEL, name.into());
    }
}

pub(super) fn prepare_create(object: &mut Value) {
    object["status"] = json!({"phase": "Active"});
    object["spec"] = json!({"finalizers": ["kubernetes"]});
}

pub(super) fn prepare_update(old: &Value, object: &mut Value) {
    // Finalizers of the spec change through `finalize` alone, which has set them already.
    if object["spec"]["finalizers"].is_null() && !object::is_deleting(old) {
        object["spec"] = old["spec"].clone();
    }
}
