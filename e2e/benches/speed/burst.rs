//! What do a thousand triggers cost that are due at the same moment, on few remotes and on many?
//!
//! Asked as a replica asks: what is the same is asked once, and each host is spared.

use std::sync::Arc;

use anyhow::Context as _;
use ger_api::GitRepoSpec;
use ger_api::schedule_trigger::{Reference, SourceKind};
use ger_core::names::ClusterName;
use ger_core::plan::Source;
use ger_git::Client;
use git_events_runner::checks::{Asked, Handle, Placed, Settings};
use git_events_runner::clock::Clock;
use git_events_runner::config::{Flags, Settings as Configuration};
use git_events_runner::metrics::Metrics;
use kube_sandbox::Sandbox;
use serde_json::json;
use tokio::task::JoinSet;

use crate::process::{Spent, cpu};
use crate::remotes::{Kind, Remotes};

/// How many triggers are due.
pub(crate) const TRIGGERS: usize = 1_000;
/// How many remotes they have between them.
pub(crate) const REMOTES: [usize; 2] = [10, 1_000];
/// Each has a quarter of the slots for checks, so together they may use all.
const CLUSTERS: usize = 4;
/// How many checks of one host are in flight at once: `OF_CALLER` of `checks/limits.rs`.
pub(crate) const MOST_AT_ONE_HOST: usize = 8;

/// What a burst used.
#[derive(Debug)]
pub(crate) struct Burst {
    pub(crate) kind: Kind,
    pub(crate) remotes: usize,
    pub(crate) spent: Spent,
    pub(crate) requests: u64,
    pub(crate) connections: u64,
}

pub(crate) fn measure(remotes: &Remotes) -> anyhow::Result<Vec<Burst>> {
    let mut measured = Vec::new();
    for kind in [Kind::Canned, Kind::CannedTls] {
        for count in REMOTES {
            let runtime = crate::threads()?;
            measured.push(runtime.block_on(burst(remotes, kind, count))?);
        }
    }
    Ok(measured)
}

async fn burst(remotes: &Remotes, kind: Kind, count: usize) -> anyhow::Result<Burst> {
    let client = Client::new()?;
    let configuration = Configuration::from_flags(Flags::default())?;
    let settings = Settings {
        weights: git_events_runner::checks::Weights::default(),
        parallelism: configuration.schedule_parallelism,
        secrets_cache_time: configuration.secrets_cache_time,
    };
    let (clock, metrics) = (Clock::system(), Metrics::new("measured")?);
    let handle = Handle::new(&settings, Arc::new(client.clone()), clock, metrics);
    let sources = (0..count).map(|it| source(&remotes.one_of_many(kind, it).uri.to_string()));
    let sources = sources.collect::<anyhow::Result<Vec<Source>>>()?;
    // Nobody asks it for anything: the repositories are open to all.
    let nobody = kube::Client::new(Sandbox::new("edge").router(), "apps");
    let [_, connections_before] = remotes.carried(kind)?;

    let (cpu_before, began) = (cpu(), tokio::time::Instant::now());
    let mut asking = JoinSet::new();
    for trigger in 0..TRIGGERS {
        let cluster = ClusterName::parse_spoke(&format!("edge-{}", trigger % CLUSTERS))?;
        let source = sources[trigger % count].clone();
        asking.spawn(ask(handle.clone(), nobody.clone(), cluster, source));
    }
    while let Some(asked) = asking.join_next().await {
        asked??;
    }
    let spent = Spent { cpu: cpu().saturating_sub(cpu_before), wall: began.elapsed() };

    let [_, connections] = remotes.carried(kind)?;
    let requests = client.traffic().by_host().values().map(|it| it.requests).sum();
    let connections = connections - connections_before;
    Ok(Burst { kind, remotes: count, spent, requests, connections })
}

async fn ask(
    handle: Handle,
    client: kube::Client,
    cluster: ClusterName,
    source: Source,
) -> anyhow::Result<()> {
    let placed = Placed { cluster: &cluster, client: &client, namespace: "apps", source: &source };
    let asked = Asked { placed, reference: &Reference::default(), files: None, record: None };
    handle.head(asked).await.map(drop).context("a check got no answer")
}

fn source(uri: &str) -> anyhow::Result<Source> {
    let spec = json!({ "repoUri": uri, "tlsConfig": { "noVerifySsl": true } });
    let spec: GitRepoSpec = serde_json::from_value(spec)?;
    Ok(Source::of(SourceKind::GitRepo, "app", &spec)?)
}
