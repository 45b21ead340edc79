//! Whose certificates are believed: those of the system and of the bundle that the resource names,
//! or, where it says so, anybody's.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{Router, response::IntoResponse as _, serve::Listener};
use ger_git::{
    Auth, CaBundle, Client, Commit, Error, FetchOptions, Reference, Remote, Tls, Want,
    backend::{Backend, Server},
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer},
    server::TlsStream,
};

use crate::{
    redirects::{Recorder, moved},
    support::remote,
};

/// Somebody who signs certificates, unknown to the world.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn bundle(&self) -> Tls {
        Tls::VerifyWith(CaBundle::parse(self.certificate.pem().as_bytes()).unwrap())
    }

    async fn listen(&self, name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Signed { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

/// Speaks TLS with a certificate that the authority has signed.
struct Signed {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Signed {
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

/// A repository behind TLS.
struct Site {
    remote: Remote,
    commit: Commit,
    _root: tempfile::TempDir,
    _serving: JoinSet<()>,
}

impl Site {
    async fn start(listener: Signed) -> Self {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(root.path()).await.unwrap();
        let commit = server.create_repo("app", &[("a", "1")]).await.unwrap();
        let remote = remote(&format!("https://{}/app", listener.local_addr().unwrap()));
        let serving = serve(listener, Backend::new(root.path()).router());
        Self { remote, commit, _serving: serving, _root: root }
    }

    fn verified(&self, tls: Tls) -> Remote {
        Remote { tls, ..self.remote.clone() }
    }
}

fn serve(listener: Signed, router: Router) -> JoinSet<()> {
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    serving
}

async fn resolve(client: &Client, remote: &Remote) -> Result<Commit, Error> {
    let main = Reference::branch("main").unwrap();
    client.resolve(remote, &main).await.map(|it| it.commit)
}

async fn fetch(remote: Remote) -> Result<Commit, Error> {
    let work = move || {
        let directory = tempfile::tempdir().unwrap();
        let want = Want { commit: None, reference: Some(Reference::branch("main").unwrap()) };
        ger_git::fetch(&remote, &want, directory.path(), &FetchOptions::default())
    };
    tokio::task::spawn_blocking(work).await.unwrap().map(|it| it.commit)
}

/// A machine without any root certificates cannot even begin.
fn is_about_trust(error: &Error) -> bool {
    matches!(error, Error::Talk { .. } | Error::Client { .. })
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_unless_the_resource_says_otherwise() {
    let site = Site::start(Authority::new().listen("127.0.0.1").await).await;
    let client = Client::new().unwrap();

    let trusting = site.verified(Tls::SkipVerify);
    assert_eq!(resolve(&client, &trusting).await.unwrap(), site.commit);
    assert_eq!(fetch(trusting).await.unwrap(), site.commit);

    let verifying = site.verified(Tls::Verify);
    for refused in
        [resolve(&client, &verifying).await.unwrap_err(), fetch(verifying).await.unwrap_err()]
    {
        assert!(is_about_trust(&refused), "{refused:?}");
    }
}

#[tokio::test]
async fn the_bundle_of_a_resource_is_believed_for_that_resource_alone() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let site = Site::start(ours.listen("127.0.0.1").await).await;
    let client = Client::new().unwrap();

    for _ in 0..3 {
        let trusted = site.verified(ours.bundle());
        assert_eq!(resolve(&client, &trusted).await.unwrap(), site.commit);
        // The connection that is open for one who trusts is not for one who does not.
        for tls in [Tls::Verify, theirs.bundle()] {
            let refused = resolve(&client, &site.verified(tls)).await.unwrap_err();
            assert!(is_about_trust(&refused), "{refused:?}");
        }
    }

    let exchanged = client.traffic().by_host()[site.remote.uri.host()];
    assert_eq!(exchanged.connections, 1, "{exchanged:?}");
}

#[tokio::test]
async fn a_bundle_may_hold_many_certificates_and_the_name_must_be_right() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let both = theirs.certificate.pem() + &ours.certificate.pem();
    let both = Tls::VerifyWith(CaBundle::parse(both.as_bytes()).unwrap());
    let client = Client::new().unwrap();

    let right = Site::start(ours.listen("127.0.0.1").await).await;
    assert_eq!(resolve(&client, &right.verified(both.clone())).await.unwrap(), right.commit);

    let other = Site::start(ours.listen("git.example.org").await).await;
    let refused = resolve(&client, &other.verified(both)).await.unwrap_err();
    assert!(is_about_trust(&refused), "{refused:?}");
}

#[tokio::test]
async fn b5_what_was_asked_over_tls_is_never_asked_without() {
    let below = Recorder::start(|_| "".into_response()).await;
    let location = format!("{}/git-upload-pack", below.remote.uri);
    let listener = Authority::new().listen("127.0.0.1").await;
    let uri = format!("https://{}/app", listener.local_addr().unwrap());
    let router = Router::new().fallback(move || async move { moved(&location) });
    let _serving = serve(listener, router);
    let client = Client::new().unwrap();

    let auth = Auth::Token("Bearer hunter2".into());
    let remote = Remote { auth, tls: Tls::SkipVerify, ..remote(&uri) };
    let refused = resolve(&client, &remote).await.unwrap_err();

    assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");
    assert_eq!(below.asked(), Vec::<String>::new());
}
