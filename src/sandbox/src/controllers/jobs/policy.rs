//! What do a Job's policies make of its Pods? Failures that end it, that do not count, that fail an
//! index; successes that are enough.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    controllers::jobs::{indexes, pod::Pod},
    object,
};

/// What becomes of a Pod's failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Count,
    Ignore,
    FailIndex,
    /// The Job fails, and says this.
    FailJob(String),
}

/// The first rule that takes the Pod decides.
pub(super) fn on_failure(job: &Value, pod: &Pod) -> Action {
    // What is only being deleted has not shown yet how it ends.
    if pod.phase() != "Failed" {
        return Action::Count;
    }
    for (number, rule) in object::items(job, "/spec/podFailurePolicy/rules").enumerate() {
        let Some(why) = taken(rule, pod) else { continue };
        return match rule["action"].as_str().unwrap_or_default() {
            "Ignore" => Action::Ignore,
            "FailIndex" => Action::FailIndex,
            "FailJob" => Action::FailJob(format!("{why} matching FailJob rule at index {number}")),
            _ => Action::Count,
        };
    }
    Action::Count
}

/// Why a rule takes a Pod, if it does.
fn taken(rule: &Value, pod: &Pod) -> Option<String> {
    let named = format!("{}/{}", object::meta(pod.value(), "namespace"), pod.name());
    if rule["onExitCodes"].is_object() {
        let (container, code) = exit_code(&rule["onExitCodes"], pod)?;
        return Some(format!("Container {container} for pod {named} failed with exit code {code}"));
    }
    let wanted = object::items(rule, "/onPodConditions").find(|wanted| {
        object::items(pod.value(), "/status/conditions")
            .any(|it| it["type"] == wanted["type"] && it["status"] == wanted["status"])
    })?;
    Some(format!("Pod {named} has condition {}", object::text(wanted, "/type")))
}

fn exit_code<'a>(wanted: &Value, pod: &'a Pod) -> Option<(&'a str, i64)> {
    let listed = |code: i64| object::items(wanted, "/values").any(|it| it.as_i64() == Some(code));
    let only = &wanted["containerName"];
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|it| object::items(pod.value(), it));
    statuses.find_map(|status| {
        let code = status["state"]["terminated"]["exitCode"].as_i64().filter(|it| *it != 0)?;
        let taken = if wanted["operator"] == "NotIn" { !listed(code) } else { listed(code) };
        let meant = only.is_null() || *only == status["name"];
        (taken && meant).then(|| (object::text(status, "/name"), code))
    })
}

/// Which success rule is met by these indexes.
pub(super) fn met(job: &Value, succeeded: &BTreeSet<u32>) -> Option<usize> {
    let completions = u32::try_from(job["spec"]["completions"].as_u64()?).ok()?;
    object::items(job, "/spec/successPolicy/rules").position(|rule| {
        let wanted = rule["succeededIndexes"].as_str().map(|it| indexes::parse(it, completions));
        let enough = rule["succeededCount"].as_u64().and_then(|it| usize::try_from(it).ok());
        match (wanted, enough) {
            (Some(wanted), None) => wanted.is_subset(succeeded),
            (Some(wanted), Some(enough)) => wanted.intersection(succeeded).count() >= enough,
            (None, Some(enough)) => succeeded.len() >= enough,
            (None, None) => false,
        }
    })
}
