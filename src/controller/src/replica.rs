//! What is one replica made of? It wires everything and owns every task: the page to read first.
//!
//! ```text
//! clusters ──events──▶ schedule ──▶ checks ──▶ runs (ledger → Job)
//!     ▲                   ▲                      │ rings
//!     └─ hub, spokes    shards ◀─ Leases       admission ──▶ unsuspend
//! ```

mod configuration;
mod identity;
mod parts;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ger_core::claim::Takeover;
use ger_core::names::MemberId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::identity::{member_name, nonce, own_pod};
use crate::checks::{self, Remotes};
use crate::clock::Clock;
use crate::clusters::{self, Connect, State};
use crate::config::{self, Policy, Settings};
use crate::metrics::Metrics;
use crate::runs::{self, Fleet};
use crate::{schedule, shards, traces, utility, webhooks};

/// Notices that wait to be published. They are courtesies: what does not fit is only logged.
const NOTICES: usize = 256;
/// How long the work in flight may take to end when the replica stops.
const DRAIN: Duration = Duration::from_secs(10);

/// What ends a replica that was not asked to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the metrics cannot be registered")]
    Metrics { source: crate::metrics::Invalid },

    #[error("traces cannot be told")]
    Traces { source: traces::Invalid },

    #[error("the timer queue stopped")]
    Schedule { source: schedule::Panicked },

    #[error("admission stopped")]
    Admission { source: runs::admission::Panicked },

    #[error("the shards' task stopped")]
    Shards { source: shards::Error },

    #[error("webhooks are no longer served")]
    Webhooks { source: webhooks::Error },

    #[error("probes and metrics are no longer served")]
    Utility { source: utility::Error },

    #[error("a task ended in a panic")]
    Panicked { source: tokio::task::JoinError },
}

/// What a replica is given from outside.
pub struct Parts {
    pub settings: Settings,
    /// The controller's namespace on the hub.
    pub namespace: String,
    pub member: MemberId,
    pub hub: clusters::Clients,
    pub connect: Arc<dyn Connect>,
    pub remotes: Arc<dyn Remotes>,
    pub clock: Clock,
    /// Where probes and metrics are served, if anywhere.
    pub utility: Option<TcpListener>,
    /// Where webhooks are served. Without it they are answered by [`Handle::webhooks`] alone.
    pub webhooks: Option<TcpListener>,
    pub pace: Pace,
    pub takeover: Takeover,
    /// The Pod that this process is, which takes its member Lease along when it is deleted.
    pub pod: Option<OwnerReference>,
}

/// How fast a replica joins: production waits until it is sure to stay.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long a replica lives before it announces itself.
    pub announce_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { announce_after: Duration::from_secs(10) }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("member", &self.member).finish_non_exhaustive()
    }
}

/// What may be looked at from outside while a replica runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    fleet: Arc<Fleet>,
    webhooks: webhooks::Handle,
    stopping: Arc<AtomicBool>,
}

impl Handle {
    pub fn shards(&self) -> &shards::Handle {
        &self.fleet.shards
    }

    pub fn clusters(&self) -> &clusters::Handle {
        &self.fleet.clusters
    }

    pub fn metrics(&self) -> &Metrics {
        &self.fleet.metrics
    }

    /// Answers webhooks, as if they had come over a socket.
    pub fn webhooks(&self) -> &webhooks::Handle {
        &self.webhooks
    }

    /// Whether the replica takes part: what `/ready` answers.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.stopping.load(Ordering::SeqCst) {
            return Err("the replica is stopping");
        }
        if !*self.fleet.clusters.synced().borrow() {
            return Err("the hub is not synced");
        }
        if !self.fleet.shards.has_joined() {
            return Err("the replica has not joined the ring");
        }
        if !self.webhooks.has_certificate() {
            return Err("the webhook server has no certificate");
        }
        Ok(())
    }
}

/// Prepares a replica; nothing happens until the future is polled.
///
/// The future ends when `stop` is cancelled and everything is handed over, or when a part of it fails.
/// Dropping it is an abrupt stop: nothing is released.
pub fn start(
    mut parts: Parts,
    stop: CancellationToken,
) -> Result<(Handle, impl Future<Output = Result<(), Error>>), Error> {
    let metrics = parts::metrics(&parts)?;
    let (told, telling) = parts::traces(&parts, &metrics)?;
    let events = clusters::Events::default();
    let (notices_sender, notices) = mpsc::channel(NOTICES);
    // Watches and Leases outlive the work, so that it can end in order.
    let late = CancellationToken::new();

    let (clusters, watching) = clusters::start(
        clusters::Parts {
            settings: clusters::Settings {
                seed: seed(&parts.member),
                ..cluster_settings(&parts.settings, &parts.namespace)
            },
            hub: parts.hub.clone(),
            connect: Arc::clone(&parts.connect),
            clock: parts.clock.clone(),
            metrics: metrics.clone(),
            events: events.clone(),
            notices: notices_sender.clone(),
        },
        late.clone(),
    );
    let progress = shards::Progress::default();
    let inputs = shards::Inputs {
        ready: clusters.synced(),
        progress: progress.clone(),
        clock: parts.clock.clone(),
        unreachable: unreachable(&clusters),
        metrics: metrics.clone(),
    };
    let hub = clusters::counted(parts.hub.requests.clone(), &metrics);
    let (shards, holding) =
        shards::run(parts::of_shards(&parts), hub.clone(), inputs, stop.clone());
    let base =
        config::Runtime { action: parts.settings.action.clone(), ..config::Runtime::default() };
    let live = config::Live::new(base.clone());
    let fleet = Arc::new(Fleet {
        clusters,
        shards,
        checks: checks::Handle::new(
            &parts::of_checks(&parts),
            Arc::clone(&parts.remotes),
            parts.clock.clone(),
            metrics.clone(),
        ),
        clock: parts.clock.clone(),
        metrics: metrics.clone(),
        traces: told,
        config: live.clone(),
        admission: runs::Bell::default(),
        told: Mutex::default(),
        progress,
    });
    let listener = parts.webhooks.take();
    let hooks = parts::of_webhooks(&parts, listener);
    let (hooks, calls) = webhooks::start(hooks, Arc::clone(&fleet), stop.clone());
    let handle = Handle { fleet: Arc::clone(&fleet), webhooks: hooks, stopping: Arc::default() };
    let follower = Arc::new(configuration::Follower {
        client: parts.hub.watches,
        namespace: parts.namespace,
        name: parts.settings.config_map,
        base,
        live,
        clock: parts.clock,
        metrics,
        notices: notices_sender,
        known: watch::Sender::new(false),
    });
    let tasks = Tasks { fleet, handle: handle.clone(), stop, late, hub, follower };
    let running =
        tasks.run((watching, holding, calls), (events, notices), (parts.utility, telling));
    Ok((handle, running))
}

struct Tasks {
    fleet: Arc<Fleet>,
    handle: Handle,
    stop: CancellationToken,
    late: CancellationToken,
    hub: kube::Client,
    follower: Arc<configuration::Follower>,
}

impl Tasks {
    async fn run(
        self,
        (watching, holding, calls): (
            impl Future<Output = ()> + Send + 'static,
            impl Future<Output = Result<(), shards::Error>> + Send + 'static,
            impl Future<Output = Result<(), webhooks::Error>> + Send + 'static,
        ),
        (events, notices): (clusters::Events, mpsc::Receiver<clusters::Notice>),
        (utility, mut telling): (Option<TcpListener>, parts::Telling),
    ) -> Result<(), Error> {
        let mut working: JoinSet<Result<(), Error>> = JoinSet::new();
        let mut serving: JoinSet<Result<(), Error>> = JoinSet::new();
        telling.begin();
        let (fleet, stop) = (&self.fleet, &self.stop);

        // Nothing is made by defaults where a ConfigMap says otherwise.
        let configured = Configured { known: self.follower.known.subscribe(), stop: stop.clone() };
        let schedule = schedule::run(Arc::clone(fleet), events, stop.clone());
        working.spawn(
            configured
                .clone()
                .then(async { schedule.await.map_err(|source| Error::Schedule { source }) }),
        );
        let admission = runs::admission::run(Arc::clone(fleet), stop.clone());
        working.spawn(
            configured
                .then(async { admission.await.map_err(|source| Error::Admission { source }) }),
        );
        working.spawn(async { holding.await.map_err(|source| Error::Shards { source }) });
        working.spawn(async { calls.await.map_err(|source| Error::Webhooks { source }) });

        serving.spawn(async {
            watching.await;
            Ok(())
        });
        let publishing =
            runs::notices::publish(Arc::clone(fleet), self.hub.clone(), notices, self.late.clone());
        serving.spawn(async { publishing.await.map_err(|source| Error::Panicked { source }) });
        serving.spawn(follow(Arc::clone(&self.follower), Arc::clone(fleet), self.late.clone()));
        if let Some(listener) = utility {
            let served = self.serve(listener);
            serving.spawn(async { served.await.map_err(|source| Error::Utility { source }) });
        }

        let ended = self.supervise(&mut working, &mut serving, &mut telling).await;
        self.handle.stopping.store(true, Ordering::SeqCst);
        self.stop.cancel();
        let drained = tokio::time::timeout(DRAIN, all_of(&mut working)).await;
        if drained.is_err() {
            tracing::warn!(
                "work was still in flight after {DRAIN:?}; it is taken up by its next owner"
            );
        }
        telling.end().await;
        self.late.cancel();
        serving.shutdown().await;
        working.shutdown().await;
        ended
    }

    /// Ends when the replica is asked to stop, or when a part ends that should not.
    async fn supervise(
        &self,
        working: &mut JoinSet<Result<(), Error>>,
        serving: &mut JoinSet<Result<(), Error>>,
        telling: &mut parts::Telling,
    ) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(()),
            Some(ended) = working.join_next() => flatten(ended),
            Some(ended) = serving.join_next() => flatten(ended),
            Err(source) = telling.panicked() => Err(Error::Panicked { source }),
        }
    }

    fn serve(
        &self,
        listener: TcpListener,
    ) -> impl Future<Output = Result<(), utility::Error>> + Send + 'static {
        let handle = self.handle.clone();
        let ready: utility::Ready = Arc::new(move || handle.ready());
        let fleet = Arc::clone(&self.fleet);
        let refresh: utility::Refresh = Arc::new(move || gauge(&fleet));
        utility::serve(listener, self.fleet.metrics.clone(), ready, refresh, self.late.clone())
    }
}

/// Work that waits until the dynamic configuration is known.
#[derive(Clone)]
struct Configured {
    known: watch::Receiver<bool>,
    stop: CancellationToken,
}

impl Configured {
    async fn then(mut self, work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        // Whoever would say it is gone when the replica ends.
        drop(self.stop.run_until_cancelled(self.known.wait_for(|it| *it)).await);
        work.await
    }
}

async fn follow(
    follower: Arc<configuration::Follower>,
    fleet: Arc<Fleet>,
    stop: CancellationToken,
) -> Result<(), Error> {
    follower.run(&fleet, stop).await;
    Ok(())
}

/// Waits until all have ended, and gives the first failure.
async fn all_of(tasks: &mut JoinSet<Result<(), Error>>) -> Result<(), Error> {
    let mut first = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = flatten(ended);
        if first.is_ok() {
            first = ended;
        }
    }
    first
}

fn flatten(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|source| Err(Error::Panicked { source }))
}

/// Brings the gauges up to date, when somebody reads them.
fn gauge(fleet: &Fleet) {
    let count = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    let metrics = &fleet.metrics;
    let snapshot = fleet.shards.snapshot();
    metrics.members.set(count(snapshot.members.len()));
    metrics.shards.set(i64::from(snapshot.shards.get()));
    metrics.shards_owned.set(count(snapshot.mine.len()));
    for (host, exchanged) in fleet.checks.traffic() {
        metrics.exchanged(&host, exchanged);
    }
    metrics.git_paused.set(count(fleet.checks.paused()));
    // A cluster that is gone leaves no series behind.
    metrics.cluster_state.reset();
    metrics.cluster_objects.reset();
    metrics.cluster_last_contact_seconds.reset();
    for cluster in fleet.clusters.all() {
        let (name, stores) = (cluster.name().as_str(), cluster.stores());
        let state = match cluster.state() {
            State::Connecting => "connecting",
            State::Ready => "ready",
            State::Limited { .. } => "limited",
            State::Unreachable { .. } => "unreachable",
            State::Refused { .. } => "refused",
        };
        metrics.cluster_state.with_label_values(&[name, state]).set(1);
        let contact = cluster.since_last_contact().as_secs_f64();
        metrics.cluster_last_contact_seconds.with_label_values(&[name]).set(contact);
        for (kind, objects) in [
            ("ScheduleTrigger", stores.schedule_triggers.len()),
            ("WebhookTrigger", stores.webhook_triggers.len()),
            ("GitRepo", stores.git_repos.len()),
            ("ClusterGitRepo", stores.cluster_git_repos.len()),
            ("Action", stores.actions.len()),
            ("ClusterAction", stores.cluster_actions.len()),
            ("Job", stores.jobs.len()),
        ] {
            metrics.cluster_objects.with_label_values(&[name, kind]).set(count(objects));
        }
    }
}

/// How clusters are found and reached, by the configuration.
pub fn cluster_settings(settings: &Settings, namespace: &str) -> clusters::Settings {
    let policy = |it: Policy| match it {
        Policy::Allow => clusters::Policy::Allow,
        Policy::Refuse => clusters::Policy::Refuse,
    };
    clusters::Settings {
        allow_loopback: policy(settings.loopback_clusters),
        insecure_tls: policy(settings.insecure_kubeconfig_tls),
        clusters: settings.clusters.clone(),
        hub: settings.hub,
        ..clusters::Settings::new(namespace)
    }
}

/// The clusters that this replica knows and cannot reach.
fn unreachable(clusters: &clusters::Handle) -> shards::Unreachable {
    let clusters = clusters.clone();
    shards::Unreachable::new(move || {
        let all = clusters.all();
        let lost = all.iter().filter(|it| matches!(it.state(), State::Unreachable { .. }));
        lost.map(|it| it.name().clone()).filter(|it| !it.is_hub()).collect()
    })
}

/// A number of this replica, so that no two of them retry in step.
fn seed(member: &MemberId) -> u64 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(member.as_str().as_bytes());
    u64::from_be_bytes(digest.first_chunk::<8>().copied().unwrap_or_default())
}
