//! What a Job may say about the failures of its Pods.

use std::collections::BTreeSet;

use crate::{
    kinds::check::{Faults, Field},
    refusal::Cause,
};

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATES: [&str; 3] = ["False", "True", "Unknown"];

const MOST_RULES: usize = 20;
const MOST_VALUES: usize = 255;
const MOST_PATTERNS: usize = 20;

pub(super) fn validate(spec: &Field<'_>, faults: &mut Faults) {
    let rules = spec.at("podFailurePolicy").at("rules");
    faults.extend(rules.too_many(MOST_RULES));
    for rule in rules.items() {
        validate_rule(&rule, spec, faults);
    }
}

fn validate_rule(rule: &Field<'_>, spec: &Field<'_>, faults: &mut Faults) {
    let action = rule.at("action");
    word(&action, &ACTIONS, faults);
    if action.text() == "FailIndex" && !spec.at("backoffLimitPerIndex").is_set() {
        faults.push(action.invalid("requires the backoffLimitPerIndex to be set"));
    }
    let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
    if codes.is_set() {
        exit_codes(&codes, spec, faults);
    }
    faults.extend(conditions.too_many(MOST_PATTERNS));
    for pattern in conditions.items() {
        pattern.at("type").qualified(faults);
        word(&pattern.at("status"), &STATES, faults);
    }
    let detail = match (codes.is_set(), conditions.is_empty_list()) {
        (true, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, true) => "specifying one of OnExitCodes and OnPodConditions is required",
        (true, true) | (false, false) => return,
    };
    let message = format!("Invalid value: {detail}");
    faults.push(Cause::new("FieldValueInvalid", rule.path.as_str(), message));
}

/// One of some words, and the fault says them all when there is none.
fn word(field: &Field<'_>, known: &[&str], faults: &mut Faults) {
    if field.text().is_empty() {
        let known: Vec<String> = known.iter().map(|it| format!("{it:?}")).collect();
        faults.push(field.required(&format!("valid values: [{}]", known.join(" "))));
    } else {
        field.one_of(known, faults);
    }
}

fn exit_codes(codes: &Field<'_>, spec: &Field<'_>, faults: &mut Faults) {
    let operator = codes.at("operator");
    word(&operator, &OPERATORS, faults);
    let container = codes.at("containerName");
    let pod = spec.at("template").at("spec");
    let is_there = ["containers", "initContainers"]
        .iter()
        .any(|it| pod.each(it).any(|it| it.value["name"] == *container.value));
    if container.is_set() && !is_there {
        let detail = "must be one of the container or initContainer names in the pod template";
        faults.push(container.invalid(detail));
    }
    let values = codes.at("values");
    if values.is_empty_list() {
        faults.push(values.invalid("at least one value is required"));
    }
    faults.extend(values.too_many(MOST_VALUES));
    let (mut seen, mut last, mut is_ordered) = (BTreeSet::new(), None, true);
    for value in values.items() {
        let code = value.value.as_i64().unwrap_or_default();
        if operator.text() == "In" && code == 0 {
            faults.push(value.invalid("must not be 0 for the In operator"));
        }
        if !seen.insert(code) {
            faults.push(value.duplicate());
        }
        is_ordered &= last.is_none_or(|it| it <= code);
        last = Some(code);
    }
    if !is_ordered {
        faults.push(values.invalid("must be ordered"));
    }
}
