//! Can this source be asked, and with which credentials?

use ger_api::GitRepoSpec;
use ger_api::git_repo::{AuthConfig, AuthKind as ApiAuthKind};
use ger_api::schedule_trigger::SourceKind;

use super::{Reason, WrongConfig, cut, source_kind};
use crate::names::is_subdomain;

/// A source, judged and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub kind: SourceKind,
    pub name: String,
    pub uri: String,
    /// None: asked anonymously.
    pub auth: Option<SourceAuth>,
    pub skip_tls_verify: bool,
}

/// Where the credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceAuth {
    pub kind: AuthKind,
    pub secret: String,
    /// None: the namespace of the trigger. Only a `ClusterGitRepo` may name another.
    pub namespace: Option<String>,
    /// Each needed key of the Secret, and the file of the cloner's contract that it becomes.
    pub keys: Vec<CredentialKey>,
}

/// One key of a credentials Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialKey {
    /// The name that the source gives it.
    pub key: String,
    /// The name that the cloner knows it by: `username`, `password` or `token`.
    pub file: &'static str,
}

/// How a source is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    Basic,
    Token,
}

impl SourceAuth {
    /// The key of the Secret that holds what the cloner calls `file`.
    pub fn key(&self, file: &str) -> Option<&str> {
        self.keys.iter().find(|it| it.file == file).map(|it| it.key.as_str())
    }
}

impl Source {
    /// Judges the spec of a `GitRepo`, or of a `ClusterGitRepo` (which has the same fields).
    pub fn of(kind: SourceKind, name: &str, spec: &GitRepoSpec) -> Result<Self, WrongConfig> {
        let judge = Judge { kind, name };
        let uri = judge.uri(&spec.repo_uri)?;
        let tls = spec.tls_config.as_ref();
        if tls.is_some_and(|it| it.ca_cert.is_some()) {
            return judge.unsupported(
                "tlsConfig.caCert is not supported yet: use a server with a public \
                                      certificate, or remove it",
            );
        }
        let auth = spec.auth_config.as_ref().map(|it| judge.auth(it)).transpose()?;
        let skip_tls_verify = tls.is_some_and(|it| it.no_verify_ssl);
        Ok(Self { kind, name: name.to_owned(), uri, auth, skip_tls_verify })
    }
}

struct Judge<'a> {
    kind: SourceKind,
    name: &'a str,
}

impl Judge<'_> {
    /// Never repeats the URI: it may hold a password.
    fn uri(&self, uri: &str) -> Result<String, WrongConfig> {
        let Some((scheme, rest)) = uri.split_once("://") else {
            if uri.contains('@') && uri.contains(':') {
                return self.unsupported(
                    "repoUri is of the form user@host:path, and ssh is not supported \
                                         yet: use https://",
                );
            }
            return self.invalid("repoUri has no scheme: use https://host/path");
        };
        match scheme.to_ascii_lowercase().as_str() {
            "https" | "http" => {}
            "ssh" => {
                return self
                    .unsupported("repoUri is ssh://, which is not supported yet: use https://");
            }
            "git" => {
                return self
                    .unsupported("repoUri is git://, which is not supported yet: use https://");
            }
            _ => return self.invalid("repoUri has a scheme that is neither https nor http"),
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return self.invalid(
                "repoUri holds credentials: put them into a Secret and name it in authConfig",
            );
        }
        if authority.is_empty() || authority.starts_with('-') {
            return self.invalid("repoUri names no host");
        }
        if uri.len() > 2048 || uri.chars().any(|it| it.is_control() || it.is_whitespace()) {
            return self
                .invalid("repoUri is longer than 2048 bytes, or has spaces or control characters");
        }
        Ok(uri.to_owned())
    }

    fn auth(&self, auth: &AuthConfig) -> Result<SourceAuth, WrongConfig> {
        let keys = &auth.keys;
        let (kind, wanted) = match auth.kind {
            ApiAuthKind::Basic => {
                (AuthKind::Basic, vec![(&keys.username, "username"), (&keys.password, "password")])
            }
            ApiAuthKind::Token => (AuthKind::Token, vec![(&keys.token, "token")]),
            ApiAuthKind::Ssh => {
                return self.unsupported(
                    "authConfig.type ssh is not supported yet: use basic or token \
                                         with an https:// repoUri",
                );
            }
        };
        for (key, file) in &wanted {
            if key.is_empty() {
                return self.invalid(&format!(
                    "authConfig.keys.{file} is empty: name a key of the Secret"
                ));
            }
        }
        let secret = &auth.secret_ref.name;
        if !is_subdomain(secret) {
            let secret = cut(secret);
            return self.invalid(&format!(
                "authConfig.secretRef.name {secret:?} is not the name of a Secret"
            ));
        }
        let namespace = match self.kind {
            // The schema of the original has the field for both kinds; for this one it never counted.
            SourceKind::GitRepo => None,
            SourceKind::ClusterGitRepo => auth.secret_ref.namespace.clone(),
        };
        let keys = wanted
            .into_iter()
            .map(|(key, file)| CredentialKey { key: key.clone(), file })
            .collect();
        Ok(SourceAuth { kind, secret: secret.clone(), namespace, keys })
    }

    fn invalid<T>(&self, what: &str) -> Result<T, WrongConfig> {
        Err(WrongConfig::new(Reason::InvalidSource, self.told(what)))
    }

    fn unsupported<T>(&self, what: &str) -> Result<T, WrongConfig> {
        Err(WrongConfig::new(Reason::NotSupportedYet, self.told(what)))
    }

    fn told(&self, what: &str) -> String {
        format!("{} {:?}: {what}", source_kind(self.kind), self.name)
    }
}
