//! Who is connected, and how many at most? Sockets, TLS, HTTP/1.1 and HTTP/2, and an end in order.
//!
//! No caller can take more than its share of memory, of places or of open files.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::call::Peer;
use super::heads::{self, Heads, Place};
use super::open::Open;
use super::patient::{Patience, Patient};
use super::pulse::{Heard, Pulse};
use crate::metrics::Metrics;

/// Headers beyond which HTTP/1.1 is not read on; somewhat more than is let in, so that a caller is told.
const HEAD: usize = 320 << 10;
/// Of HTTP/2, where they come compressed, and many at once: what is let in.
const HEADER_LIST: u32 = 64 << 10;
/// Requests at once on a connection of HTTP/2.
const STREAMS: u32 = 8;
/// Bytes of a body on their way, for each request and for all of a connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 128 << 10;
/// Whether the other end of HTTP/2 is still there is asked so often.
const PING: Duration = Duration::from_secs(20);
/// After which it is tried again, where a socket could not be accepted.
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
    pub(super) heads: Heads,
    pub(super) most: usize,
    pub(super) metrics: Metrics,
}

/// Serves until `stop`; then lets what is being served end.
pub(super) async fn serve(listener: TcpListener, door: Door, stop: CancellationToken) {
    let open = Open::new(door.metrics.clone());
    let mut connections: JoinSet<u64> = JoinSet::new();
    let mut ids = 0_u64;
    let mut by_task = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next_with_id() => {
                let task = ended.as_ref().map_or_else(tokio::task::JoinError::id, |it| it.0);
                if let Some(id) = by_task.remove(&task) {
                    open.remove(id);
                }
            }
            accepted = listener.accept() => {
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        not_accepted(&open, &error).await;
                        continue;
                    }
                };
                // All are being answered, and soon will be.
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
                open.add(id, task, pulse);
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

/// Most of what can go wrong is that one caller's trouble; but where no file can be opened any more, the same
/// fails again at once.
async fn not_accepted(open: &Open, error: &io::Error) {
    let no_files = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    if error.raw_os_error().is_some_and(|it| no_files.iter().any(|no| no.raw_os_error() == it)) {
        open.spare_files();
    } else {
        tracing::debug!(%error, "cannot accept a connection to the webhook server");
    }
    tokio::time::sleep(ACCEPT_AGAIN).await;
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
    let patient = Patient::new(stream, Arc::clone(&pulse), door.patience, door.heads.clone());
    let (answers, heads) = (Arc::clone(&door.answers), door.heads.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let serving = pulse.begin();
        let mut place = Place::default();
        let fits = heads.fits(&mut place, heads::size_of(request.headers()));
        let mut request = request.map(|it| Body::new(Heard::new(it, Arc::clone(&pulse))));
        request.extensions_mut().insert(Peer(peer));
        let answering = fits.then(|| answers(request));
        async move {
            let response = match answering {
                Some(answering) => answering.await,
                None => Answer::busy().into_response(),
            };
            drop((serving, place));
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
