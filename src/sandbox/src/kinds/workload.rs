//! Workloads that keep Pods running: their defaults, and selectors that find the Pods they make.

use serde_json::{Value, json};

use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field, immutable, is_zero, selects},
        pod,
    },
    object::{self, fill},
    refusal::Cause,
    validate,
};

const COUNTED: Rules = Rules {
    traits: &[Trait::Generation],
    warn: |object| pod::dotted_name(object, "Pod names and hostnames"),
    ..PLAIN
};

pub(super) const DEPLOYMENT: Rules =
    Rules { fill_in: fill_in_deployment, validate: validate_deployment, ..COUNTED };

pub(super) const REPLICA_SET: Rules =
    Rules { fill_in: fill_in_replica_set, validate: validate_replica_set, ..COUNTED };

pub(super) const STATEFUL_SET: Rules = Rules {
    fill_in: fill_in_stateful_set,
    validate: validate_stateful_set,
    name: validate::label_fault,
    ..COUNTED
};

pub(super) const DAEMON_SET: Rules = Rules {
    fill_in: fill_in_daemon_set,
    validate: validate_daemon_set,
    warn: |_| Vec::new(),
    ..COUNTED
};

pub(super) const REPLICATION_CONTROLLER: Rules = Rules {
    traits: &[Trait::Generation, Trait::AnswersDeleted, Trait::Orphans],
    fill_in: fill_in_controller,
    validate: validate_controller,
    ..COUNTED
};

pub(super) const POD_TEMPLATE: Rules = Rules {
    traits: &[Trait::Generation, Trait::AnswersDeleted],
    fill_in: pod::fill_in_template,
    validate: |object, _| {
        let mut faults = Vec::new();
        pod::validate_template(&Field::of(object, "template"), &mut faults);
        faults
    },
    warn: |_| Vec::new(),
    ..COUNTED
};

pub(super) const CONTROLLER_REVISION: Rules = Rules {
    fill_in: |object| fill(object, "revision", 0.into()),
    validate: validate_revision,
    ..PLAIN
};

/// What most of them have in common; answers the spec.
fn fill_in_common(object: &mut Value) -> &mut Value {
    object::section(object, "spec");
    object::section(object, "status");
    let spec = &mut object["spec"];
    pod::fill_in_template(spec);
    spec
}

fn fill_in_deployment(object: &mut Value) {
    let spec = fill_in_common(object);
    fill(spec, "replicas", 1.into());
    fill(spec, "revisionHistoryLimit", 10.into());
    fill(spec, "progressDeadlineSeconds", 600.into());
    fill(spec, "strategy", json!({}));
    let strategy = &mut spec["strategy"];
    fill(strategy, "type", "RollingUpdate".into());
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", json!({}));
        fill(&mut strategy["rollingUpdate"], "maxSurge", "25%".into());
        fill(&mut strategy["rollingUpdate"], "maxUnavailable", "25%".into());
    }
}

fn fill_in_replica_set(object: &mut Value) {
    let spec = fill_in_common(object);
    fill(spec, "replicas", 1.into());
    fill(&mut object["status"], "replicas", 0.into());
}

fn fill_in_stateful_set(object: &mut Value) {
    let spec = fill_in_common(object);
    fill(spec, "replicas", 1.into());
    fill(spec, "revisionHistoryLimit", 10.into());
    fill(spec, "podManagementPolicy", "OrderedReady".into());
    fill(spec, "serviceName", "".into());
    fill(spec, "persistentVolumeClaimRetentionPolicy", json!({}));
    for field in ["whenDeleted", "whenScaled"] {
        fill(&mut spec["persistentVolumeClaimRetentionPolicy"], field, "Retain".into());
    }
    fill(spec, "updateStrategy", json!({}));
    let strategy = &mut spec["updateStrategy"];
    fill(strategy, "type", "RollingUpdate".into());
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", json!({}));
        fill(&mut strategy["rollingUpdate"], "partition", 0.into());
    }
    for claim in object::items_mut(spec, "/volumeClaimTemplates") {
        fill(claim, "apiVersion", "v1".into());
        fill(claim, "kind", "PersistentVolumeClaim".into());
        fill(claim, "spec", json!({}));
        fill(&mut claim["spec"], "volumeMode", "Filesystem".into());
        fill(claim, "status", json!({}));
        fill(&mut claim["status"], "phase", "Pending".into());
    }
    let status = &mut object["status"];
    for field in ["replicas", "availableReplicas"] {
        fill(status, field, 0.into());
    }
}

fn fill_in_daemon_set(object: &mut Value) {
    let spec = fill_in_common(object);
    fill(spec, "revisionHistoryLimit", 10.into());
    fill(spec, "updateStrategy", json!({}));
    let strategy = &mut spec["updateStrategy"];
    fill(strategy, "type", "RollingUpdate".into());
    if strategy["type"] == "RollingUpdate" {
        fill(strategy, "rollingUpdate", json!({}));
        fill(&mut strategy["rollingUpdate"], "maxUnavailable", 1.into());
        fill(&mut strategy["rollingUpdate"], "maxSurge", 0.into());
    }
    for field in
        ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"]
    {
        fill(&mut object["status"], field, 0.into());
    }
    let annotations = object::metadata(object).entry("annotations").or_insert_with(|| json!({}));
    fill(annotations, "deprecated.daemonset.template.generation", "1".into());
}

fn fill_in_controller(object: &mut Value) {
    let spec = object::section(object, "spec");
    spec.entry("replicas").or_insert_with(|| 1.into());
    if spec.contains_key("template") {
        pod::fill_in_template(&mut object["spec"]);
    }
    object::section(object, "status");
    fill(&mut object["status"], "replicas", 0.into());
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    fill(&mut object["spec"], "selector", labels.clone());
    fill(object::metadata(object).entry("labels").or_insert(Value::Null), "", Value::Null);
    let own = &mut object["metadata"]["labels"];
    object::fields(own).remove("");
    if object::fields(own).is_empty() {
        *own = labels;
    }
}

fn amounts(spec: &Field<'_>, fields: &[&str], faults: &mut Faults) {
    for field in fields {
        spec.at(field).not_negative(faults);
    }
}

/// A selector, and a template that it takes. `what` is how the messages call the kind.
fn selector(spec: &Field<'_>, what: &str, faults: &mut Faults) {
    let selector = spec.at("selector");
    let before = faults.len();
    if selector.is_set() {
        selector.selector(faults);
        let is_empty = ["matchLabels", "matchExpressions"].iter().all(|it| {
            let part = &selector.value[*it];
            part.is_null() || *part == json!({}) || *part == json!([])
        });
        if is_empty {
            faults.push(selector.invalid(&format!("empty selector is invalid for {what}")));
            return;
        }
    } else if what != "daemonset" {
        faults.push(selector.required(""));
    }
    if selector.is_set() && faults.len() > before {
        faults.push(selector.invalid("invalid label selector"));
        return;
    }
    let labels = spec.at("template").at("metadata").at("labels");
    if !selector.is_set() || !selects(selector.value, labels.value) {
        faults.push(labels.invalid("`selector` does not match template `labels`"));
    }
}

fn template(spec: &Field<'_>, faults: &mut Faults) {
    let template = spec.at("template");
    pod::validate_template(&template, faults);
    pod::restart_policy(&template, faults);
    let deadline = template.at("spec").at("activeDeadlineSeconds");
    if deadline.is_set() {
        faults.push(deadline.forbidden("activeDeadlineSeconds in ReplicaSet is not Supported"));
    }
}

/// A strategy as the API shows it when it knows no such type.
fn shown(strategy: &Field<'_>) -> String {
    format!("{{\"Type\":{},\"RollingUpdate\":null}}", strategy.value["type"])
}

fn validate_deployment(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    amounts(&spec, &["replicas"], &mut faults);
    selector(&spec, "deployment", &mut faults);
    template(&spec, &mut faults);
    strategy(&spec.at("strategy"), &mut faults);
    amounts(&spec, &["minReadySeconds", "revisionHistoryLimit"], &mut faults);
    let deadline = spec.at("progressDeadlineSeconds");
    deadline.not_negative(&mut faults);
    let least = spec.value["minReadySeconds"].as_i64().unwrap_or_default();
    if deadline.value.as_i64().is_some_and(|it| it <= least) {
        faults.push(deadline.invalid("must be greater than minReadySeconds"));
    }
    if let Some(old) = old {
        immutable((&spec, &old["spec"]), &["selector"], &mut faults);
    }
    faults
}

fn strategy(strategy: &Field<'_>, faults: &mut Faults) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.value["type"].as_str().unwrap_or_default() {
        "Recreate" if rolling.is_set() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            faults.push(rolling.forbidden(detail));
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (surge, missing) = (rolling.at("maxSurge"), rolling.at("maxUnavailable"));
            missing.number_or_percent(faults);
            surge.number_or_percent(faults);
            if is_zero(missing.value) && is_zero(surge.value) {
                faults.push(missing.invalid("may not be 0 when `maxSurge` is 0"));
            }
            missing.at_most_all(faults);
        }
        _ => {
            let known = ["Recreate", "RollingUpdate"];
            faults.push(strategy.unsupported_as(&shown(strategy), &known));
        }
    }
}

fn validate_replica_set(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    amounts(&spec, &["replicas", "minReadySeconds"], &mut faults);
    selector(&spec, "deployment", &mut faults);
    template(&spec, &mut faults);
    if let Some(old) = old {
        immutable((&spec, &old["spec"]), &["selector"], &mut faults);
    }
    faults
}

fn validate_stateful_set(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    if let Some(old) = old
        && fixed(&old["spec"]) != fixed(spec.value)
    {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
            'template', 'updateStrategy', 'revisionHistoryLimit', \
            'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        faults.push(spec.forbidden(detail));
    }
    let policy = spec.at("podManagementPolicy");
    if !matches!(policy.text(), "OrderedReady" | "Parallel") {
        faults.push(policy.invalid("must be 'OrderedReady' or 'Parallel'"));
    }
    let strategy = spec.at("updateStrategy");
    match strategy.value["type"].as_str().unwrap_or_default() {
        "OnDelete" => {}
        "RollingUpdate" => strategy.at("rollingUpdate").at("partition").not_negative(&mut faults),
        _ => {
            let message = format!(
                "Invalid value: {}: must be 'RollingUpdate' or 'OnDelete'",
                shown(&strategy)
            );
            faults.push(Cause::new("FieldValueInvalid", strategy.path.as_str(), message));
        }
    }
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        retention.at(field).one_of(&["Retain", "Delete"], &mut faults);
    }
    amounts(&spec, &["replicas", "minReadySeconds"], &mut faults);
    selector(&spec, "statefulset", &mut faults);
    template(&spec, &mut faults);
    faults
}

/// What of a `StatefulSet` never changes.
fn fixed(spec: &Value) -> Vec<(&String, &Value)> {
    let free = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fields = spec.as_object().into_iter().flatten();
    fields.filter(|(key, _)| !free.contains(&key.as_str())).collect()
}

fn validate_daemon_set(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    selector(&spec, "daemonset", &mut faults);
    template(&spec, &mut faults);
    amounts(&spec, &["minReadySeconds"], &mut faults);
    let strategy = spec.at("updateStrategy");
    let rolling = strategy.at("rollingUpdate");
    match strategy.value["type"].as_str().unwrap_or_default() {
        "OnDelete" => {}
        "RollingUpdate" => {
            let (surge, missing) = (rolling.at("maxSurge"), rolling.at("maxUnavailable"));
            missing.number_or_percent(&mut faults);
            surge.number_or_percent(&mut faults);
            if is_zero(missing.value) && is_zero(surge.value) {
                faults.push(missing.required("cannot be 0 when maxSurge is 0"));
            }
        }
        _ => {
            let known = ["RollingUpdate", "OnDelete"];
            faults.push(strategy.unsupported_as(&shown(&strategy), &known));
        }
    }
    amounts(&spec, &["revisionHistoryLimit"], &mut faults);
    if let Some(old) = old {
        immutable((&spec, &old["spec"]), &["selector"], &mut faults);
    }
    faults
}

fn validate_controller(object: &Value, _: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    amounts(&spec, &["minReadySeconds"], &mut faults);
    let selector = spec.at("selector");
    if selector.value.as_object().is_none_or(serde_json::Map::is_empty) {
        faults.push(selector.required(""));
    }
    amounts(&spec, &["replicas"], &mut faults);
    if !spec.at("template").is_set() {
        faults.push(spec.at("template").required(""));
        return faults;
    }
    let labels = spec.at("template").at("metadata").at("labels");
    let mut wanted = selector.value.as_object().into_iter().flatten();
    if !wanted.all(|(key, value)| labels.value[key] == *value) {
        faults.push(labels.invalid("`selector` does not match template `labels`"));
    }
    template(&spec, &mut faults);
    faults
}

fn validate_revision(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let (data, revision) = (Field::of(object, "data"), Field::of(object, "revision"));
    if !data.is_set() {
        faults.push(data.required("data is mandatory"));
    }
    revision.not_negative(&mut faults);
    if old.is_some_and(|it| it["data"] != object["data"]) {
        faults.push(data.invalid("field is immutable"));
    }
    faults
}
