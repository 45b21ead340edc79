//! What may follow what in the life of a run?
//!
//! ```text
//! Requested → Pending → Queued → Running → Succeeded, Failed, Deleted
//!     ↓          ↓         ↓
//! Unchanged   Failed, Expired     (and from Queued too what follows Running)
//!             Skipped
//! ```

use ger_api::TriggerStatus;
use ger_api::status::{Run, RunPhase};
use jiff::Timestamp;

use super::{conditions, due, id, prune};
use crate::broken::{self, Law};
use crate::plan::Plan;

/// What was seen of a run's Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobSighting {
    /// It exists and does not run.
    Suspended,
    Running {
        started: Option<Timestamp>,
    },
    Succeeded {
        at: Option<Timestamp>,
    },
    Failed {
        at: Option<Timestamp>,
        message: String,
    },
    /// It failed after it was deleted: its Pods were ended with it, which says nothing of the work.
    Removed,
    /// A live read, not a watch, says that there is none, or one with another uid.
    Gone,
}

/// What to do about a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// Write this, on the resourceVersion that was read.
    Write(Box<TriggerStatus>),
    /// The ledger says so already.
    Nothing,
    /// It must not be: whoever asked acts on something that is no longer so.
    Refused { why: &'static str },
}

pub(super) const UNKNOWN_RUN: Transition =
    Transition::Refused { why: "the ledger does not know this run" };
pub(super) const OTHER_JOB: Transition =
    Transition::Refused { why: "the ledger holds another Job for this run" };
const NOT_WITHDRAWN: Transition =
    Transition::Refused { why: "the run's Job could still start: withdraw it first" };

/// Whether a run may go from one phase to another.
pub fn may_follow(from: RunPhase, to: RunPhase) -> bool {
    use RunPhase::{
        Deleted, Expired, Failed, Pending, Queued, Requested, Running, Skipped, Succeeded,
        Unchanged,
    };
    match from {
        Requested => matches!(to, Pending | Unchanged | Skipped | Failed | Expired),
        Pending => matches!(to, Queued | Skipped | Failed | Expired),
        Queued => matches!(to, Running | Succeeded | Failed | Deleted | Expired),
        Running => matches!(to, Succeeded | Failed | Deleted),
        Succeeded | Failed | Expired | Deleted | Skipped | Unchanged => false,
    }
}

/// Where a run stands among those of its trigger; who is unknown stands behind all.
pub fn turn(status: &TriggerStatus, run_id: &str) -> usize {
    status.runs.iter().position(|it| it.id == run_id).unwrap_or(usize::MAX)
}

/// Whether this Job may be started: the one gate before anything runs.
pub fn holds_queued(status: &TriggerStatus, run_id: &str, job_uid: &str) -> bool {
    find(status, run_id).is_some_and(|it| {
        it.phase == RunPhase::Queued && it.job_uid.as_deref() == Some(job_uid)
            || broken::is_off(Law::Gate)
    })
}

/// Whether a run without a started Job is about something that the trigger no longer watches.
/// `fingerprint` is of the run's source as it is now.
pub fn is_superseded(run: &Run, plan: &Plan, fingerprint: &str) -> bool {
    match run.phase {
        // Its commit is still to be found, with the spec as it will be then.
        RunPhase::Requested => !plan.sources.contains(&run.source),
        RunPhase::Pending | RunPhase::Queued => {
            !plan.sources.contains(&run.source)
                || run.fingerprint.as_deref().is_some_and(|it| it != fingerprint)
        }
        RunPhase::Running
        | RunPhase::Succeeded
        | RunPhase::Failed
        | RunPhase::Expired
        | RunPhase::Deleted
        | RunPhase::Skipped
        | RunPhase::Unchanged => false,
    }
}

/// Pending → Queued: the Job exists, suspended, and this is its uid.
pub fn queued(
    status: &TriggerStatus,
    run_id: &str,
    job: &str,
    job_uid: &str,
    now: Timestamp,
) -> Transition {
    let Some(run) = find(status, run_id) else { return UNKNOWN_RUN };
    if run.phase != RunPhase::Pending {
        let is_said = run.job_uid.as_deref() == Some(job_uid);
        return if is_said { Transition::Nothing } else { OTHER_JOB };
    }
    change(status, run_id, now, |run| {
        run.phase = RunPhase::Queued;
        run.job = Some(job.to_owned());
        run.job_uid = Some(job_uid.to_owned());
        run.message = None;
    })
}

/// What was seen of the Job, into the ledger.
pub fn observed(
    status: &TriggerStatus,
    run_id: &str,
    job_uid: &str,
    sighting: &JobSighting,
    now: Timestamp,
) -> Transition {
    let Some(run) = find(status, run_id) else { return UNKNOWN_RUN };
    if run.job_uid.as_deref() != Some(job_uid) {
        return OTHER_JOB;
    }
    let now = due::whole_millis(now);
    let (phase, at, message) = match sighting {
        JobSighting::Suspended => return Transition::Nothing,
        JobSighting::Running { started } => (RunPhase::Running, *started, None),
        JobSighting::Succeeded { at } => (RunPhase::Succeeded, *at, None),
        JobSighting::Failed { at, message } => (RunPhase::Failed, *at, Some(message.as_str())),
        JobSighting::Removed | JobSighting::Gone => {
            (RunPhase::Deleted, None, Some("the Job was removed before it finished"))
        }
    };
    // An old sighting may come late: what is final stays, and what runs does not go back.
    if !may_follow(run.phase, phase) {
        return Transition::Nothing;
    }
    change(status, run_id, now, |run| {
        run.phase = phase;
        run.message = message.map(prune::shorten);
        let at = Some(at.unwrap_or(now));
        if phase.is_final() {
            run.finished_at = at;
        } else {
            run.started_at = at;
        }
    })
}

/// Ends a run that waited too long to start; its source is due again if nothing newer was recorded.
///
/// `withdrawn` is the uid of a Job that can no longer start: it carries
/// [`crate::job::WITHDRAWN`], written with the resourceVersion of a suspended Job, or a live read
/// says that it is gone. A `Queued` run needs it: else the Job and the next run both start.
pub fn expired(
    status: &TriggerStatus,
    run_id: &str,
    withdrawn: Option<&str>,
    message: &str,
    now: Timestamp,
) -> Transition {
    end_unstarted(status, run_id, withdrawn, now, (RunPhase::Expired, message))
}

/// Ends a run about something that is no longer watched; its source is due again if nothing newer
/// was recorded. For `withdrawn` see [`expired`].
pub fn superseded(
    status: &TriggerStatus,
    run_id: &str,
    withdrawn: Option<&str>,
    now: Timestamp,
) -> Transition {
    let message =
        "Superseded: the source's URI or the watched reference was edited before the run started";
    end_unstarted(status, run_id, withdrawn, now, (RunPhase::Failed, message))
}

/// Ends a run whose Job cannot be made, whoever tries.
pub fn failed(status: &TriggerStatus, run_id: &str, message: &str, now: Timestamp) -> Transition {
    ended(status, run_id, (RunPhase::Failed, message), now)
}

/// Ends a run that has no Job that could start.
pub(super) fn ended(
    status: &TriggerStatus,
    run_id: &str,
    (phase, why): (RunPhase, &str),
    now: Timestamp,
) -> Transition {
    let now = due::whole_millis(now);
    let Some(run) = find(status, run_id) else { return UNKNOWN_RUN };
    match run.phase {
        RunPhase::Requested | RunPhase::Pending => change(status, run_id, now, |run| {
            run.phase = phase;
            run.message = Some(prune::shorten(why));
            run.finished_at = Some(now);
        }),
        RunPhase::Queued | RunPhase::Running => OTHER_JOB,
        RunPhase::Succeeded
        | RunPhase::Failed
        | RunPhase::Expired
        | RunPhase::Deleted
        | RunPhase::Skipped
        | RunPhase::Unchanged => Transition::Nothing,
    }
}

/// Replaces a run whose never-started Job has to be made again, because its owner was: the commit
/// is `Pending` again under a new id, so that no two Jobs ever share a name.
///
/// The trigger's uid is the one that the run was recorded for. For `withdrawn` see [`expired`].
pub fn back_to_pending(
    trigger_uid: &str,
    status: &TriggerStatus,
    run_id: &str,
    withdrawn: &str,
    now: Timestamp,
) -> Transition {
    let Some(index) = status.runs.iter().position(|it| it.id == run_id) else { return UNKNOWN_RUN };
    let run = &status.runs[index];
    if run.phase.is_final() {
        return Transition::Nothing;
    }
    if run.phase != RunPhase::Queued || run.job_uid.as_deref() != Some(withdrawn) {
        return OTHER_JOB;
    }
    let now = due::whole_millis(now);
    let mut next = status.clone();
    next.sequence = next.sequence.wrapping_add(1);
    let why = run.occasion.as_deref().unwrap_or(id::CHANGE);
    let successor = Run {
        id: id::run_id(trigger_uid, &run.source, next.sequence, why),
        phase: RunPhase::Pending,
        job: None,
        job_uid: None,
        ..run.clone()
    };
    let message = format!("its Job's owner was created anew: run {} takes its place", successor.id);
    // Behind the run that it replaces, so that the order stays that of the commits.
    next.runs.insert(index + 1, successor);
    change(&next, run_id, now, |run| {
        run.phase = RunPhase::Expired;
        run.message = Some(message);
        run.finished_at = Some(now);
    })
}

/// Says why a run's Job could not be made so far; it is tried again. Written once per reason.
pub fn blocked(
    status: &TriggerStatus,
    run_id: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Transition {
    let Some(run) = find(status, run_id) else { return UNKNOWN_RUN };
    let said = run.message.as_deref().map(conditions::reason_of);
    if run.phase != RunPhase::Pending || said == Some(reason) {
        return Transition::Nothing;
    }
    change(status, run_id, now, |run| {
        run.message = Some(prune::shorten(&format!("{reason}: {message}")));
    })
}

fn end_unstarted(
    status: &TriggerStatus,
    run_id: &str,
    withdrawn: Option<&str>,
    now: Timestamp,
    (phase, message): (RunPhase, &str),
) -> Transition {
    let Some(run) = find(status, run_id) else { return UNKNOWN_RUN };
    if run.phase.is_final() {
        return Transition::Nothing;
    }
    if run.phase == RunPhase::Running {
        return Transition::Refused { why: "the run has started" };
    }
    if run.phase == RunPhase::Queued && run.job_uid.as_deref() != withdrawn {
        return NOT_WITHDRAWN;
    }
    let now = due::whole_millis(now);
    let mut status = status.clone();
    leave_due(&mut status, run_id, now);
    change(&status, run_id, now, |run| {
        run.phase = phase;
        run.message = Some(prune::shorten(message));
        run.finished_at = Some(now);
    })
}

/// Clears the source's record if this run is the newest of its source: its change never ran. One that was
/// skipped did not run either, and may have been skipped because of this one.
fn leave_due(status: &mut TriggerStatus, run_id: &str, now: Timestamp) {
    let Some(run) = find(status, run_id).filter(|it| it.commit.is_some()) else { return };
    let counts =
        |it: &&Run| it.source == run.source && it.commit.is_some() && it.phase != RunPhase::Skipped;
    let newest = status.runs.iter().rev().find(counts);
    if newest.is_none_or(|it| it.id != run.id) {
        return;
    }
    let source = run.source.clone();
    let Some(record) = status.checked_sources.get_mut(&source) else { return };
    record.commit_hash = None;
    record.checked_at = Some(due::after(record.checked_at, now));
}

pub(super) fn find<'a>(status: &'a TriggerStatus, run_id: &str) -> Option<&'a Run> {
    status.runs.iter().find(|it| it.id == run_id)
}

pub(super) fn change(
    status: &TriggerStatus,
    run_id: &str,
    now: Timestamp,
    edit: impl FnOnce(&mut Run),
) -> Transition {
    let mut next = status.clone();
    if let Some(run) = next.runs.iter_mut().find(|it| it.id == run_id) {
        edit(run);
    }
    prune(&mut next, status, prune::MOST_KEPT);
    conditions::settle(&mut next, now);
    Transition::Write(Box::new(next))
}
