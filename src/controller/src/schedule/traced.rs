//! What is told of a turn to whoever collects traces? The steps of the runs that it took on, as the ledger
//! has them afterwards.

use ger_api::status::{Run, RunPhase, RunReason};
use ger_core::ledger;
use ger_core::trace::{self, Step};
use jiff::{SignedDuration, Timestamp};
use tracing::field::DisplayValue;

use super::fire::Turn;
use crate::runs::ended;
use crate::traces::Span;

/// From when to when.
pub(super) type Period = (Timestamp, Timestamp);

impl Turn<'_> {
    /// The trace of a run, for a log line.
    pub(super) fn trace_of(&self, run_id: &str) -> Option<DisplayValue<trace::Id>> {
        self.fleet.traces.of(run_id).map(tracing::field::display)
    }

    fn recorded_run(&self, run_id: &str) -> Option<&Run> {
        self.trigger.status.runs.iter().find(|it| it.id == run_id)
    }

    /// Tells a step that has just ended.
    pub(super) fn trace(&self, run_id: &str, step: Step, period: Period) {
        let Some(run) = self.recorded_run(run_id) else { return };
        self.fleet.traces.tell(|| Span::new(self.key, run, step, period));
    }

    /// Tells that a turn made a run: from the time at which it was due.
    pub(super) fn trace_firing(&self, run_id: &str) {
        let now = self.fleet.clock.now();
        let late = SignedDuration::try_from(self.due_at.elapsed()).unwrap_or_default();
        let due = now.checked_sub(late).unwrap_or(now);
        self.trace(run_id, Step::Firing, (due, now));
    }

    /// Tells how a run came to its commit. One that was asked for has told its firing before.
    pub(super) fn trace_recorded(&self, run_id: &str, asked: Period, decided: Timestamp) {
        let Some(run) = self.recorded_run(run_id) else { return };
        if matches!(run.reason, RunReason::Changed | RunReason::Scheduled) {
            self.trace_firing(run_id);
        }
        self.trace(run_id, Step::Check, asked);
        self.trace(run_id, Step::Record, (decided, self.fleet.clock.now()));
    }

    /// The runs of a source that wait for what its remote says.
    pub(super) fn waiting_for(&self, source: &str) -> Vec<Run> {
        let waits = |it: &&Run| it.source == source && it.phase == RunPhase::Requested;
        ledger::unfinished(&self.trigger.status).filter(waits).cloned().collect()
    }

    /// Counts those of them that an answer ended: there was nothing new.
    pub(super) fn ended_by_answer(&self, waiting: &[Run], asked: Period) {
        for run in waiting {
            if self.recorded_run(&run.id).is_some_and(|it| it.phase == RunPhase::Unchanged) {
                self.trace(&run.id, Step::Check, asked);
                ended::count(self.fleet, &self.trigger, run, RunPhase::Unchanged);
            }
        }
    }
}
