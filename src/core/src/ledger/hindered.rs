//! What is known of a run's Job beside its phase? When it began; and what hinders one that was started and
//! does not get on, said once for each reason, and no more once it works.

use ger_api::TriggerStatus;
use ger_api::status::RunPhase;
use jiff::Timestamp;

use super::phase::{OTHER_JOB, Transition, UNKNOWN_RUN, change, find};
use super::{conditions, due, prune};
use crate::outcome::Why;

/// Says what hinders a run whose Job was started, or that nothing does.
pub fn hindered(
    status: &TriggerStatus,
    run_id: &str,
    job_uid: &str,
    why: Option<&Why>,
    now: Timestamp,
) -> Transition {
    let Some(run) = find(status, run_id) else { return UNKNOWN_RUN };
    if run.phase != RunPhase::Running {
        return Transition::Nothing;
    }
    if run.job_uid.as_deref() != Some(job_uid) {
        return OTHER_JOB;
    }
    let said = run.message.as_deref().map(conditions::reason_of);
    if said == why.map(|it| it.reason.as_str()) {
        return Transition::Nothing;
    }
    change(status, run_id, due::whole_millis(now), |run| {
        run.message = why.map(|it| prune::shorten(&it.text()));
    })
}

/// The same transition, in which the run began at this time unless it says when already: a Job may have ended
/// before anybody saw it run.
pub fn began(transition: Transition, run_id: &str, started: Option<Timestamp>) -> Transition {
    let Transition::Write(mut status) = transition else { return transition };
    if let Some(run) = status.runs.iter_mut().find(|it| it.id == run_id) {
        run.started_at = run.started_at.or(started);
    }
    Transition::Write(status)
}
