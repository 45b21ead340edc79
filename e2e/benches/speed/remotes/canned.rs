//! What answers at once? What git said of a repository once, sent to whoever asks, over http and https.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use ger_git::backend::quiet_git;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// `ls-refs` without any prefix: all refs, as for somebody who ignores prefixes.
const QUESTION: &[u8] = b"0014command=ls-refs\n00010009peel\n000csymrefs\n0000";

/// What git says of a repository: its capabilities, and its refs.
#[derive(Clone)]
pub(crate) struct Recorded {
    capabilities: Bytes,
    refs: Bytes,
}

pub(crate) async fn record(repository: &Path) -> anyhow::Result<Recorded> {
    let capabilities = upload_pack(repository, &["--stateless-rpc", "--advertise-refs"], b"");
    let capabilities = capabilities.await?;
    let refs = upload_pack(repository, &["--stateless-rpc"], QUESTION).await?;
    Ok(Recorded { capabilities, refs })
}

async fn upload_pack(path: &Path, arguments: &[&str], input: &[u8]) -> anyhow::Result<Bytes> {
    let mut child = Command::new("git")
        .arg("upload-pack")
        .args(arguments)
        .arg(path)
        .envs(quiet_git())
        .env("GIT_PROTOCOL", "version=2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no input")?;
    stdin.write_all(input).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    anyhow::ensure!(output.stdout.ends_with(b"0000"), "git upload-pack gave no whole answer");
    Ok(output.stdout.into())
}

/// Answers `/refs-<how many>…/info/refs` and `/refs-<how many>…/git-upload-pack`.
pub(crate) fn router(answers: BTreeMap<usize, Recorded>) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(answers))
}

async fn answer(
    State(answers): State<Arc<BTreeMap<usize, Recorded>>>,
    uri: Uri,
    // Read to its end: a client that is answered before it has asked may take that for a failure.
    _question: Bytes,
) -> Response {
    let path = uri.path();
    let refs = path.trim_start_matches("/refs-").split(['-', '/']).next();
    let Some(it) = refs.and_then(|it| answers.get(&it.parse().ok()?)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (kind, body) = if path.ends_with("/info/refs") {
        ("application/x-git-upload-pack-advertisement", it.capabilities.clone())
    } else {
        ("application/x-git-upload-pack-result", it.refs.clone())
    };
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Accepts TLS, with HTTP/2 for those who want it, as public hosts do.
pub(crate) struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(crate) fn on(listener: TcpListener) -> anyhow::Result<Self> {
        let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], PrivateKeyDer::from(key))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                return pending().await;
            };
            // A held-back segment would be measured as ours.
            let _ = stream.set_nodelay(true);
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
