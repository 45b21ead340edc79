//! With which certificate is served? From files or a Secret, looked at again and again; a connection
//! keeps the one that it began with, and what cannot be used changes nothing.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::config::Certificate;
use crate::metrics::Metrics;

/// A file that was changed is noticed within this, a Secret within five times as long.
const LOOK: Duration = Duration::from_secs(2);
/// Looks at files between two looks at a Secret, which are requests.
const LOOKS_PER_REQUEST: u32 = 5;

/// What keeps a certificate from being used. Holds no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot read {path}")]
    ReadFile { path: PathBuf, source: std::io::Error },

    #[error("cannot read the Secret {namespace}/{name}")]
    ReadSecret { namespace: String, name: String, source: Box<kube::Error> },

    #[error("the Secret {namespace}/{name} has no key {key}; its type should be kubernetes.io/tls")]
    NoKey { namespace: String, name: String, key: &'static str },

    #[error("the certificate is not PEM with at least one certificate in it")]
    Certificate,

    #[error("the private key is not PEM of a key that can be used")]
    PrivateKey,

    #[error("the private key is not the certificate's")]
    Mismatch,
}

/// Where the certificate is.
#[derive(Clone)]
pub(super) enum Origin {
    Files { certificate: PathBuf, key: PathBuf },
    Secret { hub: Client, namespace: String, name: String },
}

/// The certificate that new connections get.
#[derive(Debug, Default)]
pub(super) struct Current {
    certified: RwLock<Option<Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}

impl Origin {
    pub(super) fn of(certificate: &Certificate, hub: Client, home: &str) -> Self {
        match certificate {
            Certificate::Files { certificate, key } => {
                Self::Files { certificate: certificate.clone(), key: key.clone() }
            }
            Certificate::Secret { name, namespace } => {
                let namespace = namespace.clone().unwrap_or_else(|| home.to_owned());
                Self::Secret { hub, namespace, name: name.clone() }
            }
        }
    }

    /// The certificates and the key, as they are written there.
    async fn read(&self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        match self {
            Self::Files { certificate, key } => {
                let read = async |path: &PathBuf| {
                    let read = tokio::fs::read(path).await;
                    read.map_err(|source| Error::ReadFile { path: path.clone(), source })
                };
                Ok((read(certificate).await?, read(key).await?))
            }
            Self::Secret { hub, namespace, name } => {
                let secrets: Api<Secret> = Api::namespaced(hub.clone(), namespace);
                let secret = secrets.get(name).await.map_err(|source| Error::ReadSecret {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    source: Box::new(source),
                })?;
                let mut data = secret.data.unwrap_or_default();
                let mut of = |key: &'static str| {
                    let value = data.remove(key).map(|it| it.0);
                    let (namespace, name) = (namespace.clone(), name.clone());
                    value.ok_or(Error::NoKey { namespace, name, key })
                };
                Ok((of("tls.crt")?, of("tls.key")?))
            }
        }
    }

    fn looks_between(&self) -> u32 {
        match self {
            Self::Files { .. } => 1,
            Self::Secret { .. } => LOOKS_PER_REQUEST,
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Current {
    /// Whether there is one: without, every handshake fails.
    pub(super) fn is_there(&self) -> bool {
        self.certified.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn set(&self, certified: CertifiedKey) {
        let certified = Some(Arc::new(certified));
        *self.certified.write().unwrap_or_else(PoisonError::into_inner) = certified;
    }
}

/// What connections are accepted with: HTTP/2 where the caller knows it.
pub(super) fn config(current: Arc<Current>) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(current);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Keeps the certificate as it is at its origin, until `stop`.
pub(super) async fn follow(
    origin: Origin,
    current: Arc<Current>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut known = None;
    let mut complained = None;
    loop {
        match look(&origin, known).await {
            Ok(None) => complained = None,
            Ok(Some((digest, certified))) => {
                current.set(certified);
                known = Some(digest);
                complained = None;
                metrics.webhooks.certificates.with_label_values(&["ok"]).inc();
                tracing::info!("the webhook server's certificate is loaded");
            }
            Err(error) => {
                let text = format!("{:#}", anyhow::Error::new(error));
                // Said once for each way in which it fails.
                if complained.as_deref() != Some(text.as_str()) {
                    metrics.webhooks.certificates.with_label_values(&["error"]).inc();
                    tracing::error!(
                        is_served = current.is_there(),
                        "the webhook server's certificate is not loaded: {text}"
                    );
                }
                complained = Some(text);
            }
        }
        let again = tokio::time::sleep(LOOK * origin.looks_between());
        tokio::select! {
            () = stop.cancelled() => return,
            () = again => {}
        }
    }
}

type Found = Option<([u8; 32], CertifiedKey)>;

/// The certificate, if it is another one than is known.
async fn look(origin: &Origin, known: Option<[u8; 32]>) -> Result<Found, Error> {
    let (certificate, key) = origin.read().await?;
    let digest: [u8; 32] = Sha256::new()
        .chain_update((certificate.len() as u64).to_be_bytes())
        .chain_update(&certificate)
        .chain_update(&key)
        .finalize()
        .into();
    if known == Some(digest) {
        return Ok(None);
    }
    Ok(Some((digest, certified(&certificate, &key)?)))
}

fn certified(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, Error> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.ok().filter(|it| !it.is_empty()).ok_or(Error::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Error::PrivateKey)?;
    let key =
        rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| Error::PrivateKey)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // What cannot be compared is found out by who connects.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(rustls::Error::InvalidCertificate(_)) => Err(Error::Certificate),
        Err(_) => Err(Error::Mismatch),
    }
}
