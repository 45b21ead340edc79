//! A certificate authority of the cluster's own, and what it signs.

use std::{fmt, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::error::Error;

/// Who vouches for the cluster's servers.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

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
        Ok(Self(issuer))
    }

    /// What others must trust.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
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
        let signed = server.signed_by(&key, &self.0).map_err(certificate)?;

        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = |source| Error::Tls { source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], private)
            .map_err(tls)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
