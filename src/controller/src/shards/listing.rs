//! Who is there, and who holds what, as the Leases say? For people: no decision is made by it.

use std::collections::BTreeMap;

use ger_core::names::{ClusterName, MemberId, ShardCount, ShardId};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;

use super::lease::{self, Kind};
use super::leases::Leases;
use super::{Error, Settings};

/// All that the Leases of one prefix say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub members: BTreeMap<MemberId, Member>,
    /// By count and number: while a count is changed there are Leases of two.
    pub shards: BTreeMap<(ShardCount, ShardId), Shard>,
}

/// One member's Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub created: Option<Timestamp>,
    pub renewed: Option<Timestamp>,
    pub duration: SignedDuration,
    pub release: Option<String>,
    pub shards: Option<ShardCount>,
    pub unreachable: Vec<ClusterName>,
}

/// One shard's Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    pub holder: Option<MemberId>,
    pub renewed: Option<Timestamp>,
    pub transitions: i32,
    /// When it was claimed in the last hour.
    pub claims: Vec<Timestamp>,
}

/// Reads the Leases as they are now; `settings` say where they are and what their names begin with.
pub async fn list(
    hub: kube::Client,
    settings: &Settings,
    now: Timestamp,
) -> Result<Listing, Error> {
    let leases = Leases::new(hub, settings).list().await?;
    Ok(of(settings, &leases, now))
}

fn of(settings: &Settings, leases: &[Lease], now: Timestamp) -> Listing {
    let mut listing = Listing::default();
    for lease in leases {
        let renewed = lease.spec.as_ref().and_then(|it| it.renew_time.as_ref()).map(|it| it.0);
        match lease::kind(settings, lease) {
            Some(Kind::Member(member)) => {
                let sighting = lease::sighting(settings, member.clone(), lease);
                let duration = sighting.as_ref().map_or(settings.duration, |it| it.duration);
                let it = Member {
                    created: lease.metadata.creation_timestamp.as_ref().map(|it| it.0),
                    renewed,
                    duration: SignedDuration::try_from(duration).unwrap_or(SignedDuration::ZERO),
                    release: lease::release(lease),
                    shards: sighting.and_then(|it| it.shards),
                    unreachable: lease::unreachable(lease).into_iter().collect(),
                };
                listing.members.insert(member, it);
            }
            Some(Kind::Shard(shards, shard)) => {
                let observed = lease::observed(lease);
                let claims = lease::claims(lease, now);
                let (holder, transitions) = (observed.holder, observed.transitions);
                let it = Shard { holder, renewed, transitions, claims };
                listing.shards.insert((shards, shard), it);
            }
            None => {}
        }
    }
    listing
}
