//! What of a Pod may still change: hardly anything.

use serde_json::Value;

use crate::{
    kinds::{
        check::{Faults, Field},
        pod::spec,
    },
    object,
};

const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions \
    to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it \
    was previously negative)";

/// What an update may leave out and keeps.
pub(super) fn keep(old: &Value, object: &mut Value) {
    let links = old["spec"]["enableServiceLinks"].clone();
    object::section(object, "spec").entry("enableServiceLinks").or_insert(links);
}

pub(super) fn validate(object: &Value, old: &Value, faults: &mut Faults) {
    let spec = Field::of(object, "spec");
    for list in ["containers", "initContainers"] {
        let count = |pod: &Value| pod["spec"][list].as_array().map_or(0, Vec::len);
        if count(old) != count(object) {
            faults.push(spec.at(list).forbidden("pod updates may not add or remove containers"));
            return;
        }
        for container in spec.each(list) {
            container.at("image").needed(faults);
        }
    }
    if !faults.is_empty() {
        // It is said by the rules of all Pods, and by those of changes.
        faults.extend(faults.clone());
        return;
    }
    deadline(&spec.at("activeDeadlineSeconds"), &old["spec"]["activeDeadlineSeconds"], faults);
    gates(&spec, &old["spec"], faults);
    if fixed(old) != fixed(object) {
        faults.push(spec.forbidden(FIXED));
    } else if faults.is_empty() && old["spec"] != object["spec"] {
        spec::validate(&spec, faults);
    }
}

fn deadline(field: &Field<'_>, old: &Value, faults: &mut Faults) {
    match (old.as_i64(), field.value.as_i64()) {
        (Some(before), Some(after)) if after > before => {
            faults.push(field.invalid("must be less than or equal to previous value"));
        }
        (Some(_), None) => {
            faults.push(field.invalid("must not update from a positive integer to nil value"));
        }
        _ => {}
    }
}

/// Gates only ever open.
fn gates(spec: &Field<'_>, old: &Value, faults: &mut Faults) {
    for gate in spec.each("schedulingGates") {
        if object::items(old, "/schedulingGates").all(|it| it != gate.value) {
            let name = gate.at("name");
            let detail = format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                name.text()
            );
            faults.push(name.forbidden(&detail));
        }
    }
}

/// The parts of a Pod's spec that never change.
fn fixed(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    let waits = !object::items(&spec, "/schedulingGates").collect::<Vec<_>>().is_empty();
    let mut free = vec!["activeDeadlineSeconds", "tolerations", "schedulingGates", "nodeName"];
    if waits {
        free.extend(["nodeSelector", "affinity"]);
    }
    object::fields(&mut spec).retain(|key, _| !free.contains(&key.as_str()));
    for list in ["/containers", "/initContainers"] {
        for container in object::items_mut(&mut spec, list) {
            object::fields(container).remove("image");
        }
    }
    spec
}
