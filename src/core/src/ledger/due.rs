//! Is a source due by what its trigger's status says, whoever's timer fired?

use ger_api::TriggerStatus;
use jiff::{SignedDuration, Timestamp, Unit};

use crate::change::as_known;
use crate::plan::{Plan, Reason, WrongConfig};

/// How early a timer may fire: it counts on a monotonic clock, the status on a wall clock that is
/// being adjusted. Less than the shortest interval, so that no firing counts twice.
pub(crate) const SLACK: SignedDuration = SignedDuration::from_millis(500);

/// A step that every JSON parser keeps.
const STEP: SignedDuration = SignedDuration::from_millis(1);

/// Whether a firing of the schedule is due for the source: not if another replica did it already.
pub(crate) fn is_due(plan: &Plan, status: &TriggerStatus, source: &str, now: Timestamp) -> bool {
    let soon = now.checked_add(SLACK).unwrap_or(now);
    let Some(schedule) = &plan.schedule else { return false };
    let last = last_done(status, source);
    // A time that cannot be counts as now, and by that the source would never be due again: the
    // timer has waited long enough, and what is recorded now mends it.
    let is_absurd = last.is_some_and(|it| as_known(it, now) != it);
    is_absurd || schedule.is_due(last, soon)
}

/// What a run that is recorded now counts as having been done at: a timer may fire a little before
/// its time, and what it fired for is done all the same.
pub(crate) fn done_at(
    plan: &Plan,
    status: &TriggerStatus,
    source: &str,
    now: Timestamp,
) -> Timestamp {
    let nominal = plan.schedule.as_ref().zip(last_done(status, source));
    let nominal = nominal.map(|(schedule, last)| schedule.next(as_known(last, now)));
    nominal.filter(|it| *it > now && it.duration_since(now) <= SLACK).unwrap_or(now)
}

/// When the trigger's schedule fires next.
pub(crate) fn next_run(plan: &Plan, now: Timestamp) -> Option<Timestamp> {
    let schedule = plan.schedule.as_ref().filter(|_| !plan.suspend)?;
    Some(schedule.next(now)).filter(|it| *it != Timestamp::MAX)
}

/// What is wrong with a trigger whose schedule makes nothing due any more: a cron whose years have passed.
/// `last` is when all of its sources were seen to. What is due by that, or not finished, is still done.
pub fn over(
    plan: &Plan,
    status: &TriggerStatus,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Option<WrongConfig> {
    let schedule = plan.schedule.as_ref()?;
    let deadline = plan.starting_deadline.and_then(|it| now.checked_sub(it).ok());
    let from = last.unwrap_or(now).max(deadline.unwrap_or(Timestamp::MIN)).min(now);
    let is_over = schedule.is_over(from) && super::unfinished(status).next().is_none();
    let message = "schedule: the cron has no time to come: all that it matches have passed";
    is_over.then(|| WrongConfig::new(Reason::InvalidSchedule, message))
}

fn last_done(status: &TriggerStatus, source: &str) -> Option<Timestamp> {
    status.checked_sources.get(source).and_then(|it| it.checked_at).or(status.last_run)
}

/// `now`, or just after what is recorded where that is not earlier: a record never repeats a time.
pub(crate) fn after(recorded: Option<Timestamp>, now: Timestamp) -> Timestamp {
    match recorded.filter(|it| as_known(*it, now) == *it) {
        Some(recorded) if recorded >= now => recorded.checked_add(STEP).unwrap_or(now),
        _ => now,
    }
}

/// Without what is finer than a millisecond: statuses are read by people.
pub(crate) fn whole_millis(now: Timestamp) -> Timestamp {
    now.round(jiff::TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Trunc))
        .unwrap_or(now)
}
