//! What a cluster is made of: nodes, storage, classes of importance.

use serde_json::{Value, json};

use crate::{
    kinds::{
        PLAIN, Rules, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    quantity::Quantity,
    refusal::Cause,
};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Beyond it Kubernetes' own classes begin.
const HIGHEST: i64 = 1_000_000_000;
const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

pub(super) const NODE: Rules = Rules {
    traits: &[Trait::BornWithStatus],
    fill_in: fill_in_node,
    create: |_, object| taint(object),
    validate: |object, _| validate_node(object),
    ..PLAIN
};

pub(super) const VOLUME: Rules = Rules {
    traits: &[Trait::AnswersDeleted],
    fill_in: |object| {
        let spec = object::section(object, "spec");
        for (field, value) in
            [("persistentVolumeReclaimPolicy", "Retain"), ("volumeMode", "Filesystem")]
        {
            spec.entry(field).or_insert_with(|| value.into());
        }
        if let Some(path) = spec.get_mut("hostPath") {
            fill(path, "type", "".into());
        }
        object::section(object, "status");
    },
    create: |_, object| {
        let now = object["metadata"]["creationTimestamp"].clone();
        object["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": now});
        hold(object, "kubernetes.io/pv-protection");
    },
    ..PLAIN
};

pub(super) const CLAIM: Rules = Rules {
    traits: &[Trait::AnswersDeleted],
    fill_in: |object| {
        object::section(object, "spec");
        fill(&mut object["spec"], "volumeMode", "Filesystem".into());
        fill(&mut object["spec"], "resources", json!({}));
        object::section(object, "status");
    },
    create: |_, object| {
        object["status"] = json!({"phase": "Pending"});
        hold(object, "kubernetes.io/pvc-protection");
    },
    validate: validate_claim,
    ..PLAIN
};

pub(super) const STORAGE_CLASS: Rules = Rules {
    traits: &[Trait::AnswersDeleted],
    fill_in: |object| {
        fill(object, "reclaimPolicy", "Delete".into());
        fill(object, "volumeBindingMode", "Immediate".into());
        fill(object, "provisioner", "".into());
    },
    validate: validate_storage_class,
    ..PLAIN
};

pub(super) const CSI_DRIVER: Rules = Rules {
    traits: &[Trait::StatedVersion, Trait::AnswersDeleted],
    fill_in: |object| {
        object::section(object, "spec");
        let spec = &mut object["spec"];
        fill(spec, "attachRequired", true.into());
        fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType".into());
        fill(spec, "volumeLifecycleModes", json!(["Persistent"]));
        for field in ["podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"] {
            fill(spec, field, false.into());
        }
    },
    ..PLAIN
};

pub(super) const PRIORITY_CLASS: Rules = Rules {
    traits: &[Trait::Generation],
    fill_in: |object| {
        fill(object, "value", 0.into());
        fill(object, "preemptionPolicy", "PreemptLowerPriority".into());
    },
    validate: validate_priority,
    ..PLAIN
};

pub(super) const RUNTIME_CLASS: Rules = Rules {
    traits: &[Trait::StatedVersion, Trait::CreatedByUpdate],
    validate: |object, old| {
        let mut faults = Vec::new();
        let handler = Field::of(object, "handler");
        handler.needed(&mut faults);
        handler.label(&mut faults);
        if old.is_some_and(|it| it["handler"] != object["handler"]) {
            faults.push(handler.invalid("field is immutable"));
        }
        faults
    },
    ..PLAIN
};

pub(super) const FLOW_SCHEMA: Rules = Rules {
    traits: &[Trait::Generation],
    fill_in: |object| {
        object::section(object, "spec");
        fill(&mut object["spec"], "matchingPrecedence", 1000.into());
        object::section(object, "status");
    },
    ..PLAIN
};

/// Keeps an object until somebody who looks after it lets go.
fn hold(object: &mut Value, finalizer: &str) {
    let mut finalizers = object::finalizers(object);
    if !finalizers.contains(&finalizer) {
        finalizers.push(finalizer);
        let finalizers = json!(finalizers);
        object::set_meta(object, "finalizers", Some(finalizers));
    }
}

fn fill_in_node(object: &mut Value) {
    object::section(object, "spec");
    object::section(object, "status");
    let status = &mut object["status"];
    fill(status, "daemonEndpoints", json!({"kubeletEndpoint": {"Port": 0}}));
    fill(status, "nodeInfo", json!({}));
    for field in [
        "architecture",
        "bootID",
        "containerRuntimeVersion",
        "kernelVersion",
        "kubeProxyVersion",
        "kubeletVersion",
        "machineID",
        "operatingSystem",
        "osImage",
        "systemUUID",
    ] {
        fill(&mut status["nodeInfo"], field, "".into());
    }
}

/// A new node takes nothing before it has said that it is ready.
fn taint(object: &mut Value) {
    let not_ready = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let mut list: Vec<Value> = object::items(object, "/spec/taints").cloned().collect();
    if !list.contains(&not_ready) {
        list.push(not_ready);
    }
    object["spec"]["taints"] = list.into();
}

fn validate_node(object: &Value) -> Faults {
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    let taints = Field { value: &object["spec"]["taints"], path: "metadata.taints".to_owned() };
    for taint in taints.items() {
        let (key, effect) = (taint.at("key"), taint.at("effect"));
        key.qualified(&mut faults);
        if effect.text().is_empty() {
            faults.push(effect.required(""));
        } else {
            effect.one_of(&EFFECTS, &mut faults);
        }
        let pair = (key.text(), effect.text());
        if seen.contains(&pair) {
            let message = format!(
                "Duplicate value: {{\"Key\":{:?},\"Value\":{:?},\"Effect\":{:?},\"TimeAdded\":null}}: \
                 taints must be unique by key and effect pair",
                pair.0,
                taint.at("value").text(),
                pair.1
            );
            faults.push(Cause::new("FieldValueDuplicate", taint.path.as_str(), message));
        }
        seen.push(pair);
    }
    faults
}

fn validate_claim(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let spec = Field::of(object, "spec");
    let modes = spec.at("accessModes");
    if modes.is_empty_list() {
        faults.push(modes.required("at least 1 access mode is required"));
    }
    let stated = object::strings(modes.value);
    for mode in stated.iter().filter(|it| !MODES.contains(it)) {
        faults.push(modes.unsupported_as(&json!(mode).to_string(), &MODES));
    }
    if stated.len() > 1 && stated.contains(&"ReadWriteOncePod") {
        faults.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
    let amount = &spec.value["resources"]["requests"]["storage"];
    let path = "spec.resources[storage]";
    match Quantity::of(amount) {
        None => faults.push(Cause::required(path, "")),
        Some(it) if it <= Quantity::default() => {
            faults.push(Cause::invalid(path, amount, "must be greater than zero"));
        }
        Some(_) => {}
    }
    spec.at("storageClassName").subdomain(&mut faults);
    spec.at("volumeMode").maybe_one_of(&["Block", "Filesystem"], &mut faults);
    if old.is_some_and(|it| fixed(it) != fixed(object)) {
        let detail = "spec is immutable after creation except resources.requests and \
            volumeAttributesClassName for bound claims";
        faults.push(spec.forbidden(detail));
    }
    faults
}

/// What of a claim never changes: a bound one may only grow.
fn fixed(claim: &Value) -> Value {
    let mut spec = claim["spec"].clone();
    if claim["status"]["phase"] == "Bound" {
        object::fields(&mut spec).retain(|key, _| key != "resources");
    }
    object::fields(&mut spec)
        .retain(|key, _| !matches!(key.as_str(), "volumeAttributesClassName" | "volumeName"));
    spec
}

fn validate_storage_class(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    if let Some(old) = old {
        for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            if old[field] != object[field] {
                faults.push(Field::of(object, field).invalid("field is immutable"));
            }
        }
    }
    let provisioner = Field::of(object, "provisioner");
    if provisioner.text().is_empty() {
        faults.push(provisioner.required(""));
    } else {
        let lower = Value::from(provisioner.text().to_lowercase());
        Field { value: &lower, path: provisioner.path.clone() }.qualified(&mut faults);
    }
    Field::of(object, "reclaimPolicy").one_of(&["Delete", "Retain"], &mut faults);
    Field::of(object, "volumeBindingMode")
        .one_of(&["Immediate", "WaitForFirstConsumer"], &mut faults);
    faults
}

fn validate_priority(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let name = Field::of(object, "metadata").at("name");
    let value = Field::of(object, "value");
    let is_system = SYSTEM.contains(&name.text());
    if name.text().starts_with("system-") && !is_system {
        let detail = format!(
            "priority class names with 'system-' prefix are reserved for system use only. error: {} \
             is not a known system priority class",
            name.text()
        );
        faults.push(name.forbidden(&detail));
    }
    if !is_system && value.value.as_i64().is_some_and(|it| it > HIGHEST) {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        faults.push(value.forbidden(&detail));
    }
    Field::of(object, "preemptionPolicy").one_of(&["PreemptLowerPriority", "Never"], &mut faults);
    if let Some(old) = old {
        if old["value"] != object["value"] {
            faults.push(value.forbidden("may not be changed in an update."));
        }
        if old["preemptionPolicy"] != object["preemptionPolicy"] {
            faults.push(Field::of(object, "preemptionPolicy").invalid("field is immutable"));
        }
    }
    faults
}
