//! The API over TCP: TLS, a token for each client, and an end.

use std::{net::SocketAddr, sync::Arc};

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, Response, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    auth::{Mode, User, token},
    cluster::Cluster,
    error::Error,
    http::{self as api, Caller, broken},
};

/// What the token of an administrator is known by when the user agent says nothing.
const ADMIN: &str = "admin";

/// How long a client's certificate is good for, unless told: longer than any sandbox is there.
const YEARS: SignedDuration = SignedDuration::from_hours(24 * 365 * 10);

/// A cluster being served over TCP. Dropping it ends that; the cluster lives on.
#[derive(Debug)]
pub struct Server {
    cluster: Arc<Cluster>,
    addr: SocketAddr,
    ca_pem: String,
    token: String,
    tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(cluster: Arc<Cluster>, addr: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let authority = cluster.authority()?;
        let (ca_pem, config) = (authority.pem(), authority.serve(&addr.ip().to_string())?);
        let token = cluster.let_in(Caller::admin(None));

        let mut tasks = JoinSet::new();
        let door = Door { cluster: Arc::clone(&cluster), tls: TlsAcceptor::from(config) };
        tasks.spawn(accept(listener, door));
        Ok(Self { cluster, addr, ca_pem, token, tasks })
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
        self.cluster.let_in(Caller::admin(Some(client)))
    }

    /// A kubeconfig with the administrator's token.
    pub fn kubeconfig(&self) -> String {
        self.written(ADMIN, &format!("token: {}", self.token))
    }

    /// A kubeconfig with a new token whose requests belong to `client`.
    pub fn kubeconfig_for(&self, client: &str) -> String {
        let token = self.token_for(client);
        self.written(client, &format!("token: {token}"))
    }

    /// The same for somebody who is no administrator: `jane`, or a service account by the name it has as a
    /// user, `system:serviceaccount:NAMESPACE:NAME`, whose groups come with it.
    pub fn kubeconfig_as(&self, client: &str, user: &str, groups: &[&str]) -> String {
        let user = Arc::new(User::of(user, groups));
        let token = self.cluster.let_in(Caller { client: Some(client.into()), user });
        self.written(client, &format!("token: {token}"))
    }

    /// A kubeconfig with a new client certificate of somebody who is no administrator, unless a group
    /// is `system:masters`.
    pub fn kubeconfig_with_certificate(
        &self,
        user: &str,
        groups: &[&str],
    ) -> Result<String, Error> {
        let ends = self.cluster.now().saturating_add(YEARS).unwrap_or(Timestamp::MAX);
        self.kubeconfig_with_certificate_until(user, groups, ends)
    }

    /// The same with a certificate that is good until then, by the cluster's clock and by itself.
    pub fn kubeconfig_with_certificate_until(
        &self,
        user: &str,
        groups: &[&str],
        ends: Timestamp,
    ) -> Result<String, Error> {
        let (certificate, key) = self.cluster.authority()?.issue((user, groups), ends)?;
        let proof = format!(
            "client-certificate-data: {}\n    client-key-data: {}",
            STANDARD.encode(certificate),
            STANDARD.encode(key)
        );
        Ok(self.written(user, &proof))
    }

    fn written(&self, user: &str, proof: &str) -> String {
        let (name, url) = (&self.cluster.name, self.url());
        let ca = STANDARD.encode(&self.ca_pem);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name:?}\nclusters:\n- name: \
             {name:?}\n  cluster:\n    server: {url}\n    certificate-authority-data: \
             {ca}\nusers:\n- name: {user:?}\n  user:\n    {proof}\ncontexts:\n- name: \
             {name:?}\n  context:\n    cluster: {name:?}\n    user: {user:?}\n    namespace: \
             default\n"
        )
    }

    /// Ends all connections and frees the address.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

struct Door {
    cluster: Arc<Cluster>,
    tls: TlsAcceptor,
}

async fn accept(listener: TcpListener, door: Door) {
    let door = Arc::new(door);
    // Connections die with this set when the server is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                // Dropped, and so closed.
                Ok(_) if door.cluster.faults.refuses_all() => {}
                Ok((stream, _)) => {
                    connections.spawn(talk(stream, Arc::clone(&door)));
                }
                Err(error) => tracing::warn!(%error, "cannot accept a connection"),
            },
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
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = shown.map(|it| Arc::new(it.clone().into_owned()));
    let service = service_fn(move |request: Request<Incoming>| {
        let (door, shown) = (Arc::clone(&door), shown.clone());
        async move { broken::sent(door.answer(request, shown.as_deref()).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error, "a connection broke");
    }
}

impl Door {
    async fn answer(
        &self,
        request: Request<Incoming>,
        shown: Option<&CertificateDer<'_>>,
    ) -> Response<Body> {
        match self.caller(&request, shown) {
            Some(caller) => {
                api::answer(Arc::clone(&self.cluster), caller, request.map(Body::new)).await
            }
            None => api::unauthorized(),
        }
    }

    /// Who is at the door: by certificate, by token, or nobody in particular.
    fn caller(
        &self,
        request: &Request<Incoming>,
        shown: Option<&CertificateDer<'_>>,
    ) -> Option<Caller> {
        let now = self.cluster.now();
        let owner = |it: &CertificateDer<'_>| self.cluster.authority().ok()?.owner(it, now);
        if let Some(user) = shown.and_then(owner) {
            return Some(Caller { client: None, user });
        }
        let value = request.headers().get(header::AUTHORIZATION);
        let value = value.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let token = value.strip_prefix("Bearer ").unwrap_or_default().trim();
        if token.is_empty() {
            // Where everybody may do everything, nobody is let in unknown.
            let user = Arc::new(User::anonymous());
            // Whose certificate is refused is not taken for somebody who shows nothing.
            let is_let_in = self.cluster.mode() == Mode::Rbac && shown.is_none();
            return is_let_in.then_some(Caller { client: None, user });
        }
        self.cluster.caller(token).or_else(|| {
            let (user, _) = token::owner(&self.cluster, token, &[]).ok()?;
            Some(Caller { client: None, user: Arc::new(user) })
        })
    }
}
