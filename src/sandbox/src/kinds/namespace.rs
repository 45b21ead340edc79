//! Namespaces: alive until their content is gone.

use serde_json::{Value, json};

use crate::{
    kinds::{PLAIN, Rules, Trait},
    object,
    refusal::Cause,
    validate,
};

/// Selectors find a namespace by its name through this label.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The finalizer of the spec that stands for the content.
const FINALIZER: &str = "kubernetes";

pub(super) const RULES: Rules = Rules {
    traits: &[Trait::AnswersDeleted],
    fill_in,
    create: |_, object| prepare_create(object),
    update: |_, object| prepare_update(object),
    validate: |object, _| validate(object),
    name: validate::label_fault,
    ..PLAIN
};

fn fill_in(object: &mut Value) {
    let name = object::name(object).to_owned();
    if !name.is_empty() {
        let labels = object::metadata(object).entry("labels").or_insert_with(|| json!({}));
        object::fields(labels).insert(NAME_LABEL.to_owned(), name.into());
    }
}

fn prepare_create(object: &mut Value) {
    object["status"] = json!({"phase": "Active"});
    let mut finalizers = object::strings(&object["spec"]["finalizers"]);
    if !finalizers.contains(&FINALIZER) {
        finalizers.push(FINALIZER);
    }
    object["spec"] = json!({ "finalizers": finalizers });
}

fn prepare_update(object: &mut Value) {
    if object::items(object, "/spec/finalizers").next().is_none() {
        object["spec"] = json!({});
    }
}

fn validate(object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (index, finalizer) in object::items(object, "/spec/finalizers").enumerate() {
        let known = finalizer == FINALIZER || finalizer.as_str().is_some_and(|it| it.contains('/'));
        if !known {
            let path = format!("spec.finalizers[{index}]");
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            faults.push(Cause::invalid(path, finalizer, detail));
        }
    }
    let (phase, dies) = (&object["status"]["phase"], object::is_deleting(object));
    let wanted = if dies { "Terminating" } else { "Active" };
    if !phase.is_null() && phase != wanted {
        let when = if dies { "is not empty" } else { "is empty" };
        let detail = format!("may only be '{wanted}' if `deletionTimestamp` {when}");
        faults.push(Cause::invalid("status.Phase", phase, &detail));
    }
    faults
}
