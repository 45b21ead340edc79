//! What does a Lease of ours look like?

use std::collections::BTreeMap;
use std::time::Duration;

use ger_core::claim::{Intent, Observed, Write};
use ger_core::membership::Sighting;
use ger_core::names::{MemberId, ShardCount, ShardId};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::ResourceExt;

use super::Settings;

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "git-events-runner");
const KIND: &str = "git-events-runner.rs/lease";
const PREFIX: &str = "git-events-runner.rs/prefix";
const SHARDS: &str = "git-events-runner.rs/shards";
const VERSION: &str = "git-events-runner.rs/version";

/// Which Lease it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Member(MemberId),
    Shard(ShardCount, ShardId),
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
        member,
    })
}

/// The Lease that `write` stores; `known` is what it replaces.
pub(super) fn written(
    settings: &Settings,
    kind: &Kind,
    known: Option<&Lease>,
    write: &Write,
    now: Timestamp,
) -> Lease {
    let mut lease = known.cloned().unwrap_or_default();
    let owner = settings.owner.iter().filter(|_| matches!(kind, Kind::Member(_)));
    lease.metadata = ObjectMeta {
        name: Some(name(settings, kind)),
        namespace: Some(settings.namespace.clone()),
        resource_version: write.version.clone(),
        labels: Some(merged(lease.metadata.labels, labels(settings, kind))),
        annotations: Some(merged(lease.metadata.annotations, annotations(settings, kind))),
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

fn labels(settings: &Settings, kind: &Kind) -> Texts {
    let kind = match kind {
        Kind::Member(_) => "member",
        Kind::Shard(..) => "shard",
    };
    let all = [MANAGED_BY, (KIND, kind), (PREFIX, settings.prefix.as_str())];
    all.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn annotations(settings: &Settings, kind: &Kind) -> Texts {
    match kind {
        Kind::Member(_) => [
            (SHARDS.to_owned(), settings.shards.get().to_string()),
            (VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]
        .into(),
        Kind::Shard(..) => Texts::new(),
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
        let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(60);

        let claimed = written(&settings(), &kind, Some(&known), &write(Intent::Claim), now);
        assert_eq!(claimed.annotations()["note"], "by hand");
        assert_eq!(claimed.metadata.resource_version.as_deref(), Some("5"));
        assert_eq!(holder(&claimed), Some(settings().member));
        assert_eq!(claimed.spec.as_ref().unwrap().acquire_time, Some(MicroTime(now)));

        let released = written(&settings(), &kind, Some(&claimed), &write(Intent::Release), now);
        assert_eq!(holder(&released), None);
        assert_eq!(observed(&released).transitions, 3);
    }
}
