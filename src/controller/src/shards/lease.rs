//! What does a Lease of ours look like?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ger_core::claim::{Intent, Observed, Write};
use ger_core::membership::Sighting;
use ger_core::names::{ClusterName, MemberId, ShardCount, ShardId};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::ResourceExt;

use super::Settings;

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "git-events-runner");
const KIND: &str = "git-events-runner.rs/lease";
const PREFIX: &str = "git-events-runner.rs/prefix";
const SHARDS: &str = "git-events-runner.rs/shards";
const VERSION: &str = "git-events-runner.rs/version";
const SHARD: &str = "git-events-runner.rs/shard";
const HOLDER: &str = "git-events-runner.rs/holder";
const UNREACHABLE: &str = "git-events-runner.rs/unreachable";
const CLAIMED: &str = "git-events-runner.rs/claimed";

/// How long a label's value may be.
const LABEL: usize = 63;
/// How many clusters a member names that it cannot reach.
const MOST_UNREACHABLE: usize = 256;
/// How many claims of a shard are remembered, and for how long.
const MOST_CLAIMS: usize = 12;
const CLAIMS_OF: SignedDuration = SignedDuration::from_hours(1);

/// Which Lease it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Member(MemberId),
    Shard(ShardCount, ShardId),
}

impl Kind {
    /// What its label says.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Member(_) => "member",
            Self::Shard(..) => "shard",
        }
    }
}

/// Finds all Leases of this prefix at once.
pub(super) fn selector(settings: &Settings) -> String {
    let (managed_by, us) = MANAGED_BY;
    format!("{managed_by}={us},{PREFIX}={},{KIND} in (member,shard)", settings.prefix)
}

pub(super) fn name(settings: &Settings, kind: &Kind) -> String {
    let prefix = &settings.prefix;
    match kind {
        Kind::Member(member) => format!("{prefix}-member-{member}"),
        Kind::Shard(shards, shard) => format!("{prefix}-shard-{}-{shard}", shards.get()),
    }
}

/// Which of ours a Lease is; none when it is not.
pub(super) fn kind(settings: &Settings, lease: &Lease) -> Option<Kind> {
    let name = lease.metadata.name.as_deref()?;
    let rest = name.strip_prefix(&settings.prefix)?.strip_prefix('-')?;
    if let Some(member) = rest.strip_prefix("member-") {
        return Some(Kind::Member(MemberId::new(member)));
    }
    let (shards, shard) = rest.strip_prefix("shard-")?.split_once('-')?;
    let shards = ShardCount::new(shards.parse().ok()?).ok()?;
    let shard: u16 = shard.parse().ok()?;
    (shard < shards.get()).then_some(Kind::Shard(shards, ShardId(shard)))
}

/// What a shard's Lease says, or a member's own about itself.
pub(super) fn observed(lease: &Lease) -> Observed {
    let spec = lease.spec.as_ref();
    Observed {
        holder: holder(lease),
        version: lease.resource_version().unwrap_or_default(),
        transitions: spec.and_then(|it| it.lease_transitions).unwrap_or(0),
    }
}

pub(super) fn holder(lease: &Lease) -> Option<MemberId> {
    let identity = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!identity.is_empty()).then(|| MemberId::new(identity))
}

/// What a member's Lease says of it. One that was emptied by hand is no member's.
pub(super) fn sighting(settings: &Settings, member: MemberId, lease: &Lease) -> Option<Sighting> {
    let spec = lease.spec.as_ref()?;
    holder(lease).filter(|it| *it == member)?;
    let seconds = spec.lease_duration_seconds.and_then(|it| u64::try_from(it).ok());
    let shards = lease.annotations().get(SHARDS).and_then(|it| it.parse().ok());
    Some(Sighting {
        version: lease.resource_version().unwrap_or_default(),
        duration: seconds.map_or(settings.duration, Duration::from_secs),
        created: lease.creation_timestamp().map(|it| it.0),
        shards: shards.and_then(|it| ShardCount::new(it).ok()),
        unreachable: unreachable(lease),
        member,
    })
}

/// The clusters that a member's Lease says it cannot reach.
pub(super) fn unreachable(lease: &Lease) -> BTreeSet<ClusterName> {
    let names = lease.annotations().get(UNREACHABLE).map(String::as_str).unwrap_or_default();
    names.split(',').filter_map(|it| ClusterName::parse_spoke(it).ok()).collect()
}

/// When a shard was claimed in the last hour, as far as its Lease remembers.
pub(super) fn claims(lease: &Lease, now: Timestamp) -> Vec<Timestamp> {
    let times = lease.annotations().get(CLAIMED).map(String::as_str).unwrap_or_default();
    let times = times.split(',').filter_map(|it| it.parse::<Timestamp>().ok());
    times.filter(|it| now.duration_since(*it) < CLAIMS_OF).collect()
}

/// The release that a member runs.
pub(super) fn release(lease: &Lease) -> Option<String> {
    lease.annotations().get(VERSION).cloned()
}

/// What a write says beside who holds what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) now: Timestamp,
    /// The clusters that this member cannot reach.
    pub(super) unreachable: &'a BTreeSet<ClusterName>,
}

/// The Lease that `write` stores; `known` is what it replaces.
pub(super) fn written(
    settings: &Settings,
    kind: &Kind,
    known: Option<&Lease>,
    write: &Write,
    said: Said<'_>,
) -> Lease {
    let now = said.now;
    let mut lease = known.cloned().unwrap_or_default();
    let owner = settings.owner.iter().filter(|_| matches!(kind, Kind::Member(_)));
    lease.metadata = ObjectMeta {
        name: Some(name(settings, kind)),
        namespace: Some(settings.namespace.clone()),
        resource_version: write.version.clone(),
        labels: Some(labels(settings, kind, (known, write))),
        annotations: Some(annotations(settings, kind, (known, write), said)),
        owner_references: Some(owner.cloned().collect()),
        managed_fields: None,
        ..lease.metadata
    };
    let known = lease.spec.unwrap_or_default();
    let acquired = match write.intent {
        Intent::Claim => Some(MicroTime(now)),
        Intent::Renew | Intent::Release => known.acquire_time.clone(),
    };
    let holder = match write.intent {
        Intent::Claim | Intent::Renew => Some(settings.member.to_string()),
        Intent::Release => None,
    };
    let seconds = settings.duration.as_secs().max(1);
    lease.spec = Some(LeaseSpec {
        acquire_time: acquired,
        holder_identity: holder,
        lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
        lease_transitions: Some(write.transitions),
        renew_time: Some(MicroTime(now)),
        ..known
    });
    lease
}

type Texts = BTreeMap<String, String>;

fn merged(known: Option<Texts>, ours: Texts) -> Texts {
    let mut all = known.unwrap_or_default();
    all.extend(ours);
    all
}

fn labels(settings: &Settings, kind: &Kind, (known, write): (Option<&Lease>, &Write)) -> Texts {
    let all = [MANAGED_BY, (KIND, kind.word()), (PREFIX, settings.prefix.as_str())];
    let mut ours: Texts = all.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    if let Kind::Shard(shards, shard) = kind {
        ours.insert(SHARDS.to_owned(), shards.get().to_string());
        ours.insert(SHARD.to_owned(), shard.0.to_string());
    }
    let mut labels = merged(known.and_then(|it| it.metadata.labels.clone()), ours);
    // Who holds what can be selected by: kubectl get leases -l git-events-runner.rs/holder=…
    labels.remove(HOLDER);
    let holder = settings.member.as_str();
    if write.intent != Intent::Release && holder.len() <= LABEL {
        labels.insert(HOLDER.to_owned(), holder.to_owned());
    }
    labels
}

fn annotations(
    settings: &Settings,
    kind: &Kind,
    (known, write): (Option<&Lease>, &Write),
    said: Said<'_>,
) -> Texts {
    let known_texts = known.and_then(|it| it.metadata.annotations.clone());
    match kind {
        Kind::Member(_) => {
            let names = said.unreachable.iter().take(MOST_UNREACHABLE);
            let names: Vec<&str> = names.map(ClusterName::as_str).collect();
            let ours = [
                (SHARDS.to_owned(), settings.shards.get().to_string()),
                (VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                (UNREACHABLE.to_owned(), names.join(",")),
            ];
            let mut all = merged(known_texts, ours.into());
            all.retain(|key, value| key != UNREACHABLE || !value.is_empty());
            all
        }
        Kind::Shard(..) if write.intent == Intent::Claim => {
            let mut claims = known.map(|it| claims(it, said.now)).unwrap_or_default();
            claims.push(said.now);
            let newest = claims.iter().rev().take(MOST_CLAIMS).rev();
            let texts: Vec<String> =
                newest.map(|it| it.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).collect();
            merged(known_texts, [(CLAIMED.to_owned(), texts.join(","))].into())
        }
        Kind::Shard(..) => known_texts.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("default", "ger", MemberId::new("ger-7f9c-x2k4z-3f2a"))
    }

    fn named(name: &str) -> Lease {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        Lease { metadata, ..Lease::default() }
    }

    #[test]
    fn a_lease_is_known_by_its_name() {
        let shards = ShardCount::new(64).unwrap();
        for kind in [Kind::Shard(shards, ShardId(63)), Kind::Member(MemberId::new("pod-0-3f2a"))] {
            let lease = named(&name(&settings(), &kind));
            assert_eq!(super::kind(&settings(), &lease), Some(kind));
        }
    }

    #[test]
    fn a_name_that_is_not_ours_is_ignored() {
        for name in [
            "",
            "ger",
            "ger-steward",
            "ger-shard-64-64",
            "ger-shard-0-0",
            "ger-shard-64",
            "other-shard-64-1",
        ] {
            assert_eq!(kind(&settings(), &named(name)), None, "{name}");
        }
    }

    #[test]
    fn what_others_wrote_into_a_lease_is_kept() {
        let kind = Kind::Shard(ShardCount::new(64).unwrap(), ShardId(7));
        let mut known = named("ger-shard-64-7");
        known.metadata.annotations = Some([("note".to_owned(), "by hand".to_owned())].into());
        known.spec = Some(LeaseSpec {
            holder_identity: Some("another".to_owned()),
            acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        });
        let write = |intent| Write { intent, version: Some("5".to_owned()), transitions: 3 };
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60);
        let nothing = BTreeSet::new();
        let said = Said { now, unreachable: &nothing };

        let claimed = written(&settings(), &kind, Some(&known), &write(Intent::Claim), said);
        assert_eq!(claimed.annotations()["note"], "by hand");
        assert_eq!(claimed.metadata.resource_version.as_deref(), Some("5"));
        assert_eq!(holder(&claimed), Some(settings().member));
        assert_eq!(claimed.spec.as_ref().unwrap().acquire_time, Some(MicroTime(now)));

        let released = written(&settings(), &kind, Some(&claimed), &write(Intent::Release), said);
        assert_eq!(holder(&released), None);
        assert_eq!(observed(&released).transitions, 3);
        assert_eq!(claimed.labels()[HOLDER], settings().member.as_str());
        assert_eq!(claimed.labels()[SHARD], "7");
        assert!(!released.labels().contains_key(HOLDER));
    }

    #[test]
    fn a_shard_s_lease_remembers_the_claims_of_an_hour() {
        let kind = Kind::Shard(ShardCount::new(64).unwrap(), ShardId(7));
        let claim = Write { intent: Intent::Claim, version: None, transitions: 0 };
        let nothing = BTreeSet::new();
        let at = |minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let mut lease = None;
        for minutes in [0, 30, 70] {
            let said = Said { now: at(minutes), unreachable: &nothing };
            lease = Some(written(&settings(), &kind, lease.as_ref(), &claim, said));
        }

        assert_eq!(claims(&lease.unwrap(), at(71)), [at(30), at(70)]);
    }

    #[test]
    fn a_member_says_what_it_cannot_reach() {
        let kind = Kind::Member(settings().member);
        let renew = Write { intent: Intent::Renew, version: None, transitions: 0 };
        let names = ["east", "west"].map(|it| ClusterName::parse_spoke(it).unwrap());
        let said = Said { now: Timestamp::UNIX_EPOCH, unreachable: &names.clone().into() };

        let cut_off = written(&settings(), &kind, None, &renew, said);
        let said = Said { unreachable: &BTreeSet::new(), ..said };
        let mended = written(&settings(), &kind, Some(&cut_off), &renew, said);

        assert_eq!(unreachable(&cut_off), names.into());
        assert!(unreachable(&mended).is_empty() && !mended.annotations().contains_key(UNREACHABLE));
    }
}
