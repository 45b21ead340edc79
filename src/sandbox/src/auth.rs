//! Who asks, and whether they may: from the head of a request to a user and a decision.

pub(crate) mod attributes;
pub(crate) mod bootstrap;
pub(crate) mod escalation;
pub(crate) mod impersonate;
pub(crate) mod index;
pub(crate) mod reviews;
pub(crate) mod rules;
pub(crate) mod rules_review;
pub(crate) mod signer;
pub(crate) mod token;
pub(crate) mod token_request;
pub(crate) mod token_review;
pub(crate) mod user;

pub(crate) use self::{attributes::Attributes, index::Index, user::User};
use crate::{
    breakage::Breakage,
    cluster::Cluster,
    refusal::{Refusal, Result},
};

/// The group of roles and bindings.
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";

/// Who may do what, as a cluster was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everybody may do everything.
    AlwaysAllow,
    Rbac,
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    pub(crate) reason: String,
}

impl Decision {
    fn allowed() -> Self {
        Self { allowed: true, reason: String::new() }
    }
}

/// Decides, with the reason that reviews show.
pub(crate) fn decide(cluster: &Cluster, user: &User, asked: &Attributes<'_>) -> Decision {
    if cluster.mode() == Mode::AlwaysAllow || user.is_master() {
        return Decision::allowed();
    }
    let index = cluster.lock().grants();
    index.decide(user, asked)
}

/// Lets a request in or refuses it.
pub(crate) fn admit(cluster: &Cluster, user: &User, asked: &Attributes<'_>) -> Result<()> {
    if cluster.mode() == Mode::AlwaysAllow || user.is_master() {
        return Ok(());
    }
    let (index, broken) = {
        let mut state = cluster.lock();
        (state.grants(), state.broken)
    };
    if index.allows(user, asked) || broken.has(Breakage::OpenDoors) {
        return Ok(());
    }
    Err(refused(user, asked, &index.decide(user, asked).reason))
}

/// The refusal as people know it: who cannot do what where.
pub(crate) fn refused(user: &User, asked: &Attributes<'_>, reason: &str) -> Refusal {
    let mut why = asked.denied(&user.name);
    if !reason.is_empty() {
        why.push_str(": ");
        why.push_str(reason);
    }
    Refusal::unauthorized(&asked.subject(), &why)
}
