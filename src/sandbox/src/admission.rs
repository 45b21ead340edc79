//! What a cluster adds to a new Pod that its author left to it, and what it does not let in.

use serde_json::{Value, json};

use crate::{
    api::Target,
    object::{self, fill},
    refusal::{Refusal, Result},
    store::{Key, State},
};

/// Classes that every cluster has, and how much they matter.
const SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

const CLASSES: &str = "priorityclasses.scheduling.k8s.io";

/// A Pod stays this long on a node that is lost.
const PATIENCE: u32 = 300;
const LOST: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Settles what a new object gets from the cluster, or keeps it out.
pub(crate) fn admit(state: &State, target: &Target, object: &mut Value) -> Result<()> {
    if target.resource.table != "pods" {
        return Ok(());
    }
    priority(state, target, object)?;
    tolerate(object);
    Ok(())
}

/// A Pod's class, or the one for all, says how much it matters.
fn priority(state: &State, target: &Target, pod: &mut Value) -> Result<()> {
    let refuse = |pod: &Value, why: &str| {
        Err(Refusal::forbidden(&target.resource.subject(object::name(pod)), why))
    };
    let stated = object::text(pod, "/spec/priorityClassName").to_owned();
    let class = match SYSTEM.iter().find(|(it, _)| *it == stated) {
        Some((name, value)) => Some(json!({"metadata": {"name": name}, "value": value})),
        None if stated.is_empty() => class_for_all(state),
        None => match state.find(CLASSES, &Key::new("", &stated)) {
            Some(class) => Some((*class.value).clone()),
            None => return refuse(pod, &format!("no PriorityClass with name {stated} was found")),
        },
    };
    let class = class.unwrap_or_default();
    let value = class["value"].as_i64().unwrap_or_default();
    if let Some(found) = pod["spec"]["priority"].as_i64().filter(|it| *it != value) {
        let why = format!(
            "the integer value of priority ({found}) must not be provided in pod spec; priority \
             admission controller computed {value} from the given PriorityClass name"
        );
        return refuse(pod, &why);
    }
    let spec = &mut pod["spec"];
    if !object::name(&class).is_empty() {
        spec["priorityClassName"] = object::name(&class).into();
    }
    spec["priority"] = value.into();
    let policy = class["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority");
    fill(spec, "preemptionPolicy", policy.into());
    Ok(())
}

fn class_for_all(state: &State) -> Option<Value> {
    let classes = state.tables.get(CLASSES)?.objects.values();
    let class = classes.map(|it| &it.value).find(|it| it["globalDefault"] == true)?;
    Some((**class).clone())
}

/// A Pod waits a while for a node that does not answer, unless it says otherwise.
fn tolerate(pod: &mut Value) {
    let mut list: Vec<Value> = object::items(pod, "/spec/tolerations").cloned().collect();
    for key in LOST {
        let covers = |it: &Value| {
            let effect = it["effect"].as_str().unwrap_or_default();
            let stated = it["key"].as_str().unwrap_or_default();
            matches!(effect, "" | "NoExecute") && (stated == key || stated.is_empty())
        };
        if !list.iter().any(covers) {
            list.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": PATIENCE,
            }));
        }
    }
    pod["spec"]["tolerations"] = list.into();
}
