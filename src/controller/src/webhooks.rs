//! Who calls, and what follows? Requests become `Requested` runs of the triggers that they name; the
//! shards' owners do the rest.
//!
//! ```text
//! server (sockets, TLS) ─▶ call: limits → trigger (stores) → secret → body → payload → concern
//!                                                    recorder: compare-and-swap ◀──┘ ─▶ 202
//! ```

mod answer;
mod bodies;
mod call;
mod caller;
mod counted;
mod descriptors;
mod heads;
mod known;
mod limits;
mod open;
mod patient;
mod pulse;
mod recorder;
mod secrets;
mod seldom;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod traced;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use kube::Client;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::bodies::Bodies;
pub use self::call::Peer;
use self::call::{Desk, answer};
pub use self::descriptors::raise as raise_file_limit;
use self::limits::Limits;
use self::patient::Patience;
use self::secrets::Secrets;
use crate::config::Webhooks;
use crate::runs::Fleet;

/// A connection on which nothing is asked is kept for so long.
const IDLE: Duration = Duration::from_mins(1);

/// What keeps webhooks from being served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address} for webhooks; is the port taken?")]
    Listen { address: SocketAddr, source: std::io::Error },

    #[error("a task of the webhook server ended in a panic")]
    Panicked { source: tokio::task::JoinError },

    #[error("webhooks are not recorded any more")]
    Record { source: recorder::Panicked },
}

/// What is needed to serve webhooks.
#[derive(Debug)]
pub struct Parts {
    pub settings: Webhooks,
    /// Where they are served, if anywhere.
    pub listener: Option<TcpListener>,
    /// For the certificate, if it is in a Secret.
    pub certificates: Certificates,
    pub secrets_cache_time: Duration,
    /// Begins the ids of calls that have none: no two replicas have the same.
    pub nonce: String,
}

/// Where a certificate that is in a Secret is looked for.
#[derive(Clone)]
pub struct Certificates {
    pub hub: Client,
    /// The controller's namespace.
    pub namespace: String,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Answers calls, also those that come over no socket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    desk: Arc<Desk>,
    certificate: Option<Arc<tls::Current>>,
}

impl Handle {
    /// The answer to one request. Who the caller is, its extension [`Peer`] says.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        answer(Arc::clone(&self.desk), request).await
    }

    /// Whether callers that come over TLS can be let in.
    pub fn has_certificate(&self) -> bool {
        self.certificate.as_ref().is_none_or(|it| it.is_there())
    }
}

/// The listening socket, bound before anything starts: a taken port is found at once.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Prepares to serve webhooks; nothing happens until the future is polled.
///
/// When `stop` is cancelled no call is taken any more, and those that were are answered.
pub fn start(
    parts: Parts,
    fleet: Arc<Fleet>,
    stop: CancellationToken,
) -> (Handle, impl Future<Output = Result<(), Error>> + Send + 'static) {
    let Parts { settings, listener, certificates, secrets_cache_time, nonce } = parts;
    let answered = CancellationToken::new();
    let (recorder, recording) =
        recorder::start(Arc::clone(&fleet), settings.parallelism, answered.clone());
    let Certificates { hub, namespace } = certificates;
    let origin = settings.certificate.as_ref().map(|it| tls::Origin::of(it, hub, &namespace));
    let certificate = origin.as_ref().map(|_| Arc::new(tls::Current::default()));
    let metrics = fleet.metrics.clone();
    let desk = Arc::new(Desk {
        limits: Limits::new(&settings.limits),
        bodies: Bodies::new(settings.largest_body, settings.body_timeout),
        triggers: known::Triggers::default(),
        secrets: Secrets::new(secrets_cache_time),
        recorder,
        ranges: std::sync::Mutex::default(),
        nonce,
        calls: AtomicU64::new(0),
        said: seldom::Seldom::default(),
        fleet,
        settings,
    });
    let handle = Handle { desk: Arc::clone(&desk), certificate: certificate.clone() };
    let door = door(&desk, certificate.clone());
    let running = async move {
        let mut beside = JoinSet::new();
        beside.spawn(async move { recording.await.map_err(|source| Error::Record { source }) });
        if let Some((origin, current)) = origin.zip(certificate) {
            let following = tls::follow(origin, current, metrics, stop.clone());
            beside.spawn(async move {
                following.await;
                Ok(())
            });
        }
        let serving = serve(listener, door, stop);
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            () = &mut serving => {}
            // They end after it; if one does before, it has failed.
            Some(ended) = beside.join_next() => {
                flatten(ended)?;
                serving.await;
            }
        }
        answered.cancel();
        while let Some(ended) = beside.join_next().await {
            flatten(ended)?;
        }
        Ok(())
    };
    (handle, running)
}

fn flatten(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|source| Err(Error::Panicked { source }))
}

fn door(desk: &Arc<Desk>, certificate: Option<Arc<tls::Current>>) -> server::Door {
    let answering = Arc::clone(desk);
    server::Door {
        answers: Arc::new(move |request| Box::pin(answer(Arc::clone(&answering), request))),
        tls: certificate.map(|it| TlsAcceptor::from(tls::config(it))),
        patience: Patience { headers: desk.settings.header_timeout, idle: IDLE },
        heads: heads::Heads::default(),
        most: descriptors::room_for(desk.settings.most_connections),
        metrics: desk.fleet.metrics.clone(),
    }
}

/// Without a socket, calls come by the handle alone.
async fn serve(listener: Option<TcpListener>, door: server::Door, stop: CancellationToken) {
    match listener {
        Some(listener) => server::serve(listener, door, stop).await,
        None => stop.cancelled().await,
    }
}
