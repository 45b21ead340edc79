//! What is known of all Leases, and what follows from it? Joins the decisions of `core`; does no IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ger_core::assignment::{assign, stand_in};
use ger_core::claim::{self, Answer, Claim, Command, Intent, LastHolder, Write};
use ger_core::membership::{Judged, Liveness, Membership, Moment, Mono, is_newer};
use ger_core::names::{ShardCount, ShardId};
use ger_core::ring::Ring;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use tokio::time::Instant;
use tracing::warn;

use super::Settings;
use super::lease::{self, Kind};
use super::moves::{Move, Moves};
use super::view::{Tenure, View, Works};

/// The watch is stale when nothing was heard for this long.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// How long before its end a Lease is not relied on any more: 7 % of 15 s, far more than clocks
/// differ in speed.
const MARGIN: Duration = Duration::from_secs(1);

/// How long work in flight may delay a handover.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

/// From a write that did not succeed to the next.
const RETRY: Duration = Duration::from_secs(1);

/// A Lease that has not changed for so long belongs to nobody who could come back.
const LONG_GONE: Duration = Duration::from_hours(1);

/// The Leases, and what this member does about them.
#[derive(Debug)]
pub(super) struct Fleet {
    settings: Settings,
    liveness: Liveness,
    is_cut_off: bool,
    membership: Membership,
    known: BTreeMap<String, Known>,
    /// The member's own Lease is a claim that nobody contests.
    own: Claim,
    /// In force.
    shards: ShardCount,
    ring: Arc<Ring>,
    claims: BTreeMap<(ShardCount, ShardId), Shard>,
    is_leaving: bool,
    moves: Moves,
}

#[derive(Debug)]
struct Known {
    lease: Lease,
    version: String,
    /// In watched time.
    changed: Mono,
}

#[derive(Debug)]
struct Shard {
    claim: Claim,
    works: Works,
    is_draining: bool,
}

impl Shard {
    /// The next write, if any.
    fn next(&mut self, at: Moment) -> Option<Write> {
        loop {
            match self.claim.next(at)? {
                Command::StopScheduling => self.is_draining = true,
                Command::Write(write) => return Some(write),
            }
        }
    }
}

/// A write to be done.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) kind: Kind,
    pub(super) write: Write,
}

impl Fleet {
    pub(super) fn new(settings: Settings) -> Self {
        let liveness = Liveness::new(STALE_AFTER);
        let at = liveness.moment(Mono::ZERO);
        let mut own = Claim::new(settings.member.clone(), times(&settings, settings.renew), at);
        own.on_assigned(Some(settings.member.clone()), None);
        Self {
            liveness,
            is_cut_off: false,
            membership: Membership::default(),
            known: BTreeMap::new(),
            own,
            shards: settings.shards,
            ring: Arc::new(Ring::new(settings.shards)),
            claims: BTreeMap::new(),
            is_leaving: false,
            moves: Moves::new(settings.member.clone(), settings.duration),
            settings,
        }
    }

    /// Into how many shards the triggers are divided at present.
    pub(super) fn shards(&self) -> ShardCount {
        self.shards
    }

    pub(super) fn moment(&self, now: Mono) -> Moment {
        self.liveness.moment(now)
    }

    /// All Leases, as of a version; the question was sent at `sent`.
    pub(super) fn on_listed(&mut self, leases: Vec<Lease>, version: &str, sent: Mono, now: Mono) {
        self.on_bookmark(sent);
        let at = self.moment(now);
        let listed: BTreeSet<String> = leases.iter().map(ResourceExt::name_any).collect();
        for lease in leases {
            self.observe(lease, at);
        }
        let missing = self
            .known
            .iter()
            .filter(|(name, it)| !listed.contains(*name) && is_newer(version, &it.version));
        let missing: Vec<Lease> = missing.map(|(_, it)| it.lease.clone()).collect();
        for lease in missing {
            self.forget(&lease, version, &LastHolder::Unknown, at);
        }
        self.membership.on_listed();
    }

    /// Whether it is known who lives: before, nobody should count on this member.
    pub(super) fn is_settled(&self, now: Mono) -> bool {
        self.membership.is_settled(self.moment(now))
    }

    pub(super) fn on_seen(&mut self, lease: Lease, now: Mono) {
        self.on_bookmark(now);
        self.observe(lease, self.moment(now));
    }

    pub(super) fn on_gone(&mut self, lease: &Lease, now: Mono) {
        self.on_bookmark(now);
        let version = lease.resource_version().unwrap_or_default();
        let last = LastHolder::Known(lease::holder(lease));
        self.forget(lease, &version, &last, self.moment(now));
    }

    /// The API was heard, whatever it said.
    pub(super) fn on_bookmark(&mut self, heard: Mono) {
        self.liveness.on_heard(heard);
        self.is_cut_off = false;
    }

    /// The API was asked in vain.
    pub(super) fn on_failed(&mut self) {
        self.is_cut_off = true;
    }

    /// A write has ended: with the Lease as stored, or without.
    pub(super) fn on_stored(&mut self, (kind, intent): (&Kind, Intent), lease: Lease, now: Mono) {
        let at = self.moment(now);
        if let (Kind::Shard(shards, id), Intent::Claim) = (kind, intent) {
            let alive = &self.membership.alive().members;
            self.moves.on_claimed((*shards, *id), alive, now);
        }
        let stored = Answer::Stored(lease::observed(&lease));
        if let Some(claim) = self.claim_mut(kind) {
            claim.on_answer(stored, at);
        }
        self.observe(lease, at);
    }

    pub(super) fn on_unstored(&mut self, kind: &Kind, answer: Answer, now: Mono) {
        let at = self.moment(now);
        if let Some(claim) = self.claim_mut(kind) {
            claim.on_answer(answer, at);
        }
    }

    /// Hands everything over, for good.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.claims.values_mut().for_each(|it| it.claim.on_leave());
    }

    /// Whether nothing is left to hand over.
    pub(super) fn has_left(&self) -> bool {
        self.is_leaving && self.claims.values().all(|it| it.claim.is_over())
    }

    /// Whether a write of the own Lease is under way.
    pub(super) fn is_renewing_itself(&self) -> bool {
        self.own.is_writing()
    }

    /// A Lease as it is known.
    pub(super) fn lease(&self, name: &str) -> Option<&Lease> {
        self.known.get(name).map(|it| &it.lease)
    }

    /// Judges who is alive, and assigns anew if that has changed.
    pub(super) fn judge(&mut self, now: Mono) {
        self.claims.retain(|(shards, _), it| *shards == self.shards || !it.claim.is_over());
        if self.membership.judge(self.moment(now)) == Judged::Same || self.is_leaving {
            return;
        }
        let alive = self.membership.alive().clone();
        let shards = alive.shards.unwrap_or(self.shards);
        if shards != self.shards {
            self.follow(shards);
        }
        let at = self.moment(now);
        let assignment = assign(shards, &alive.members);
        for id in shards.ids() {
            let to = assignment.get(&id);
            let next = to.and_then(|it| stand_in(id, &alive.members, it));
            let shard = self.shard_mut(shards, id, at);
            shard.claim.on_assigned(to.cloned(), next);
        }
    }

    /// Changes the ring for that of the oldest member.
    fn follow(&mut self, shards: ShardCount) {
        let configured = self.settings.shards.get();
        warn!(configured, shards = shards.get(), "the oldest member's shard count is in force");
        self.shards = shards;
        self.ring = Arc::new(Ring::new(shards));
        for (_, old) in self.claims.iter_mut().filter(|((count, _), _)| *count != shards) {
            old.claim.on_leave();
        }
    }

    /// The own Lease is to say something else: it is renewed as soon as it can be.
    pub(super) fn retell(&mut self, now: Mono) {
        let at = self.moment(now);
        self.own.on_stale_text(at);
    }

    /// How the shards that became this member's did so, each once.
    pub(super) fn moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves.made)
    }

    /// The next write to do, if any. `announce`: whether this member may renew its own Lease.
    pub(super) fn next(&mut self, announce: Announce, now: Mono) -> Option<Due> {
        let at = self.moment(now);
        if announce == Announce::Yes
            && let Some(Command::Write(write)) = self.own.next(at)
        {
            return Some(Due { kind: Kind::Member(self.settings.member.clone()), write });
        }
        self.claims.iter_mut().find_map(|((count, id), shard)| {
            Some(Due { kind: Kind::Shard(*count, *id), write: shard.next(at)? })
        })
    }

    /// Looks which shards are drained, after the view was published that lets nobody begin more.
    /// True if any.
    pub(super) fn drain(&mut self) -> bool {
        let mut is_drained = false;
        for shard in self.claims.values_mut().filter(|it| it.is_draining && it.works.is_idle()) {
            shard.is_draining = false;
            shard.claim.on_drained();
            is_drained = true;
        }
        is_drained
    }

    /// When something may be due although nothing happens.
    pub(super) fn wake_at(&self, announce: Announce, now: Mono) -> Option<Mono> {
        let at = self.moment(now);
        let own = (announce == Announce::Yes).then(|| self.own.wake_at(at)).flatten();
        let claims = self.claims.values().map(|it| &it.claim);
        let ends = claims.clone().filter_map(Claim::mine_until).filter(|it| *it > now);
        let all = claims.filter_map(|it| it.wake_at(at)).chain(ends).chain(own);
        all.chain(self.membership.wake_at(at)).min()
    }

    /// Writes down what the handles may know; `instant` tells when a monotonic time is.
    pub(super) fn show(&self, view: &mut View, now: Mono, instant: impl Fn(Mono) -> Instant) {
        view.members.clone_from(&self.membership.alive().members);
        view.shards = self.shards;
        view.ring = Arc::clone(&self.ring);
        view.is_live = self.moment(now).is_live;
        view.is_cut_off = self.is_cut_off;
        view.cut_off.clone_from(&self.membership.alive().cut_off);
        view.alive_until = self.own.mine_until().map(&instant);
        view.held.clear();
        view.holders.clear();
        view.transitions.clear();
        let range = (self.shards, ShardId(0))..=(self.shards, ShardId(u16::MAX));
        for ((_, id), shard) in self.claims.range(range) {
            view.holders.insert(*id, shard.claim.holder().cloned());
            view.transitions.insert(*id, shard.claim.transitions());
            let Some(held_until) = shard.claim.held_until() else { continue };
            let held = Tenure {
                mine_until: shard.claim.mine_until().map(&instant),
                held_until: instant(held_until),
                transitions: shard.claim.transitions(),
                works: shard.works.clone(),
            };
            view.held.insert(*id, held);
        }
    }

    /// The Leases that have been nobody's for an hour, by name, with their version.
    pub(super) fn long_gone(&self, now: Mono) -> Vec<(String, String)> {
        let at = self.moment(now);
        let is_ours = |lease: &Lease| match lease::kind(&self.settings, lease) {
            Some(Kind::Member(member)) => member == self.settings.member,
            Some(Kind::Shard(shards, _)) => shards == self.shards,
            None => true,
        };
        let stale = self.known.iter().filter(|(_, it)| {
            at.watched.saturating_sub(it.changed) >= LONG_GONE && !is_ours(&it.lease)
        });
        stale.map(|(name, it)| (name.clone(), it.version.clone())).collect()
    }

    fn observe(&mut self, lease: Lease, at: Moment) {
        let Some(kind) = lease::kind(&self.settings, &lease) else { return };
        let (name, version) = (lease.name_any(), lease.resource_version().unwrap_or_default());
        if self.known.get(&name).is_some_and(|it| !is_newer(&version, &it.version)) {
            return;
        }
        if let Kind::Member(member) = &kind {
            match lease::sighting(&self.settings, member.clone(), &lease) {
                Some(sighting) => self.membership.on_seen(sighting, at),
                None => self.membership.on_gone(member),
            }
        }
        if let Kind::Shard(shards, id) = &kind {
            self.moves.on_seen((*shards, *id), lease::holder(&lease), at.now);
        } else if kind == Kind::Member(self.settings.member.clone()) {
            self.moves.on_joined(at.now);
        }
        if let Some(claim) = self.claim_mut(&kind) {
            claim.on_observed(lease::observed(&lease), at);
        }
        self.known.insert(name, Known { lease, version, changed: at.watched });
    }

    fn forget(&mut self, lease: &Lease, version: &str, last: &LastHolder, at: Moment) {
        let Some(kind) = lease::kind(&self.settings, lease) else { return };
        let name = lease.name_any();
        if self.known.get(&name).is_some_and(|it| !is_newer(version, &it.version)) {
            return;
        }
        self.known.remove(&name);
        if let Kind::Member(member) = &kind {
            self.membership.on_gone(member);
        }
        if let Some(claim) = self.claim_mut(&kind) {
            claim.on_gone(version, last, at);
        }
    }

    fn claim_mut(&mut self, kind: &Kind) -> Option<&mut Claim> {
        match kind {
            Kind::Member(member) => (*member == self.settings.member).then_some(&mut self.own),
            Kind::Shard(shards, id) => self.claims.get_mut(&(*shards, *id)).map(|it| &mut it.claim),
        }
    }

    fn shard_mut(&mut self, shards: ShardCount, id: ShardId, at: Moment) -> &mut Shard {
        let Self { settings, known, claims, .. } = self;
        claims.entry((shards, id)).or_insert_with(|| {
            // Over one renewal, each shard at its own time.
            let share = f64::from(id.0 + 1) / f64::from(shards.get());
            let times = times(settings, settings.renew.mul_f64(share));
            let mut claim = Claim::new(settings.member.clone(), times, at);
            if let Some(it) = known.get(&lease::name(settings, &Kind::Shard(shards, id))) {
                claim.on_observed(lease::observed(&it.lease), at);
            }
            Shard { claim, works: Works::default(), is_draining: false }
        })
    }
}

/// Whether this member says that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announce {
    Yes,
    No,
}

fn times(settings: &Settings, first_renewal: Duration) -> claim::Settings {
    claim::Settings {
        duration: settings.duration,
        margin: MARGIN,
        renew: settings.renew,
        first_renewal,
        drain: DRAIN,
        retry: RETRY,
        takeover: settings.takeover,
    }
}
