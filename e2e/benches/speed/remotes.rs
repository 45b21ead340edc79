//! Who is asked? Git remotes in another process: git's own server, and one that has its answers ready.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use ger_git::backend::{Server, quiet_git};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::process::{Peer, say};

/// How many refs the repositories have.
pub(crate) const REFS: [usize; 3] = [1, 100, 10_000];

/// `ls-refs` without any prefix: all refs, as for somebody who ignores prefixes.
const QUESTION: &[u8] = b"0014command=ls-refs\n0001" as &[u8];
const QUESTION_END: &[u8] = b"0009peel\n000csymrefs\n0000";

/// The remotes, as long as they are held.
pub(crate) struct Remotes {
    said: Value,
    _peer: Peer,
}

impl Remotes {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut peer = Peer::start("remotes", &[])?;
        Ok(Self { said: peer.hear()?, _peer: peer })
    }

    /// A server that spawns `git http-backend` for each request.
    pub(crate) fn backend(&self, refs: usize) -> String {
        self.url("backend", refs)
    }

    /// A server that sends what git said once, whatever is asked: all refs.
    pub(crate) fn canned(&self, refs: usize) -> String {
        self.url("canned", refs)
    }

    /// The same over TLS.
    pub(crate) fn canned_tls(&self, refs: usize) -> String {
        self.url("tls", refs)
    }

    /// What `main` is at in the canned repository with one ref.
    pub(crate) fn commit(&self) -> &str {
        self.said["commit"].as_str().unwrap_or_default()
    }

    fn url(&self, which: &str, refs: usize) -> String {
        format!("{}/refs-{refs}", self.said[which].as_str().unwrap_or_default())
    }
}

/// Serves until the input ends.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let server = Server::start(root.path()).await?;
    let mut answers = BTreeMap::new();
    let mut commits = Vec::new();
    for refs in REFS {
        let name = format!("refs-{refs}");
        let commit = server.create_repo(&name, &[("README.md", "Hello\n")]).await?;
        let mut updates = String::new();
        for i in 1..refs {
            writeln!(updates, "create refs/heads/feature-{i:05} {commit}")?;
        }
        server.git_in(&name, &["update-ref", "--stdin"], updates.as_bytes()).await?;
        server.git_in(&name, &["pack-refs", "--all"], b"").await?;
        answers.insert(refs, record(&root.path().join(&name)).await?);
        commits.push(commit.to_string());
    }
    let router = Router::new().fallback(answer).with_state(Arc::new(answers));

    let mut serving = JoinSet::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let canned = format!("http://{}", listener.local_addr()?);
    let (plain, over_tls) = (router.clone(), router);
    serving.spawn(async move { axum::serve(listener, plain).await });
    let listener = Tls::bind().await?;
    let tls = format!("https://{}", listener.listener.local_addr()?);
    serving.spawn(async move { axum::serve(listener, over_tls).await });

    let backend = server.url("");
    let backend = backend.trim_end_matches('/');
    say(&json!({ "backend": backend, "canned": canned, "tls": tls, "commit": commits[0] }))?;
    until_input_ends().await
}

async fn until_input_ends() -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {}
    Ok(())
}

/// What git says of a repository: its capabilities, and its refs.
#[derive(Clone)]
struct Recorded {
    capabilities: Bytes,
    refs: Bytes,
}

async fn record(repository: &Path) -> anyhow::Result<Recorded> {
    let question = [QUESTION, QUESTION_END].concat();
    let capabilities = upload_pack(repository, &["--stateless-rpc", "--advertise-refs"], b"");
    let capabilities = capabilities.await?;
    let refs = upload_pack(repository, &["--stateless-rpc"], &question).await?;
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

/// `/refs-<how many>…/info/refs` and `/refs-<how many>…/git-upload-pack`.
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
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Tls {
    async fn bind() -> anyhow::Result<Self> {
        let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], PrivateKeyDer::from(key))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
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
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
