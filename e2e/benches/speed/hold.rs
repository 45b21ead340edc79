//! What does it cost to hold many triggers, and to check all of them every minute?
//!
//! Measured in processes of their own: freed memory of other work would hide the growth.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ger_core::claim::Takeover;
use ger_core::names::{ClusterName, MemberId};
use ger_git::Client;
use git_events_runner::clock::Clock;
use git_events_runner::clusters::{self, Clients, TlsConnect, trusted_clients};
use git_events_runner::config::{Flags, Settings};
use git_events_runner::replica::{self, Pace};
use kube::config::Kubeconfig;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, HOME, Seeds};
use crate::process::{Peer, cpu, memory, say};
use crate::remotes::Remotes;

/// How many triggers are held.
pub(crate) const HELD: usize = 10_000;
/// The triggers' interval: after it, each was checked at least once.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long a replica is looked at that holds nothing.
const IDLE: Duration = Duration::from_secs(15);
/// Nothing takes as long.
const LIMIT: Duration = Duration::from_mins(2);
/// What is waited for is looked at this often.
const LOOK: Duration = Duration::from_millis(50);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Held {
    /// Triggers that no controller has seen.
    pub(crate) fresh: Each,
    /// Triggers that were checked and run once.
    pub(crate) settled: Each,
    /// A replica that holds and checks nothing.
    pub(crate) idle: Use,
    /// A replica that holds and checks all of them.
    pub(crate) busy: Use,
}

/// What one trigger takes, on average.
#[derive(Debug)]
pub(crate) struct Each {
    /// Bytes as JSON.
    pub(crate) json: u64,
    /// Bytes of memory in the stores.
    pub(crate) store: u64,
}

/// What a replica used.
#[derive(Debug)]
pub(crate) struct Use {
    /// Bytes at the end.
    pub(crate) memory: u64,
    /// Share of a core.
    pub(crate) cores: f64,
    /// Requests to remotes a second.
    pub(crate) requests: f64,
}

pub(crate) fn measure(remotes: &Remotes) -> anyhow::Result<Held> {
    let seeds = |commit| Seeds { count: HELD, url: remotes.url(), commit };
    let fresh = in_stores(&mut Cluster::start()?, &seeds(None))?;
    let mut cluster = Cluster::start()?;
    let idle = replica_use(&cluster, 0)?;
    let settled = in_stores(&mut cluster, &seeds(Some(remotes.commit().to_owned())))?;
    let busy = replica_use(&cluster, HELD)?;
    Ok(Held { fresh, settled, idle, busy })
}

/// Fills an empty cluster, and compares the stores that follow it before and after.
fn in_stores(cluster: &mut Cluster, seeds: &Seeds) -> anyhow::Result<Each> {
    let empty = stores_memory(cluster, 0)?;
    let json = cluster.seed(seeds)?;
    let full = stores_memory(cluster, seeds.count)?;
    Ok(Each { json, store: full.saturating_sub(empty) / seeds.count as u64 })
}

/// The middle of three: what an allocator keeps for itself differs from process to process.
fn stores_memory(cluster: &Cluster, count: usize) -> anyhow::Result<u64> {
    let measured = (0..3).map(|_| {
        let mut peer = Peer::start("stores", &[cluster.kubeconfig(), &count.to_string()])?;
        peer.hear()?.as_u64().context("no figure")
    });
    let mut measured = measured.collect::<anyhow::Result<Vec<u64>>>()?;
    measured.sort_unstable();
    Ok(measured[1])
}

fn replica_use(cluster: &Cluster, count: usize) -> anyhow::Result<Use> {
    let mut peer = Peer::start("replica", &[cluster.kubeconfig(), &count.to_string()])?;
    let said = peer.hear()?;
    let number = |key: &str| said[key].as_f64().with_context(|| format!("no {key} in {said}"));
    Ok(Use {
        memory: said["memory"].as_u64().context("no memory")?,
        cores: number("cores")?,
        requests: number("requests")?,
    })
}

/// Follows a cluster as a replica does, and nothing else; says the growth of its memory.
pub(crate) async fn stores(arguments: &[String]) -> anyhow::Result<()> {
    let (kubeconfig, count) = parse(arguments)?;
    let settings = settings()?;
    let cluster_settings = replica::cluster_settings(&settings, HOME);
    let before = memory()?;
    let heard = clusters::Events::default();
    let (notices, _unread) = mpsc::channel(16);
    let parts = clusters::Parts {
        hub: trusted_clients(kubeconfig, &cluster_settings).await?,
        connect: Arc::new(TlsConnect::new(&cluster_settings)),
        settings: cluster_settings,
        clock: Clock::system(),
        metrics: git_events_runner::metrics::Metrics::new("bench")?,
        events: heard.clone(),
        notices,
    };
    let (handle, following) = clusters::start(parts, CancellationToken::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(following);
    tasks.spawn(listen(heard));
    until_listed(&handle, count).await?;
    // What the list changed is still being delivered.
    sleep(Duration::from_secs(2)).await;
    say(&json!(memory()?.saturating_sub(before)))
}

async fn listen(heard: clusters::Events) {
    loop {
        heard.next().await;
    }
}

/// Runs a whole replica, and says what it used while somebody looked, once it has settled.
pub(crate) async fn replica(arguments: &[String]) -> anyhow::Result<()> {
    let (kubeconfig, count) = parse(arguments)?;
    let settings = settings()?;
    let cluster_settings = replica::cluster_settings(&settings, HOME);
    let hub: Clients = trusted_clients(kubeconfig, &cluster_settings).await?;
    let remotes = Client::new()?;
    let shards = usize::from(settings.shards.get());
    let parts = replica::Parts {
        settings,
        namespace: HOME.to_owned(),
        member: MemberId::new(format!("measured-{}", std::process::id())),
        pod: None,
        hub,
        connect: Arc::new(TlsConnect::new(&cluster_settings)),
        remotes: Arc::new(remotes.clone()),
        clock: Clock::system(),
        utility: None,
        webhooks: None,
        pace: Pace { announce_after: Duration::from_millis(500) },
        takeover: Takeover::Enabled,
    };
    let (handle, running) = replica::start(parts, CancellationToken::new())?;
    let mut tasks = JoinSet::new();
    tasks.spawn(running);
    until_listed(handle.clusters(), count).await?;
    until("all shards are held", || handle.shards().snapshot().mine.len() == shards).await?;

    // Each was checked at least once before the measured interval begins. Nothing waits for nothing.
    let interval = if count == 0 { IDLE } else { INTERVAL };
    sleep(interval + Duration::from_secs(10)).await;
    let (began, cpu_before, requests_before) = (Instant::now(), cpu(), requests(&remotes));
    sleep(interval).await;
    let seconds = began.elapsed().as_secs_f64();
    let asked = u32::try_from(requests(&remotes) - requests_before)?;
    say(&json!({
        "memory": memory()?,
        "cores": cpu().saturating_sub(cpu_before).as_secs_f64() / seconds,
        "requests": f64::from(asked) / seconds,
    }))
}

fn requests(remotes: &Client) -> u64 {
    remotes.traffic().by_host().values().map(|it| it.requests).sum()
}

fn parse(arguments: &[String]) -> anyhow::Result<(Kubeconfig, usize)> {
    let [kubeconfig, count] = arguments else { anyhow::bail!("usage: <kubeconfig> <count>") };
    Ok((Kubeconfig::from_yaml(kubeconfig)?, count.parse()?))
}

/// What production has, but for clusters on this machine.
fn settings() -> anyhow::Result<Settings> {
    let flags = Flags { allow_loopback_clusters: Some(true), ..Flags::default() };
    Ok(Settings::from_flags(flags)?)
}

async fn until_listed(handle: &clusters::Handle, count: usize) -> anyhow::Result<()> {
    let hub = ClusterName::hub();
    until("all triggers are listed", || {
        let cluster = handle.cluster(&hub);
        *handle.synced().borrow()
            && cluster.is_some_and(|it| it.stores().schedule_triggers.len() == count)
    })
    .await
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let looking = async {
        while !is_so() {
            sleep(LOOK).await;
        }
    };
    timeout(LIMIT, looking).await.with_context(|| format!("not in time: {what}"))
}
