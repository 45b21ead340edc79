//! Which law is broken on purpose, and how? By a layer on the replicas' clients where it is about requests,
//! else by a switch in core that is not in what is shipped.

use ger_core::broken::{self, Law};

/// The laws that the simulation must see broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The Job is created before its run is recorded.
    CreateFirst,
    /// Who holds the Lease writes, whatever was written meanwhile.
    TrustLease,
    /// A run's id does not tell it from the one before.
    NoSequence,
    /// What is recorded and has no Job is left by whoever did not record it.
    NoRecovery,
    /// A Job of a known run starts, whether or not the ledger holds its uid.
    NoGate,
    /// An answer counts, whatever was recorded since it was asked for.
    OldAnswer,
    /// A Lease ages although nobody hears the watch.
    DeadWatch,
    /// Who holds a shard works its keys, or nobody does.
    NoStandIn,
}

impl Mutant {
    pub const ALL: [Self; 8] = [
        Self::CreateFirst,
        Self::TrustLease,
        Self::NoSequence,
        Self::NoRecovery,
        Self::NoGate,
        Self::OldAnswer,
        Self::DeadWatch,
        Self::NoStandIn,
    ];

    /// What it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateFirst => "create-first",
            Self::TrustLease => "trust-lease",
            Self::NoSequence => "no-sequence",
            Self::NoRecovery => "no-recovery",
            Self::NoGate => "no-gate",
            Self::OldAnswer => "old-answer",
            Self::DeadWatch => "dead-watch",
            Self::NoStandIn => "no-stand-in",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    fn law(self) -> Option<Law> {
        match self {
            Self::CreateFirst | Self::TrustLease => None,
            Self::NoSequence => Some(Law::Sequence),
            Self::NoRecovery => Some(Law::Recovery),
            Self::NoGate => Some(Law::Gate),
            Self::OldAnswer => Some(Law::Basis),
            Self::DeadWatch => Some(Law::LiveWatch),
            Self::NoStandIn => Some(Law::Reach),
        }
    }
}

/// Keeps a law switched off on this thread while it lives.
#[derive(Debug)]
pub(super) struct Switched;

impl Switched {
    pub(super) fn off(mutant: Option<Mutant>) -> Self {
        broken::switch_off(mutant.and_then(Mutant::law));
        Self
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        broken::switch_off(None);
    }
}
