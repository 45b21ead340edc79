//! Why is there no answer, and what is to be mended? Safe to show: names of objects and hosts, never a
//! URI or a credential.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ger_git::{Error as Git, github_app};

/// A check that got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the {purpose} Secret {name} is not in namespace {namespace}; create it")]
    NoSecret { purpose: Purpose, name: String, namespace: String },

    #[error(
        "the {purpose} Secret {secret} has no key {key}; add it, or name another in {}",
        purpose.field()
    )]
    NoKey { purpose: Purpose, secret: String, key: String },

    #[error("cannot read the {purpose} Secret {name}")]
    ReadSecret { purpose: Purpose, name: String, source: Arc<kube::Error> },

    #[error(
        "the key {key} of the Secret {secret} holds no certificates that can be read; put the PEM of \
         the server's CA there"
    )]
    Certificates { secret: String, key: String, source: ger_git::NotCertificates },

    #[error("no token for the GitHub App of the Secret {secret}")]
    App { secret: String, source: Arc<github_app::Error> },

    #[error("the repository's URI is refused")]
    Uri { source: ger_git::UriError },

    #[error("the reference is refused")]
    Reference { source: ger_git::Unusable },

    #[error("a pattern of watchOn.files is refused")]
    Patterns { source: ger_git::BadPattern },

    #[error("{host} asked to be left alone for {} s more", left.as_secs())]
    Paused { host: String, left: Duration },

    #[error("no answer")]
    Remote { source: Arc<ger_git::Error> },

    #[error("the watched files cannot be looked at, and nothing runs before they can")]
    Files { source: Arc<ger_git::Error> },

    #[error("the remote answered with no commit")]
    NoCommit { source: ger_core::names::Invalid },
}

/// What a Secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Credentials,
    Certificates,
    Webhook,
}

impl Purpose {
    fn field(self) -> &'static str {
        match self {
            Self::Credentials => "authConfig.keys",
            Self::Certificates => "tlsConfig.caCert.key",
            Self::Webhook => "webhook.authConfig.key",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "credentials",
            Self::Certificates => "certificates",
            Self::Webhook => "webhook",
        })
    }
}

impl Error {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSecret { purpose, .. }
            | Self::NoKey { purpose, .. }
            | Self::ReadSecret { purpose, .. } => match purpose {
                Purpose::Credentials => "CredentialsMissing",
                Purpose::Certificates => "CertificatesMissing",
                Purpose::Webhook => "WebhookSecretMissing",
            },
            Self::Certificates { .. } => "CertificatesInvalid",
            Self::App { source, .. } if source.is_auth() => "GithubAppRefused",
            Self::App { source, .. } if source.retry_after().is_some() => "RateLimited",
            Self::App { .. } => "GithubAppUnreachable",
            Self::Uri { .. } => "InvalidURI",
            Self::Reference { .. } => "InvalidReference",
            Self::Patterns { .. } => "InvalidFiles",
            Self::Paused { .. } => "RateLimited",
            Self::Remote { source } | Self::Files { source } => reason_of(source),
            Self::NoCommit { .. } => "InvalidAnswer",
        }
    }

    /// What to do about it, where the words of the error do not say it.
    fn advice(&self) -> Option<&'static str> {
        let (Self::Remote { source } | Self::Files { source }) = self else { return None };
        Some(match source.as_ref() {
            Git::HostKeyChanged { .. } => {
                "if that is its new key, put it into known_hosts of the Secret"
            }
            Git::HostKeyRevoked { .. } => "ask the host's owners for the key that counts",
            Git::Passphrase { .. } => {
                "put it under the key that authConfig.keys.passphrase names (passphrase)"
            }
            Git::SshRefused { .. } => {
                "add the key to the account or the repository at the host, with the right to read"
            }
            Git::RefNotFound { .. } => "push it, or change watchOn.reference",
            Git::Large { .. } => {
                "watchOn.files needs the trees of the repository: watch fewer files in a smaller \
                 repository, or remove watchOn.files"
            }
            Git::Destination { .. } | Git::Full { .. } => {
                "give the controller a temporary directory that it may write to, with room in it"
            }
            Git::Unsafe { .. } => "remove it from the repository, or remove watchOn.files",
            it if it.is_auth() => {
                "check the source's credentials, and that they may read this repository"
            }
            _ => return None,
        })
    }

    /// How long the remote wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Paused { left, .. } => Some(*left),
            Self::Remote { source } | Self::Files { source } => source.retry_after(),
            Self::App { source, .. } => source.retry_after(),
            Self::NoSecret { .. }
            | Self::NoKey { .. }
            | Self::ReadSecret { .. }
            | Self::Certificates { .. }
            | Self::Uri { .. }
            | Self::Reference { .. }
            | Self::Patterns { .. }
            | Self::NoCommit { .. } => None,
        }
    }

    /// What was read of the source's Secrets may be why: they may have changed since.
    pub(crate) fn doubts_secrets(&self) -> bool {
        match self {
            Self::App { source, .. } => source.is_auth(),
            Self::NoKey { .. } | Self::Certificates { .. } => true,
            Self::Remote { source } | Self::Files { source } => doubts_secrets(source),
            Self::NoSecret { .. }
            | Self::ReadSecret { .. }
            | Self::Uri { .. }
            | Self::Reference { .. }
            | Self::Patterns { .. }
            | Self::Paused { .. }
            | Self::NoCommit { .. } => false,
        }
    }

    /// A certificate that is not trusted shows as a connection that did not come about.
    pub(crate) fn doubts_certificates(&self) -> bool {
        let (Self::Remote { source } | Self::Files { source }) = self else { return false };
        matches!(source.as_ref(), Git::Talk { .. })
    }

    /// The whole chain in one line, for a condition.
    pub fn message(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        if let Some(advice) = self.advice() {
            text.push_str("; ");
            text.push_str(advice);
        }
        text
    }
}

fn reason_of(error: &ger_git::Error) -> &'static str {
    match error {
        it if it.retry_after().is_some() => "RateLimited",
        Git::Status { status: 429, .. } => "RateLimited",
        Git::Status { status: 404 | 410, .. } => "RepositoryNotFound",
        Git::SshRefused { .. } => "Unauthorized",
        Git::RefNotFound { .. } => "ReferenceNotFound",
        Git::Transport { .. } => "NotSupportedYet",
        Git::Credentials { .. } | Git::NoKey { .. } | Git::Key { .. } => "CredentialsInvalid",
        Git::Passphrase { .. } => "PassphraseWrong",
        Git::Login { .. } => "InvalidURI",
        Git::KnownHosts { .. } => "KnownHostsInvalid",
        Git::HostKeyUnknown { .. } | Git::HostKeyAuthority { .. } => "HostKeyUnknown",
        Git::HostKeyChanged { .. } => "HostKeyChanged",
        Git::HostKeyRevoked { .. } => "HostKeyRevoked",
        Git::Large { .. } => "RepositoryTooLarge",
        Git::Destination { .. } | Git::Full { .. } => "NoTemporarySpace",
        Git::Unsafe { .. } => "RepositoryRefused",
        Git::Moved { .. } => "ReferenceMoved",
        Git::Redirect { .. } => "RedirectRefused",
        it if it.is_auth() => "Unauthorized",
        _ => "Unreachable",
    }
}

fn doubts_secrets(error: &ger_git::Error) -> bool {
    error.is_auth()
        || matches!(
            error,
            Git::Credentials { .. }
                | Git::NoKey { .. }
                | Git::Key { .. }
                | Git::Passphrase { .. }
                | Git::SshRefused { .. }
                | Git::KnownHosts { .. }
                | Git::HostKeyUnknown { .. }
                | Git::HostKeyAuthority { .. }
                | Git::HostKeyChanged { .. }
                | Git::HostKeyRevoked { .. }
        )
}
