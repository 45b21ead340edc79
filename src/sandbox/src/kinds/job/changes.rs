//! What of a Job cannot change any more, and what can while it is suspended.

use serde_json::Value;

use crate::{
    kinds::check::{Faults, Field, immutable},
    object,
};

pub(super) fn validate(object: &Value, old: &Value, faults: &mut Faults) {
    let (spec, before) = (Field::of(object, "spec"), &old["spec"]);
    completions(&spec, before, faults);
    immutable((&spec, before), &["selector"], faults);
    template(&spec, old, faults);
    let fixed = [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ];
    immutable((&spec, before), &fixed, faults);
}

/// An indexed Job grows and shrinks with its parallelism.
fn completions(spec: &Field<'_>, before: &Value, faults: &mut Faults) {
    if spec.value["completionMode"] != "Indexed" {
        return immutable((spec, before), &["completions"], faults);
    }
    let completions = spec.at("completions");
    let moves = completions.is_set() && *completions.value != before["completions"];
    if moves && *completions.value != spec.value["parallelism"] {
        faults.push(completions.invalid("can only be modified in tandem with spec.parallelism"));
    }
}

/// While no Pod of it runs or will, a suspended Job may still change where its Pods go and what they get.
fn is_open(job: &Value) -> bool {
    let status = &job["status"];
    let is_suspended = object::items(status, "/conditions")
        .any(|it| it["type"] == "Suspended" && it["status"] == "True");
    job["spec"]["suspend"] == true
        && (status["startTime"].is_null() || is_suspended)
        && status["active"].as_i64().unwrap_or_default() == 0
}

fn template(spec: &Field<'_>, old: &Value, faults: &mut Faults) {
    let (template, before) = (spec.at("template"), &old["spec"]["template"]);
    if template.value == before {
        return;
    }
    if !is_open(old) {
        faults.push(template.invalid("field is immutable"));
        return;
    }
    let pod = template.at("spec");
    let mut allowed = before["spec"].clone();
    affinity(&mut allowed, pod.value);
    for field in ["nodeSelector", "tolerations", "schedulingGates"] {
        take(&mut allowed, pod.value, field);
    }
    for list in ["containers", "initContainers"] {
        resources(&mut allowed[list], &pod.value[list]);
    }
    object::fields(&mut allowed).retain(|_, it| !it.is_null());
    if allowed != *pod.value {
        let path = format!("{}.spec", template.path);
        faults.push(Field { value: pod.value, path }.invalid("field is immutable"));
    }
}

/// Of the affinity only that to nodes may change.
fn affinity(allowed: &mut Value, pod: &Value) {
    const NODES: &str = "nodeAffinity";
    if let Some(wanted) = pod.get("affinity").filter(|it| it.is_object()) {
        object::section(allowed, "affinity");
        take(&mut allowed["affinity"], wanted, NODES);
    } else if let Some(known) = allowed["affinity"].as_object_mut() {
        known.remove(NODES);
        if known.is_empty() {
            object::fields(allowed).remove("affinity");
        }
    }
}

/// The resources of each container that is still the same one.
fn resources(allowed: &mut Value, wanted: &Value) {
    let (Some(allowed), Some(wanted)) = (allowed.as_array_mut(), wanted.as_array()) else { return };
    if allowed.len() != wanted.len() {
        return;
    }
    for (known, new) in allowed.iter_mut().zip(wanted) {
        if known["name"] == new["name"] {
            take(known, new, "resources");
        }
    }
}

/// Makes a field what it is elsewhere.
fn take(to: &mut Value, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => object::fields(to).insert(field.to_owned(), value.clone()),
        None => object::fields(to).remove(field),
    };
}
