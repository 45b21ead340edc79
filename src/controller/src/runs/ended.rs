//! What is counted and told when a run comes to its end? Once, by whoever recorded it.

use std::time::Duration;

use ger_api::status::{Run, RunPhase};
use ger_core::job::action_kind;
use ger_core::ledger::{Notice, Severity};
use ger_core::plan::source_kind;
use ger_core::trace::Step;

use super::trigger::Trigger;
use super::{Fleet, events};
use crate::clusters::Cluster;
use crate::metrics::{Completed, Ran};
use crate::traces::Span;

/// Counts a run that is given up in this phase, before any Job of it could start.
pub(crate) fn given_up(fleet: &Fleet, trigger: &Trigger, run: &Run, phase: RunPhase) {
    let (reason, name) = (format!("{:?}", run.reason), format!("{phase:?}"));
    let labels = [trigger.key.cluster.as_str(), reason.as_str(), name.as_str()];
    fleet.metrics.runs_total.with_label_values(&labels).inc();
    fleet.traces.tell(|| last_step(fleet, trigger, as_recorded(trigger, run), phase));
}

fn as_recorded<'a>(trigger: &'a Trigger, run: &'a Run) -> &'a Run {
    trigger.status.runs.iter().find(|it| it.id == run.id).unwrap_or(run)
}

/// Counts a run of a trigger that is in this phase from now on; the trigger is as it was recorded.
pub(crate) fn count(fleet: &Fleet, trigger: &Trigger, run: &Run, phase: RunPhase) {
    given_up(fleet, trigger, run, phase);

    let (Some(how), Ok(plan)) = (completed(run, phase), &trigger.plan) else { return };
    // Nobody would take away again what is counted of a trigger that is gone.
    let cluster = fleet.clusters.cluster(&trigger.key.cluster);
    if !cluster.is_some_and(|it| it.stores().has_trigger(&trigger.key)) {
        return;
    }
    let ran = Ran {
        source_kind: source_kind(plan.source_kind),
        source: run.source.clone(),
        action_kind: action_kind(plan.action.kind),
        action: plan.action.name.clone(),
    };
    let recorded = as_recorded(trigger, run);
    let took = recorded.started_at.zip(recorded.finished_at);
    let took = took.and_then(|(from, to)| Duration::try_from(to.duration_since(from)).ok());
    let took = took.filter(|_| matches!(how, Completed::Succeed | Completed::Failed));
    fleet.metrics.jobs.completed(&trigger.key, ran, how, took);
}

/// Counts a run that waited too long and was recorded as expired, and tells of it.
pub(crate) async fn expired(
    (fleet, cluster): (&Fleet, &Cluster),
    trigger: &Trigger,
    run: &Run,
    why: &str,
) {
    count(fleet, trigger, run, RunPhase::Expired);
    let (id, source) = (&run.id, &run.source);
    let trace_id = fleet.traces.of(id).map(tracing::field::display);
    let job = run.job.as_deref();
    tracing::warn!(trigger = %trigger.key, run = id, trace_id, job, "expired: {why}");
    let reason = "RunExpired".to_owned();
    let labels = [trigger.key.cluster.as_str(), &reason];
    fleet.metrics.problems_total.with_label_values(&labels).inc();
    let message = format!("run {id} of source {source} expired: {why}");
    let notice = Notice { severity: Severity::Warning, reason, message };
    events::tell(fleet, cluster, &trigger.reference(), &notice).await;
}

/// The end of a run's trace.
fn last_step(fleet: &Fleet, trigger: &Trigger, run: &Run, phase: RunPhase) -> Span {
    let ended = run.finished_at.unwrap_or_else(|| fleet.clock.now());
    let (step, began) = match run.started_at {
        Some(began) => (Step::Job, began),
        None => (Step::End, ended),
    };
    let span = Span::new(&trigger.key, run, step, (began, ended));
    match phase {
        RunPhase::Failed | RunPhase::Expired | RunPhase::Deleted => {
            span.failed(run.message.clone().unwrap_or_else(|| format!("{phase:?}")))
        }
        RunPhase::Succeeded
        | RunPhase::Skipped
        | RunPhase::Unchanged
        | RunPhase::Requested
        | RunPhase::Pending
        | RunPhase::Queued
        | RunPhase::Running => span,
    }
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
