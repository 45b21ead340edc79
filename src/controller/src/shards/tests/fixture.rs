//! A hub with members on it, whose every step is looked at: no shard ever has two sure owners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ger_core::names::{ClusterName, MemberId, ShardCount, ShardId, TriggerKey, TriggerKind};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube_sandbox::{Fault, FaultKind, Sandbox};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::{Handle, Inputs, Progress, Settings, Takeover, Unreachable, Work, run};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// How often the members are looked at.
const STEP: Duration = Duration::from_millis(20);

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) struct Hub {
    pub(super) sandbox: Sandbox,
    pub(super) takeover: Takeover,
    pub(super) shards: u16,
    members: BTreeMap<String, Member>,
}

pub(super) struct Member {
    pub(super) handle: Handle,
    pub(super) ready: watch::Sender<bool>,
    pub(super) unreachable: watch::Sender<BTreeSet<ClusterName>>,
    pub(super) metrics: Metrics,
    stop: CancellationToken,
    task: JoinSet<()>,
    workers: JoinSet<()>,
    is_counted: bool,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self {
            sandbox: Sandbox::new("hub"),
            takeover: Takeover::Enabled,
            shards: 64,
            members: BTreeMap::new(),
        }
    }

    /// With these members, which hold all shards.
    pub(super) async fn settled<const N: usize>(names: [&str; N]) -> Self {
        let mut hub = Self::new();
        for name in names {
            hub.join(name);
        }
        hub.until("all hold shards", secs(60), |hub| hub.is_settled(N)).await;
        hub
    }

    pub(super) fn join(&mut self, name: &str) {
        self.join_with_clock(name, Timestamp::UNIX_EPOCH);
    }

    pub(super) fn join_with_clock(&mut self, name: &str, wall: Timestamp) {
        let client = kube::Client::new(self.sandbox.client_router(name), "default");
        let settings = Settings {
            shards: ShardCount::new(self.shards).unwrap(),
            takeover: self.takeover,
            ..Settings::new("default", "ger", MemberId::new(name))
        };
        let (ready, is_ready) = watch::channel(true);
        let progress = Progress::default();
        let mut workers = JoinSet::new();
        let ticked = progress.clone();
        workers.spawn(async move {
            loop {
                ticked.tick();
                sleep(secs(2)).await;
            }
        });
        let unreachable = watch::Sender::new(BTreeSet::new());
        let seen = unreachable.subscribe();
        let metrics = Metrics::new("test").unwrap();
        let inputs = Inputs {
            ready: is_ready,
            progress,
            clock: Clock::virtual_from(wall),
            unreachable: Unreachable::new(move || seen.borrow().clone()),
            metrics: metrics.clone(),
        };
        let stop = CancellationToken::new();
        let (handle, running) = run(settings, client, inputs, stop.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { running.await.unwrap() });
        let member =
            Member { handle, ready, unreachable, metrics, stop, task, workers, is_counted: true };
        self.members.insert(name.to_owned(), member);
    }

    pub(super) fn member(&self, name: &str) -> &Member {
        &self.members[name]
    }

    pub(super) fn stop(&mut self, name: &str) {
        let member = self.members.get_mut(name).unwrap();
        member.stop.cancel();
        member.is_counted = false;
    }

    /// As when the process is killed: nothing more is sent, and nobody asks it any more.
    pub(super) fn crash(&mut self, name: &str) {
        self.members.remove(name);
    }

    pub(super) fn hang_workers(&mut self, name: &str) {
        let member = self.members.get_mut(name).unwrap();
        member.workers.abort_all();
        member.is_counted = false;
    }

    pub(super) async fn until_ended(&mut self, name: &str, limit: Duration) {
        let task = &mut self.members.get_mut(name).unwrap().task;
        let ended = tokio::time::timeout(limit, task.join_next()).await;
        ended.expect("it ends in time").unwrap().unwrap();
    }

    pub(super) fn fault(&self, client: &str, kind: FaultKind) {
        self.sandbox.set_fault(Fault { client: Some(client.to_owned()), kind });
    }

    pub(super) fn fault_all(&self, kind: FaultKind) {
        self.sandbox.set_fault(Fault { client: None, kind });
    }

    pub(super) fn heal(&self) {
        self.sandbox.clear_faults();
    }

    fn api(&self) -> Api<Lease> {
        Api::default_namespaced(kube::Client::new(self.sandbox.client_router("test"), "default"))
    }

    pub(super) async fn has_lease(&self, name: &str) -> bool {
        self.api().get_opt(&format!("ger-{name}")).await.unwrap().is_some()
    }

    pub(super) async fn holder(&self, name: &str) -> Option<String> {
        self.api().get(&format!("ger-{name}")).await.unwrap().spec?.holder_identity
    }

    pub(super) async fn delete(&self, name: &str) {
        self.api()
            .delete(&format!("ger-{name}"), &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }

    /// Looks until `is_so`, and at every step that no shard has two owners.
    pub(super) async fn until(&self, what: &str, limit: Duration, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            self.check();
            assert!(start.elapsed() < limit, "not in {limit:?}: {what}\n{}", self.describe());
            sleep(STEP).await;
        }
        self.check();
    }

    /// Looks for a while.
    pub(super) async fn watch_for(&self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.check();
            sleep(STEP).await;
        }
    }

    /// Lets time pass, unlooked at.
    pub(super) async fn pass(&self, time: Duration) {
        sleep(time).await;
    }

    fn check(&self) {
        let mut owners: BTreeMap<(u16, ShardId), &str> = BTreeMap::new();
        for (name, member) in &self.members {
            let snapshot = member.handle.snapshot();
            for shard in snapshot.mine {
                let other = owners.insert((snapshot.shards.get(), shard), name);
                assert_eq!(other, None, "{shard} is also {name}'s");
            }
        }
    }

    /// Whether all shards are owned, by exactly so many members.
    pub(super) fn is_settled(&self, members: usize) -> bool {
        let counted = self.members.values().filter(|it| it.is_counted);
        let all: Vec<_> = counted.map(|it| it.handle.snapshot()).collect();
        let held: Vec<usize> = all.iter().map(|it| it.mine.len()).collect();
        all.iter().all(|it| held.iter().sum::<usize>() == usize::from(it.shards.get()))
            && held.iter().filter(|it| **it > 0).count() == members
    }

    /// How many shards a member is sure of.
    pub(super) fn sure(&self, name: &str) -> usize {
        self.members[name].handle.snapshot().mine.len()
    }

    /// How many of many keys a member would work on.
    pub(super) fn owned(&self, name: &str) -> usize {
        let handle = &self.members[name].handle;
        let shards = (0..1000).filter_map(|i| handle.begin(&key(i))).map(|it| it.shard());
        shards.collect::<BTreeSet<_>>().len()
    }

    /// How many of `all` shards others than `name` hold, as the others see it.
    pub(super) fn held_before(&self, name: &str, all: usize) -> usize {
        let (_, other) = self.members.iter().find(|(it, _)| *it != name).unwrap();
        let holders = other.handle.snapshot().holders;
        let its = holders.values().flatten().filter(|it| it.as_str() == name).count();
        all - its
    }

    /// Which member holds which shard, as the first member sees it.
    pub(super) fn holders(&self) -> BTreeMap<ShardId, Option<MemberId>> {
        self.members.values().next().unwrap().handle.snapshot().holders
    }

    pub(super) fn begin(&self, name: &str, i: usize) -> Option<Work> {
        self.members[name].handle.begin(&key(i))
    }

    pub(super) fn stewards(&self) -> Vec<String> {
        let stewards = self.members.iter().filter(|(_, it)| it.handle.is_steward());
        stewards.map(|(name, _)| name.clone()).collect()
    }

    fn describe(&self) -> String {
        let all =
            self.members.iter().map(|(name, it)| format!("{name}: {:?}", it.handle.snapshot()));
        all.collect::<Vec<_>>().join("\n")
    }
}

fn key(i: usize) -> TriggerKey {
    Hub::key_in(&ClusterName::hub(), i)
}

impl Hub {
    /// A key of many in a cluster.
    pub(super) fn key_in(cluster: &ClusterName, i: usize) -> TriggerKey {
        TriggerKey {
            cluster: cluster.clone(),
            kind: TriggerKind::Schedule,
            namespace: "default".to_owned(),
            name: format!("trigger-{i}"),
        }
    }
}
