//! Jobs: their defaults, the labels of their Pods, and what cannot change any more.

mod status;

use serde_json::{Value, json};

use crate::{
    kinds::pod,
    object::{self, fill},
    refusal::Cause,
};

const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
const NAME_LABEL: &str = "batch.kubernetes.io/job-name";

pub(super) fn fill_in(object: &mut Value) {
    object::section(object, "spec");
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object()
        && object["metadata"]["labels"].as_object().is_none_or(serde_json::Map::is_empty)
    {
        object::set_meta(object, "labels", Some(labels));
    }
    fill_in_spec(&mut object["spec"]);
}

pub(super) fn fill_in_spec(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        spec["completions"] = 1.into();
    }
    fill(spec, "parallelism", 1.into());
    let per_index = !spec["backoffLimitPerIndex"].is_null();
    fill(spec, "backoffLimit", if per_index { i32::MAX.into() } else { 6.into() });
    fill(spec, "completionMode", "NonIndexed".into());
    fill(spec, "suspend", false.into());
    fill(spec, "manualSelector", false.into());
    let replacement =
        if spec["podFailurePolicy"].is_object() { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", replacement.into());
    pod::fill_in_template(spec);
}

/// The selector and labels that tie Pods to their Job.
pub(super) fn prepare_create(object: &mut Value) {
    object["status"] = json!({});
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (object::name(object).to_owned(), object::uid(object).to_owned());
    let of_template = object["metadata"]["labels"].is_null()
        || object["metadata"]["labels"] == object["spec"]["template"]["metadata"]["labels"];
    let metadata = object::section(&mut object["spec"]["template"], "metadata");
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    for (key, value) in
        [(UID_LABEL, &uid), (NAME_LABEL, &name), ("controller-uid", &uid), ("job-name", &name)]
    {
        fill(labels, key, value.as_str().into());
    }
    if of_template {
        let labels = labels.clone();
        object::set_meta(object, "labels", Some(labels));
    }
    // Labels that were asked for stay, and are found fault with.
    let selector = object["spec"]["selector"].take();
    let mut selector = if selector.is_object() { selector } else { json!({}) };
    object::section(&mut selector, "matchLabels").insert(UID_LABEL.to_owned(), uid.into());
    object["spec"]["selector"] = selector;
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = validate_spec(&object["spec"], "spec");
    faults.extend(status::validate(&object["status"], old.map(|it| &it["status"])));
    if let Some(old) = old {
        faults.extend(validate_change(object, old));
    }
    faults
}

pub(super) fn validate_spec(spec: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    for field in [
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        let value = &spec[field];
        if value.as_i64().is_some_and(|it| it < 0) {
            let detail = "must be greater than or equal to 0";
            faults.push(Cause::invalid(format!("{path}.{field}"), value, detail));
        }
    }
    if spec["completionMode"] == "Indexed" && spec["completions"].is_null() {
        let detail = "when completion mode is Indexed";
        faults.push(Cause::required(format!("{path}.completions"), detail));
    }
    let restart = &spec["template"]["spec"]["restartPolicy"];
    match restart.as_str() {
        Some("Never" | "OnFailure") => {}
        Some("Always") | None => faults.push(Cause::required(
            format!("{path}.template.spec.restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        )),
        Some(_) => faults.push(Cause::new(
            "FieldValueNotSupported",
            format!("{path}.template.spec.restartPolicy"),
            format!("Unsupported value: {restart}: supported values: \"OnFailure\", \"Never\""),
        )),
    }
    faults.extend(pod::validate_template(&spec["template"], &format!("{path}.template")));
    faults
}

fn validate_change(object: &Value, old: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    let indexed = object["spec"]["completionMode"] == "Indexed";
    for field in [
        "completions",
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        let (before, after) = (&old["spec"][field], &object["spec"][field]);
        if before != after && !(field == "completions" && indexed) {
            faults.push(Cause::invalid(format!("spec.{field}"), after, "field is immutable"));
        }
    }
    // A Job that has not begun may still change where its Pods go.
    let waits = old["spec"]["suspend"] == true && old["status"]["startTime"].is_null();
    let fixed = |job: &Value| {
        let mut template = job["spec"]["template"].clone();
        if waits {
            let spec = object::section(&mut template, "spec");
            for field in ["nodeSelector", "tolerations", "schedulingGates", "affinity"] {
                spec.remove(field);
            }
            let metadata = object::section(&mut template, "metadata");
            metadata.remove("labels");
            metadata.remove("annotations");
        }
        template
    };
    if fixed(old) != fixed(object) {
        let template = &object["spec"]["template"];
        faults.push(Cause::invalid("spec.template", template, "field is immutable"));
    }
    faults
}
