//! Has the caller shown what it must know? Over the body's bytes as they came, in constant time.

use ger_api::webhook_trigger::WebhookAuthKind;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::headers::{Headers, One};

/// Secrets of one trigger that are tried. More than two are a rotation that nobody finished.
const MOST_SECRETS: usize = 16;

type Hmac256 = Hmac<Sha256>;

/// What a caller shows of what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Nothing at all.
    Missing,
    /// Something that cannot be right.
    Malformed,
    /// The digest of a token, so that comparing takes no longer for one that is longer.
    Token([u8; 32]),
    /// HMAC-SHA256 of the body.
    Signature([u8; 32]),
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("authorization is required")]
    Missing,
    #[error("forbidden")]
    Wrong,
}

impl Presented {
    /// What is in the headers, by the way in which the trigger wants it. `header` is of the kind
    /// `Header`, in lower case.
    pub fn read(kind: WebhookAuthKind, header: &str, headers: &Headers<'_>) -> Self {
        match kind {
            WebhookAuthKind::Header => token(headers.one(header)),
            WebhookAuthKind::Gitlab => token(headers.one("x-gitlab-token")),
            WebhookAuthKind::Github => signature(headers.one("x-hub-signature-256"), "sha256="),
            WebhookAuthKind::Bitbucket => signature(headers.one("x-hub-signature"), "sha256="),
            WebhookAuthKind::Gitea => match headers.one("x-gitea-signature") {
                One::Missing => signature(headers.one("x-forgejo-signature"), ""),
                given @ (One::Value(_) | One::Several) => signature(given, ""),
            },
        }
    }
}

fn token(given: One<'_>) -> Presented {
    match given {
        One::Missing => Presented::Missing,
        One::Several => Presented::Malformed,
        One::Value(value) => Presented::Token(Sha256::digest(value).into()),
    }
}

/// Exactly what the forges send: the prefix, and 64 digits in lower case.
fn signature(given: One<'_>, prefix: &str) -> Presented {
    let value = match given {
        One::Missing => return Presented::Missing,
        One::Several => return Presented::Malformed,
        One::Value(value) => value,
    };
    let digits = value.strip_prefix(prefix.as_bytes());
    let decoded = digits.and_then(|it| data_encoding::HEXLOWER.decode(it).ok());
    let digest = decoded.and_then(|it| <[u8; 32]>::try_from(it).ok());
    digest.map_or(Presented::Malformed, Presented::Signature)
}

/// The secrets that count: of the keys `key`, and `key.` with anything behind it. A newline at the end
/// is a text editor's. An empty one is none, nor is one of blanks alone: everybody knows it.
pub fn candidates<'a>(
    values: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    key: &str,
) -> Vec<&'a [u8]> {
    let counts =
        |name: &str| name.strip_prefix(key).is_some_and(|it| it.is_empty() || it.starts_with('.'));
    let mut found = Vec::new();
    let is_known = |it: &[u8]| it.trim_ascii().is_empty();
    for (_, whole) in values.into_iter().filter(|(name, it)| counts(name) && !is_known(it)) {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        found.push(whole);
        if line.len() < whole.len() {
            found.push(line);
        }
    }
    found.truncate(MOST_SECRETS);
    found
}

/// Compares what was presented with every secret, while the body comes in.
#[derive(Clone)]
pub struct Verifier {
    presented: Presented,
    tokens: Vec<[u8; 32]>,
    signers: Vec<Hmac256>,
    /// Where there is only a token to compare: a signature all the same, which matches nothing. The time that
    /// a body takes does not tell how callers are known.
    decoy: Option<Hmac256>,
}

/// Signs what nobody asks for.
fn decoy() -> Option<Hmac256> {
    Hmac256::new_from_slice(b"nobody knows this one").ok()
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    /// With no secret nobody is let in.
    pub fn new(presented: Presented, secrets: &[&[u8]]) -> Self {
        let is_token = matches!(presented, Presented::Token(_));
        if is_token {
            let tokens = secrets.iter().map(|it| Sha256::digest(it).into()).collect();
            return Self { presented, tokens, signers: Vec::new(), decoy: decoy() };
        }
        let signer = |it: &&[u8]| Hmac256::new_from_slice(it).ok();
        let signers = secrets.iter().filter_map(signer).collect();
        Self { presented, tokens: Vec::new(), signers, decoy: None }
    }

    /// For a trigger that is not there: the same work, so that the time it takes does not tell.
    pub fn dummy() -> Self {
        Self {
            presented: Presented::Malformed,
            tokens: Vec::new(),
            signers: Vec::new(),
            decoy: decoy(),
        }
    }

    /// A piece of the body, as it came.
    pub fn update(&mut self, piece: &[u8]) {
        for signer in self.signers.iter_mut().chain(&mut self.decoy) {
            signer.update(piece);
        }
    }

    /// Whether one of the secrets is the one. All of them are compared, whichever it is.
    pub fn finish(self) -> Result<(), Refused> {
        drop(std::hint::black_box(self.decoy.map(Hmac256::finalize)));
        let signed = self.signers.into_iter().map(|it| it.finalize().into_bytes().into());
        let known: Vec<[u8; 32]> = self.tokens.into_iter().chain(signed).collect();
        let (presented, refused) = match self.presented {
            Presented::Missing => ([0; 32], Some(Refused::Missing)),
            Presented::Malformed => ([0; 32], Some(Refused::Wrong)),
            Presented::Token(digest) | Presented::Signature(digest) => (digest, None),
        };
        let mut is_known = Choice::from(0);
        for digest in &known {
            is_known |= digest.as_slice().ct_eq(&presented);
        }
        match refused {
            Some(refused) => Err(refused),
            None if bool::from(is_known) => Ok(()),
            None => Err(Refused::Wrong),
        }
    }
}

#[cfg(test)]
mod tests;
