//! How does a step look to a collector, and how does it get there? OTLP, over gRPC or HTTP.

use std::time::{Duration, SystemTime};

use ger_core::trace::{self, Step};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use url::Url;

use super::Span;

/// Who tells: the same word as in the original's traces.
const SERVICE: &str = "git-events-runner";
/// One request to the collector. Nobody waits for it but the next batch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The port that collectors have for OTLP over HTTP; on any other they speak gRPC, unless it is said.
const HTTP_PORT: u16 = 4318;
/// Where a collector takes traces over HTTP, if its address says nothing else.
const HTTP_PATH: &str = "/v1/traces";

/// A collector's address that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("{endpoint:?} is not an address such as http://collector:4317")]
    Endpoint { endpoint: String },

    #[error(
        "credentials have no place in the collector's address: put them into OTEL_EXPORTER_OTLP_HEADERS"
    )]
    Credentials,

    #[error("{protocol:?} is neither grpc nor http/protobuf")]
    Protocol { protocol: String },

    #[error("no exporter can be made for the collector")]
    Exporter { source: ExporterBuildError },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Grpc,
    Http,
}

/// Where traces are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    endpoint: Url,
    protocol: Protocol,
}

impl Target {
    /// A collector's address, and how it is spoken to; if that is not said, its port tells.
    pub fn parse(endpoint: &str, protocol: Option<&str>) -> Result<Self, Invalid> {
        let invalid = || Invalid::Endpoint { endpoint: endpoint.to_owned() };
        let mut endpoint = Url::parse(endpoint).map_err(|_| invalid())?;
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(Invalid::Credentials);
        }
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.has_host() {
            return Err(invalid());
        }
        let protocol = match protocol {
            None if endpoint.port() == Some(HTTP_PORT) => Protocol::Http,
            None | Some("grpc") => Protocol::Grpc,
            Some("http/protobuf") => Protocol::Http,
            Some(other) => return Err(Invalid::Protocol { protocol: other.to_owned() }),
        };
        if protocol == Protocol::Http && endpoint.path() == "/" {
            endpoint.set_path(HTTP_PATH);
        }
        Ok(Self { endpoint, protocol })
    }
}

/// Leads to the collector. Nothing is sent before the first batch.
pub(super) fn exporter(target: &Target, replica: &str) -> Result<SpanExporter, Invalid> {
    let endpoint = target.endpoint.as_str();
    let built = match target.protocol {
        Protocol::Grpc => SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build(),
        Protocol::Http => SpanExporter::builder()
            .with_http()
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build(),
    };
    let mut exporter = built.map_err(|source| Invalid::Exporter { source })?;
    // What the environment says in OTEL_RESOURCE_ATTRIBUTES is in it too.
    let resource = Resource::builder()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", replica.to_owned()))
        .build();
    exporter.set_resource(&resource);
    Ok(exporter)
}

/// A step as OpenTelemetry has it.
pub(super) fn data(span: &Span) -> SpanData {
    let id = |step| SpanId::from_bytes(trace::span_of(&span.run.id, step).0);
    let trace_id = TraceId::from_bytes(trace::of_run(&span.run.id).0);
    let state = TraceState::default();
    SpanData {
        span_context: SpanContext::new(trace_id, id(span.step), TraceFlags::SAMPLED, false, state),
        parent_span_id: match span.step {
            Step::Firing => SpanId::INVALID,
            Step::Check | Step::Record | Step::Create | Step::Admission | Step::Job | Step::End => {
                id(Step::Firing)
            }
        },
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: span.step.as_str().into(),
        start_time: SystemTime::from(span.from),
        end_time: SystemTime::from(span.to),
        attributes: attributes(span),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: span.failure.clone().map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder(SERVICE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn attributes(span: &Span) -> Vec<KeyValue> {
    let (key, run) = (&span.key, &span.run);
    let mut all = vec![
        KeyValue::new("git_events_runner.cluster", key.cluster.as_str().to_owned()),
        KeyValue::new("git_events_runner.trigger.kind", key.kind.as_str()),
        KeyValue::new("git_events_runner.trigger.name", key.name.clone()),
        KeyValue::new("git_events_runner.source", run.source.clone()),
        KeyValue::new("git_events_runner.run.id", run.id.clone()),
        KeyValue::new("git_events_runner.run.reason", format!("{:?}", run.reason)),
        KeyValue::new("git_events_runner.run.phase", format!("{:?}", run.phase)),
        KeyValue::new("k8s.namespace.name", key.namespace.clone()),
    ];
    let maybe = [("git_events_runner.commit", &run.commit), ("k8s.job.name", &run.job)];
    all.extend(
        maybe
            .into_iter()
            .filter_map(|(name, value)| value.as_ref().map(|it| KeyValue::new(name, it.clone()))),
    );
    all
}
