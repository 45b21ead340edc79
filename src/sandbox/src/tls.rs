//! A certificate authority of the cluster's own, and what it signs.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{self, CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use crate::{auth::User, error::Error};

/// Whom each client's certificate was issued to, and until when it is good.
type Issued = HashMap<Vec<u8>, (Arc<User>, Timestamp)>;

/// Who vouches for the cluster's servers, and for clients.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    issued: Mutex<Issued>,
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
        let clients = Asking { authorities: roots.subjects(), provider: Arc::clone(&provider) };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_client_cert_verifier(Arc::new(clients))
            .with_single_cert(vec![signed.der().clone()], private)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// A certificate and a key, in PEM, that prove somebody until then.
    pub(crate) fn issue(
        &self,
        (user, groups): (&str, &[&str]),
        ends: Timestamp,
    ) -> Result<(String, String), Error> {
        let mut client = CertificateParams::default();
        let since_epoch = u64::try_from(ends.as_second()).unwrap_or_default();
        client.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since_epoch);
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
        issued.insert(signed.der().to_vec(), (Arc::new(User::of(user, groups)), ends));
        Ok((signed.pem(), key.serialize_pem()))
    }

    /// Whom a certificate was issued to, if it is good at that time.
    pub(crate) fn owner(
        &self,
        certificate: &CertificateDer<'_>,
        now: Timestamp,
    ) -> Option<Arc<User>> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, ends) = issued.get(certificate.as_ref())?;
        (now <= *ends).then(|| Arc::clone(user))
    }
}

/// Asks clients for a certificate and judges none: as with an API server, a connection is made with any, and
/// each request is judged.
#[derive(Debug)]
struct Asking {
    authorities: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
