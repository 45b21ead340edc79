//! Is each step told once, under its run's trace, and does nobody wait for a collector that is away?

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde_json::json;
use tokio::task::JoinSet;

use super::*;

/// A collector that is away for its first answers.
#[derive(Clone, Debug, Default)]
struct Collector {
    away: Arc<Mutex<usize>>,
    taken: Arc<Mutex<Vec<SpanData>>>,
}

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(OTelSdkError::InternalFailure("nobody listens".to_owned()));
        }
        self.taken.lock().unwrap().extend(batch);
        Ok(())
    }
}

struct Telling {
    handle: Handle,
    collector: Collector,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Telling {
    fn start(away: usize) -> Self {
        let metrics = Metrics::new("test").unwrap();
        let collector = Collector::default();
        *collector.away.lock().unwrap() = away;
        let (queue, told) = mpsc::channel(4);
        let (stop, spans) = (CancellationToken::new(), metrics.trace_spans_total);
        let mut task = JoinSet::new();
        task.spawn(task::run(collector.clone(), told, spans.clone(), stop.clone()));
        Self { handle: Handle { queue: Some(queue), spans }, collector, stop, task }
    }

    fn counted(&self, result: &str) -> u64 {
        self.handle.spans.with_label_values(&[result]).get()
    }

    async fn end(mut self) -> Vec<SpanData> {
        self.stop.cancel();
        self.task.join_next().await.unwrap().unwrap();
        std::mem::take(&mut self.collector.taken.lock().unwrap())
    }
}

fn span(step: Step) -> Span {
    let key = TriggerKey {
        cluster: ClusterName::parse_spoke("edge-1").unwrap(),
        kind: TriggerKind::Webhook,
        namespace: "team".to_owned(),
        name: "deploy".to_owned(),
    };
    let run = serde_json::from_value(json!({
        "id": "ffa74afq7run26ev", "source": "app", "reason": "Webhook", "phase": "Running",
        "commit": "b".repeat(40), "job": "deploy-ffa74afq7run26ev",
    }));
    let at = |second| Timestamp::from_second(second).unwrap();
    Span::new(&key, &run.unwrap(), step, (at(10), at(12)))
}

#[tokio::test(start_paused = true)]
async fn steps_of_a_run_are_one_trace_below_its_firing() {
    let telling = Telling::start(0);

    for step in [Step::Firing, Step::Check, Step::Job] {
        telling.handle.tell(|| span(step));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let exported = telling.counted(EXPORTED);
    let told = telling.end().await;

    assert_eq!(exported, 3);
    let trace = trace::of_run("ffa74afq7run26ev").0;
    assert!(told.iter().all(|it| it.span_context.trace_id().to_bytes() == trace));
    assert_eq!(told[0].parent_span_id, SpanId::INVALID);
    assert!(told[1..].iter().all(|it| it.parent_span_id == told[0].span_context.span_id()));
    let said = |name: &str| {
        let found = told[1].attributes.iter().find(|it| it.key.as_str() == name);
        found.map(|it| it.value.clone())
    };
    assert_eq!(said("git_events_runner.cluster"), Some(Value::from("edge-1")));
    assert_eq!(said("git_events_runner.trigger.name"), Some(Value::from("deploy")));
    assert_eq!(said("git_events_runner.source"), Some(Value::from("app")));
    assert_eq!(said("git_events_runner.run.id"), Some(Value::from("ffa74afq7run26ev")));
    assert_eq!(told[0].end_time, told[0].start_time + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn what_was_told_before_the_end_is_sent_before_it() {
    let telling = Telling::start(0);

    telling.handle.tell(|| span(Step::Job).failed("exit code 3"));
    let told = telling.end().await;

    assert_eq!(told.len(), 1);
    assert_eq!(told[0].status, Status::error("exit code 3"));
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_is_away_for_a_moment_misses_nothing() {
    let telling = Telling::start(2);

    telling.handle.tell(|| span(Step::Firing));
    tokio::time::sleep(Duration::from_secs(30)).await;

    assert_eq!((telling.counted(EXPORTED), telling.counted(LOST)), (1, 0));
    assert_eq!(telling.end().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_stays_away_is_waited_for_by_nobody() {
    let telling = Telling::start(usize::MAX);

    for _ in 0..50 {
        telling.handle.tell(|| span(Step::Firing));
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    let lost = telling.counted(LOST);
    let begun = tokio::time::Instant::now();
    let told = telling.end().await;

    assert_eq!((lost, told.len()), (50, 0), "what does not fit is counted too");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn without_a_collector_there_is_no_trace_to_name() {
    let metrics = Metrics::new("test").unwrap();
    let (handle, telling) = start(None, "replica", &metrics, CancellationToken::new()).unwrap();

    handle.tell(|| panic!("nobody wants to know"));

    assert!(telling.is_none());
    assert_eq!(handle.of("ffa74afq7run26ev"), None);
}

#[test]
fn a_collector_s_port_tells_how_it_is_spoken_to() {
    let shown = |endpoint, protocol| format!("{:?}", Target::parse(endpoint, protocol).unwrap());

    assert!(shown("http://collector:4317", None).contains("Grpc"));
    assert!(shown("https://collector", None).contains("Grpc"));
    assert!(shown("http://collector:4318", None).contains("Http"));
    assert!(shown("http://collector:4318/", None).contains("/v1/traces"));
    assert!(shown("http://collector:4317/mine", Some("http/protobuf")).contains("/mine"));
    assert!(shown("http://collector:4318", Some("grpc")).contains("Grpc"));
}

#[test]
fn an_address_that_cannot_be_used_says_why_and_never_its_password() {
    let said = |endpoint, protocol| Target::parse(endpoint, protocol).unwrap_err().to_string();

    assert!(said("collector:4317", None).contains("http://collector:4317"));
    assert!(said("unix:///run/collector", None).contains("is not an address"));
    assert!(said("http://collector", Some("udp")).contains("http/protobuf"));
    let secret = said("http://me:hunter2@collector:4317", None);
    assert!(secret.contains("OTEL_EXPORTER_OTLP_HEADERS") && !secret.contains("hunter2"));
}
