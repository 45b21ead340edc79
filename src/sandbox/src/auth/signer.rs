//! What makes a token one of this cluster: a key that signs claims, and tells its own from others.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};

/// Checks of signatures are dear, and the same few tokens come again and again.
const KNOWN: usize = 1024;

/// The key of service account tokens.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    /// The same as it is kept.
    document: Vec<u8>,
    id: String,
    known: Mutex<HashMap<String, Arc<Value>>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Signer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Signer {
    /// A new key; nothing when the system has no randomness.
    pub(crate) fn new() -> Option<Self> {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).ok()?;
        Self::restored(document.as_ref())
    }

    /// The key of a document; nothing when it holds none.
    pub(crate) fn restored(document: &[u8]) -> Option<Self> {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::from_pkcs8(kind, document, &random).ok()?;
        let id = BASE64.encode(digest(&SHA256, key.public_key().as_ref()));
        Some(Self { key, document: document.to_vec(), id, known: Mutex::default() })
    }

    /// The key in PKCS #8.
    pub(crate) fn document(&self) -> &[u8] {
        &self.document
    }

    /// A token that carries claims.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let head = json!({ "alg": "ES256", "kid": self.id }).to_string();
        let mut token = format!("{}.{}", BASE64.encode(head), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        token.push_str(&BASE64.encode(signature));
        Some(token)
    }

    /// The claims of a token that was signed here.
    pub(crate) fn read(&self, token: &str) -> Option<Arc<Value>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = known().get(token) {
            return Some(Arc::clone(claims));
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = BASE64.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key());
        key.verify(signed.as_bytes(), &signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims = Arc::new(serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?);
        let mut known = known();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(token.to_owned(), Arc::clone(&claims));
        Some(claims)
    }

    /// The public half, as others fetch it to check tokens themselves.
    pub(crate) fn public(&self) -> Value {
        let point = self.key.public_key().as_ref();
        // An uncompressed point: one byte that says so, then both coordinates.
        let (x, y) = (point.get(1..33), point.get(33..65));
        json!({
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
            "x": BASE64.encode(x.unwrap_or_default()), "y": BASE64.encode(y.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;
    use serde_json::json;

    #[test]
    fn a_token_is_read_by_its_signer_alone() {
        let (one, two) = (Signer::new().unwrap(), Signer::new().unwrap());
        let claims = json!({ "sub": "x" });

        let token = one.sign(&claims).unwrap();

        assert_eq!(one.read(&token).as_deref(), Some(&claims));
        assert_eq!(two.read(&token), None);
        assert_eq!(one.read(&format!("{token}A")), None);
    }
}
