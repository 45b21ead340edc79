//! Who is asked, as whom, and for how long? Everything about a remote that a request needs.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;

use crate::RepoUri;

/// Bytes that are never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The bytes, for a header or a file and nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl<T: AsRef<[u8]>> From<T> for Secret {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a remote is shown to let us in.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Basic …`
    Basic {
        /// The name; it may hold no colon.
        username: Secret,
        /// The password, as it is.
        password: Secret,
    },
    /// The whole value of `Authorization`. A line break at its end is the editor's and dropped.
    Token(Secret),
    /// A private key, for ssh alone.
    Ssh(SshKey),
}

/// A private key, and whom to believe that it is the server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SshKey {
    /// OpenSSH or PEM; ed25519, ecdsa or rsa.
    pub private_key: Secret,
    /// What the key is encrypted with.
    pub passphrase: Option<Secret>,
    /// How the server proves who it is.
    pub host_keys: HostKeys,
}

/// Which host keys are believed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum HostKeys {
    /// Those of the well-known hosts, which are built in.
    #[default]
    Pinned,
    /// Those in the content of a `known_hosts` file: of a host that it names, it alone counts. A
    /// well-known host that it does not name is known as ever; without a line that can be used, the file
    /// believes nobody.
    Known(Secret),
    /// Whichever is shown first. Whoever is between us and the server then may stay there.
    FirstUse,
}

/// A credential that no header can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsendable;

impl Auth {
    /// The value of `Authorization`, marked so that no library logs it.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, Unsendable> {
        let bytes = match self {
            Self::None => return Ok(None),
            // A key is shown to nobody, least of all over http.
            Self::Ssh(_) => return Err(Unsendable),
            Self::Basic { username, password } => {
                if username.expose().contains(&b':') {
                    return Err(Unsendable);
                }
                let pair = [username.expose(), b":", password.expose()].concat();
                format!("Basic {}", STANDARD.encode(pair)).into_bytes()
            }
            Self::Token(value) => value.expose().trim_ascii_end().to_vec(),
        };
        let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| Unsendable)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Certificates that are trusted beside the system's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaBundle(Arc<[u8]>);

/// Bytes that hold no certificate, or one that does not parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a bundle of PEM certificates")]
pub struct NotCertificates;

impl CaBundle {
    /// Takes PEM: one certificate or more.
    pub fn parse(pem: &[u8]) -> Result<Self, NotCertificates> {
        let bundle = Self(pem.into());
        let count = bundle.certificates().map_err(|_| NotCertificates)?.len();
        if count == 0 { Err(NotCertificates) } else { Ok(bundle) }
    }

    /// The certificates, as an http client takes them.
    pub(crate) fn certificates(&self) -> Result<Vec<reqwest::Certificate>, reqwest::Error> {
        reqwest::Certificate::from_pem_bundle(&self.0)
    }
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({} bytes)", self.0.len())
    }
}

/// Whether the server must prove who it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Tls {
    /// Against the system's roots.
    #[default]
    Verify,
    /// Against the system's roots and these.
    VerifyWith(CaBundle),
    /// Not at all.
    SkipVerify,
}

/// A repository on a server, and how to ask for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Remote {
    /// Where it is.
    pub uri: RepoUri,
    /// As whom to ask: an ssh key for ssh, anything else for http(s), nothing for `git://`.
    pub auth: Auth,
    /// Whether the server is verified; for https alone.
    pub tls: Tls,
    /// One check or one fetch takes no longer, however slowly the server drips.
    pub timeout: Duration,
}

impl Remote {
    /// Asks as nobody in particular, for at most 30 s.
    pub fn new(uri: RepoUri) -> Self {
        Self { uri, auth: Auth::None, tls: Tls::Verify, timeout: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let auth = Auth::Basic { username: "user".into(), password: "hunter2".into() };

        let shown = format!("{auth:?} {:?} {:?}", Auth::Token("hunter2".into()), auth.header());

        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy"), "{shown}");
    }

    #[test]
    fn headers_carry_what_the_secret_says() {
        let basic = Auth::Basic { username: "user".into(), password: "pa:ss".into() };
        let token = Auth::Token("Bearer abc\n".into());

        assert_eq!(basic.header().unwrap().unwrap(), "Basic dXNlcjpwYTpzcw==");
        assert_eq!(token.header().unwrap().unwrap(), "Bearer abc");
        assert_eq!(Auth::None.header(), Ok(None));
    }

    #[test]
    fn a_credential_cannot_add_a_header() {
        let token = Auth::Token("Bearer a\r\nX-Evil: 1".into());
        let basic = Auth::Basic { username: "a:b".into(), password: "c".into() };

        assert_eq!(token.header(), Err(Unsendable));
        assert_eq!(basic.header(), Err(Unsendable));
    }
}
