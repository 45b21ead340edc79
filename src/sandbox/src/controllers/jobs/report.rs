//! What a Job's status says: first what is about to be counted, then what was, then how it ended.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    clock,
    controllers::jobs::{
        indexes,
        plan::{Plan, Verdict},
        pod::Pod,
        policy::{self, Action},
        tally::{Sight, is_uncounted},
    },
    object,
};

const UNCOUNTED: &str = "uncountedTerminatedPods";

/// Type, reason and message of an event.
type News = (&'static str, String, String);

/// A status on its way, and what people are told of it.
#[derive(Debug)]
pub(super) struct Report {
    /// Written before the Pods lose their finalizers, so that no end is counted twice or never.
    pub(super) before: Value,
    pub(super) after: Value,
    /// Pods whose end is known now: nothing has to keep them.
    pub(super) released: Vec<Pod>,
    pub(super) news: Vec<News>,
}

impl Report {
    pub(super) fn of(sight: Sight<'_>, plan: &Plan) -> Self {
        let mut before = sight.job["status"].clone();
        let mut news = Vec::new();
        object::fields(&mut before);
        if before["startTime"].is_null() && !sight.is_suspended() {
            before["startTime"] = clock::seconds(sight.now).into();
        }
        match &plan.verdict {
            Some(verdict) => announce(&mut before, verdict, sight.now),
            None if object::is_deleting(sight.job) => {}
            None => tell_suspension(sight, &mut before, &mut news),
        }
        set_count(&mut before, "active", plan.active);
        before["ready"] = plan.ready.into();
        before["terminating"] = plan.terminating.into();
        set_indexes(sight, plan, &mut before);
        let (released, uncounted) = released(sight, plan);
        before[UNCOUNTED] = uncounted;

        let mut after = before.clone();
        count(sight, &mut after);
        if let Some(verdict) = &plan.verdict
            && plan.active == 0
            && plan.terminating == 0
        {
            end(&mut after, verdict, (sight.now, &mut news));
        }
        object::fields(&mut before).retain(|_, value| !value.is_null());
        object::fields(&mut after).retain(|_, value| !value.is_null());
        Self { before, after, released, news }
    }

    /// Whether something is to be counted, and must be written down first.
    pub(super) fn counts(&self) -> bool {
        self.before[UNCOUNTED] != json!({})
    }
}

/// Adds a condition or changes it; whether anything changed.
fn set_condition(
    status: &mut Value,
    (kind, is): (&str, &str),
    (reason, message): (&str, &str),
    now: Timestamp,
) -> bool {
    let at = clock::seconds(now);
    let condition = json!({
        "type": kind, "status": is, "lastProbeTime": at, "lastTransitionTime": at,
        "reason": reason, "message": message,
    });
    let list = object::fields(status).entry("conditions").or_insert_with(|| json!([]));
    if list.is_null() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return false };
    match list.iter_mut().find(|it| it["type"] == kind) {
        Some(known) if known["status"] == is => return false,
        Some(known) => *known = condition,
        None => list.push(condition),
    }
    true
}

fn tell_suspension(sight: Sight<'_>, status: &mut Value, news: &mut Vec<News>) {
    let told = object::items(status, "/conditions").any(|it| it["type"] == "Suspended");
    if sight.is_suspended() {
        let why = ("JobSuspended", "Job suspended");
        if set_condition(status, ("Suspended", "True"), why, sight.now) {
            news.push(("Normal", "Suspended".to_owned(), why.1.to_owned()));
        }
        // A deadline does not run while the Job is suspended.
        object::fields(status).remove("startTime");
        return;
    }
    let why = ("JobResumed", "Job resumed");
    if told && set_condition(status, ("Suspended", "False"), why, sight.now) {
        news.push(("Normal", "Resumed".to_owned(), why.1.to_owned()));
        status["startTime"] = clock::seconds(sight.now).into();
    }
}

/// Says how the Job will end, before it has.
fn announce(status: &mut Value, verdict: &Verdict, now: Timestamp) {
    let (kind, reason, message) = match verdict {
        Verdict::Complete { reason, message } => ("SuccessCriteriaMet", reason, message),
        Verdict::Failed { reason, message } => ("FailureTarget", reason, message),
    };
    set_condition(status, (kind, "True"), (reason, message), now);
}

fn end(status: &mut Value, verdict: &Verdict, (now, news): (Timestamp, &mut Vec<News>)) {
    match verdict {
        Verdict::Complete { reason, message } => {
            set_condition(status, ("Complete", "True"), (reason, message), now);
            status["completionTime"] = clock::seconds(now).into();
            news.push(("Normal", "Completed".to_owned(), "Job completed".to_owned()));
        }
        Verdict::Failed { reason, message } => {
            set_condition(status, ("Failed", "True"), (reason, message), now);
            news.push(("Warning", reason.clone(), message.clone()));
        }
    }
}

fn set_count(status: &mut Value, field: &str, count: usize) {
    match count {
        0 => object::fields(status).remove(field),
        count => object::fields(status).insert(field.to_owned(), count.into()),
    };
}

fn set_indexes(sight: Sight<'_>, plan: &Plan, status: &mut Value) {
    if sight.indexed().is_none() {
        return;
    }
    let completed = indexes::text(&plan.tally.completed);
    status["completedIndexes"] = if completed.is_empty() { Value::Null } else { completed.into() };
    set_count(status, "succeeded", plan.tally.completed.len());
    if sight.limit_per_index().is_some() {
        status["failedIndexes"] = indexes::text(&plan.tally.failed_indexes).into();
    }
}

/// Which Pods nothing has to keep any more, and which ends are still to be counted.
fn released(sight: Sight<'_>, plan: &Plan) -> (Vec<Pod>, Value) {
    let mut uncounted = sight.job["status"][UNCOUNTED].clone();
    object::fields(&mut uncounted);
    let ends = plan.verdict.is_some() || object::is_deleting(sight.job);
    let fails = matches!(plan.verdict, Some(Verdict::Failed { .. }));
    let dismissed = |pod: &Pod| plan.dismissed.iter().any(|it| it.uid() == pod.uid());
    let mut released = Vec::new();
    for pod in sight.pods.iter().filter(|it| it.is_tracked() && !dismissed(it)) {
        let failed = pod.failed(plan.tally.replacement);
        if !(ends || pod.succeeded() || failed && !is_needed(sight, plan, pod)) {
            continue;
        }
        released.push(pod.clone());
        let counts = sight.indexed().is_none() || sight.index(pod).is_some();
        if !counts || is_uncounted(sight.job, pod) {
            continue;
        }
        let kind = match pod.succeeded() {
            // The set of completed indexes tells of it.
            true if sight.indexed().is_some() => continue,
            true => "succeeded",
            false if failed && policy::on_failure(sight.job, pod) == Action::Ignore => continue,
            false if failed || fails => "failed",
            false => continue,
        };
        let list = object::fields(&mut uncounted).entry(kind).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(pod.uid().into());
        }
    }
    (released, uncounted)
}

/// Of the failures of an index the last one is kept until a new Pod remembers how many there were.
fn is_needed(sight: Sight<'_>, plan: &Plan, pod: &Pod) -> bool {
    let Some(index) = pod.index().filter(|_| sight.limit_per_index().is_some()) else {
        return false;
    };
    let replaced = sight
        .pods
        .iter()
        .any(|it| it.index() == Some(index) && it.earlier_failures() > pod.earlier_failures());
    !replaced && !plan.tally.failed_indexes.contains(&index)
}

/// Moves what was to be counted into the counters.
fn count(sight: Sight<'_>, status: &mut Value) {
    let uncounted = std::mem::replace(&mut status[UNCOUNTED], json!({}));
    for kind in ["succeeded", "failed"] {
        let known = status[kind].as_u64().and_then(|it| usize::try_from(it).ok());
        let new = uncounted[kind].as_array().map_or(0, Vec::len);
        if kind == "failed" || sight.indexed().is_none() {
            set_count(status, kind, known.unwrap_or_default() + new);
        }
    }
}
