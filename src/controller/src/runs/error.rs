//! What went wrong between a decision and its Job? Names objects, never their contents.

use ger_core::names::TriggerKey;

/// Something that was to be done in a trigger's cluster and was not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read trigger {key}")]
    Read { key: TriggerKey, source: Box<kube::Error> },

    #[error("trigger {key} is gone")]
    Gone { key: TriggerKey },

    #[error("cannot record in the status of trigger {key}")]
    Record { key: TriggerKey, source: Box<kube::Error> },

    #[error("the status of trigger {key} is written by too many at once")]
    Contended { key: TriggerKey },

    #[error(
        "cluster {} dropped fields of the status of trigger {key}: its CRDs are too old; install those that \
         `git-events-runner crds` prints",
        key.cluster
    )]
    Pruned { key: TriggerKey },

    #[error("cannot create Job {job}")]
    CreateJob { job: String, source: Box<kube::Error> },

    #[error("cannot read Job {job}")]
    ReadJob { job: String, source: Box<kube::Error> },

    #[error("cannot change Job {job}")]
    ChangeJob { job: String, source: Box<kube::Error> },

    #[error("cannot delete Job {job}")]
    DeleteJob { job: String, source: Box<kube::Error> },

    #[error("cannot copy the credentials for Job {job}")]
    CopyCredentials { job: String, source: Box<kube::Error> },
}

/// What helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing is left to do for this trigger.
    Forget,
    /// The same may well work in a moment.
    Retry,
    /// Somebody has to mend something first; trying seldom does no harm.
    RetryLate,
}

impl Error {
    /// Whether the API server has refused what was asked, and done nothing. Of an answer that did not come, or
    /// that tells of the server's own trouble, that cannot be said.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Gone { .. } => true,
            Self::Contended { .. } | Self::Pruned { .. } => false,
            Self::Read { source, .. }
            | Self::Record { source, .. }
            | Self::CreateJob { source, .. }
            | Self::ReadJob { source, .. }
            | Self::ChangeJob { source, .. }
            | Self::DeleteJob { source, .. }
            | Self::CopyCredentials { source, .. } => match source.as_ref() {
                kube::Error::Api(answer) => (400..500).contains(&answer.code) && answer.code != 408,
                _ => false,
            },
        }
    }

    /// No `_` arm: a new kind of failure does not compile until someone has decided what it means.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Gone { .. } => Remedy::Forget,
            Self::Read { .. }
            | Self::Record { .. }
            | Self::Contended { .. }
            | Self::CreateJob { .. }
            | Self::ReadJob { .. }
            | Self::ChangeJob { .. }
            | Self::DeleteJob { .. }
            | Self::CopyCredentials { .. } => Remedy::Retry,
            Self::Pruned { .. } => Remedy::RetryLate,
        }
    }
}
