//! May a run get its Job while earlier ones of its source are not finished? What `concurrencyPolicy` says.
//!
//! Runs stand in the order in which they got their commits; one whose commit is still to be found stands
//! in nobody's way.

use ger_api::TriggerStatus;
use ger_api::schedule_trigger::ConcurrencyPolicy;
use ger_api::status::{Run, RunPhase};
use jiff::Timestamp;

use super::phase::{OTHER_JOB, Transition, UNKNOWN_RUN, change, ended, find};
use super::{due, prune};

/// What a pending run is to do about those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing: its Job may be made.
    Free,
    /// Wait until they have finished.
    Behind,
    /// Be skipped, because of this one.
    Skip { because: String },
    /// Remove these, and wait until they are gone.
    Replace { older: Vec<String> },
}

/// Where a pending run stands among those of its source.
pub fn place(policy: ConcurrencyPolicy, status: &TriggerStatus, run_id: &str) -> Place {
    let Some(index) = status.runs.iter().position(|it| it.id == run_id) else { return Place::Free };
    let source = &status.runs[index].source;
    let is_in_the_way = |it: &&Run| it.source == *source && has_a_commit_and_no_end(it);
    let older: Vec<String> =
        status.runs[..index].iter().filter(is_in_the_way).map(|it| it.id.clone()).collect();
    let Some(first) = older.first().cloned() else { return Place::Free };
    match policy {
        ConcurrencyPolicy::Allow => Place::Free,
        ConcurrencyPolicy::Forbid => Place::Skip { because: first },
        ConcurrencyPolicy::Replace => Place::Replace { older },
        ConcurrencyPolicy::Queue => Place::Behind,
    }
}

fn has_a_commit_and_no_end(run: &Run) -> bool {
    match run.phase {
        RunPhase::Pending | RunPhase::Queued | RunPhase::Running => true,
        RunPhase::Requested
        | RunPhase::Succeeded
        | RunPhase::Failed
        | RunPhase::Expired
        | RunPhase::Deleted
        | RunPhase::Skipped
        | RunPhase::Unchanged => false,
    }
}

/// The run that takes the place of this one, if one does: the newest behind it.
pub fn replacing<'a>(
    policy: ConcurrencyPolicy,
    status: &'a TriggerStatus,
    run_id: &str,
) -> Option<&'a Run> {
    if policy != ConcurrencyPolicy::Replace {
        return None;
    }
    let index = status.runs.iter().position(|it| it.id == run_id)?;
    let source = &status.runs[index].source;
    let behind = status.runs[index + 1..].iter().rev();
    behind.into_iter().find(|it| it.source == *source && has_a_commit_and_no_end(it))
}

/// Ends a run that is not to have a Job, and says why. It had none that could start.
pub fn skipped(status: &TriggerStatus, run_id: &str, why: &str, now: Timestamp) -> Transition {
    ended(status, run_id, (RunPhase::Skipped, why), now)
}

/// Ends a run whose Job, by a live read, is gone to make room for the run `by`.
pub fn replaced(
    status: &TriggerStatus,
    run_id: &str,
    (job_uid, by): (&str, &str),
    now: Timestamp,
) -> Transition {
    let Some(run) = find(status, run_id) else { return UNKNOWN_RUN };
    if run.phase.is_final() {
        return Transition::Nothing;
    }
    if run.job_uid.as_deref() != Some(job_uid) {
        return OTHER_JOB;
    }
    let now = due::whole_millis(now);
    change(status, run_id, now, |run| {
        run.phase = RunPhase::Deleted;
        run.message = Some(prune::shorten(&format!("Replaced: run {by} takes its place")));
        run.finished_at = Some(now);
    })
}
