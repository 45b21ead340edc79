//! What is told of calls to whoever collects traces? The firing of each run that they made.

use ger_api::TriggerStatus;
use ger_core::trace::Step;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::runs::Fleet;
use crate::runs::trigger::Trigger;
use crate::traces::Span;

/// The wall time of a moment that is past.
pub(super) fn ago(fleet: &Fleet, moment: Option<Instant>) -> Timestamp {
    let now = fleet.clock.now();
    let past = moment.and_then(|it| SignedDuration::try_from(it.elapsed()).ok());
    now.checked_sub(past.unwrap_or_default()).unwrap_or(now)
}

/// The runs that a status has and the one before it had not.
pub(super) fn new_runs(before: &TriggerStatus, after: &TriggerStatus) -> Vec<String> {
    let is_new = |id: &&String| !before.runs.iter().any(|it| it.id == **id);
    after.runs.iter().map(|it| &it.id).filter(is_new).cloned().collect()
}

/// Tells the firing of new runs: from the arrival of the first call that the write was for.
pub(super) fn firings(fleet: &Fleet, trigger: &Trigger, new: &[String], began: Timestamp) {
    let now = fleet.clock.now();
    for run in trigger.status.runs.iter().filter(|it| new.contains(&it.id)) {
        let trace_id = fleet.traces.of(&run.id).map(tracing::field::display);
        tracing::info!(trigger = %trigger.key, run = run.id, trace_id, "requested by webhook");
        fleet.traces.tell(|| Span::new(&trigger.key, run, Step::Firing, (began, now)));
    }
}
