//! How is a cloner told what to clone? Environment variables and a directory of mounted files.
//!
//! Written by whoever builds a Job, read by the cloner and by the executor that stands in for
//! pods: one module, so that they cannot disagree. Credentials are files, never variables.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Auth, CaBundle, Commit, HostKeys, NotACommit, NotCertificates, Reference, Remote, RepoUri,
    Secret, SshKey, Tls, Unusable, UriError,
};

/// The repository's address.
pub const URI: &str = "GER_CLONE_URI";
/// The reference, as [`Reference`] displays itself: `branch/main`, `tag/v1.0`, `commit/<id>`.
pub const REFERENCE: &str = "GER_CLONE_REFERENCE";
/// The commit that the run is about, which the reference may have left since.
pub const COMMIT: &str = "GER_CLONE_COMMIT";
/// `none`, `basic`, `token` or `ssh`. Absent means `none`.
pub const AUTH: &str = "GER_CLONE_AUTH";
/// The directory with the files that [`AUTH`] and [`TLS`] need.
pub const CREDENTIALS: &str = "GER_CLONE_CREDENTIALS";
/// `verify`, `verify-with` (the certificates of [`CA_FILE`] too) or `skip-verify`. Absent means
/// `verify`.
pub const TLS: &str = "GER_CLONE_TLS";
/// The time that the whole clone may take, in seconds. Absent means [`DEFAULT_TIMEOUT`].
pub const TIMEOUT: &str = "GER_CLONE_TIMEOUT";

/// The file with the user's name, for `basic`.
pub const USERNAME_FILE: &str = "username";
/// The file with the password, for `basic`.
pub const PASSWORD_FILE: &str = "password";
/// The file with the value of the `Authorization` header, for `token`.
pub const TOKEN_FILE: &str = "token";
/// The file with the private key, for `ssh`.
pub const PRIVATE_KEY_FILE: &str = "ssh-privatekey";
/// The file with what the private key is encrypted with. Absent means that it is not.
pub const PASSPHRASE_FILE: &str = "passphrase";
/// The file with the host keys to believe. Absent means those of the well-known hosts.
pub const KNOWN_HOSTS_FILE: &str = "known_hosts";
/// The file with certificates to trust beside the system's, for `verify-with`.
pub const CA_FILE: &str = "ca.crt";

/// Enough for a large repository's newest commit, and a source may not hold a Job for longer.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(2);
/// No Secret holds more: what a check was good for, a clone is too. A bundle of all public CAs is a
/// quarter of it. A mounted file that is longer is a mistake.
const LONGEST_CREDENTIAL: u64 = 1 << 20;

/// Which credentials a clone needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum AuthKind {
    /// None.
    #[default]
    None,
    /// [`USERNAME_FILE`] and [`PASSWORD_FILE`].
    Basic,
    /// [`TOKEN_FILE`].
    Token,
    /// [`PRIVATE_KEY_FILE`], and where they are needed [`PASSPHRASE_FILE`] and
    /// [`KNOWN_HOSTS_FILE`].
    Ssh,
}

impl AuthKind {
    /// As it is written in [`AUTH`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Token => "token",
            Self::Ssh => "ssh",
        }
    }

    /// The files that must be in [`CREDENTIALS`].
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Basic => &[USERNAME_FILE, PASSWORD_FILE],
            Self::Token => &[TOKEN_FILE],
            Self::Ssh => &[PRIVATE_KEY_FILE],
        }
    }

    /// The files that may be in [`CREDENTIALS`] beside them, and no others.
    pub fn optional_files(self) -> &'static [&'static str] {
        match self {
            Self::None | Self::Basic | Self::Token => &[],
            Self::Ssh => &[PASSPHRASE_FILE, KNOWN_HOSTS_FILE],
        }
    }
}

/// How a clone knows its server. Certificates are a file, so this says only that there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CloneTls {
    /// By the system's roots.
    #[default]
    Verify,
    /// By the system's roots and those in [`CA_FILE`].
    VerifyWith,
    /// Not at all.
    SkipVerify,
}

impl CloneTls {
    /// As it is written in [`TLS`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::VerifyWith => "verify-with",
            Self::SkipVerify => "skip-verify",
        }
    }

    /// The files that must be in [`CREDENTIALS`].
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::Verify | Self::SkipVerify => &[],
            Self::VerifyWith => &[CA_FILE],
        }
    }
}

/// One clone, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneSpec {
    /// The repository.
    pub uri: RepoUri,
    /// What the trigger watches; the way to the commit where a server gives none by its id.
    pub reference: Option<Reference>,
    /// What to check out.
    pub commit: Option<Commit>,
    /// Which credentials are needed.
    pub auth: AuthKind,
    /// Where their files are.
    pub credentials: Option<PathBuf>,
    /// How the server is verified.
    pub tls: CloneTls,
    /// The time that the whole clone may take; whole seconds.
    pub timeout: Duration,
}

/// Variables or files that make no clone. Names the variable, never repeats its value.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::module_name_repetitions, reason = "it is used beside errors of other modules")]
pub enum ContractError {
    /// A variable that must be there is not.
    #[error("{variable} is not set")]
    Missing {
        /// Its name.
        variable: &'static str,
    },
    /// A variable has a value that means nothing.
    #[error("{variable} is none of: {expected}")]
    Value {
        /// Its name.
        variable: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The address is refused.
    #[error("{URI} is refused")]
    Uri {
        /// Why.
        source: UriError,
    },
    /// The reference is refused.
    #[error("{REFERENCE} is refused")]
    Reference {
        /// Why.
        source: Unusable,
    },
    /// The commit is none.
    #[error("{COMMIT} is refused")]
    Commit {
        /// Why.
        source: NotACommit,
    },
    /// A credential's file cannot be read.
    #[error("cannot read the credential file {file}")]
    Credential {
        /// Its name in the directory.
        file: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The certificates are none.
    #[error("the file {CA_FILE} is refused")]
    Certificates {
        /// What it is not.
        source: NotCertificates,
    },
}

/// The variables that tell a cloner to make this clone.
pub fn to_env(spec: &CloneSpec) -> Vec<(String, String)> {
    let mut env = vec![(URI.to_owned(), spec.uri.to_contract())];
    if let Some(reference) = &spec.reference {
        env.push((REFERENCE.to_owned(), reference.to_string()));
    }
    if let Some(commit) = &spec.commit {
        env.push((COMMIT.to_owned(), commit.to_string()));
    }
    env.push((AUTH.to_owned(), spec.auth.as_str().to_owned()));
    if let Some(directory) = &spec.credentials {
        env.push((CREDENTIALS.to_owned(), directory.display().to_string()));
    }
    env.push((TLS.to_owned(), spec.tls.as_str().to_owned()));
    env.push((TIMEOUT.to_owned(), spec.timeout.as_secs().max(1).to_string()));
    env
}

/// The clone that these variables tell of. An empty variable counts as absent.
pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<CloneSpec, ContractError> {
    let value = |name: &str| lookup(name).filter(|it| !it.is_empty());

    let uri = value(URI).ok_or(ContractError::Missing { variable: URI })?;
    let uri = RepoUri::parse(&uri).map_err(|source| ContractError::Uri { source })?;
    let reference = value(REFERENCE).map(|it| Reference::parse(&it)).transpose();
    let reference = reference.map_err(|source| ContractError::Reference { source })?;
    let commit = value(COMMIT).map(|it| Commit::parse(&it)).transpose();
    let commit = commit.map_err(|source| ContractError::Commit { source })?;
    let auth = match value(AUTH).as_deref() {
        None | Some("none") => AuthKind::None,
        Some("basic") => AuthKind::Basic,
        Some("token") => AuthKind::Token,
        Some("ssh") => AuthKind::Ssh,
        Some(_) => return Err(no_such(AUTH, "none, basic, token, ssh")),
    };
    let tls = match value(TLS).as_deref() {
        None | Some("verify") => CloneTls::Verify,
        Some("verify-with") => CloneTls::VerifyWith,
        Some("skip-verify") => CloneTls::SkipVerify,
        Some(_) => return Err(no_such(TLS, "verify, verify-with, skip-verify")),
    };
    let timeout = match value(TIMEOUT).map(|it| it.parse::<u32>()) {
        None => DEFAULT_TIMEOUT,
        Some(Ok(seconds @ 1..)) => Duration::from_secs(u64::from(seconds)),
        Some(_) => return Err(no_such(TIMEOUT, "whole seconds from 1")),
    };
    let credentials = value(CREDENTIALS).map(PathBuf::from);
    let needs_files = !auth.files().is_empty() || !tls.files().is_empty();
    if needs_files && credentials.is_none() {
        return Err(ContractError::Missing { variable: CREDENTIALS });
    }
    Ok(CloneSpec { uri, reference, commit, auth, credentials, tls, timeout })
}

impl CloneSpec {
    /// The remote to clone from, with its credentials and certificates read from their files.
    pub fn remote(&self) -> Result<Remote, ContractError> {
        let auth = match self.auth {
            AuthKind::None => Auth::None,
            AuthKind::Basic => Auth::Basic {
                username: self.read(USERNAME_FILE)?,
                password: self.read(PASSWORD_FILE)?,
            },
            AuthKind::Token => Auth::Token(self.read(TOKEN_FILE)?),
            AuthKind::Ssh => Auth::Ssh(SshKey {
                private_key: self.read(PRIVATE_KEY_FILE)?,
                passphrase: self.read_optional(PASSPHRASE_FILE)?,
                host_keys: self
                    .read_optional(KNOWN_HOSTS_FILE)?
                    .map_or(HostKeys::Pinned, HostKeys::Known),
            }),
        };
        let tls = match self.tls {
            CloneTls::Verify => Tls::Verify,
            CloneTls::SkipVerify => Tls::SkipVerify,
            CloneTls::VerifyWith => {
                let bundle = CaBundle::parse(self.read(CA_FILE)?.expose());
                Tls::VerifyWith(bundle.map_err(|source| ContractError::Certificates { source })?)
            }
        };
        Ok(Remote { uri: self.uri.clone(), auth, tls, timeout: self.timeout })
    }

    fn read(&self, file: &'static str) -> Result<Secret, ContractError> {
        let missing = || ContractError::Missing { variable: CREDENTIALS };
        let path = self.credentials.as_deref().ok_or_else(missing)?.join(file);
        read_bounded(&path).map_err(|source| ContractError::Credential { file, source })
    }

    fn read_optional(&self, file: &'static str) -> Result<Option<Secret>, ContractError> {
        match self.read(file) {
            Err(ContractError::Credential { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

fn read_bounded(path: &Path) -> io::Result<Secret> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(
        &mut io::Read::take(fs::File::open(path)?, LONGEST_CREDENTIAL.saturating_add(1)),
        &mut bytes,
    )?;
    if bytes.len() as u64 > LONGEST_CREDENTIAL {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than any credential"));
    }
    Ok(Secret::from(bytes))
}

fn no_such(variable: &'static str, expected: &'static str) -> ContractError {
    ContractError::Value { variable, expected }
}

#[cfg(test)]
mod tests;
