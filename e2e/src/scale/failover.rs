//! How long is a trigger nobody's? Replicas are ended one after the other, by SIGKILL and by being asked to,
//! and the others tell when they first checked what was theirs. Leases are production's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::clusters::Clusters;
use super::replica::Order;
use super::seeds::Seeds;
use crate::measure::{Peer, monotonic};

/// Each has a repository of its own, and is checked each second.
const TRIGGERS: usize = 60;
const REPLICAS: usize = 3;
const SHARDS: u16 = 64;
/// Nothing takes as long.
const LIMIT: Duration = Duration::from_mins(3);
const LOOK: Duration = Duration::from_millis(100);

/// How a replica ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Killed,
    Asked,
}

/// Seconds from the end of a replica to the first check of one of its triggers, and to that of all.
#[derive(Clone, Copy, Debug)]
struct Took {
    first: f64,
    all: f64,
}

struct Fleet {
    clusters: Clusters,
    peers: BTreeMap<usize, Peer>,
    started: usize,
}

pub(super) fn measure(runs: usize) -> anyhow::Result<String> {
    let seeds = Seeds { cluster: "hub".to_owned(), triggers: TRIGGERS, sharing: 1, interval: 1 };
    let clusters = Clusters::start(&[seeds])?;
    let mut fleet = Fleet { clusters, peers: BTreeMap::new(), started: 0 };
    let mut text = format!(
        "{REPLICAS} replicas, {SHARDS} shards, {TRIGGERS} triggers with an interval of 1 s, {runs} runs each:\n\n\
         | end of a replica | first check of a trigger of its own, p50 | max | all of them checked, p50 | max |\n\
         | --- | ---: | ---: | ---: | ---: |\n"
    );
    for (end, title) in [(End::Killed, "SIGKILL"), (End::Asked, "asked to stop")] {
        let took = (0..runs).map(|_| fleet.lose_one(end)).collect::<anyhow::Result<Vec<Took>>>()?;
        let (first, all) = (took.iter().map(|it| it.first), took.iter().map(|it| it.all));
        let ((first, most), (all, longest)) = (middle(first), middle(all));
        writeln!(text, "| {title} | {first:.1} s | {most:.1} s | {all:.1} s | {longest:.1} s |")?;
    }
    Ok(text)
}

/// The middle and the most.
fn middle(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    let of = |index: usize| figures.get(index).copied().unwrap_or_default();
    (of(figures.len() / 2), of(figures.len().saturating_sub(1)))
}

impl Fleet {
    /// Ends the oldest replica once the shards are divided, and waits until the others check what it did.
    fn lose_one(&mut self, end: End) -> anyhow::Result<Took> {
        self.fill()?;
        let mine = self.last_checked()?;
        let oldest = *self.peers.keys().next().context("there are replicas")?;
        let orphans: BTreeSet<String> =
            mine.into_iter().filter(|it| it.1 == oldest).map(|it| it.0).collect();
        anyhow::ensure!(!orphans.is_empty(), "the oldest replica checked nothing");
        let mut peer = self.peers.remove(&oldest).context("it is one of them")?;
        let mut at = monotonic().as_secs_f64();
        match end {
            End::Killed => peer.kill()?,
            End::Asked => at = peer.ask("stop")?.as_f64().context("no time")?,
        }
        let mut seen: BTreeMap<String, f64> = BTreeMap::new();
        let limit = monotonic() + LIMIT;
        while seen.len() < orphans.len() {
            anyhow::ensure!(monotonic() < limit, "{} of {orphans:?} are nobody's", seen.len());
            thread::sleep(LOOK);
            let checks = self.checks()?.into_iter();
            for (_, remote, checked) in checks.filter(|it| orphans.contains(&it.1) && it.2 > at) {
                seen.entry(remote).or_insert(checked - at);
            }
        }
        let first = seen.values().copied().fold(f64::MAX, f64::min);
        Ok(Took { first, all: seen.values().copied().fold(0.0, f64::max) })
    }

    /// Starts what is missing, and waits until everybody holds about as much.
    fn fill(&mut self) -> anyhow::Result<()> {
        while self.peers.len() < REPLICAS {
            self.started += 1;
            let order = Order {
                hub: self.clusters.hub().to_owned(),
                member: format!("git-events-runner-7f9c6d5b8-{:05}", self.started),
                shards: SHARDS,
                clusters: 1,
                triggers: TRIGGERS,
            };
            let mut peer = order.start()?;
            peer.ask("synced")?;
            self.peers.insert(self.started, peer);
        }
        let limit = monotonic() + LIMIT;
        loop {
            let held = self.peers.values_mut().map(|it| it.ask("held"));
            let held = held.collect::<anyhow::Result<Vec<Value>>>()?;
            let held: Vec<u64> = held.iter().filter_map(Value::as_u64).collect();
            if held.iter().sum::<u64>() == u64::from(SHARDS) && held.iter().all(|it| *it > 10) {
                return Ok(());
            }
            anyhow::ensure!(monotonic() < limit, "the shards are not divided: {held:?}");
            thread::sleep(LOOK);
        }
    }

    /// Who checked each remote last, once all were.
    fn last_checked(&mut self) -> anyhow::Result<BTreeMap<String, usize>> {
        self.checks()?;
        let (mut last, limit) = (BTreeMap::new(), monotonic() + LIMIT);
        // A moment more, in which everybody checks all that is still his.
        let mut more = 30;
        while last.len() < TRIGGERS || more > 0 {
            anyhow::ensure!(monotonic() < limit, "only {} were checked", last.len());
            thread::sleep(LOOK);
            more -= i32::from(more > 0);
            let mut checks = self.checks()?;
            checks.sort_unstable_by(|one, other| one.2.total_cmp(&other.2));
            last.extend(checks.into_iter().map(|(who, remote, _)| (remote, who)));
        }
        Ok(last)
    }

    /// Who asked which remote when, since it was last asked for.
    fn checks(&mut self) -> anyhow::Result<Vec<(usize, String, f64)>> {
        let mut all = Vec::new();
        for (number, peer) in &mut self.peers {
            let noted: Vec<(String, f64)> = serde_json::from_value(peer.ask("asked")?)?;
            all.extend(noted.into_iter().map(|(remote, at)| (*number, remote, at)));
        }
        Ok(all)
    }
}
