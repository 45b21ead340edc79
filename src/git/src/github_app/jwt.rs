//! How does an App say who it is? A JWT, signed with RS256, good for nine minutes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::json;

use super::error::Error;
use crate::Secret;

/// Clocks differ: the host's may be behind ours.
const BACKDATED: i64 = 60;
/// The host takes ten minutes at most.
const GOOD_FOR: i64 = 9 * 60;

/// What goes behind `Bearer`.
pub(super) fn sign(app: &str, key: &Secret, now: Timestamp) -> Result<String, Error> {
    let key = read(key)?;
    let now = now.as_second();
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let claims = json!({
        "iat": now.saturating_sub(BACKDATED),
        "exp": now.saturating_add(GOOD_FOR),
        "iss": app,
    });
    let part = |it: &serde_json::Value| URL_SAFE_NO_PAD.encode(it.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| Error::Sign)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn read(key: &Secret) -> Result<RsaKeyPair, Error> {
    let key = match PrivateKeyDer::from_pem_slice(key.expose()) {
        Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        Ok(_) | Err(_) => return Err(Error::Key),
    };
    key.map_err(|_| Error::Key)
}
