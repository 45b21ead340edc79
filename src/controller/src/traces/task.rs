//! When is what was told sent? In batches, a moment after the first; at the end, all that is left.

use std::time::Duration;

use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus::IntCounterVec;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{EXPORTED, LOST, Span, otlp};

/// How long the first of a batch waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// Far under the four megabytes that a collector takes.
const TOGETHER: usize = 512;
/// A batch that the collector does not take is sent again after these; meanwhile the queue fills.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// At the end nobody waits longer than this for a collector.
const LAST: Duration = Duration::from_secs(3);

/// Whether the collector took what it was sent last: said when it changes, not for each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Collector {
    Takes,
    Refuses,
}

struct Teller<E> {
    exporter: E,
    spans: IntCounterVec,
    collector: Collector,
}

pub(super) async fn run<E: SpanExporter>(
    exporter: E,
    mut queue: mpsc::Receiver<Span>,
    spans: IntCounterVec,
    stop: CancellationToken,
) {
    let mut teller = Teller { exporter, spans, collector: Collector::Takes };
    let mut batch = Vec::new();
    while stop.run_until_cancelled(gather(&mut queue, &mut batch)).await == Some(More::Yes) {
        if stop.run_until_cancelled(teller.send(&batch)).await.is_some() {
            batch.clear();
        }
    }
    queue.close();
    while let Ok(span) = queue.try_recv() {
        batch.push(span);
    }
    let last = async {
        for some in batch.chunks(TOGETHER) {
            teller.send(some).await;
        }
    };
    // Whoever stops us does not wait for a collector that is away.
    drop(tokio::time::timeout(LAST, last).await);
}

/// Whether anybody is left who could tell more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Yes,
    No,
}

/// Waits for a first span, and a moment for others.
async fn gather(queue: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) -> More {
    if queue.recv_many(batch, TOGETHER).await == 0 {
        return More::No;
    }
    if batch.len() < TOGETHER {
        tokio::time::sleep(LINGER).await;
        while batch.len() < TOGETHER
            && let Ok(span) = queue.try_recv()
        {
            batch.push(span);
        }
    }
    More::Yes
}

impl<E: SpanExporter> Teller<E> {
    async fn send(&mut self, batch: &[Span]) {
        let data: Vec<SpanData> = batch.iter().map(otlp::data).collect();
        let count = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let mut pauses = PAUSES.into_iter();
        let result = loop {
            let error = match self.exporter.export(data.clone()).await {
                Ok(()) => {
                    self.now(Collector::Takes, "");
                    break EXPORTED;
                }
                Err(error) => error,
            };
            self.now(Collector::Refuses, &error.to_string());
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break LOST,
            }
        };
        self.spans.with_label_values(&[result]).inc_by(count);
    }

    fn now(&mut self, collector: Collector, error: &str) {
        if std::mem::replace(&mut self.collector, collector) == collector {
            return;
        }
        match collector {
            Collector::Takes => tracing::info!("the collector takes traces again"),
            Collector::Refuses => {
                tracing::warn!(
                    error,
                    "the collector does not take traces; is --otlp-endpoint right?"
                );
            }
        }
    }
}
