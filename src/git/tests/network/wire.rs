//! What goes over the wire: how many connections, with which encryption, and whether git's own
//! client gets on with our server.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::serve::{Listener, ListenerExt as _};
use ger_git::{
    Client, Commit, Error, FetchOptions, Reference, Remote, Tls, Want,
    backend::{Backend, Server},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer},
    server::TlsStream,
};

use crate::support::{Site, remote};

/// Speaks TLS with a certificate that nobody has signed.
struct SelfSigned {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl SelfSigned {
    async fn bind() -> Self {
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

impl Listener for SelfSigned {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            // Who does not trust us hangs up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn repository() -> (tempfile::TempDir, Commit) {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path()).await.unwrap();
    let commit = server.create_repo("app", &[("a", "1")]).await.unwrap();
    (root, commit)
}

async fn fetch(remote: Remote) -> Result<Commit, Error> {
    let work = move || {
        let directory = tempfile::tempdir().unwrap();
        let want = Want { commit: None, reference: Some(Reference::branch("main").unwrap()) };
        ger_git::fetch(&remote, &want, directory.path(), &FetchOptions::default())
    };
    tokio::task::spawn_blocking(work).await.unwrap().map(|it| it.commit)
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_unless_the_resource_says_otherwise() {
    let (root, commit) = repository().await;
    let listener = SelfSigned::bind().await;
    let uri = format!("https://{}/app", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    let router = Backend::new(root.path()).router();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();

    let trusting = Remote { tls: Tls::SkipVerify, ..remote(&uri) };
    assert_eq!(client.resolve(&trusting, &main).await.unwrap(), commit);
    assert_eq!(fetch(trusting).await.unwrap(), commit);

    for refused in [
        client.resolve(&remote(&uri), &main).await.unwrap_err(),
        fetch(remote(&uri)).await.unwrap_err(),
    ] {
        // A machine without any root certificates cannot even begin.
        assert!(matches!(refused, Error::Talk { .. } | Error::Client { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn checks_share_a_connection() {
    let (root, _commit) = repository().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let uri = format!("http://{}/app", listener.local_addr().unwrap());
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let listener = listener.tap_io(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut serving = JoinSet::new();
    let router = Backend::new(root.path()).router();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();

    for _ in 0..10 {
        client.resolve(&remote(&uri), &main).await.unwrap();
    }

    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

/// A change is pushed as a user does it, and seen by the next check.
#[tokio::test]
async fn git_itself_clones_and_pushes() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let work = tempfile::tempdir().unwrap();
    let at = work.path().join("app");
    let at = at.to_str().unwrap();
    let git = async |arguments: &[&str]| site.server.git_in("app", arguments, b"").await.unwrap();

    git(&["clone", "--quiet", &site.server.url("app"), at]).await;
    // Large enough to be sent in chunks.
    let noise =
        (0..400_000_u32).map(|it| it.wrapping_mul(2_654_435_761)).flat_map(u32::to_le_bytes);
    fs::write(work.path().join("app/noise"), noise.collect::<Vec<_>>()).unwrap();
    git(&["-C", at, "--git-dir=.git", "--work-tree=.", "add", "noise"]).await;
    git(&["-C", at, "commit", "--quiet", "-m", "push me"]).await;
    git(&["-C", at, "push", "--quiet", "origin", "main"]).await;

    let pushed = git(&["-C", at, "rev-parse", "HEAD"]).await;
    let main = Reference::branch("main").unwrap();
    let seen = Client::new().unwrap().resolve(&site.remote("app"), &main).await.unwrap();
    assert_eq!(seen.as_str(), pushed);
}

#[tokio::test]
async fn a_stopped_server_answers_nobody() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path()).await.unwrap();
    server.create_repo("app", &[("a", "1")]).await.unwrap();
    let remote = remote(&server.url("app"));
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();
    client.resolve(&remote, &main).await.unwrap();

    server.stop().await;

    let refused = client.resolve(&remote, &main).await.unwrap_err();
    assert!(matches!(refused, Error::Talk { .. }), "{refused:?}");
}
