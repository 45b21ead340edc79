//! Which members are alive, as far as this one has seen?
//!
//! A member is alive while its Lease changes. That is judged by the observer's own monotonic clock,
//! and only while it is really watching: clocks of other machines are never compared, and a blind
//! observer declares nobody dead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::broken::{self, Law};
use crate::names::{ClusterName, MemberId, ShardCount};
use crate::reach::CutOff;

/// Monotonic time, since an origin of this process.
pub type Mono = Duration;

/// A point in time, with what the watch is worth at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub now: Mono,
    /// How long the watch has been live in all: expiry is counted in this time, so that an outage of
    /// the API ages nobody's Lease.
    pub watched: Mono,
    /// Whether the watch is live now.
    pub is_live: bool,
}

/// Counts the time that the watch is live.
#[derive(Clone, Debug)]
pub struct Liveness {
    stale_after: Duration,
    heard: Option<Mono>,
    watched: Mono,
}

impl Liveness {
    /// A watch that has not been heard for `stale_after` is stale. Nothing was heard yet.
    pub fn new(stale_after: Duration) -> Self {
        Self { stale_after, heard: None, watched: Mono::ZERO }
    }

    /// An event or bookmark came `at`; or a LIST that was sent `at` was answered.
    pub fn on_heard(&mut self, at: Mono) {
        let heard = self.heard.unwrap_or(at);
        self.watched += at.saturating_sub(heard).min(self.stale_after);
        self.heard = Some(heard.max(at));
    }

    pub fn moment(&self, now: Mono) -> Moment {
        if broken::is_off(Law::LiveWatch) {
            return Moment { now, watched: now, is_live: true };
        }
        let silence = self.heard.map(|heard| now.saturating_sub(heard));
        Moment {
            now,
            watched: self.watched + silence.unwrap_or_default().min(self.stale_after),
            is_live: silence.is_some_and(|it| it < self.stale_after),
        }
    }
}

/// What a member's Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub member: MemberId,
    /// The Lease's resourceVersion.
    pub version: String,
    /// How long the Lease is good for after a change.
    pub duration: Duration,
    pub created: Option<Timestamp>,
    /// How many shards the member was configured with, where it can be read.
    pub shards: Option<ShardCount>,
    /// The clusters that the member cannot reach.
    pub unreachable: BTreeSet<ClusterName>,
}

/// The live members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    pub members: BTreeSet<MemberId>,
    /// The shard count in force: that of the oldest live member, so that a rollout with another
    /// count changes the ring once, at its end.
    pub shards: Option<ShardCount>,
    /// What each of them cannot reach, where it says so.
    pub cut_off: CutOff,
}

/// The members that were seen, and which of them are alive.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    seen: BTreeMap<MemberId, Seen>,
    alive: Alive,
    has_listed: bool,
}

#[derive(Clone, Debug)]
struct Seen {
    sighting: Sighting,
    /// When its Lease was last seen to change, in watched time.
    changed: Mono,
    /// It was seen to change, or to appear: it lived when it was seen.
    is_proven: bool,
}

impl Membership {
    /// A member's Lease was seen, changed or not.
    pub fn on_seen(&mut self, sighting: Sighting, at: Moment) {
        let known = self.seen.get(&sighting.member).map(|it| it.sighting.version.as_str());
        if known.is_none_or(|known| is_newer(&sighting.version, known)) {
            let is_proven = known.is_some() || self.has_listed;
            let seen = Seen { changed: at.watched, is_proven, sighting };
            self.seen.insert(seen.sighting.member.clone(), seen);
        }
    }

    /// Every Lease that there was at the start was seen.
    pub fn on_listed(&mut self) {
        self.has_listed = true;
    }

    /// Whether each member that counts as alive was seen to live.
    ///
    /// A newcomer finds the Lease of a member that crashed before it came, and cannot tell it from a
    /// live one until it is renewed or runs out. Announced before that, it would assign shards to the
    /// dead which the others leave to it, and nobody would claim them.
    pub fn is_settled(&self, at: Moment) -> bool {
        self.has_listed && self.seen.values().all(|it| it.is_proven || !it.is_alive(at))
    }

    /// A member has withdrawn, or its Lease was deleted.
    pub fn on_gone(&mut self, member: &MemberId) {
        self.seen.remove(member);
    }

    /// Judges anew, unless the watch is stale: then everything stays as it was. True when the live
    /// members or the shard count in force are now others.
    pub fn judge(&mut self, at: Moment) -> Judged {
        if !at.is_live {
            return Judged::Same;
        }
        let alive: Vec<&Sighting> =
            self.seen.values().filter(|it| it.is_alive(at)).map(|it| &it.sighting).collect();
        let oldest = alive
            .iter()
            .filter(|it| it.shards.is_some())
            .min_by_key(|it| (it.created.unwrap_or(Timestamp::MAX), &it.member));
        let alive = Alive {
            shards: oldest.and_then(|it| it.shards),
            cut_off: alive
                .iter()
                .filter(|it| !it.unreachable.is_empty())
                .map(|it| (it.member.clone(), it.unreachable.clone()))
                .collect(),
            members: alive.iter().map(|it| it.member.clone()).collect(),
        };
        if alive == self.alive {
            return Judged::Same;
        }
        self.alive = alive;
        Judged::Changed
    }

    /// As last judged.
    pub fn alive(&self) -> &Alive {
        &self.alive
    }

    /// When a live member's Lease runs out, if nothing is heard of it.
    pub fn wake_at(&self, at: Moment) -> Option<Mono> {
        if !at.is_live {
            return None;
        }
        let expiries = self.seen.values().filter(|it| it.is_alive(at)).map(Seen::expires);
        expiries.min().map(|expires| at.now + expires.saturating_sub(at.watched))
    }
}

impl Seen {
    fn expires(&self) -> Mono {
        self.changed + self.sighting.duration
    }

    fn is_alive(&self, at: Moment) -> bool {
        at.watched < self.expires()
    }
}

/// Whether a judgement brought news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    Same,
    Changed,
}

/// Whether a resourceVersion is newer than another: decimal numbers since Kubernetes promises so.
/// What is no number is taken for newer: then the order of arrival decides.
pub fn is_newer(version: &str, known: &str) -> bool {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    if is_number(version) && is_number(known) {
        return (version.len(), version) > (known.len(), known);
    }
    version != known
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn secs(n: u64) -> Mono {
        Duration::from_secs(n)
    }

    fn sighting(name: &str, version: u64, shards: u16) -> Sighting {
        Sighting {
            member: MemberId::new(name),
            version: version.to_string(),
            duration: LEASE,
            created: Some(Timestamp::UNIX_EPOCH),
            shards: ShardCount::new(shards).ok(),
            unreachable: BTreeSet::new(),
        }
    }

    /// A membership whose watch is heard every second.
    struct Watcher {
        liveness: Liveness,
        membership: Membership,
    }

    impl Watcher {
        fn new() -> Self {
            let liveness = Liveness::new(secs(5));
            Self { liveness, membership: Membership::default() }
        }

        fn heard(&mut self, seconds: std::ops::RangeInclusive<u64>) {
            for second in seconds {
                self.liveness.on_heard(secs(second));
                self.membership.judge(self.liveness.moment(secs(second)));
            }
        }

        fn saw(&mut self, sighting: Sighting, now: u64) {
            self.liveness.on_heard(secs(now));
            let at = self.liveness.moment(secs(now));
            self.membership.on_seen(sighting, at);
            self.membership.judge(at);
        }

        fn alive(&self) -> Vec<&str> {
            self.membership.alive().members.iter().map(MemberId::as_str).collect()
        }
    }

    #[test]
    fn a_member_is_alive_until_its_lease_stands_still_for_its_duration() {
        let mut it = Watcher::new();
        it.saw(sighting("a", 1, 64), 0);
        it.saw(sighting("b", 2, 64), 0);
        it.heard(1..=9);
        it.saw(sighting("b", 3, 64), 10);
        it.heard(11..=14);
        assert_eq!(it.alive(), ["a", "b"]);

        it.heard(15..=15);
        assert_eq!(it.alive(), ["b"]);
    }

    /// A member renews each five seconds; by a clock at twice the rate that is ten, of fifteen.
    #[test]
    fn e2_who_runs_twice_as_fast_declares_nobody_dead() {
        let mut it = Watcher::new();
        for (renewal, now) in (1..20).zip((0..).step_by(10)) {
            it.saw(sighting("a", renewal, 64), now);
            it.heard(now + 1..=now + 9);
            assert_eq!(it.alive(), ["a"], "{now}");
        }
    }

    #[test]
    fn a_newcomer_is_settled_once_each_lease_it_found_was_renewed_or_has_run_out() {
        let mut it = Watcher::new();
        it.saw(sighting("alive", 1, 64), 0);
        it.saw(sighting("crashed", 2, 64), 0);
        it.membership.on_listed();
        it.saw(sighting("newer", 3, 64), 1);
        let is_settled =
            |it: &Watcher, now| it.membership.is_settled(it.liveness.moment(secs(now)));

        it.saw(sighting("alive", 4, 64), 5);
        it.heard(6..=14);
        assert!(!is_settled(&it, 14), "the crashed one may still renew");

        it.heard(15..=15);
        assert!(is_settled(&it, 15));
        assert_eq!(it.alive(), ["alive", "newer"]);
    }

    #[test]
    fn seeing_the_same_version_again_is_no_sign_of_life() {
        let mut it = Watcher::new();
        for now in 0..=15 {
            it.saw(sighting("a", 7, 64), now);
        }

        assert!(it.alive().is_empty());
    }

    #[test]
    fn a_stale_watch_declares_nobody_dead_and_an_outage_ages_no_lease() {
        let mut it = Watcher::new();
        it.saw(sighting("a", 1, 64), 0);

        // Nothing is heard for a minute; then the first LIST shows the Lease as it was.
        let at = it.liveness.moment(secs(60));
        assert!(!at.is_live);
        assert_eq!(it.membership.judge(at), Judged::Same);
        it.saw(sighting("a", 1, 64), 60);
        assert_eq!(it.alive(), ["a"]);

        // Five seconds counted before the silence was noticed, ten are left.
        it.heard(61..=69);
        assert_eq!(it.alive(), ["a"]);
        it.heard(70..=70);
        assert!(it.alive().is_empty());
    }

    #[test]
    fn a_withdrawn_member_is_gone_at_once() {
        let mut it = Watcher::new();
        it.saw(sighting("a", 1, 64), 0);
        it.membership.on_gone(&MemberId::new("a"));
        it.heard(1..=1);

        assert!(it.alive().is_empty());
    }

    #[test]
    fn the_oldest_members_shard_count_is_in_force() {
        let mut it = Watcher::new();
        let hour = jiff::SignedDuration::from_hours(1);
        it.saw(
            Sighting { created: Some(Timestamp::UNIX_EPOCH + hour), ..sighting("a", 1, 256) },
            0,
        );
        it.saw(sighting("c", 2, 64), 0);
        it.saw(sighting("b", 3, 32), 0);
        assert_eq!(it.membership.alive().shards, ShardCount::new(32).ok());

        it.membership.on_gone(&MemberId::new("b"));
        it.membership.on_gone(&MemberId::new("c"));
        it.heard(1..=1);
        assert_eq!(it.membership.alive().shards, ShardCount::new(256).ok());
    }

    #[test]
    fn what_a_live_member_cannot_reach_is_known_until_it_says_otherwise() {
        let mut it = Watcher::new();
        let east = ClusterName::parse_spoke("east").unwrap();
        let cut_off = Sighting { unreachable: [east].into(), ..sighting("a", 1, 64) };
        it.saw(cut_off.clone(), 0);
        it.saw(sighting("b", 2, 64), 0);
        let a = MemberId::new("a");
        assert_eq!(it.membership.alive().cut_off, [(a, cut_off.unreachable)].into());

        it.saw(sighting("a", 3, 64), 1);
        assert!(it.membership.alive().cut_off.is_empty());
    }

    #[test]
    fn it_wakes_when_the_first_lease_runs_out() {
        let mut it = Watcher::new();
        it.saw(sighting("a", 1, 64), 0);
        it.saw(sighting("b", 2, 64), 3);

        let at = it.liveness.moment(secs(4));
        assert_eq!(it.membership.wake_at(at), Some(secs(15)));
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_newer("10", "9"));
        assert!(!is_newer("9", "10"));
        assert!(!is_newer("10", "10"));
        assert!(is_newer("x", "10"));
        assert!(!is_newer("x", "x"));
    }
}
