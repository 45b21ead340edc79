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
    Auth, Commit, NotACommit, Reference, Remote, RepoUri, Secret, Tls, Unusable, UriError,
};

/// The repository's address.
pub const URI: &str = "GER_CLONE_URI";
/// The reference, as [`Reference`] displays itself: `branch/main`, `tag/v1.0`, `commit/<id>`.
pub const REFERENCE: &str = "GER_CLONE_REFERENCE";
/// The commit that the run is about, which the reference may have left since.
pub const COMMIT: &str = "GER_CLONE_COMMIT";
/// `none`, `basic` or `token`. Absent means `none`.
pub const AUTH: &str = "GER_CLONE_AUTH";
/// The directory with the files that [`AUTH`] needs.
pub const CREDENTIALS: &str = "GER_CLONE_CREDENTIALS";
/// `verify` or `skip-verify`. Absent means `verify`.
pub const TLS: &str = "GER_CLONE_TLS";
/// The time that the whole clone may take, in seconds. Absent means [`DEFAULT_TIMEOUT`].
pub const TIMEOUT: &str = "GER_CLONE_TIMEOUT";

/// The file with the user's name, for `basic`.
pub const USERNAME_FILE: &str = "username";
/// The file with the password, for `basic`.
pub const PASSWORD_FILE: &str = "password";
/// The file with the value of the `Authorization` header, for `token`.
pub const TOKEN_FILE: &str = "token";

/// Enough for a large repository's newest commit, and a source may not hold a Job for longer.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(2);
/// No credential is longer; a mounted file that is, is a mistake.
const LONGEST_CREDENTIAL: u64 = 64 << 10;

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
}

impl AuthKind {
    /// As it is written in [`AUTH`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Token => "token",
        }
    }

    /// The files that must be in [`CREDENTIALS`], and no others.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Basic => &[USERNAME_FILE, PASSWORD_FILE],
            Self::Token => &[TOKEN_FILE],
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
    /// Whether the server is verified.
    pub tls: Tls,
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
    let tls = if spec.tls == Tls::Verify { "verify" } else { "skip-verify" };
    env.push((TLS.to_owned(), tls.to_owned()));
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
        Some(_) => return Err(no_such(AUTH, "none, basic, token")),
    };
    let tls = match value(TLS).as_deref() {
        None | Some("verify") => Tls::Verify,
        Some("skip-verify") => Tls::SkipVerify,
        Some(_) => return Err(no_such(TLS, "verify, skip-verify")),
    };
    let timeout = match value(TIMEOUT).map(|it| it.parse::<u32>()) {
        None => DEFAULT_TIMEOUT,
        Some(Ok(seconds @ 1..)) => Duration::from_secs(u64::from(seconds)),
        Some(_) => return Err(no_such(TIMEOUT, "whole seconds from 1")),
    };
    let credentials = value(CREDENTIALS).map(PathBuf::from);
    if auth != AuthKind::None && credentials.is_none() {
        return Err(ContractError::Missing { variable: CREDENTIALS });
    }
    Ok(CloneSpec { uri, reference, commit, auth, credentials, tls, timeout })
}

impl CloneSpec {
    /// The remote to clone from, with its credentials read from their files.
    pub fn remote(&self) -> Result<Remote, ContractError> {
        let auth = match self.auth {
            AuthKind::None => Auth::None,
            AuthKind::Basic => Auth::Basic {
                username: self.read(USERNAME_FILE)?,
                password: self.read(PASSWORD_FILE)?,
            },
            AuthKind::Token => Auth::Token(self.read(TOKEN_FILE)?),
        };
        Ok(Remote { uri: self.uri.clone(), auth, tls: self.tls, timeout: self.timeout })
    }

    fn read(&self, file: &'static str) -> Result<Secret, ContractError> {
        let missing = || ContractError::Missing { variable: CREDENTIALS };
        let path = self.credentials.as_deref().ok_or_else(missing)?.join(file);
        read_bounded(&path).map_err(|source| ContractError::Credential { file, source })
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
