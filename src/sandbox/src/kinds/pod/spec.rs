//! What a Pod's spec must say as a whole.

use crate::{
    kinds::{
        check::{Faults, Field, requirement},
        pod::{affinity, container, volume},
    },
    refusal::Cause,
    validate,
};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Checks the template of a workload.
pub(in crate::kinds) fn validate_template(template: &Field<'_>, faults: &mut Faults) {
    let path = &template.path;
    validate::labels(&template.value["metadata"]["labels"], &format!("{path}.labels"), faults);
    validate(&template.at("spec"), faults);
}

/// Workloads that keep their Pods running take no other policy.
pub(in crate::kinds) fn restart_policy(template: &Field<'_>, faults: &mut Faults) {
    let policy = template.at("spec").at("restartPolicy");
    if policy.text() != "Always" {
        faults.push(policy.unsupported(&["Always"]));
    }
}

pub(super) fn validate(spec: &Field<'_>, faults: &mut Faults) {
    let volumes = volume::validate(spec, faults);
    container::validate_all(spec, &volumes, faults);
    policies(spec, faults);
    deadlines(spec, faults);
    security(spec, faults);
    spec.at("nodeSelector").labels(faults);
    names(spec, faults);
    for toleration in spec.each("tolerations") {
        validate_toleration(&toleration, faults);
    }
    for alias in spec.each("hostAliases") {
        alias.at("ip").address(faults);
        for name in alias.each("hostnames") {
            name.subdomain(faults);
        }
    }
    affinity::validate(&spec.at("affinity"), faults);
    spread(spec, faults);
    gates(spec, faults);
}

fn policies(spec: &Field<'_>, faults: &mut Faults) {
    spec.at("restartPolicy").one_of(&["Always", "OnFailure", "Never"], faults);
    let dns = spec.at("dnsPolicy");
    dns.one_of(&["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], faults);
    if dns.text() == "None" {
        let servers = spec.at("dnsConfig");
        if !servers.is_set() {
            faults.push(servers.required("must provide `dnsConfig` when `dnsPolicy` is None"));
        } else if servers.at("nameservers").is_empty_list() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            faults.push(servers.at("nameservers").required(detail));
        }
    }
    let system = spec.at("os");
    let name = system.at("name");
    if system.is_set() && !matches!(name.text(), "linux" | "windows") {
        faults.push(system.unsupported_as(&name.value.to_string(), &["linux", "windows"]));
    }
}

fn deadlines(spec: &Field<'_>, faults: &mut Faults) {
    let deadline = spec.at("activeDeadlineSeconds");
    let fits = |it: i64| (1..=i64::from(i32::MAX)).contains(&it);
    if deadline.value.as_i64().is_some_and(|it| !fits(it)) {
        faults.push(deadline.invalid("must be between 1 and 2147483647, inclusive"));
    }
}

fn security(spec: &Field<'_>, faults: &mut Faults) {
    let context = spec.at("securityContext");
    for field in ["fsGroup", "runAsUser", "runAsGroup"].map(|it| context.at(it)) {
        container::identity(&field, faults);
    }
}

fn names(spec: &Field<'_>, faults: &mut Faults) {
    for field in ["nodeName", "serviceAccountName", "priorityClassName", "runtimeClassName"] {
        spec.at(field).subdomain(faults);
    }
    for field in ["hostname", "subdomain"] {
        spec.at(field).label(faults);
    }
    for gate in spec.each("readinessGates") {
        gate.at("conditionType").qualified(faults);
    }
}

fn validate_toleration(toleration: &Field<'_>, faults: &mut Faults) {
    let (key, operator, effect) =
        (toleration.at("key"), toleration.at("operator"), toleration.at("effect"));
    let value = toleration.at("value");
    if !key.text().is_empty() {
        key.ruled(|it| validate::qualified_faults(it).into_iter().next(), faults);
    } else if operator.text() != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values \
            and all keys\"";
        faults.push(operator.invalid_text(detail));
    }
    if toleration.at("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        faults.push(effect.invalid_text(detail));
    }
    match operator.text() {
        "" | "Equal" => {
            if let Some(detail) = validate::label_value_fault(value.text()) {
                faults.push(operator.at_value(&value, detail));
            }
        }
        "Exists" if !value.text().is_empty() => {
            faults
                .push(operator.at_value(&value, "value must be empty when `operator` is 'Exists'"));
        }
        "Exists" => {}
        _ => faults.push(operator.unsupported(&["Equal", "Exists"])),
    }
    if !effect.text().is_empty() {
        effect.one_of(&EFFECTS, faults);
    }
}

impl Field<'_> {
    /// A fault of one field that shows the value of another.
    fn at_value(&self, value: &Self, detail: &str) -> Cause {
        Cause::invalid(self.path.as_str(), value.value, detail)
    }
}

fn spread(spec: &Field<'_>, faults: &mut Faults) {
    for constraint in spec.each("topologySpreadConstraints") {
        let skew = constraint.at("maxSkew");
        if skew.value.as_i64().unwrap_or_default() <= 0 {
            let value = skew.value.as_i64().unwrap_or_default().into();
            faults.push(Cause::invalid(skew.path.as_str(), &value, "must be greater than zero"));
        }
        if constraint.at("topologyKey").text().is_empty() {
            faults.push(constraint.at("topologyKey").required("can not be empty"));
        }
        let action = constraint.at("whenUnsatisfiable");
        action.one_of(&["DoNotSchedule", "ScheduleAnyway"], faults);
        let selector = constraint.at("labelSelector");
        selector.at("matchLabels").labels(faults);
        for term in selector.each("matchExpressions") {
            requirement(&term, &[], faults);
        }
    }
}

fn gates(spec: &Field<'_>, faults: &mut Faults) {
    let mut seen = Vec::new();
    for gate in spec.each("schedulingGates") {
        let name = gate.value["name"].as_str().unwrap_or_default();
        for detail in validate::qualified_faults(name) {
            faults.push(Cause::invalid(gate.path.as_str(), &name.into(), &detail));
        }
        if seen.contains(&name) {
            let message = format!("Duplicate value: \"{name}\"");
            faults.push(Cause::new("FieldValueDuplicate", gate.path.as_str(), message));
        }
        seen.push(name);
    }
}
