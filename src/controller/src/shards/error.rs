//! What can go wrong with Leases?

use std::time::Duration;

/// An exchange with the hub's API that did not succeed, and is tried again; or a panic, which is not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot list the leases")]
    List { source: kube::Error },

    #[error("cannot watch the leases")]
    Watch { source: kube::Error },

    #[error("cannot write lease {name}")]
    Write { name: String, source: kube::Error },

    #[error("the hub gave no answer in {0:?}")]
    Silence(Duration),

    #[error("cannot hold the steward's lease")]
    Steward { source: kube_lease_manager::LeaseManagerError },

    #[error("a task of the shards ended in a panic")]
    Panicked { source: tokio::task::JoinError },
}

impl Error {
    /// Whether the API said that nothing was stored. Otherwise it may have been, or may be later.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Write { source: kube::Error::Api(status), .. } => {
                (400..500).contains(&status.code) && status.code != 408
            }
            Self::List { .. }
            | Self::Watch { .. }
            | Self::Write { .. }
            | Self::Silence(_)
            | Self::Steward { .. }
            | Self::Panicked { .. } => false,
        }
    }

    /// Whether what was to be deleted is not there.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Write { source: kube::Error::Api(status), .. } if status.code == 404)
    }
}
