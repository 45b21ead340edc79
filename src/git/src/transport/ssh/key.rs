//! Which private key is it? Read from a Secret's bytes in every form that `ssh-keygen` writes; what
//! cannot be read says what to do. Nothing touches a disk.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5::pbes2::Kdf as Stretch};
use russh::keys::{
    Algorithm, PrivateKey, decode_secret_key,
    ssh_key::{self, Kdf},
};

use crate::{Secret, SshKey};

/// The longest RSA key that is in use, as PEM, has some 13 KiB.
const LONGEST: usize = 16 << 10;
/// `ssh-keygen -a` says 16 by default, and guides say 100: a second or two.
const MOST_ROUNDS: u32 = 1000;
/// What is recommended for PBKDF2 is 600,000.
const MOST_ITERATIONS: u32 = 5_000_000;
/// Memory that scrypt may take: its `N * r * 128`, eight times what OpenSSL takes.
const MOST_SCRYPT: u64 = 128 << 20;

/// A private key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Nothing that is known begins like this, or it is cut.
    #[error("it is no private key in OpenSSH or PEM form, or not all of one")]
    Form,
    /// The other half of the pair.
    #[error("it is a public key: the private one is needed")]
    Public,
    /// `PuTTY-User-Key-File-…`
    #[error("it is in PuTTY's form: export it with `puttygen KEY -O private-openssh`")]
    Putty,
    /// Encrypted PEM by a cipher that nothing writes any more.
    #[error("it is encrypted in an old form: rewrite it with `ssh-keygen -p -f KEY`")]
    Old,
    /// DSA, or a key that is in a piece of hardware.
    #[error("it is neither ed25519, ecdsa nor rsa")]
    Kind,
    /// Longer than any key.
    #[error("it is longer than 16 KiB")]
    Long,
    /// Somebody wants us to work for minutes.
    #[error("its encryption takes too long to undo: rewrite it with `ssh-keygen -p -a 100 -f KEY`")]
    Costly,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    Bad(BadKey),
    /// It is encrypted, and there is no passphrase.
    NoPassphrase,
    WrongPassphrase,
}

impl From<BadKey> for Unread {
    fn from(bad: BadKey) -> Self {
        Self::Bad(bad)
    }
}

/// Reads the key. Takes as long as its encryption takes: seconds at worst.
pub(super) fn read(key: &SshKey) -> Result<PrivateKey, Unread> {
    let bytes = key.private_key.expose();
    if bytes.len() > LONGEST {
        return Err(BadKey::Long.into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| BadKey::Form)?;
    let text = Pem::find(text)?;
    // An editor's line break at its end was never typed.
    let passphrase = key.passphrase.as_ref().map(Secret::expose);
    let passphrase = passphrase.map(|it| String::from_utf8_lossy(it.trim_ascii_end_of_line()));
    let private = text.decode(passphrase)?;
    match private.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(private),
        _ => Err(BadKey::Kind.into()),
    }
}

trait EndOfLine {
    fn trim_ascii_end_of_line(&self) -> &[u8];
}

impl EndOfLine for [u8] {
    fn trim_ascii_end_of_line(&self) -> &[u8] {
        let text = self.strip_suffix(b"\n").unwrap_or(self);
        text.strip_suffix(b"\r").unwrap_or(text)
    }
}

/// One key between its `BEGIN` and its `END`, without what editors and browsers add.
struct Pem {
    label: String,
    headers: Vec<String>,
    body: String,
}

impl Pem {
    fn find(text: &str) -> Result<Self, BadKey> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.starts_with("PuTTY-User-Key-File-") {
            return Err(BadKey::Putty);
        }
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.contains(" PUBLIC KEY-") {
            return Err(BadKey::Public);
        }
        let mut lines = text.lines().map(str::trim).filter(|it| !it.is_empty());
        // `openssl ecparam -genkey` writes the curve before the key.
        let label = lines.by_ref().find_map(|it| label(it, "BEGIN")).ok_or(BadKey::Form)?;
        let mut pem = Self { label: label.to_owned(), headers: Vec::new(), body: String::new() };
        for line in lines {
            if let Some(end) = self::label(line, "END") {
                let is_whole = end == pem.label;
                return is_whole.then_some(pem).ok_or(BadKey::Form);
            }
            if line.contains(':') {
                pem.headers.push(line.to_owned());
            } else {
                pem.body.push_str(line);
            }
        }
        Err(BadKey::Form)
    }

    fn decode(&self, passphrase: Option<Cow<'_, str>>) -> Result<PrivateKey, Unread> {
        let is_encrypted = self.headers.iter().any(|it| it.contains("ENCRYPTED"));
        match self.label.as_str() {
            "OPENSSH PRIVATE KEY" => self.decode_openssh(passphrase),
            "ENCRYPTED PRIVATE KEY" => self.decode_pkcs8(passphrase),
            "RSA PRIVATE KEY" if is_encrypted => {
                let cipher = self.headers.iter().find_map(|it| it.strip_prefix("DEK-Info:"));
                if !cipher.is_some_and(|it| it.trim().starts_with("AES-128-CBC,")) {
                    return Err(BadKey::Old.into());
                }
                let passphrase = passphrase.ok_or(Unread::NoPassphrase)?;
                self.hand_over(Some(&passphrase)).map_err(|_| Unread::WrongPassphrase)
            }
            "EC PRIVATE KEY" if is_encrypted => Err(BadKey::Old.into()),
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                self.hand_over(None).map_err(|it| Unread::Bad(unread(&it)))
            }
            _ => Err(BadKey::Kind.into()),
        }
    }

    fn bytes(&self) -> Result<Vec<u8>, BadKey> {
        STANDARD.decode(&self.body).map_err(|_| BadKey::Form)
    }

    fn decode_openssh(&self, passphrase: Option<Cow<'_, str>>) -> Result<PrivateKey, Unread> {
        let key = PrivateKey::from_bytes(&self.bytes()?).map_err(|it| bad(&it))?;
        if !key.is_encrypted() {
            return Ok(key);
        }
        let passphrase = passphrase.ok_or(Unread::NoPassphrase)?;
        if matches!(key.kdf(), Kdf::Bcrypt { rounds, .. } if *rounds > MOST_ROUNDS) {
            return Err(BadKey::Costly.into());
        }
        key.decrypt(passphrase.as_bytes()).map_err(|_| Unread::WrongPassphrase)
    }

    fn decode_pkcs8(&self, passphrase: Option<Cow<'_, str>>) -> Result<PrivateKey, Unread> {
        let bytes = self.bytes()?;
        let form = EncryptedPrivateKeyInfoRef::try_from(bytes.as_slice());
        let form = form.map_err(|_| BadKey::Form)?;
        let stretch = &form.encryption_algorithm.pbes2().ok_or(BadKey::Old)?.kdf;
        let is_costly = match stretch {
            Stretch::Pbkdf2(it) => it.iteration_count > MOST_ITERATIONS,
            Stretch::Scrypt(it) => {
                let memory = it.cost_parameter.saturating_mul(u64::from(it.block_size));
                let work = memory.saturating_mul(u64::from(it.parallelization));
                work.saturating_mul(128) > MOST_SCRYPT
            }
            _ => return Err(BadKey::Old.into()),
        };
        if is_costly {
            return Err(BadKey::Costly.into());
        }
        let passphrase = passphrase.ok_or(Unread::NoPassphrase)?;
        self.hand_over(Some(&passphrase)).map_err(|_| Unread::WrongPassphrase)
    }

    fn hand_over(&self, passphrase: Option<&str>) -> Result<PrivateKey, russh::keys::Error> {
        let mut lines = vec![format!("-----BEGIN {}-----", self.label)];
        lines.extend(self.headers.iter().cloned());
        lines.push(self.body.clone());
        lines.push(format!("-----END {}-----\n", self.label));
        decode_secret_key(&lines.join("\n"), passphrase)
    }
}

/// The label of a line that begins or ends a private key.
fn label<'a>(line: &'a str, which: &str) -> Option<&'a str> {
    let label = line.strip_prefix("-----")?.strip_prefix(which)?.strip_prefix(' ')?;
    label.strip_suffix("-----").filter(|it| it.ends_with("PRIVATE KEY"))
}

fn unread(error: &russh::keys::Error) -> BadKey {
    match error {
        russh::keys::Error::UnknownAlgorithm(_) | russh::keys::Error::UnsupportedKeyType { .. } => {
            BadKey::Kind
        }
        russh::keys::Error::SshKey(it) => bad(it),
        _ => BadKey::Form,
    }
}

fn bad(error: &ssh_key::Error) -> BadKey {
    match error {
        ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
            BadKey::Kind
        }
        _ => BadKey::Form,
    }
}

#[cfg(test)]
mod tests;
