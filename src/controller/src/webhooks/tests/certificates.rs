//! Is a changed certificate served to who comes next, without harm to who is there?

use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::tls::{self, Current, Origin};
use super::*;
use crate::config::Certificate;

/// A certificate that vouches for itself, and its key: both as PEM, and what is to be trusted.
fn pair() -> (String, String, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["hooks.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem(), made.cert.der().clone())
}

fn make(folder: &Path) -> CertificateDer<'static> {
    let (certificate, key, trusted) = pair();
    std::fs::write(folder.join("tls.crt"), certificate).unwrap();
    std::fs::write(folder.join("tls.key"), key).unwrap();
    trusted
}

/// Puts a new certificate into a Secret of the hub, as cert-manager does.
async fn renew(secrets: &Api<Secret>) -> CertificateDer<'static> {
    let (certificate, key, trusted) = pair();
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hooks-tls" },
        "type": "kubernetes.io/tls", "stringData": { "tls.crt": certificate, "tls.key": key },
    });
    let params = PatchParams::apply("cert-manager");
    secrets.patch("hooks-tls", &params, &Patch::Apply(&secret)).await.unwrap();
    trusted
}

struct Served {
    folder: tempfile::TempDir,
    current: Arc<Current>,
    door: Door,
    _following: JoinSet<()>,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::Files {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
        };
        Self::from(origin, folder)
    }

    fn from(origin: Origin, folder: tempfile::TempDir) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let current = Arc::new(Current::default());
        let tls = Some(TlsAcceptor::from(tls::config(Arc::clone(&current))));
        let door = Door { tls, ..door(8) };
        let mut following = JoinSet::new();
        let metrics = door.metrics.clone();
        following.spawn(tls::follow(
            origin,
            Arc::clone(&current),
            metrics,
            CancellationToken::new(),
        ));
        Self { folder, current, door, _following: following }
    }

    fn loads(&self, result: &str) -> u64 {
        self.door.metrics.webhooks.certificates.with_label_values(&[result]).get()
    }

    async fn until_loaded(&self, result: &str, times: u64) {
        let loaded = async {
            while self.loads(result) < times {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), loaded).await.expect("it is loaded in time");
    }

    /// A connection by somebody who trusts this certificate alone.
    async fn connect(
        &self,
        trusted: &CertificateDer<'static>,
        protocol: &[u8],
    ) -> std::io::Result<(TlsStream<DuplexStream>, JoinSet<()>)> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let (stream, serving) = connect(self.door.clone());
        let name = ServerName::try_from("hooks.test").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok((stream, serving))
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_served_and_no_connection_drops() {
    let served = Served::new();
    let old = make(served.folder.path());
    served.until_loaded("ok", 1).await;
    let (mut stays, _one) = served.connect(&old, b"http/1.1").await.unwrap();
    stays.write_all(CALL).await.unwrap();
    assert!(one_answer(&mut stays).await.starts_with("HTTP/1.1 202 "));

    let new = make(served.folder.path());
    served.until_loaded("ok", 2).await;

    let (mut comes, _two) = served.connect(&new, b"http/1.1").await.unwrap();
    comes.write_all(CALL).await.unwrap();
    assert!(one_answer(&mut comes).await.starts_with("HTTP/1.1 202 "));
    assert!(served.connect(&old, b"http/1.1").await.is_err(), "the old one is not shown any more");
    stays.write_all(CALL).await.unwrap();
    assert!(one_answer(&mut stays).await.starts_with("HTTP/1.1 202 "), "it was there before");
}

/// A Secret that does not exist yet, is made, is renewed, and is broken for a while.
#[tokio::test(start_paused = true)]
async fn a_certificate_of_a_secret_is_served_and_reloaded_when_it_is_renewed() {
    let sandbox = Sandbox::new("hub");
    let hub = Client::new(sandbox.client_router("test"), "default");
    let secrets: Api<Secret> = Api::default_namespaced(hub.clone());
    let certificate = Certificate::Secret { name: "hooks-tls".to_owned(), namespace: None };
    let origin = Origin::of(&certificate, hub, "default");
    let served = Served::from(origin, tempfile::tempdir().unwrap());
    served.until_loaded("error", 1).await;
    let old = renew(&secrets).await;
    served.until_loaded("ok", 1).await;
    let (mut stays, _one) = served.connect(&old, b"http/1.1").await.unwrap();
    stays.write_all(CALL).await.unwrap();
    assert!(one_answer(&mut stays).await.starts_with("HTTP/1.1 202 "));

    let new = renew(&secrets).await;
    served.until_loaded("ok", 2).await;

    let (mut comes, _two) = served.connect(&new, b"http/1.1").await.unwrap();
    comes.write_all(CALL).await.unwrap();
    assert!(one_answer(&mut comes).await.starts_with("HTTP/1.1 202 "));
    assert!(served.connect(&old, b"http/1.1").await.is_err(), "the old one is not shown any more");
    stays.write_all(CALL).await.unwrap();
    assert!(one_answer(&mut stays).await.starts_with("HTTP/1.1 202 "), "it was there before");
    let errors = served.loads("error");
    secrets.delete("hooks-tls", &DeleteParams::default()).await.unwrap();
    served.until_loaded("error", errors + 1).await;
    assert!(served.connect(&new, b"http/1.1").await.is_ok(), "the last good one is kept");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_changes_nothing() {
    let served = Served::new();
    served.until_loaded("error", 1).await;
    assert!(!served.current.is_there(), "there are no files yet");
    let good = make(served.folder.path());
    served.until_loaded("ok", 1).await;

    for (file, text) in [("tls.crt", "nothing"), ("tls.key", "nothing")] {
        let before = std::fs::read(served.folder.path().join(file)).unwrap();
        let errors = served.loads("error");
        std::fs::write(served.folder.path().join(file), text).unwrap();
        served.until_loaded("error", errors + 1).await;
        assert!(served.connect(&good, b"http/1.1").await.is_ok(), "{file}");
        std::fs::write(served.folder.path().join(file), before).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    // The key of another certificate.
    let key = std::fs::read(served.folder.path().join("tls.key")).unwrap();
    make(served.folder.path());
    std::fs::write(served.folder.path().join("tls.key"), key).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(served.connect(&good, b"http/1.1").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn callers_that_know_http_2_are_answered_in_it() {
    let served = Served::new();
    let trusted = make(served.folder.path());
    served.until_loaded("ok", 1).await;

    let (stream, _serving) = served.connect(&trusted, b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let io = TokioIo::new(stream);
    let (mut caller, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let call = || {
        let request = Request::post("https://hooks.test/apps/deploy").body(Body::from("{}"));
        request.unwrap()
    };

    let mut beside = caller.clone();
    let (one, other) = futures::join!(caller.send_request(call()), beside.send_request(call()));

    assert_eq!(one.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(other.unwrap().status(), StatusCode::ACCEPTED);
}
