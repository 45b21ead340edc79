//! Was a shard ever taken from a member that could not be heard? Each Lease is followed from write to write.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::calm::{Place, Troubles};
use super::timeline::At;
use super::witness::{Broken, Versioned};

/// How long a Lease is good for.
const DURATION: Duration = Duration::from_secs(15);
/// A watch that is silent for five seconds is still believed, and a list counts from when it was asked for:
/// three seconds. Two more for what is on its way.
const BELIEVED: Duration = Duration::from_secs(10);

/// A Lease as far as it matters.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Lease {
    metadata: Name,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Name {
    name: String,
    resource_version: String,
}

impl Versioned for Lease {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    holder_identity: Option<String>,
}

/// Who held each shard last, and when that was said.
#[derive(Debug, Default)]
pub(super) struct Tenures {
    held: BTreeMap<String, (String, At)>,
    pub(super) moves: usize,
}

impl Tenures {
    /// A Lease was written. One that is taken must have aged before the ears of who takes it.
    pub(super) fn written(&mut self, at: At, lease: &Lease, troubles: &Troubles) -> Option<Broken> {
        let name = &lease.metadata.name;
        if !name.contains("-shard-") {
            return None;
        }
        let holder = lease.spec.holder_identity.clone().unwrap_or_default();
        let before = self.held.insert(name.clone(), (holder.clone(), at));
        let (known, renewed) = before.unwrap_or_default();
        if known == holder {
            return None;
        }
        self.moves += 1;
        if known.is_empty() || holder.is_empty() {
            return None;
        }
        let deaf = slot_of(&holder).map(|it| troubles.overlap(&Place::Ear(it), renewed, at));
        let aged = at.saturating_sub(renewed).saturating_sub(deaf.unwrap_or_default()) + BELIEVED;
        (aged < DURATION).then(|| {
            let what =
                format!("{holder} took {name} of {known}, which it had written at {renewed:.3?}");
            Broken { at, law: "no Lease is taken that did not age before a live watch", what }
        })
    }

    pub(super) fn gone(&mut self, lease: &Lease) {
        self.held.remove(&lease.metadata.name);
    }
}

/// `git-events-runner-SLOT-PROCESS`.
fn slot_of(member: &str) -> Option<usize> {
    member.rsplit('-').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn lease(holder: &str) -> Lease {
        let spec = Spec { holder_identity: Some(holder.to_owned()) };
        let name = Name { name: "g-shard-4-0".to_owned(), resource_version: "1".to_owned() };
        Lease { metadata: name, spec }
    }

    #[test]
    fn time_in_which_nobody_heard_anything_ages_no_lease() {
        let (troubles, mut tenures) = (Troubles::default(), Tenures::default());
        troubles.span(Place::Ear(2), secs(10), secs(70));

        assert!(tenures.written(secs(6), &lease("g-1-1"), &troubles).is_none());
        assert!(tenures.written(secs(69), &lease("g-2-1"), &troubles).is_some(), "4 s were heard");
        assert!(tenures.written(secs(90), &lease("g-0-1"), &troubles).is_none(), "21 s passed");
    }
}
