//! A certificate authority of the cluster's own, and what it signs.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

use crate::{auth::User, error::Error};

/// Who vouches for the cluster's servers, and for clients.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Whom each client's certificate was issued to.
    issued: Mutex<HashMap<Vec<u8>, Arc<User>>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn certificate(source: rcgen::Error) -> Error {
    Error::Certificate { source }
}

impl Authority {
    pub(crate) fn found(cluster: &str) -> Result<Self, Error> {
        let mut authority = CertificateParams::default();
        let title = format!("{cluster} sandbox CA");
        authority.distinguished_name.push(DnType::CommonName, title);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(certificate)?;
        let issuer = CertifiedIssuer::self_signed(authority, key).map_err(certificate)?;
        Ok(Self { issuer, issued: Mutex::default() })
    }

    /// What others must trust.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// What a server needs to prove itself under the loopback names and one address.
    pub(crate) fn serve(&self, address: &str) -> Result<Arc<ServerConfig>, Error> {
        let mut names: Vec<String> =
            ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc"].map(str::to_owned).into();
        if !names.iter().any(|it| it == address) {
            names.push(address.to_owned());
        }
        let mut server = CertificateParams::new(names).map_err(certificate)?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(certificate)?;
        let signed = server.signed_by(&key, &self.issuer).map_err(certificate)?;

        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = |source| Error::Tls { source };
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).map_err(tls)?;
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|why| tls(rustls::Error::General(why.to_string())))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![signed.der().clone()], private)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// A certificate and a key, in PEM, that prove somebody.
    pub(crate) fn issue(&self, user: &str, groups: &[&str]) -> Result<(String, String), Error> {
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, user);
        if let [first, ..] = groups {
            client.distinguished_name.push(DnType::OrganizationName, *first);
        }
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        client.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(certificate)?;
        let signed = client.signed_by(&key, &self.issuer).map_err(certificate)?;
        // A name holds one organization here: who is who is known by the certificate as a whole.
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.insert(signed.der().to_vec(), Arc::new(User::of(user, groups)));
        Ok((signed.pem(), key.serialize_pem()))
    }

    /// Whom a certificate was issued to.
    pub(crate) fn owner(&self, certificate: &CertificateDer<'_>) -> Option<Arc<User>> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.get(certificate.as_ref()).cloned()
    }
}
