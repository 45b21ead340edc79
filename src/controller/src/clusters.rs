//! Which clusters are there, how are they doing, and what is in them?
//!
//! ```text
//! Secrets of the hub → kubeconfig (refusals) → connect (clients) → reflector (streams) → stores
//!        spokes              session: one per cluster, with its own task tree      ↘ events
//! ```

mod argo;
mod asked;
mod certificate;
mod claims;
mod cluster;
mod connect;
mod counted;
mod ended;
mod error;
mod events;
mod folded;
mod kubeconfig;
mod namespaces;
mod permissions;
mod reflector;
mod registration;
mod room;
mod schema;
mod session;
mod spokes;
mod state;
mod stores;
mod streak;
mod streams;
#[cfg(test)]
mod tests;
mod understood;
mod user;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ger_api::schedule_trigger::{ActionKind, SourceKind};
use ger_core::names::{ClusterName, TriggerKey};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config;
use crate::config::Limits;
use crate::metrics::Metrics;

pub use cluster::Cluster;
pub use connect::{
    Clients, Connect, TlsConnect, hub_clients, kubeconfig_namespace, trusted_clients,
};
pub use counted::client as counted;
pub use error::Error;
pub use events::Events;
pub use folded::{Fold, Folded};
pub use kubeconfig::{Refusal, Target, parse as parse_kubeconfig};
pub use state::State;
pub use stores::{Held, JobView, KueueQueue, Store, Stores};
pub use user::user_client;

/// Whether something dangerous is nevertheless wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    Allow,
    #[default]
    Refuse,
}

/// How clusters are found and reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The controller's namespace in the hub, where the Secrets of the spokes are.
    pub namespace: String,
    /// Servers on this machine or on its link.
    pub allow_loopback: Policy,
    /// Kubeconfigs with `insecure-skip-tls-verify`.
    pub insecure_tls: Policy,
    /// Which clusters are served, and how much of each.
    pub clusters: config::Clusters,
    pub hub: config::Hub,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long one watch lasts; a silently dead connection is noticed soon after.
    pub watch_timeout: Duration,
    /// How long the first look at all clusters may take before the replica goes on without the rest.
    pub sync_timeout: Duration,
    /// A number of this replica, so that replicas do not retry in step.
    pub seed: u64,
}

impl Settings {
    /// The defaults, for a controller in `namespace`.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            allow_loopback: Policy::Refuse,
            insecure_tls: Policy::Refuse,
            clusters: config::Clusters::default(),
            hub: config::Hub::default(),
            request_timeout: Duration::from_secs(15),
            watch_timeout: Duration::from_mins(1),
            sync_timeout: Duration::from_secs(30),
            seed: 0,
        }
    }
}

/// Something may be different now. Receivers read the stores again: an event may come twice, and several
/// changes may share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    TriggerChanged(TriggerKey),
    TriggerGone(TriggerKey),
    SourceChanged {
        cluster: ClusterName,
        namespace: Option<String>,
        kind: SourceKind,
        name: String,
    },
    ActionChanged {
        cluster: ClusterName,
        namespace: Option<String>,
        kind: ActionKind,
        name: String,
    },
    JobChanged {
        cluster: ClusterName,
        namespace: String,
        trigger: TriggerKey,
    },
    /// Its state changed, or it came or went.
    ClusterChanged(ClusterName),
}

impl Event {
    /// In which cluster it is.
    pub fn cluster(&self) -> &ClusterName {
        match self {
            Self::TriggerChanged(key) | Self::TriggerGone(key) => &key.cluster,
            Self::SourceChanged { cluster, .. }
            | Self::ActionChanged { cluster, .. }
            | Self::JobChanged { cluster, .. }
            | Self::ClusterChanged(cluster) => cluster,
        }
    }

    /// Whether all triggers of the cluster have to be looked at to know whom it concerns.
    pub(crate) fn is_broad(&self) -> bool {
        match self {
            Self::SourceChanged { .. } | Self::ActionChanged { .. } => true,
            Self::TriggerChanged(_)
            | Self::TriggerGone(_)
            | Self::JobChanged { .. }
            | Self::ClusterChanged(_) => false,
        }
    }
}

/// What is said again begins so.
pub(crate) const STILL: &str = "still: ";

/// Something people should read, as an Event on an object. Said once, not at each retry.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Where the object is: the hub for a Secret.
    pub cluster: ClusterName,
    pub about: ObjectReference,
    pub severity: Severity,
    pub reason: &'static str,
    pub message: String,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

/// Every cluster that is known now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// The cluster of that name, with the clients and stores that are in use now: ask again for each
    /// piece of work, for the answer changes when credentials do.
    pub fn cluster(&self, name: &ClusterName) -> Option<Cluster> {
        self.shared.cluster(name)
    }

    /// Every cluster, the hub among them.
    pub fn all(&self) -> Vec<Cluster> {
        let clusters = self.shared.clusters.read().unwrap_or_else(PoisonError::into_inner);
        clusters.values().cloned().collect()
    }

    /// The Secrets that ask to be clusters and are none, each with the reason.
    pub fn refused(&self) -> BTreeMap<String, String> {
        self.shared.refused()
    }

    fn spokes(&self) -> impl Iterator<Item = Cluster> {
        self.all().into_iter().filter(|it| *it.name() != ClusterName::hub())
    }

    /// The Secrets of which something is to be said: those of spokes, and those that are none.
    pub(crate) fn spoken_of(&self) -> BTreeSet<String> {
        let spokes = self.spokes().map(|it| it.about().to_owned());
        spokes.chain(self.refused().into_keys()).collect()
    }

    /// How one of them is at this moment, for those who have not heard it when it was new.
    pub(crate) fn standing(&self, about: &str) -> Option<Notice> {
        let refused = self.shared.refused.read().unwrap_or_else(PoisonError::into_inner);
        let declined = refused.get(about).cloned();
        drop(refused);
        let now = self.shared.clock.now();
        let of_spoke = || self.spokes().find(|it| it.about() == about)?.standing(now);
        let mut notice = declined.or_else(of_spoke)?;
        notice.at = now;
        notice.message = format!("{STILL}{}", notice.message);
        Some(notice)
    }

    /// True once the hub and every spoke known at the start were seen, or took too long.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.shared.synced.subscribe()
    }
}

/// What is needed to follow clusters.
#[expect(missing_debug_implementations, reason = "a connector need not be printable")]
pub struct Parts {
    pub settings: Settings,
    pub hub: Clients,
    pub connect: Arc<dyn Connect>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub events: Events,
    pub notices: mpsc::Sender<Notice>,
}

/// Prepares to follow the hub and its spokes; nothing happens until the future is polled, and all
/// that it starts ends before it does.
pub fn start(
    parts: Parts,
    stop: CancellationToken,
) -> (Handle, impl Future<Output = ()> + Send + 'static) {
    let Parts { settings, hub, connect, clock, metrics, events, notices } = parts;
    let shared = Arc::new(Shared {
        clusters: RwLock::default(),
        refused: RwLock::default(),
        synced: watch::Sender::new(false),
        changes: watch::Sender::new(()),
        events,
        notices,
        clock,
        metrics,
        stop: stop.clone(),
    });
    let handle = Handle { shared: Arc::clone(&shared) };
    let context =
        Arc::new(session::Context { settings, connect, shared, claims: claims::Claims::default() });
    let hub = context.hub(hub);
    context.shared.publish(&hub);
    (handle, spokes::run(context, hub, stop))
}

/// What all parts of this module share.
#[derive(Debug)]
struct Shared {
    clusters: RwLock<BTreeMap<ClusterName, Cluster>>,
    /// What was said of each Secret that is no cluster.
    refused: RwLock<BTreeMap<String, Notice>>,
    synced: watch::Sender<bool>,
    /// Moves whenever a cluster comes, goes or changes its state.
    changes: watch::Sender<()>,
    events: Events,
    notices: mpsc::Sender<Notice>,
    clock: Clock,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Shared {
    fn cluster(&self, name: &ClusterName) -> Option<Cluster> {
        self.clusters.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn publish(&self, cluster: &Cluster) {
        let mut clusters = self.clusters.write().unwrap_or_else(PoisonError::into_inner);
        clusters.insert(cluster.name().clone(), cluster.clone());
        drop(clusters);
        self.changes.send_replace(());
    }

    fn withdraw(&self, name: &ClusterName) -> Option<Cluster> {
        let mut clusters = self.clusters.write().unwrap_or_else(PoisonError::into_inner);
        let gone = clusters.remove(name);
        drop(clusters);
        self.changes.send_replace(());
        gone
    }

    fn refused(&self) -> BTreeMap<String, String> {
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        refused.iter().map(|(name, it)| (name.clone(), it.message.clone())).collect()
    }

    /// Remembers why a Secret is no cluster, and says it once.
    fn decline(&self, secret: &ObjectReference, reason: &'static str, why: &str) {
        let name = secret.name.clone().unwrap_or_default();
        let (hub, said) = (ClusterName::hub(), Said::warning(reason, why));
        let notice = said.notice(&hub, secret, self.clock.now());
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        let before = refused.insert(name, notice);
        drop(refused);
        self.changes.send_replace(());
        if before.is_none_or(|it| it.message != why) {
            self.notify(&hub, secret, said);
        }
    }

    fn accept(&self, secret: &str) {
        self.refused.write().unwrap_or_else(PoisonError::into_inner).remove(secret);
        self.changes.send_replace(());
    }

    /// Waits for room, so that nothing is forgotten; at the end of the process nobody listens.
    async fn deliver(&self, event: Event) {
        self.stop.run_until_cancelled(self.events.push(event)).await;
    }

    /// Notices are for people: a reader that does not keep up loses some, and holds up nobody.
    fn notify(&self, cluster: &ClusterName, about: &ObjectReference, said: Said<'_>) {
        let Said { severity, reason, message } = said;
        let name = about.name.as_deref().unwrap_or_default();
        match severity {
            Severity::Normal => tracing::info!(%cluster, name, reason, message),
            Severity::Warning => tracing::warn!(%cluster, name, reason, message),
        }
        if self.notices.try_send(said.notice(cluster, about, self.clock.now())).is_err() {
            tracing::debug!(%cluster, reason, "a notice found no reader");
        }
    }
}

/// What a notice says.
#[derive(Clone, Copy)]
struct Said<'a> {
    severity: Severity,
    reason: &'static str,
    message: &'a str,
}

impl<'a> Said<'a> {
    fn warning(reason: &'static str, message: &'a str) -> Self {
        Self { severity: Severity::Warning, reason, message }
    }

    fn notice(self, cluster: &ClusterName, about: &ObjectReference, at: Timestamp) -> Notice {
        Notice {
            cluster: cluster.clone(),
            about: about.clone(),
            severity: self.severity,
            reason: self.reason,
            message: self.message.to_owned(),
            at,
        }
    }
}
