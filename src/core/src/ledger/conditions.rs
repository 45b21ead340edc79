//! What do the conditions say? `Ready`, `Reconciling`, `Stalled` and `SourcesReachable`, computed from
//! the rest of the status, so that they never contradict it.

use std::collections::BTreeMap;

use ger_api::TriggerStatus;
use ger_api::status::{RunPhase, TriggerState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{MOST_UNFINISHED, Transition, cautions, due, prune, unfinished};
use crate::plan::WrongConfig;

const READY: &str = "Ready";
const RECONCILING: &str = "Reconciling";
const STALLED: &str = "Stalled";
const REACHABLE: &str = "SourcesReachable";

/// Says that the spec cannot be carried out, and why. Nothing if that was said of this generation.
pub fn wrong_config(
    status: &TriggerStatus,
    generation: i64,
    wrong: &WrongConfig,
    now: Timestamp,
) -> Transition {
    let now = due::whole_millis(now);
    let mut next = status.clone();
    next.observed_generation = Some(generation);
    next.next_run = None;
    set(&mut next, now, STALLED, ("True", wrong.reason.as_str(), &wrong.message));
    set(&mut next, now, READY, ("False", wrong.reason.as_str(), &wrong.message));
    settle(&mut next, now);
    if next == *status { Transition::Nothing } else { Transition::Write(Box::new(next)) }
}

/// Says that the spec was understood. Nothing if that was said of this generation: a check's first
/// write says it too. `next_run` is when its schedule fires next, if it does.
pub fn accepted(
    status: &TriggerStatus,
    generation: i64,
    next_run: Option<Timestamp>,
    now: Timestamp,
) -> Transition {
    if !is_unsaid(status, generation) {
        return Transition::Nothing;
    }
    let mut next = status.clone();
    next.next_run = next_run.map(due::whole_millis);
    understood(&mut next, generation, due::whole_millis(now));
    Transition::Write(Box::new(next))
}

/// Leaves of a status what is needed to see that there is nothing to do: what is finished and what only
/// people read are most of it, and a replica holds many. Whatever is written is decided on a whole one.
pub fn slim(status: &mut TriggerStatus) {
    status.runs.retain(|it| !it.phase.is_final());
    status.runs.shrink_to_fit();
    status.conditions.retain(|it| it.type_ == STALLED || cautions::is_caution(&it.type_));
    status.conditions.shrink_to_fit();
    status.unknown.clear();
}

/// Whether the status does not say yet that this generation was understood.
pub(crate) fn is_unsaid(status: &TriggerStatus, generation: i64) -> bool {
    status.observed_generation != Some(generation) || find(status, STALLED).is_none_or(is_true)
}

/// Sets what follows from a spec that can be carried out.
pub(crate) fn understood(status: &mut TriggerStatus, generation: i64, now: Timestamp) {
    status.observed_generation = Some(generation);
    set(status, now, STALLED, ("False", "Understood", "the spec can be carried out"));
    settle(status, now);
}

/// Makes state and conditions say what the runs and the sources' records say.
pub(crate) fn settle(status: &mut TriggerStatus, now: Timestamp) {
    let now = due::whole_millis(now);
    let (busy, text) = reconciling(status);
    let is_busy = busy != "Settled";
    set(status, now, RECONCILING, (if is_busy { "True" } else { "False" }, busy, &text));

    if find(status, STALLED).is_some_and(is_true) {
        status.state = TriggerState::WrongConfig;
        return;
    }
    status.state = if is_busy { TriggerState::Running } else { TriggerState::Idle };
    let failing = failing(status);
    match &failing {
        Some((reason, message)) => set(status, now, REACHABLE, ("False", reason, message)),
        None => set(status, now, REACHABLE, ("True", "Reachable", "every source answered last")),
    }
    match failing.or_else(|| blocked(status)) {
        Some((reason, message)) => set(status, now, READY, ("False", &reason, &message)),
        None => set(status, now, READY, ("True", "Watching", "the sources are watched")),
    }
}

/// The reason that a stored message begins with, fit for a condition.
pub(crate) fn reason_of(message: &str) -> &str {
    let reason = message.split_once(": ").map_or("", |(reason, _)| reason);
    let is_reason = reason.starts_with(|it: char| it.is_ascii_alphabetic())
        && reason.bytes().all(|it| it.is_ascii_alphanumeric());
    if is_reason { reason } else { "Unknown" }
}

fn reconciling(status: &TriggerStatus) -> (&'static str, String) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for run in unfinished(status) {
        *counts.entry(&run.source).or_default() += 1;
    }
    let full = counts.iter().find(|(_, count)| **count >= MOST_UNFINISHED);
    if let Some((source, count)) = full {
        let text =
            format!("source {source} has {count} unfinished runs: until one ends, none is added");
        return ("TooManyRuns", text);
    }
    match counts.values().sum() {
        0_usize => ("Settled", "every run is finished".to_owned()),
        _ => ("RunsUnfinished", "runs are not finished".to_owned()),
    }
}

fn failing(status: &TriggerStatus) -> Option<(String, String)> {
    let failing: Vec<_> = status.checked_sources.iter().filter(|(_, it)| it.failures > 0).collect();
    let (name, record) = failing.first()?;
    let message = record.message.as_deref().unwrap_or("Unknown: the check failed");
    let others = match failing.len() {
        1 => String::new(),
        count => format!(" (and {} more sources)", count - 1),
    };
    let text = message.split_once(": ").map_or(message, |(_, text)| text);
    Some((reason_of(message).to_owned(), prune::shorten(&format!("source {name}: {text}{others}"))))
}

fn blocked(status: &TriggerStatus) -> Option<(String, String)> {
    let waits = |it: &&ger_api::status::Run| {
        matches!(it.phase, RunPhase::Pending | RunPhase::Running) && it.message.is_some()
    };
    let run = status.runs.iter().find(waits)?;
    let message = run.message.as_deref()?;
    let text = message.split_once(": ").map_or(message, |(_, text)| text);
    Some((reason_of(message).to_owned(), prune::shorten(&format!("run {}: {text}", run.id))))
}

pub(super) fn find<'a>(status: &'a TriggerStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|it| it.type_ == kind)
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}

/// Sets a condition; its transition time moves with its status alone.
pub(super) fn set(
    status: &mut TriggerStatus,
    now: Timestamp,
    kind: &str,
    (value, reason, message): (&str, &str, &str),
) {
    let known = status.conditions.iter().position(|it| it.type_ == kind);
    let since = known
        .map(|it| &status.conditions[it])
        .filter(|it| it.status == value)
        .map_or_else(|| Time(now), |it| it.last_transition_time.clone());
    let condition = Condition {
        last_transition_time: since,
        message: message.to_owned(),
        observed_generation: status.observed_generation,
        reason: reason.to_owned(),
        status: value.to_owned(),
        type_: kind.to_owned(),
    };
    match known {
        Some(index) => status.conditions[index] = condition,
        None => status.conditions.push(condition),
    }
}
