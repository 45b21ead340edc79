//! A collector of traces: it takes OTLP over HTTP and over gRPC, and keeps what it was told.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::StreamBody;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Of a message of gRPC, before it: whether it is compressed, and its length.
const FRAME: usize = 5;

/// A step of a run, as it was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) path: String,
    pub(super) service: String,
    pub(super) trace: String,
    pub(super) span: String,
    /// Empty for the first.
    pub(super) parent: String,
    pub(super) name: String,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) attributes: BTreeMap<String, String>,
}

/// By trace and span: who is told twice knows it once.
type Kept = Arc<Mutex<HashMap<(String, String), Told>>>;

pub(super) struct Collector {
    pub(super) address: String,
    kept: Kept,
    _serving: JoinSet<()>,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let kept = Kept::default();
        let router = Router::new().fallback(take).with_state(Arc::clone(&kept));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, kept, _serving: serving }
    }

    pub(super) fn told(&self) -> Vec<Told> {
        self.kept.lock().unwrap().values().cloned().collect()
    }
}

async fn take(State(kept): State<Kept>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let is_grpc = request.headers()["content-type"] == "application/grpc";
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let message = if is_grpc { body.slice(FRAME..) } else { body };
    keep(&kept, &path, ExportTraceServiceRequest::decode(message).unwrap());
    if !is_grpc {
        return Response::new(Body::empty());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [
        http_body::Frame::data(bytes::Bytes::from_static(&[0; FRAME])),
        http_body::Frame::trailers(trailers),
    ];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    let mut response = Response::new(Body::new(body));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

fn keep(kept: &Kept, path: &str, request: ExportTraceServiceRequest) {
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap_or_default();
        let service = attributes(resource.attributes).remove("service.name").unwrap_or_default();
        for span in of_resource.scope_spans.into_iter().flat_map(|it| it.spans) {
            let hex = |it: &[u8]| data_encoding::HEXLOWER.encode(it);
            let told = Told {
                path: path.to_owned(),
                service: service.clone(),
                trace: hex(&span.trace_id),
                span: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                from: span.start_time_unix_nano,
                to: span.end_time_unix_nano,
                attributes: attributes(span.attributes),
            };
            let key = (told.trace.clone(), told.span.clone());
            kept.lock().unwrap().insert(key, told);
        }
    }
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |it: Option<AnyValue>| match it.and_then(|it| it.value) {
        Some(any_value::Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    all.into_iter().map(|it| (it.key, text(it.value))).collect()
}
