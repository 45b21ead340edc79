//! What the rest of the replica sees of the shards: written by the task, read by the handles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use ger_core::names::{ClusterName, MemberId, ShardCount, ShardId, TriggerKey};
use ger_core::reach::{self, CutOff};
use ger_core::ring::Ring;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Snapshot;

/// The view, and the signals between the handles and the task.
#[derive(Debug)]
pub(super) struct Shared {
    member: MemberId,
    view: RwLock<View>,
    changes: watch::Sender<u64>,
    is_steward: AtomicBool,
    /// Some shard's last work has ended.
    pub(super) drained: Notify,
}

/// Whether this member is the steward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stewardship {
    Held,
    NotHeld,
}

/// What the task publishes.
#[derive(Debug)]
pub(super) struct View {
    pub(super) members: BTreeSet<MemberId>,
    pub(super) shards: ShardCount,
    pub(super) ring: Arc<Ring>,
    pub(super) held: BTreeMap<ShardId, Tenure>,
    pub(super) holders: BTreeMap<ShardId, Option<MemberId>>,
    /// The claims of each shard so far.
    pub(super) transitions: BTreeMap<ShardId, i32>,
    /// What each live member says it cannot reach.
    pub(super) cut_off: CutOff,
    /// Until when this member is alive to the others, if nothing more is heard.
    pub(super) alive_until: Option<Instant>,
    pub(super) is_live: bool,
    /// The hub's API was asked and did not answer.
    pub(super) is_cut_off: bool,
}

/// One shard of this member, as last observed.
#[derive(Clone, Debug)]
pub(super) struct Tenure {
    /// Until when new work may begin, if nothing more is heard; none while it is handed over.
    pub(super) mine_until: Option<Instant>,
    /// Until when nobody else can have it.
    pub(super) held_until: Instant,
    pub(super) transitions: i32,
    pub(super) works: Works,
}

impl Tenure {
    /// Whether it is mine beyond doubt.
    fn is_certain(&self, now: Instant) -> bool {
        self.mine_until.is_some_and(|until| now < until)
    }
}

/// Counts the work on a shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Works(Arc<AtomicUsize>);

impl Works {
    pub(super) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// By what a member works a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// It holds the shard.
    Holder,
    /// It stands in for the holder, who cannot reach the cluster.
    StandIn,
}

impl View {
    /// By what right this member works the keys of a cluster in a shard, if it does.
    fn right(
        &self,
        me: &MemberId,
        (shard, cluster): (ShardId, &ClusterName),
        now: Instant,
    ) -> Option<Right> {
        let is_mine = self.is_mine(shard, now);
        if self.cut_off.is_empty() || self.is_cut_off {
            return is_mine.then_some(Right::Holder);
        }
        let holder = if is_mine { me } else { self.holders.get(&shard)?.as_ref()? };
        // A holder that is not alive says nothing any more: the shard is taken over.
        let is_alive = |it: &MemberId| self.members.contains(it);
        if !is_mine && !is_alive(holder) {
            return None;
        }
        let worker = reach::worker((shard, holder), cluster, &self.members, &self.cut_off);
        if worker != me {
            return None;
        }
        if is_mine {
            return Some(Right::Holder);
        }
        let counts = self.is_live && self.alive_until.is_some_and(|until| now < until);
        (holder != me && counts).then_some(Right::StandIn)
    }

    /// Whether new work may begin. When the hub cannot be asked, the last known holder goes on.
    fn is_mine(&self, shard: ShardId, now: Instant) -> bool {
        let until = self.held.get(&shard).and_then(|it| it.mine_until);
        until.is_some_and(|until| now < until || self.is_cut_off)
    }

    fn certain(&self, now: Instant) -> BTreeSet<ShardId> {
        let certain = self.held.iter().filter(|(_, held)| held.is_certain(now));
        certain.map(|(shard, _)| *shard).collect()
    }

    pub(super) fn mine(&self, now: Instant) -> BTreeMap<ShardId, i32> {
        let mine = self.held.iter().filter(|(shard, _)| self.is_mine(**shard, now));
        mine.map(|(shard, held)| (*shard, held.transitions)).collect()
    }
}

impl Shared {
    pub(super) fn new(member: MemberId, shards: ShardCount) -> Self {
        let view = View {
            members: BTreeSet::new(),
            shards,
            ring: Arc::new(Ring::new(shards)),
            held: BTreeMap::new(),
            holders: BTreeMap::new(),
            transitions: BTreeMap::new(),
            cut_off: CutOff::new(),
            alive_until: None,
            is_live: false,
            is_cut_off: false,
        };
        Self {
            member,
            view: RwLock::new(view),
            changes: watch::Sender::new(0),
            is_steward: AtomicBool::new(false),
            drained: Notify::new(),
        }
    }

    /// Changes the view. Whatever begins after this returns has seen the change.
    pub(super) fn publish(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Tells that shards were gained or lost.
    pub(super) fn bump(&self) {
        self.changes.send_modify(|it| *it += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn set_stewardship(&self, now: Stewardship) {
        self.is_steward.store(now == Stewardship::Held, Ordering::Relaxed);
    }

    pub(super) fn is_steward(&self) -> bool {
        self.is_steward.load(Ordering::Relaxed)
    }

    pub(super) fn has_joined(&self) -> bool {
        self.read().members.contains(&self.member)
    }

    pub(super) fn owns(&self, key: &TriggerKey) -> bool {
        let view = self.read();
        let shard = view.ring.shard_of(key);
        view.right(&self.member, (shard, &key.cluster), Instant::now()).is_some()
    }

    /// Whether a text that belongs to a cluster is mine beyond doubt.
    pub(super) fn is_certain(&self, text: &str, cluster: &ClusterName) -> bool {
        let view = self.read();
        let (shard, now) = (view.ring.shard_of_text(text), Instant::now());
        match view.right(&self.member, (shard, cluster), now) {
            Some(Right::Holder) => view.held.get(&shard).is_some_and(|it| it.is_certain(now)),
            Some(Right::StandIn) => true,
            None => false,
        }
    }

    pub(super) fn begin(shared: &Arc<Self>, key: &TriggerKey) -> Option<Work> {
        let view = shared.read();
        let shard = view.ring.shard_of(key);
        let right = view.right(&shared.member, (shard, &key.cluster), Instant::now())?;
        let (transitions, works) = match right {
            Right::Holder => {
                let held = view.held.get(&shard)?;
                (held.transitions, held.works.clone())
            }
            // The shard is not this member's to hand over.
            Right::StandIn => (*view.transitions.get(&shard)?, Works::default()),
        };
        // Counted under the lock: the task either sees this work, or this work saw the task's word.
        works.0.fetch_add(1, Ordering::AcqRel);
        Some(Work {
            shared: Arc::clone(shared),
            cluster: key.cluster.clone(),
            right,
            shard,
            shards: view.shards,
            transitions,
            works,
        })
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let view = self.read();
        Snapshot {
            member: self.member.clone(),
            members: view.members.clone(),
            shards: view.shards,
            holders: view.holders.clone(),
            mine: view.certain(Instant::now()),
            is_steward: self.is_steward(),
            is_live: view.is_live,
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work in progress on a shard: while it lives, for 5 s at most, the shard is not given away.
#[derive(Debug)]
pub struct Work {
    shared: Arc<Shared>,
    cluster: ClusterName,
    right: Right,
    shards: ShardCount,
    shard: ShardId,
    transitions: i32,
    works: Works,
}

impl Work {
    /// Whether the shard is held under the same claim as when the work began: also while it is
    /// being handed over, for then nobody else has it yet.
    pub fn still_mine(&self) -> bool {
        let view = self.shared.read();
        if self.right == Right::StandIn {
            let of = (self.shard, &self.cluster);
            let is_same = view.shards == self.shards
                && view.transitions.get(&self.shard) == Some(&self.transitions);
            return is_same && view.right(&self.shared.member, of, Instant::now()).is_some();
        }
        let held = view.held.get(&self.shard).filter(|_| view.shards == self.shards);
        held.is_some_and(|it| {
            let is_held = Instant::now() < it.held_until || view.is_cut_off;
            is_held && it.transitions == self.transitions
        })
    }

    /// The claims of the shard's Lease until the work began: under which of them it is done.
    pub fn transitions(&self) -> i32 {
        self.transitions
    }

    pub fn shard(&self) -> ShardId {
        self.shard
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.works.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.drained.notify_one();
        }
    }
}
