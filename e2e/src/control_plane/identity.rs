//! Who is an API server, and whom does it know? An authority, a server, a signer, an administrator.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PublicKeyData as _,
};

/// All of it for one control plane, and for no other.
pub(super) struct Identity {
    pub(super) ca: String,
    /// The administrator's.
    pub(super) token: String,
    server: (String, String),
    signer: KeyPair,
}

impl Identity {
    pub(super) fn issue() -> Self {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "story CA");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, key());
        let authority = authority.expect("a certificate of ours can be signed");

        let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"].map(str::to_owned);
        let mut server = CertificateParams::new(names).expect("they are names");
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server_key = key();
        let signed = server.signed_by(&server_key, &authority);
        let signed = signed.expect("a certificate of ours can be signed");

        // A fresh key is as random as a token must be.
        let random = key();
        let random = random.der_bytes().last_chunk().expect("a key is longer");
        Self {
            ca: authority.pem(),
            token: format!("{:032x}", u128::from_be_bytes(*random)),
            server: (signed.pem(), server_key.serialize_pem()),
            signer: key(),
        }
    }

    /// Writes the files that an API server is started with.
    pub(super) fn write(&self, folder: &Path) {
        let (certificate, server_key) = &self.server;
        let files = [
            ("ca.crt", self.ca.clone()),
            ("server.crt", certificate.clone()),
            ("server.key", server_key.clone()),
            ("signer.key", self.signer.serialize_pem()),
            ("signer.pub", self.signer.public_key_pem()),
            ("tokens.csv", format!("{},admin,admin,\"system:masters\"\n", self.token)),
        ];
        std::fs::set_permissions(folder, Permissions::from_mode(0o700))
            .expect("the folder is ours");
        for (name, text) in files {
            super::write(folder, name, &text);
        }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the machine has randomness")
}
