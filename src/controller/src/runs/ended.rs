//! What is counted when a run comes to its end? Once, by whoever recorded it.

use std::time::Duration;

use ger_api::status::{Run, RunPhase};
use ger_core::job::action_kind;
use ger_core::plan::source_kind;

use super::trigger::Trigger;
use crate::metrics::{Completed, Metrics, Ran};

/// Counts a run of a trigger that is in this phase from now on; the trigger is as it was recorded.
pub(crate) fn count(metrics: &Metrics, trigger: &Trigger, run: &Run, phase: RunPhase) {
    let (reason, name) = (format!("{:?}", run.reason), format!("{phase:?}"));
    let labels = [trigger.key.cluster.as_str(), reason.as_str(), name.as_str()];
    metrics.runs_total.with_label_values(&labels).inc();

    let (Some(how), Ok(plan)) = (completed(run, phase), &trigger.plan) else { return };
    let ran = Ran {
        source_kind: source_kind(plan.source_kind),
        source: run.source.clone(),
        action_kind: action_kind(plan.action.kind),
        action: plan.action.name.clone(),
    };
    let recorded = trigger.status.runs.iter().find(|it| it.id == run.id).unwrap_or(run);
    let took = recorded.started_at.zip(recorded.finished_at);
    let took = took.and_then(|(from, to)| Duration::try_from(to.duration_since(from)).ok());
    let took = took.filter(|_| matches!(how, Completed::Succeed | Completed::Failed));
    metrics.jobs.completed(&trigger.key, ran, how, took);
}

/// How a run's Job ended, in the original's words; none where there was to be no Job.
fn completed(run: &Run, phase: RunPhase) -> Option<Completed> {
    match phase {
        RunPhase::Succeeded => Some(Completed::Succeed),
        RunPhase::Failed if run.job_uid.is_none() => Some(Completed::CreateError),
        RunPhase::Failed => Some(Completed::Failed),
        RunPhase::Expired => Some(Completed::Expired),
        RunPhase::Deleted => Some(Completed::Deleted),
        RunPhase::Requested
        | RunPhase::Pending
        | RunPhase::Queued
        | RunPhase::Running
        | RunPhase::Skipped
        | RunPhase::Unchanged => None,
    }
}
