//! Why is there no answer? Safe to show: names of objects and hosts, never a URI or a credential.

use std::sync::Arc;
use std::time::Duration;

/// A check that got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the credentials Secret {name} is not in namespace {namespace}; create it")]
    NoSecret { name: String, namespace: String },

    #[error(
        "the credentials Secret {secret} has no key {key}; add it, or name another in authConfig.keys"
    )]
    NoKey { secret: String, key: String },

    #[error("cannot read the credentials Secret {name}")]
    ReadSecret { name: String, source: Arc<kube::Error> },

    #[error("the repository's URI is refused")]
    Uri { source: ger_git::UriError },

    #[error("the reference is refused")]
    Reference { source: ger_git::Unusable },

    #[error("{host} asked to be left alone for {} s more", left.as_secs())]
    Paused { host: String, left: Duration },

    #[error("the remote gave no answer")]
    Remote { source: Arc<ger_git::Error> },

    #[error("the remote answered with no commit")]
    NoCommit { source: ger_core::names::Invalid },
}

impl Error {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSecret { .. } | Self::NoKey { .. } | Self::ReadSecret { .. } => {
                "CredentialsMissing"
            }
            Self::Uri { .. } => "InvalidURI",
            Self::Reference { .. } => "InvalidReference",
            Self::Paused { .. } => "RateLimited",
            Self::Remote { source } if source.is_auth() => "Unauthorized",
            Self::Remote { source } => match source.as_ref() {
                ger_git::Error::RefNotFound { .. } => "ReferenceNotFound",
                ger_git::Error::Transport { .. } => "NotSupportedYet",
                _ => "Unreachable",
            },
            Self::NoCommit { .. } => "InvalidAnswer",
        }
    }

    /// How long the remote wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Paused { left, .. } => Some(*left),
            Self::Remote { source } => source.retry_after(),
            Self::NoSecret { .. }
            | Self::NoKey { .. }
            | Self::ReadSecret { .. }
            | Self::Uri { .. }
            | Self::Reference { .. }
            | Self::NoCommit { .. } => None,
        }
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
        text
    }
}
