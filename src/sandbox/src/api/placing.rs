//! How a Pod comes to a node, and how it is asked to leave.

use serde_json::{Value, json};

use crate::{
    api::{
        Call, Effect, Written,
        delete::{self, Deletion},
    },
    clock, label_selector, object,
    refusal::{Cause, Refusal, Result},
    store::{Key, State, Stored, Table},
};

const BUDGETS: &str = "poddisruptionbudgets.policy";

/// Puts a Pod on the node that a binding names.
pub(crate) fn bind(state: &mut State, call: &mut Call, binding: &Value) -> Result<()> {
    check_name(call, binding, "Binding")?;
    call.target.subresource.clear();
    let pod = call.target.existing(state)?;
    let refuse = |why: &str| {
        let subject =
            crate::refusal::Subject { group: "", kind: "pods/binding", name: &call.target.name };
        Err(Refusal::conflict(&subject, why))
    };
    let (node, name) = (object::text(binding, "/target/name"), object::name(&pod.value));
    let bound = object::text(&pod.value, "/spec/nodeName");
    if object::is_deleting(&pod.value) {
        return refuse(&format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if !bound.is_empty() {
        return refuse(&format!("pod {name} is already assigned to node \"{bound}\""));
    }
    if object::items(&pod.value, "/spec/schedulingGates").next().is_some() {
        return refuse(&format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut object = pod.value.clone();
    object["spec"]["nodeName"] = node.into();
    for (key, value) in binding["metadata"]["annotations"].as_object().into_iter().flatten() {
        let notes = object::metadata(&mut object).entry("annotations").or_insert(json!({}));
        notes[key] = value.clone();
    }
    set_condition(
        &mut object,
        json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null,
            "lastTransitionTime": clock::seconds(call.now),
        }),
    );
    if call.options.effect == Effect::Real {
        state.put("pods", object);
    }
    Ok(())
}

/// Deletes a Pod, if the budgets that take it allow that.
pub(crate) fn evict(
    state: &mut State,
    call: &mut Call,
    (eviction, deletion): (&Value, &Deletion),
) -> Result<Written> {
    check_name(call, eviction, "Eviction")?;
    call.target.subresource.clear();
    let pod = call.target.existing(state)?;
    if call.options.effect == Effect::Real && counts(&pod.value) {
        spend(state, call, &pod.value)?;
    }
    let mut written = delete::delete(state, call, deletion)?;
    written.code = 201;
    Ok(written)
}

fn check_name(call: &Call, body: &Value, kind: &str) -> Result<()> {
    if object::name(body) == call.target.name {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("name in URL does not match name in {kind} object")))
}

/// Whether a budget looks at the Pod: what has ended or has not begun is nobody's loss.
fn counts(pod: &Value) -> bool {
    !object::is_deleting(pod)
        && !matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed" | "Pending")
}

/// Takes one disruption from the budget of a Pod, and says on the Pod what is coming.
fn spend(state: &mut State, call: &Call, pod: &Value) -> Result<()> {
    let namespace = object::meta(pod, "namespace");
    let budgets: Vec<_> = state
        .tables
        .get(BUDGETS)
        .into_iter()
        .flat_map(|it| Table::within(&it.objects, Some(namespace)))
        .filter(|(_, it)| {
            let selector = &it.value["spec"]["selector"];
            !selector.is_null() && label_selector::matches(selector, &pod["metadata"]["labels"])
        })
        .map(|(_, it)| std::sync::Arc::clone(it))
        .collect();
    match budgets.as_slice() {
        [] => {}
        [budget] => spend_from(state, call, (budget, pod))?,
        _ => {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction \
                subresource does not support.";
            return Err(Refusal::new(500, "", message));
        }
    }
    let mut object = pod.clone();
    set_condition(
        &mut object,
        json!({
            "type": "DisruptionTarget", "status": "True", "lastProbeTime": null,
            "lastTransitionTime": clock::seconds(call.now),
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
        }),
    );
    state.put("pods", object);
    Ok(())
}

fn spend_from(state: &mut State, call: &Call, (budget, pod): (&Stored, &Value)) -> Result<()> {
    let status = &budget.value["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or_default();
    let name = object::name(&budget.value);
    let refuse = |why: String| {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = Cause::new("DisruptionBudget", "", why);
        Refusal::new(429, "TooManyRequests", message).causes(&[cause])
    };
    if count("observedGeneration") < object::generation(&budget.value) {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refuse(why).retry_after(10));
    }
    if count("disruptionsAllowed") < 1 {
        let (wanted, healthy) = (count("desiredHealthy"), count("currentHealthy"));
        return Err(refuse(if healthy <= wanted {
            format!(
                "The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
            )
        } else {
            format!("The disruption budget {name} does not allow evicting pods currently")
        }));
    }
    let mut object = budget.value.clone();
    let at = clock::seconds(call.now);
    object["status"]["disruptionsAllowed"] = (count("disruptionsAllowed") - 1).into();
    object["status"]["disruptedPods"][object::name(pod)] = at.into();
    let key = Key::of(&object);
    if state.find(BUDGETS, &key).is_some() {
        state.put(BUDGETS, object);
    }
    Ok(())
}

fn set_condition(pod: &mut Value, condition: Value) {
    let status = object::section(pod, "status");
    let list = status.entry("conditions").or_insert(json!([]));
    let Some(list) = list.as_array_mut() else { return };
    list.retain(|it| it["type"] != condition["type"]);
    list.push(condition);
}
