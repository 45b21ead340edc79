//! What does one replica use? A process of its own, as production has it but for what answers for git, that
//! says of itself what it is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ger_core::claim::Takeover;
use ger_core::names::MemberId;
use git_events_runner::clock::Clock;
use git_events_runner::clusters::{State, TlsConnect, trusted_clients};
use git_events_runner::replica::{self, Handle, Pace};
use kube::config::Kubeconfig;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::counted::{Counted, Memory, Requests};
use super::settings;
use crate::fleet::HOME;
use crate::measure::{Peer, cpu, memory, monotonic, say};

/// Nothing takes as long.
const LIMIT: Duration = Duration::from_mins(10);
/// What is waited for is looked at this often.
const LOOK: Duration = Duration::from_millis(20);

/// What a replica is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) hub: String,
    pub(super) member: String,
    pub(super) shards: u16,
    /// What it finds: clusters with the hub, and triggers in all of them.
    pub(super) clusters: usize,
    pub(super) triggers: usize,
}

/// What a replica says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Use {
    /// Bytes at the end.
    pub(super) memory: u64,
    /// Share of a core.
    pub(super) cores: f64,
    /// Checks a second.
    pub(super) checks: f64,
    /// Requests to the clusters a second, by verb.
    pub(super) requests: BTreeMap<String, f64>,
}

impl Order {
    pub(super) fn start(&self) -> anyhow::Result<Peer> {
        Peer::start("replica", &[&serde_json::to_string(self)?])
    }
}

/// The measured process. It is asked one thing at a time, and ends with its input.
pub(super) async fn serve(order: &str) -> anyhow::Result<()> {
    let order: Order = serde_json::from_str(order)?;
    let (requests, remotes) = (Requests::default(), Memory::default());
    let began = Instant::now();
    let settings = settings(order.shards)?;
    let cluster_settings = replica::cluster_settings(&settings, HOME);
    let hub = trusted_clients(Kubeconfig::from_yaml(&order.hub)?, &cluster_settings).await?;
    let inner = TlsConnect::new(&cluster_settings);
    let parts = replica::Parts {
        settings,
        namespace: HOME.to_owned(),
        member: MemberId::new(order.member.clone()),
        pod: None,
        hub: requests.around(&hub),
        connect: Arc::new(Counted { inner, requests: requests.clone() }),
        remotes: Arc::new(remotes.clone()),
        clock: Clock::system(),
        utility: None,
        webhooks: None,
        pace: Pace::default(),
        takeover: Takeover::Enabled,
    };
    let stop = CancellationToken::new();
    let (handle, running) = replica::start(parts, stop.clone())?;
    let mut tasks = JoinSet::new();
    tasks.spawn(running);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match word {
            "synced" => synced(&handle, &order, began).await?,
            "held" => json!(handle.shards().snapshot().mine.len()),
            "use" => json!(used((&requests, &remotes), rest.parse()?).await?),
            "asked" => json!(remotes.noted()),
            "stop" => {
                stop.cancel();
                let at = monotonic().as_secs_f64();
                tasks.join_next().await.context("it runs")???;
                json!(at)
            }
            other => anyhow::bail!("nobody knows what {other:?} is"),
        };
        say(&answer)?;
    }
    Ok(())
}

/// Waits until everything is listed; says after how many seconds.
async fn synced(handle: &Handle, order: &Order, began: Instant) -> anyhow::Result<Value> {
    until("everything is listed", || is_synced(handle, order.clusters, order.triggers)).await?;
    let listed = began.elapsed().as_secs_f64();
    until("it has joined", || handle.ready().is_ok()).await?;
    Ok(json!({ "listed": listed, "joined": began.elapsed().as_secs_f64() }))
}

/// Whether every cluster is there, and every trigger.
pub(super) fn is_synced(handle: &Handle, clusters: usize, triggers: usize) -> bool {
    let all = handle.clusters().all();
    let held: usize = all.iter().map(|it| it.stores().schedule_triggers.len()).sum();
    *handle.clusters().synced().borrow()
        && all.iter().filter(|it| it.state() == State::Ready).count() == clusters
        && held == triggers
}

async fn used((requests, remotes): (&Requests, &Memory), seconds: u64) -> anyhow::Result<Use> {
    let (before, asked, spent) = (requests.so_far(), remotes.asked(), cpu());
    let began = Instant::now();
    sleep(Duration::from_secs(seconds)).await;
    let took = began.elapsed().as_secs_f64();
    let cores = cpu().saturating_sub(spent).as_secs_f64() / took;
    Ok(Use {
        memory: memory()?,
        cores,
        checks: each(remotes.asked() - asked, took),
        requests: rates(&before, &requests.so_far(), took),
    })
}

/// So many in so many seconds, as so many a second.
pub(super) fn each(count: u64, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
}

/// Requests a second, by verb.
pub(super) fn rates(
    before: &BTreeMap<&'static str, u64>,
    after: &BTreeMap<&'static str, u64>,
    seconds: f64,
) -> BTreeMap<String, f64> {
    let rate = |(verb, count): (&&str, &u64)| {
        let known = before.get(verb).copied().unwrap_or_default();
        ((*verb).to_owned(), each(count - known, seconds))
    };
    after.iter().map(rate).collect()
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let looking = async {
        while !is_so() {
            sleep(LOOK).await;
        }
    };
    timeout(LIMIT, looking).await.with_context(|| format!("not in time: {what}"))
}
