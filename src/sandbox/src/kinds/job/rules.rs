//! What a Job must say, and what of it cannot change any more.

use serde_json::Value;

use crate::{
    kinds::{
        check::{Faults, Field, selects},
        job::{NAME_LABEL, UID_LABEL, status},
        pod,
    },
    object,
    refusal::Cause,
    validate,
};

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    amounts(&spec, &mut faults);
    selector(object, &spec, old, &mut faults);
    validate_spec(&spec, &mut faults);
    faults.extend(status::validate(&object["status"], old.map(|it| &it["status"])));
    if let Some(old) = old {
        faults.extend(validate_change(object, old));
    }
    faults
}

/// The part that a `CronJob` repeats.
pub(super) fn validate_template(spec: &Field<'_>, faults: &mut Faults) {
    amounts(spec, faults);
    validate_spec(spec, faults);
}

fn amounts(spec: &Field<'_>, faults: &mut Faults) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        spec.at(field).not_negative(faults);
    }
    let manager = spec.at("managedBy");
    if manager.is_set() {
        let is_path = manager
            .text()
            .split_once('/')
            .is_some_and(|(domain, path)| validate::is_subdomain(domain) && !path.is_empty());
        if !is_path {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            faults.push(manager.invalid(detail));
        }
    }
}

fn selector(object: &Value, spec: &Field<'_>, old: Option<&Value>, faults: &mut Faults) {
    let (selector, labels) = (spec.at("selector"), spec.at("template").at("metadata").at("labels"));
    if !selector.is_set() {
        faults.push(selector.required(""));
    }
    let is_manual = spec.value["manualSelector"] == true;
    let uid = object::uid(object);
    if !is_manual && selector.is_set() && old.is_none() {
        let generated = selector.value["matchLabels"].as_object().is_some_and(|it| it.len() == 1);
        if !generated || !selector.value["matchExpressions"].is_null() {
            faults.push(selector.invalid("`selector` not auto-generated"));
        }
        for (key, wanted) in [
            (UID_LABEL, uid),
            (NAME_LABEL, object::name(object)),
            ("controller-uid", uid),
            ("job-name", object::name(object)),
        ] {
            if labels.value[key] != wanted {
                let path = format!("{}[{key}]", labels.path);
                faults.push(Cause::invalid(path, labels.value, &format!("must be '{wanted}'")));
            }
        }
    }
    if !selector.is_set() || !selects(selector.value, labels.value) {
        faults.push(labels.invalid("`selector` does not match template `labels`"));
    }
}

fn validate_spec(spec: &Field<'_>, faults: &mut Faults) {
    let is_indexed = spec.value["completionMode"] == "Indexed";
    spec.at("completionMode").maybe_one_of(&["NonIndexed", "Indexed"], faults);
    if is_indexed && !spec.at("completions").is_set() {
        faults.push(spec.at("completions").required("when completion mode is Indexed"));
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"].map(|it| spec.at(it)) {
        if field.is_set() && !is_indexed {
            faults.push(field.invalid("requires indexed completion mode"));
        }
    }
    let policy = spec.at("successPolicy");
    if policy.is_set() && !is_indexed {
        let message = format!(
            "Invalid value: {{\"Rules\":{}}}: requires indexed completion mode",
            policy.value["rules"]
        );
        faults.push(Cause::new("FieldValueInvalid", policy.path.as_str(), message));
    }
    let template = spec.at("template");
    let failures = spec.at("podFailurePolicy");
    failure_rules(&failures, faults);
    pod::validate_template(&template, faults);
    restart(&template.at("spec").at("restartPolicy"), &failures, faults);
    let replacement: &[&str] =
        if failures.is_set() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    spec.at("podReplacementPolicy").maybe_one_of(replacement, faults);
}

fn restart(policy: &Field<'_>, failures: &Field<'_>, faults: &mut Faults) {
    match policy.text() {
        "OnFailure" if failures.is_set() => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            faults.push(policy.invalid(detail));
        }
        "Never" | "OnFailure" => {}
        "" | "Always" => faults.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        _ => faults.push(policy.unsupported(&["OnFailure", "Never"])),
    }
}

fn failure_rules(policy: &Field<'_>, faults: &mut Faults) {
    for rule in policy.each("rules") {
        rule.at("action").one_of(&["Count", "FailIndex", "FailJob", "Ignore"], faults);
        let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
        if codes.is_set() && !conditions.is_empty_list() {
            let message = "Invalid value: specifying both OnExitCodes and OnPodConditions is not \
                supported";
            faults.push(Cause::new("FieldValueInvalid", rule.path.as_str(), message.to_owned()));
        } else if !codes.is_set() && conditions.is_empty_list() {
            let message = "Invalid value: specifying one of OnExitCodes and OnPodConditions is \
                required";
            faults.push(Cause::new("FieldValueInvalid", rule.path.as_str(), message.to_owned()));
        }
        if codes.is_set() {
            codes.at("operator").one_of(&["In", "NotIn"], faults);
            let is_in = codes.value["operator"] == "In";
            let zeros = codes.each("values").filter(|it| is_in && *it.value == 0);
            faults.extend(zeros.map(|it| it.invalid("must not be 0 for the In operator")));
        }
    }
}

fn validate_change(object: &Value, old: &Value) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
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
            faults.push(spec.at(field).invalid("field is immutable"));
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
    let is_same = old["spec"]["template"] == object["spec"]["template"];
    if !is_same && fixed(old) != fixed(object) {
        faults.push(spec.at("template").invalid("field is immutable"));
    }
    faults
}
