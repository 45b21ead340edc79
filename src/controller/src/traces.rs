//! What is told of runs to whoever collects traces? One trace a run, from its firing to its outcome.
//!
//! ```text
//! a step has ended ──▶ Handle ──▶ queue, bounded ──▶ batches ──▶ OTLP
//! ```

mod otlp;
mod task;
#[cfg(test)]
mod tests;

use ger_api::status::Run;
use ger_core::names::TriggerKey;
use ger_core::trace::{self, Step};
use jiff::Timestamp;
use prometheus::IntCounterVec;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::otlp::{Invalid, Target};
use crate::metrics::Metrics;

/// Steps that wait to be told: a collector that is away for a minute misses nothing of a busy replica.
/// What is more than that is counted and lost, for no run waits for its trace.
const WAITING: usize = 8192;

/// A step of a run that has ended. Nothing of one that goes on is kept anywhere: the process that begins
/// a run is often not the one that sees it end.
#[derive(Clone, Debug)]
pub struct Span {
    key: TriggerKey,
    run: Run,
    step: Step,
    from: Timestamp,
    to: Timestamp,
    failure: Option<String>,
}

impl Span {
    /// A step of this run, as the ledger has it now.
    pub fn new(
        key: &TriggerKey,
        run: &Run,
        step: Step,
        (from, to): (Timestamp, Timestamp),
    ) -> Self {
        // Two clocks may have been asked, and one may have been set back meanwhile.
        let from = from.min(to);
        Self { key: key.clone(), run: run.clone(), step, from, to, failure: None }
    }

    /// It ended badly, for this reason.
    #[must_use]
    pub fn failed(mut self, why: impl Into<String>) -> Self {
        self.failure = Some(why.into());
        self
    }
}

/// Takes what is to be told. Cheap to clone; without a collector it does nothing.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: Option<mpsc::Sender<Span>>,
    spans: IntCounterVec,
}

impl Handle {
    /// The trace of a run, where traces are told: for log lines and for its Job.
    pub fn of(&self, run_id: &str) -> Option<trace::Id> {
        self.queue.as_ref().map(|_| trace::of_run(run_id))
    }

    /// Tells a step, if anybody wants to know. It never waits.
    pub fn tell(&self, span: impl FnOnce() -> Span) {
        let Some(queue) = &self.queue else { return };
        if queue.try_send(span()).is_err() {
            self.spans.with_label_values(&[LOST]).inc();
        }
    }
}

/// How spans are counted that arrived, and those that did not.
const EXPORTED: &str = "exported";
const LOST: &str = "lost";

/// Prepares to tell traces to `target`, and to nobody without one. Nothing is sent until the future is
/// polled; it ends when `stop` is cancelled and what was told by then is sent.
pub fn start(
    target: Option<&Target>,
    replica: &str,
    metrics: &Metrics,
    stop: CancellationToken,
) -> Result<(Handle, Option<impl Future<Output = ()> + Send + 'static>), Invalid> {
    let spans = metrics.trace_spans_total.clone();
    let Some(target) = target else { return Ok((Handle { queue: None, spans }, None)) };
    let exporter = otlp::exporter(target, replica)?;
    let (queue, told) = mpsc::channel(WAITING);
    let telling = task::run(exporter, told, spans.clone(), stop);
    Ok((Handle { queue: Some(queue), spans }, Some(telling)))
}
