//! The loop: hears, lets the fleet decide, writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ger_core::claim::{Answer, Intent};
use ger_core::membership::Mono;
use ger_core::names::{ClusterName, ShardId};
use ger_core::reach::CutOff;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::error::Error;
use super::fleet::{Announce, DRAIN, Due, Fleet};
use super::lease::{self, Kind};
use super::leases::{Heard, Leases, PATIENCE};
use super::moves::Move;
use super::view::Shared;
use super::{Inputs, Settings, steward};

/// How many writes may be under way at once at least, however few the shards are.
const WRITES: usize = 16;

/// From one look at what makes no noise to the next: workers' progress, readiness.
const LOOK: Duration = Duration::from_secs(1);

/// A worker that did not tick for so long is stuck: a check takes seconds.
const STUCK: Duration = Duration::from_secs(30);

/// From one sweep of the Leases that nobody needs to the next.
const SWEEP: Duration = Duration::from_mins(1);

/// How long releasing may take beyond the drain, before the Leases are left to run out.
const FAREWELL: Duration = Duration::from_secs(5);

/// Owns everything that runs for the shards.
pub(super) struct Task {
    settings: Settings,
    inputs: Inputs,
    hub: kube::Client,
    leases: Leases,
    shared: Arc<Shared>,
    fleet: Fleet,
    origin: Instant,
    writes: JoinSet<Written>,
    progress: Heartbeat,
    swept: Mono,
    departure: Departure,
    is_reachable: bool,
    mine: BTreeMap<ShardId, i32>,
    /// What this member said last that it cannot reach, and what all say.
    unreachable: BTreeSet<ClusterName>,
    cut_off: CutOff,
}

/// The workers' last tick, and when it was first seen.
struct Heartbeat {
    count: u64,
    at: Mono,
}

/// How far this member has got with going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Departure {
    Stays,
    /// Its own Lease is to be deleted, so that others take what it releases.
    Announced {
        deadline: Mono,
    },
    Withdrawing {
        deadline: Mono,
    },
    Withdrawn {
        deadline: Mono,
    },
}

/// What became of a write.
enum Written {
    Lease { kind: Kind, intent: Intent, answer: Result<Box<Lease>, Error> },
    Withdrawal(Result<(), Error>),
    Sweep(Result<(), Error>),
}

impl Task {
    pub(super) fn new(
        settings: Settings,
        hub: kube::Client,
        inputs: Inputs,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            leases: Leases::new(hub.clone(), &settings),
            fleet: Fleet::new(settings.clone()),
            origin: Instant::now(),
            writes: JoinSet::new(),
            progress: Heartbeat { count: 0, at: Mono::ZERO },
            swept: Mono::ZERO,
            departure: Departure::Stays,
            is_reachable: true,
            mine: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            cut_off: CutOff::new(),
            settings,
            inputs,
            hub,
            shared,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        self.origin = Instant::now();
        let (sender, mut heard) = mpsc::channel(256);
        let mut watching = JoinSet::new();
        watching.spawn(self.leases.clone().watch(sender));
        let mut stewarding = JoinSet::new();
        let (settings, hub) = (self.settings.clone(), self.hub.clone());
        let shared = Arc::clone(&self.shared);
        stewarding.spawn(steward::contend(settings, hub, shared, stop.clone()));

        let mut ready = self.inputs.ready.clone();
        let mut is_ready_open = true;
        while !self.is_over() {
            let wake = self.act();
            tokio::select! {
                biased;
                () = stop.cancelled(), if self.departure == Departure::Stays => self.depart(),
                Some(written) = self.writes.join_next() => self.on_written(sound(written)?),
                news = heard.recv() => if let Some(news) = news { self.hear(news) },
                () = self.shared.drained.notified() => {}
                changed = ready.changed(), if is_ready_open => is_ready_open = changed.is_ok(),
                () = sleep_until(wake) => {}
                Some(ended) = watching.join_next() => sound(ended)?,
            }
            while let Ok(news) = heard.try_recv() {
                self.hear(news);
            }
        }
        // Whoever holds a handle still reads the view.
        self.publish();
        let Ok(ended) = timeout(PATIENCE, stewarding.join_next()).await else {
            warn!("the steward's lease is left to run out");
            return Ok(());
        };
        ended.map_or(Ok(()), sound)
    }

    fn now(&self) -> Mono {
        self.origin.elapsed()
    }

    fn is_over(&self) -> bool {
        match self.departure {
            Departure::Stays => false,
            Departure::Announced { deadline } | Departure::Withdrawing { deadline } => {
                deadline <= self.now()
            }
            Departure::Withdrawn { deadline } => {
                deadline <= self.now() || self.fleet.has_left() && self.writes.is_empty()
            }
        }
    }

    fn depart(&mut self) {
        info!("handing the shards over");
        self.departure = Departure::Announced { deadline: self.now() + DRAIN + FAREWELL };
        self.fleet.leave();
    }

    fn hear(&mut self, heard: Heard) {
        let now = self.now();
        let is_reachable = !matches!(heard, Heard::Failed(_));
        match heard {
            Heard::Listed { leases, version, sent } => {
                let sent = sent.saturating_duration_since(self.origin);
                self.fleet.on_listed(leases, &version, sent, now);
            }
            Heard::Seen(lease) => self.fleet.on_seen(*lease, now),
            Heard::Gone(lease) => self.fleet.on_gone(&lease, now),
            Heard::Bookmark => self.fleet.on_bookmark(now),
            Heard::Failed(error) => {
                if self.is_reachable {
                    warn!(error = chain(&error), "the hub is out of reach: nothing is claimed");
                }
                self.fleet.on_failed();
            }
        }
        self.is_reachable = is_reachable;
    }

    fn on_written(&mut self, written: Written) {
        let now = self.now();
        match written {
            Written::Lease { kind, intent, answer: Ok(lease) } => {
                self.count((&kind, intent), "ok");
                self.fleet.on_stored((&kind, intent), *lease, now);
                self.count_moves();
            }
            Written::Lease { kind, intent, answer: Err(error) } => {
                self.count((&kind, intent), if error.is_refusal() { "refused" } else { "failed" });
                warn!(error = chain(&error), "a lease was not written");
                let answer = if error.is_refusal() { Answer::Refused } else { Answer::Unknown };
                self.fleet.on_unstored(&kind, answer, now);
            }
            Written::Withdrawal(answer) => self.on_withdrawal(answer),
            Written::Sweep(Ok(())) => {}
            Written::Sweep(Err(error)) => {
                info!(error = chain(&error), "a stale lease was not deleted");
            }
        }
    }

    fn on_withdrawal(&mut self, answer: Result<(), Error>) {
        let Departure::Withdrawing { deadline } = self.departure else { return };
        self.departure = match answer {
            Ok(()) => Departure::Withdrawn { deadline },
            Err(error) if error.is_absence() => Departure::Withdrawn { deadline },
            Err(error) => {
                warn!(error = chain(&error), "the member's lease was not withdrawn");
                Departure::Announced { deadline }
            }
        };
    }

    /// Does what is due, tells the others, and says when to look again.
    fn act(&mut self) -> Instant {
        let now = self.now();
        let announce = self.announces(now);
        self.look_around(now);
        self.fleet.judge(now);
        loop {
            self.write_due(announce, now);
            self.publish();
            if !self.fleet.drain() {
                break;
            }
        }
        self.withdraw();
        self.sweep(now);

        let look = now + LOOK;
        let wake = match self.fleet.wake_at(announce, now) {
            Some(wake) if self.has_room() => wake.min(look),
            Some(_) | None => look,
        };
        self.origin + wake.max(now + Duration::from_millis(1))
    }

    /// Whether this member may say that it is alive.
    fn announces(&mut self, now: Mono) -> Announce {
        let count = self.inputs.progress.count();
        if count != self.progress.count {
            self.progress = Heartbeat { count, at: now };
        }
        let is_well = now.saturating_sub(self.progress.at) < STUCK;
        let is_ready = *self.inputs.ready.borrow()
            && self.settings.announce_after <= now
            && self.fleet.is_settled(now);
        let stays = self.departure == Departure::Stays;
        if is_well && is_ready && stays { Announce::Yes } else { Announce::No }
    }

    /// Tells the others which clusters this member cannot reach, when that changes.
    fn look_around(&mut self, now: Mono) {
        let unreachable = self.inputs.unreachable.now();
        if unreachable != self.unreachable {
            info!(clusters = unreachable.len(), "clusters that others have to work");
            self.unreachable = unreachable;
            self.fleet.retell(now);
        }
    }

    fn count(&self, (kind, intent): (&Kind, Intent), result: &str) {
        if intent == Intent::Renew {
            let labels = [kind.word(), result];
            self.inputs.metrics.lease_renewals_total.with_label_values(&labels).inc();
        }
    }

    fn count_moves(&mut self) {
        let metrics = &self.inputs.metrics;
        for Move { reason, unowned } in self.fleet.moves() {
            let reason = [reason.as_str()];
            metrics.shard_moves_total.with_label_values(&reason).inc();
            let Some(unowned) = unowned else { continue };
            metrics.shard_unowned_seconds.observe(unowned.as_secs_f64());
            metrics
                .shard_handover_seconds
                .with_label_values(&reason)
                .observe(unowned.as_secs_f64());
        }
    }

    /// As many writes as there are shards: a member that is alone must renew them all while a hub takes
    /// as long for each as a write may take.
    fn has_room(&self) -> bool {
        self.writes.len() < WRITES.max(usize::from(self.fleet.shards().get()))
    }

    fn write_due(&mut self, announce: Announce, now: Mono) {
        while self.has_room()
            && let Some(Due { kind, write }) = self.fleet.next(announce, now)
        {
            let known = self.fleet.lease(&lease::name(&self.settings, &kind));
            let said = lease::Said { now: self.inputs.clock.now(), unreachable: &self.unreachable };
            let lease = lease::written(&self.settings, &kind, known, &write, said);
            let (leases, intent) = (self.leases.clone(), write.intent);
            self.writes.spawn(async move {
                let answer = leases.write(&lease).await.map(Box::new);
                Written::Lease { kind, intent, answer }
            });
        }
    }

    /// Deletes the own Lease, when no renewal is under way that could bring it back.
    fn withdraw(&mut self) {
        let Departure::Announced { deadline } = self.departure else { return };
        if self.fleet.is_renewing_itself() {
            return;
        }
        self.departure = Departure::Withdrawing { deadline };
        let name = lease::name(&self.settings, &Kind::Member(self.settings.member.clone()));
        let leases = self.leases.clone();
        self.writes.spawn(async move { Written::Withdrawal(leases.delete(&name, None).await) });
    }

    fn sweep(&mut self, now: Mono) {
        if !self.shared.is_steward() || now < self.swept + SWEEP {
            return;
        }
        self.swept = now;
        for (name, version) in self.fleet.long_gone(now) {
            info!(lease = name, "deleting a stale lease");
            let leases = self.leases.clone();
            self.writes
                .spawn(async move { Written::Sweep(leases.delete(&name, Some(version)).await) });
        }
    }

    fn publish(&mut self) {
        let now = self.now();
        let origin = self.origin;
        self.shared.publish(|view| self.fleet.show(view, now, |it| origin + it));
        let (mine, cut_off) = {
            let view = self.shared.read();
            (view.mine(Instant::now()), view.cut_off.clone())
        };
        if mine != self.mine {
            info!(shards = mine.len(), before = self.mine.len(), "my shards");
            self.mine = mine;
            self.shared.bump();
        }
        if cut_off != self.cut_off {
            self.cut_off = cut_off;
            self.shared.bump();
        }
    }
}

/// A task that panicked takes its owner with it.
fn sound<T>(ended: Result<T, JoinError>) -> Result<T, Error> {
    ended.map_err(|source| Error::Panicked { source })
}

/// An error with its causes, without what the API quotes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        text = format!("{text}: {it}");
        cause = it.source();
    }
    text
}
