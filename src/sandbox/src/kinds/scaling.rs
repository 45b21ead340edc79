//! Autoscalers and disruption budgets: how many there may be, and how many may go.

mod older;

use serde_json::{Value, json};

pub(crate) use self::older::SHAPE;
use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    refusal::Cause,
    validate,
};

const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

pub(super) const AUTOSCALER: Rules = Rules {
    fill_in: fill_in_autoscaler,
    validate: |object, _| validate_autoscaler(object),
    ..PLAIN
};

pub(super) const BUDGET: Rules = Rules {
    traits: &[Trait::Generation, Trait::StatedVersion],
    fill_in: fill_in_budget,
    validate: |object, _| validate_budget(object),
    name: validate::segment_fault,
    ..PLAIN
};

fn fill_in_autoscaler(object: &mut Value) {
    object::section(object, "spec");
    let spec = &mut object["spec"];
    fill(spec, "minReplicas", 1.into());
    fill(spec, "maxReplicas", 0.into());
    fill(spec, "scaleTargetRef", json!({"kind": "", "name": ""}));
    if object::items(spec, "/metrics").next().is_none() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        spec["metrics"] =
            json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
    }
    if spec["behavior"].is_object() {
        let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        let behavior = &mut spec["behavior"];
        rules(behavior, "scaleUp", json!([pods, percent]));
        fill(&mut behavior["scaleUp"], "stabilizationWindowSeconds", 0.into());
        rules(behavior, "scaleDown", json!([percent]));
    } else {
        object::fields(spec).remove("behavior");
    }
    object::section(object, "status");
    fill(&mut object["status"], "currentMetrics", Value::Null);
    fill(&mut object["status"], "desiredReplicas", 0.into());
}

fn rules(behavior: &mut Value, which: &str, policies: Value) {
    object::section(behavior, which);
    fill(&mut behavior[which], "selectPolicy", "Max".into());
    fill(&mut behavior[which], "policies", policies);
}

fn validate_autoscaler(object: &Value) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    let (least, most) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    let number = |field: &Field<'_>| field.value.as_i64().unwrap_or_default();
    if number(&least) < 1 {
        faults.push(least.invalid("must be greater than or equal to 1"));
    }
    if number(&most) < 1 {
        faults.push(most.required("must be set and greater than 0"));
    }
    if number(&most) < number(&least) {
        faults.push(most.invalid("must be greater than or equal to `minReplicas`"));
    }
    target(&spec.at("scaleTargetRef"), &mut faults);
    for metric in spec.each("metrics") {
        validate_metric(&metric, &mut faults);
    }
    let outside = |it: &Value| matches!(it["type"].as_str(), Some("Object" | "External"));
    if number(&least) == 0 && !object::items(spec.value, "/metrics").any(outside) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        faults.push(spec.at("metrics").forbidden(detail));
    }
    for which in ["scaleUp", "scaleDown"] {
        behavior(&spec.at("behavior").at(which), &mut faults);
    }
    faults
}

fn target(target: &Field<'_>, faults: &mut Faults) {
    for field in ["kind", "name"].map(|it| target.at(it)) {
        field.needed(faults);
        field.ruled(validate::segment_fault, faults);
    }
    let version = target.at("apiVersion");
    if version.text().is_empty() {
        faults.push(version.invalid_text("apiVersion must specify API group"));
    }
}

fn validate_metric(metric: &Field<'_>, faults: &mut Faults) {
    let kind = metric.at("type");
    let Some((_, source)) = SOURCES.iter().find(|(it, _)| *it == kind.text()) else {
        let known = SOURCES.map(|(it, _)| it);
        // It is said by the type's own rule, and by that of what the type needs.
        faults.extend([kind.unsupported(&known), kind.unsupported(&known)]);
        return;
    };
    let source = metric.at(source);
    if !source.is_set() {
        faults.push(source.required("must populate information for the given metric source"));
        return;
    }
    if kind.text().ends_with("Resource") && source.at("name").text().is_empty() {
        faults.push(source.at("name").required("must specify a resource name"));
    }
    if matches!(kind.text(), "Object" | "Pods" | "External") {
        let name = source.at("metric").at("name");
        if name.text().is_empty() {
            faults.push(name.required("must specify a metric name"));
        }
    }
    let target = source.at("target");
    let (raw, part) = (target.at("averageValue"), target.at("averageUtilization"));
    if part.value.as_i64().is_some_and(|it| it < 1) {
        faults.push(part.invalid("must be greater than 0"));
    }
    if !kind.text().ends_with("Resource") {
        return;
    }
    match (raw.is_set(), part.is_set()) {
        (true, true) => {
            let detail = "may not set both a target raw value and a target utilization";
            faults.push(raw.forbidden(detail));
        }
        (false, false) => {
            let detail = "must set either a target raw value or a target utilization";
            faults.push(part.required(detail));
        }
        _ => {}
    }
}

fn behavior(rules: &Field<'_>, faults: &mut Faults) {
    let window = rules.at("stabilizationWindowSeconds");
    window.not_negative(faults);
    if window.value.as_i64().is_some_and(|it| it > 3600) {
        faults.push(window.invalid("must be less than or equal to 3600"));
    }
    rules.at("selectPolicy").maybe_one_of(&["Disabled", "Max", "Min"], faults);
    for policy in rules.each("policies") {
        policy.at("type").one_of(&["Percent", "Pods"], faults);
        for field in ["value", "periodSeconds"].map(|it| policy.at(it)) {
            if field.value.as_i64().is_none_or(|it| it <= 0) {
                faults.push(field.invalid("must be greater than zero"));
            }
        }
        let period = policy.at("periodSeconds");
        if period.value.as_i64().is_some_and(|it| it > 1800) {
            faults.push(period.invalid("must be less than or equal to 1800"));
        }
    }
}

fn fill_in_budget(object: &mut Value) {
    object::section(object, "spec");
    object::section(object, "status");
    for field in ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"] {
        fill(&mut object["status"], field, 0.into());
    }
}

fn validate_budget(object: &Value) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    let (least, most) = (spec.at("minAvailable"), spec.at("maxUnavailable"));
    if least.is_set() && most.is_set() {
        let message = format!(
            "Invalid value: {{\"MinAvailable\":{},\"Selector\":{},\"MaxUnavailable\":{},\
             \"UnhealthyPodEvictionPolicy\":{}}}: minAvailable and maxUnavailable cannot be both set",
            least.value,
            spec.value["selector"],
            most.value,
            spec.value["unhealthyPodEvictionPolicy"]
        );
        faults.push(Cause::new("FieldValueInvalid", "spec", message));
    }
    for field in [least, most] {
        field.number_or_percent(&mut faults);
        field.at_most_all(&mut faults);
    }
    spec.at("selector").selector(&mut faults);
    spec.at("unhealthyPodEvictionPolicy")
        .maybe_one_of(&["AlwaysAllow", "IfHealthyBudget"], &mut faults);
    faults
}
