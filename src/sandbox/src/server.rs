//! The API over TCP: TLS, a token for each client, and an end.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, Response, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    auth::{Mode, User},
    cluster::Cluster,
    error::Error,
    http::{self as api, Caller},
};

/// What the token of an administrator is known by when the user agent says nothing.
const ADMIN: &str = "admin";

/// The tokens that open the door, each with its client.
type Tokens = Mutex<BTreeMap<String, Caller>>;

/// A cluster being served over TCP. Dropping it ends that; the cluster lives on.
#[derive(Debug)]
pub struct Server {
    cluster: Arc<Cluster>,
    addr: SocketAddr,
    ca_pem: String,
    token: String,
    tokens: Arc<Tokens>,
    tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(cluster: Arc<Cluster>, addr: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let authority = cluster.authority()?;
        let (ca_pem, config) = (authority.pem(), authority.serve(&addr.ip().to_string())?);
        let token = new_token(&cluster);
        let tokens = Arc::new(Mutex::new(BTreeMap::from([(token.clone(), Caller::admin(None))])));

        let mut tasks = JoinSet::new();
        let door = Door {
            cluster: Arc::clone(&cluster),
            tokens: Arc::clone(&tokens),
            tls: TlsAcceptor::from(config),
        };
        tasks.spawn(accept(listener, door));
        Ok(Self { cluster, addr, ca_pem, token, tokens, tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as clients write it.
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// The certificate of the authority that clients must trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The token of an administrator; its requests belong to whom their user agent names.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A new token whose requests belong to `client`, for the audit and for faults.
    pub fn token_for(&self, client: &str) -> String {
        let token = new_token(&self.cluster);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token.clone(), Caller::admin(Some(client)));
        token
    }

    /// A kubeconfig with the administrator's token.
    pub fn kubeconfig(&self) -> String {
        self.written(ADMIN, &self.token)
    }

    /// A kubeconfig with a new token whose requests belong to `client`.
    pub fn kubeconfig_for(&self, client: &str) -> String {
        let token = self.token_for(client);
        self.written(client, &token)
    }

    fn written(&self, user: &str, token: &str) -> String {
        let (name, url) = (&self.cluster.name, self.url());
        let ca = STANDARD.encode(&self.ca_pem);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name:?}\nclusters:\n- name: \
             {name:?}\n  cluster:\n    server: {url}\n    certificate-authority-data: \
             {ca}\nusers:\n- name: {user:?}\n  user:\n    token: {token}\ncontexts:\n- name: \
             {name:?}\n  context:\n    cluster: {name:?}\n    user: {user:?}\n    namespace: \
             default\n"
        )
    }

    /// Ends all connections and frees the address.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

fn new_token(cluster: &Cluster) -> String {
    let random = &mut cluster.lock().random;
    format!("{:016x}{:016x}", random.next(), random.next())
}

struct Door {
    cluster: Arc<Cluster>,
    tokens: Arc<Tokens>,
    tls: TlsAcceptor,
}

async fn accept(listener: TcpListener, door: Door) {
    let door = Arc::new(door);
    // Connections die with this set when the server is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(talk(stream, Arc::clone(&door)));
                }
                Err(error) => tracing::warn!(%error, "cannot accept a connection"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn talk(stream: TcpStream, door: Arc<Door>) {
    let stream = match door.tls.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "a client did not finish its TLS handshake");
            return;
        }
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let door = Arc::clone(&door);
        async move { Ok::<_, std::convert::Infallible>(door.answer(request).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error, "a connection broke");
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let value = request.headers().get(header::AUTHORIZATION);
        let token = value.and_then(|it| it.to_str().ok()).and_then(|it| it.strip_prefix("Bearer "));
        let known = token.and_then(|it| {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.get(it.trim()).cloned()
        });
        match known {
            Some(caller) => {
                api::answer(Arc::clone(&self.cluster), caller, request.map(Body::new)).await
            }
            None if value.is_some() => api::unauthorized(),
            // Without authorization nobody is let in unknown.
            None if self.cluster.mode() == Mode::AlwaysAllow => api::unauthorized(),
            None => {
                let caller = Caller { client: None, user: Arc::new(User::anonymous()) };
                api::answer(Arc::clone(&self.cluster), caller, request.map(Body::new)).await
            }
        }
    }
}
