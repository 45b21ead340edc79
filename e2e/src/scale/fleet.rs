//! What does a whole fleet use that is in one process? Time is virtual: what takes none of it is not waited for,
//! so that the CPU time is what counts.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ger_core::claim::Takeover;
use ger_core::names::MemberId;
use git_events_runner::clock::Clock;
use git_events_runner::replica::{self, Handle, Pace};
use jiff::Timestamp;
use kube::Client;
use kube_sandbox::Sandbox;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::counted::{Memory, Requests};
use super::replica::{each, is_synced, rates, until};
use super::seeds::{self, Seeds};
use super::{Sizes, settings, tcp};
use crate::fleet::{HOME, kubeconfig};
use crate::measure::{cpu, memory};
use crate::reach::Routes;

/// Replicas that have just joined take over from each other for a while.
const SETTLES: Duration = Duration::from_mins(1);

/// All of it.
struct Fleet {
    sandboxes: Arc<Vec<Sandbox>>,
    requests: Requests,
    remotes: Memory,
    start: Timestamp,
}

pub(super) fn measure(sizes: Sizes) -> anyhow::Result<String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build()?;
    runtime.block_on(Box::pin(live(sizes)))
}

async fn live(sizes: Sizes) -> anyhow::Result<String> {
    let mut text = format!("{}, in one thread and virtual time:\n\n", sizes.told());
    writeln!(text, "| what | figure |\n| --- | ---: |")?;
    let empty = memory()?;
    let fleet = Fleet::fill(sizes).await?;
    let filled = memory()?;
    writeln!(text, "| memory of all clusters | {} MiB |", (filled - empty) / 1_048_576)?;

    let (began, spent) = (Instant::now(), cpu());
    let mut tasks = JoinSet::new();
    let starting = (0..sizes.replicas).map(|it| fleet.start_replica(it, sizes, &mut tasks));
    let handles = starting.collect::<anyhow::Result<Vec<Handle>>>()?;
    let is_listed = |it: &Handle| is_synced(it, sizes.spokes + 1, sizes.all());
    until("everything is listed", || handles.iter().all(is_listed)).await?;
    let listed = cpu().saturating_sub(spent).as_secs_f64();
    writeln!(text, "| CPU of a replica until all is listed | {:.2} s |", share(listed, sizes))?;
    let held = |handles: &[Handle]| -> usize {
        handles.iter().map(|it| it.shards().snapshot().mine.len()).sum()
    };
    until("all shards are held", || held(&handles) == usize::from(sizes.shards)).await?;
    let held = began.elapsed().as_secs_f64();
    writeln!(text, "| virtual time until each shard is somebody's | {held:.1} s |")?;

    sleep(SETTLES + Duration::from_secs(sizes.interval)).await;
    let (began, spent) = (Instant::now(), cpu());
    let (before, asked) = (fleet.requests.so_far(), fleet.remotes.asked());
    let checked = checks(&handles);
    sleep(sizes.window()).await;
    let seconds = began.elapsed().as_secs_f64();
    let used = cpu().saturating_sub(spent).as_secs_f64() / seconds;
    let replicas = memory()?.saturating_sub(filled) / sizes.replicas.max(1) as u64;
    let bytes = replicas / sizes.all().max(1) as u64;
    writeln!(text, "| memory of a replica | {} MiB |", replicas / 1_048_576)?;
    writeln!(text, "| of that for each trigger | {bytes} bytes |")?;
    writeln!(text, "| CPU of everything, clusters too | {:.1} % of a core |", used * 100.0)?;
    let checked = each(checks(&handles) - checked, seconds);
    writeln!(text, "| checks a second, all replicas | {checked:.0} |")?;
    let asked = each(fleet.remotes.asked() - asked, seconds);
    writeln!(text, "| of those, questions to remotes | {asked:.0} |")?;
    for (verb, rate) in rates(&before, &fleet.requests.so_far(), seconds) {
        writeln!(text, "| requests `{verb}` a second, all replicas | {rate:.2} |")?;
    }
    Ok(text)
}

fn share(all: f64, sizes: Sizes) -> f64 {
    all / f64::from(u32::try_from(sizes.replicas.max(1)).unwrap_or(u32::MAX))
}

/// How many checks all replicas have made.
fn checks(handles: &[Handle]) -> u64 {
    let results = ["unchanged", "changed", "error"];
    let of = |handle: &Handle| -> u64 {
        let clusters = handle.clusters().all();
        let counts = clusters.iter().flat_map(|it| results.map(|result| (it.name(), result)));
        let total = &handle.metrics().check_results_total;
        counts.map(|(name, result)| total.with_label_values(&[name.as_str(), result]).get()).sum()
    };
    handles.iter().map(of).sum()
}

impl Fleet {
    /// Clusters with all that is in them, and no replica.
    async fn fill(sizes: Sizes) -> anyhow::Result<Self> {
        let start: Timestamp = "2026-03-01T12:00:00Z".parse()?;
        let cluster = "hub".to_owned();
        let mut all = vec![Seeds { cluster, triggers: 0, sharing: 1, interval: sizes.interval }];
        all.extend(tcp::spokes(sizes));
        let mut sandboxes = Vec::new();
        for (seeds, number) in all.iter().zip(0..) {
            let sandbox = Sandbox::replayed(&seeds.cluster, start, number);
            let client = Client::new(sandbox.client_router("people"), "default");
            seeds::fill(&client, seeds, start).await?;
            sandboxes.push(sandbox);
        }
        let hub = Client::new(sandboxes[0].client_router("people"), "default");
        for seeds in &all[1..] {
            let kubeconfig = kubeconfig(&seeds.cluster, &json!({ "token": "t" }));
            seeds::register(&hub, &seeds.cluster, &kubeconfig).await?;
        }
        let (sandboxes, requests) = (Arc::new(sandboxes), Requests::default());
        Ok(Self { sandboxes, requests, remotes: Memory::default(), start })
    }

    fn start_replica(
        &self,
        number: usize,
        sizes: Sizes,
        tasks: &mut JoinSet<Result<(), replica::Error>>,
    ) -> anyhow::Result<Handle> {
        let member = format!("git-events-runner-7f9c6d5b8-{number:05}");
        let (sandboxes, requests) = (Arc::clone(&self.sandboxes), self.requests.clone());
        let own = member.clone();
        let routes = Routes::new(move |cluster: &str| {
            let sandbox = sandboxes.iter().find(|it| it.name() == cluster)?;
            let (router, requests) = (sandbox.client_router(&own), requests.clone());
            let service = tower::service_fn(move |request| {
                requests.count(&request);
                router.clone().oneshot(request.map(axum::body::Body::new))
            });
            Some(Client::new(service, HOME))
        });
        let hub = routes.clients("hub").ok_or_else(|| anyhow::anyhow!("there is no hub"))?;
        let parts = replica::Parts {
            settings: settings(sizes.shards)?,
            namespace: HOME.to_owned(),
            member: MemberId::new(member),
            pod: None,
            hub,
            connect: Arc::new(routes),
            remotes: Arc::new(self.remotes.clone()),
            clock: Clock::virtual_from(self.start),
            utility: None,
            webhooks: None,
            pace: Pace::default(),
            takeover: Takeover::Enabled,
        };
        let (handle, running) = replica::start(parts, CancellationToken::new())?;
        tasks.spawn(running);
        Ok(handle)
    }
}
