//! Is the replica well, and what does it count? `/alive`, `/ready` and `/metrics`, read from snapshots.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder as _, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What keeps the utility server from serving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address} for probes and metrics; is the port taken?")]
    Listen { address: SocketAddr, source: std::io::Error },

    #[error("the utility server ended")]
    Serve { source: std::io::Error },
}

/// Answers whether the replica is ready, when it is asked.
pub type Ready = Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>;

/// Brings gauges up to date, just before they are read.
pub type Refresh = Arc<dyn Fn() + Send + Sync>;

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    ready: Ready,
    refresh: Refresh,
}

/// The listening socket, bound before anything starts: a taken port is found at once.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    ready: Ready,
    refresh: Refresh,
    stop: CancellationToken,
) -> Result<(), Error> {
    let router = router(metrics, ready, refresh);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(|source| Error::Serve { source })
}

fn router(metrics: Metrics, ready: Ready, refresh: Refresh) -> Router {
    Router::new()
        .route("/alive", get(async || "Alive"))
        .route("/ready", get(answer_ready))
        .route("/metrics", get(answer_metrics))
        .with_state(Shared { metrics, ready, refresh })
}

async fn answer_ready(State(shared): State<Shared>) -> Response {
    match (shared.ready)() {
        Ok(()) => "Ready".into_response(),
        // The original answers 500 too, and probes of its charts count any 5xx.
        Err(why) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("Not ready: {why}")).into_response()
        }
    }
}

async fn answer_metrics(State(shared): State<Shared>) -> Response {
    (shared.refresh)();
    let mut text = Vec::new();
    match TextEncoder::new().encode(&shared.metrics.registry().gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot encode the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_replica_that_is_not_ready_says_why() {
        let ready: Ready = Arc::new(|| Err("the hub is not synced"));
        let (code, text) = ask("/ready", ready).await;

        assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(text, "Not ready: the hub is not synced");
    }

    #[tokio::test]
    async fn probes_and_metrics_answer() {
        let ready: Ready = Arc::new(|| Ok(()));
        assert_eq!(ask("/alive", Arc::clone(&ready)).await, (StatusCode::OK, "Alive".to_owned()));
        assert_eq!(ask("/ready", Arc::clone(&ready)).await, (StatusCode::OK, "Ready".to_owned()));

        let (code, text) = ask("/metrics", ready).await;
        assert_eq!(code, StatusCode::OK);
        assert!(text.contains("git_events_runner_members 3"), "{text}");
    }

    async fn ask(path: &str, ready: Ready) -> (StatusCode, String) {
        let metrics = Metrics::new("git_events_runner").unwrap();
        let gauges = metrics.clone();
        let refresh: Refresh = Arc::new(move || gauges.members.set(3));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(metrics, ready, refresh).oneshot(request).await.unwrap();
        let code = answer.status();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(text.to_vec()).unwrap())
    }
}
