//! Who is connected, and how many at most? Sockets, TLS, HTTP/1.1 and HTTP/2, and an end in order.
//!
//! When all places are taken, whoever has been idle for longest gives up its own: those who hold
//! connections without using them keep nobody else out.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::call::Peer;
use super::patient::{Patience, Patient, Pulse};
use crate::metrics::Metrics;

/// Headers beyond which HTTP/1.1 is not read on; somewhat more than is let in, so that a caller is told.
const HEAD: usize = 512 << 10;
/// Of HTTP/2, where they come compressed: what is let in.
const HEADER_LIST: u32 = 256 << 10;
/// Requests at once on a connection of HTTP/2.
const STREAMS: u32 = 64;
/// Bytes of a body on their way, for each request and for all of a connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// Whether the other end of HTTP/2 is still there is asked so often.
const PING: Duration = Duration::from_secs(20);
/// After which a socket that could not be accepted is tried again: there are too many files open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// How long what is being served may take when the replica stops.
const DRAIN: Duration = Duration::from_millis(8_500);

/// Answers requests.
pub(super) type Answers =
    Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// What every connection is served by.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) answers: Answers,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) patience: Patience,
    pub(super) most: usize,
    pub(super) metrics: Metrics,
}

/// The connections that are open.
#[derive(Default)]
struct Open {
    all: Mutex<HashMap<u64, (AbortHandle, Arc<Pulse>)>>,
}

impl Open {
    /// Makes room for one more: whoever is idle for longest goes, if anybody is idle.
    fn make_room(&self, most: usize) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < most {
            return true;
        }
        let idle = all.iter().filter_map(|(id, (_, pulse))| Some((pulse.idle_since()?, *id)));
        let Some((_, id)) = idle.min() else { return false };
        if let Some((task, _)) = all.remove(&id) {
            task.abort();
        }
        true
    }

    fn add(&self, id: u64, task: AbortHandle, pulse: Arc<Pulse>) -> usize {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, (task, pulse));
        all.len()
    }

    fn remove(&self, id: u64) -> usize {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&id);
        all.len()
    }
}

/// Serves until `stop`; then lets what is being served end.
pub(super) async fn serve(listener: TcpListener, door: Door, stop: CancellationToken) {
    let open = Open::default();
    let mut connections: JoinSet<u64> = JoinSet::new();
    let mut ids = 0_u64;
    let mut by_task = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next_with_id() => {
                let task = ended.as_ref().map_or_else(tokio::task::JoinError::id, |it| it.0);
                if let Some(id) = by_task.remove(&task) {
                    door.metrics.webhooks.connections.set(count(open.remove(id)));
                }
            }
            accepted = listener.accept() => {
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection to the webhook server");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                };
                // All are busy: they end within the limits of a request.
                if !open.make_room(door.most) {
                    continue;
                }
                // What is small is sent at once.
                drop(stream.set_nodelay(true));
                ids += 1;
                let (id, pulse) = (ids, Pulse::new());
                let talking = talk(stream, peer, door.clone(), (Arc::clone(&pulse), stop.clone()));
                let task = connections.spawn(async move {
                    talking.await;
                    id
                });
                by_task.insert(task.id(), id);
                door.metrics.webhooks.connections.set(count(open.add(id, task, pulse)));
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("webhooks were still being served after {DRAIN:?}");
    }
    door.metrics.webhooks.connections.set(0);
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// One connection, from its first byte to its last.
pub(super) async fn talk<S>(
    stream: S,
    peer: SocketAddr,
    door: Door,
    (pulse, stop): (Arc<Pulse>, CancellationToken),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(acceptor) = &door.tls else {
        return Box::pin(converse(stream, peer, door, (pulse, stop))).await;
    };
    let shaken = tokio::time::timeout(door.patience.headers, acceptor.accept(stream));
    match shaken.await {
        Ok(Ok(stream)) => Box::pin(converse(stream, peer, door, (pulse, stop))).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS with this caller"),
        Err(_) => tracing::debug!(%peer, "this caller is too slow for TLS"),
    }
}

async fn converse<S>(
    stream: S,
    peer: SocketAddr,
    door: Door,
    (pulse, stop): (Arc<Pulse>, CancellationToken),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patient = Patient::new(stream, Arc::clone(&pulse), door.patience);
    let answers = Arc::clone(&door.answers);
    let service = service_fn(move |request: Request<Incoming>| {
        let serving = pulse.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let answering = answers(request);
        async move {
            let response = answering.await;
            drop(serving);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The time of headers is looked after below: who is slow is told so.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_LIST)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let connection = builder.serve_connection(TokioIo::new(patient), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a caller's connection ended");
    }
}
