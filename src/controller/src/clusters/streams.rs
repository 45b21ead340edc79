//! What is watched in a cluster, and which event does a change of it make?

use std::fmt::Debug;
use std::sync::Arc;

use ger_api::schedule_trigger::{ActionKind, SourceKind};
use ger_api::{Action, ClusterAction, ClusterGitRepo, GitRepo, ScheduleTrigger, WebhookTrigger};
use ger_core::job::RUN_ID;
use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::error::Fault;
use super::folded::Folded;
use super::namespaces::Selection;
use super::reflector::{Pace, Reflector, Sink};
use super::room::Weight;
use super::state::{Condition, IDENTITY, PERMISSIONS, SCHEMA};
use super::stores::{Change, Held, JobView, Store, Stores, prune};
use super::{Event, Limits, Said, Settings, Shared, namespaces, permissions, schema};

/// The steps of a cluster's state: who it is, what it is like, and each stream.
const STEPS: [&str; 10] = [
    IDENTITY,
    SCHEMA,
    PERMISSIONS,
    ScheduleTrigger::STREAM,
    WebhookTrigger::STREAM,
    GitRepo::STREAM,
    ClusterGitRepo::STREAM,
    Action::STREAM,
    ClusterAction::STREAM,
    Job::STREAM,
];

/// The steps of a cluster of that name. A hub that only manages is asked who it is, and no more.
pub(super) fn steps(settings: &Settings, cluster: &ClusterName) -> Vec<&'static str> {
    if !is_watched(settings, cluster) {
        return vec![IDENTITY];
    }
    let selects = settings.clusters.namespaces_of(cluster.as_str()).is_some();
    STEPS.into_iter().chain(selects.then_some(namespaces::STREAM)).collect()
}

fn is_watched(settings: &Settings, cluster: &ClusterName) -> bool {
    settings.hub.watch || *cluster != ClusterName::hub()
}

/// A kind that is watched in every cluster.
pub(super) trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    const STREAM: &'static str;
    const SELECTOR: Option<&'static str> = None;
    type Held: Held;

    fn hold(self) -> Self::Held;
    fn store(stores: &Stores) -> &Store<Self::Held>;
    /// What to say of a change; nothing where it concerns nobody.
    fn event(cluster: &Cluster, change: &Change<Self::Held>) -> Option<Event>;
    /// What is to be remembered of one that is gone.
    fn gone(_stores: &Stores, _held: &Self::Held) {}
}

/// Starts everything that follows a cluster.
pub(super) fn start(
    cluster: &Cluster,
    settings: &Settings,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    // Whoever owns the tasks takes their end for trouble.
    let stopped = stop.clone();
    tasks.spawn(async move { stopped.cancelled().await });
    if !is_watched(settings, cluster.name()) {
        return tasks;
    }
    let selection = match settings.clusters.namespaces_of(cluster.name().as_str()) {
        None => Selection::all(),
        Some(selector) => {
            let of = (cluster, selector);
            let (selection, following) = namespaces::follow(of, settings, shared, stop);
            tasks.spawn(following);
            selection
        }
    };
    let streams = Streams { cluster, settings, shared, stop, selection };
    streams.look_after(&mut tasks);
    streams.spawn::<ScheduleTrigger>(&mut tasks);
    streams.spawn::<WebhookTrigger>(&mut tasks);
    streams.spawn::<GitRepo>(&mut tasks);
    streams.spawn::<ClusterGitRepo>(&mut tasks);
    streams.spawn::<Action>(&mut tasks);
    streams.spawn::<ClusterAction>(&mut tasks);
    streams.spawn::<Job>(&mut tasks);
    tasks
}

struct Streams<'a> {
    cluster: &'a Cluster,
    settings: &'a Settings,
    shared: &'a Arc<Shared>,
    stop: &'a CancellationToken,
    selection: Selection,
}

impl Streams<'_> {
    /// Starts what looks at the CRDs and at what is permitted.
    fn look_after(&self, tasks: &mut JoinSet<()>) {
        let all = || (self.cluster.clone(), self.settings.clone(), Arc::clone(self.shared));
        let ((cluster, settings, shared), stop) = (all(), self.stop.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(schema::watch(&cluster, &settings, &shared)).await;
        });
        let ((cluster, settings, shared), stop) = (all(), self.stop.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(permissions::watch(&cluster, &settings, &shared)).await;
        });
    }

    fn spawn<K: Watched>(&self, tasks: &mut JoinSet<()>) {
        let name = self.cluster.name();
        let sink = ClusterSink::<K> {
            cluster: self.cluster.clone(),
            shared: Arc::clone(self.shared),
            limits: self.settings.clusters.limits_of(name.as_str()).clone(),
            kind: std::marker::PhantomData,
        };
        let reflector = Reflector {
            api: Api::all(self.cluster.watches().clone()),
            selector: K::SELECTOR.map(str::to_owned),
            selection: self.selection.clone(),
            store: K::store(self.cluster.stores()).clone(),
            sink,
            pace: pace(self.settings, name, K::STREAM),
            stop: self.stop.clone(),
        };
        tasks.spawn(reflector.run());
    }
}

pub(super) fn pace(settings: &Settings, cluster: &ClusterName, stream: &'static str) -> Pace {
    Pace {
        request_timeout: settings.request_timeout,
        watch_timeout: settings.watch_timeout,
        sync_timeout: settings.sync_timeout,
        salt: (cluster.to_string(), stream, settings.seed),
    }
}

/// Says everything again of a cluster that takes the place of another: what it holds, and what only
/// the other held.
pub(super) async fn announce(new: &Cluster, old: &Cluster, shared: &Shared) {
    announce_kind::<GitRepo>(new, old, shared).await;
    announce_kind::<ClusterGitRepo>(new, old, shared).await;
    announce_kind::<Action>(new, old, shared).await;
    announce_kind::<ClusterAction>(new, old, shared).await;
    announce_kind::<ScheduleTrigger>(new, old, shared).await;
    announce_kind::<WebhookTrigger>(new, old, shared).await;
    announce_kind::<Job>(new, old, shared).await;
}

async fn announce_kind<K: Watched>(new: &Cluster, old: &Cluster, shared: &Shared) {
    let store = K::store(new.stores());
    for held in store.list() {
        say::<K>(new, &Change::Applied(held), shared).await;
    }
    for held in K::store(old.stores()).list() {
        let (namespace, name) = held.place();
        if store.find(Some(namespace), name).is_none() {
            K::gone(new.stores(), &held);
            say::<K>(new, &Change::Gone(held), shared).await;
        }
    }
}

/// Says of every trigger of a cluster that it is gone.
pub(super) async fn forget(cluster: &Cluster, shared: &Shared) {
    for held in cluster.stores().schedule_triggers.list() {
        say::<ScheduleTrigger>(cluster, &Change::Gone(held), shared).await;
    }
    for held in cluster.stores().webhook_triggers.list() {
        say::<WebhookTrigger>(cluster, &Change::Gone(held), shared).await;
    }
}

async fn say<K: Watched>(cluster: &Cluster, change: &Change<K::Held>, shared: &Shared) {
    if let Some(event) = K::event(cluster, change) {
        shared.deliver(event).await;
    }
}

/// Takes what a stream of a cluster sees.
struct ClusterSink<K> {
    cluster: Cluster,
    shared: Arc<Shared>,
    limits: Limits,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K: Watched> Sink for ClusterSink<K> {
    type Object = K;
    type Held = K::Held;

    fn hold(&self, object: K) -> K::Held {
        object.hold()
    }

    fn judge(&self, weight: Weight) -> Result<(), Fault> {
        let stores = self.cluster.stores();
        let others = stores.weight().without(K::store(stores).weight());
        [others, weight].into_iter().sum::<Weight>().judge(&self.limits)
    }

    fn touch(&self) {
        self.cluster.touch();
    }

    async fn report(&self, condition: Condition) {
        self.cluster.report(K::STREAM, condition, &self.shared).await;
    }

    // Until its cluster is live a stream is silent: whoever puts the cluster in place first makes it
    // live, and then says everything that the stores hold.
    async fn deliver(&self, change: Change<K::Held>) {
        if let Change::Gone(held) = &change {
            K::gone(self.cluster.stores(), held);
        }
        if self.cluster.is_live() {
            say::<K>(&self.cluster, &change, &self.shared).await;
        }
    }

    async fn undecodable(&self, meta: &ObjectMeta, error: &str) {
        let message = format!("not understood, and ignored until it is mended: {error}");
        let name = self.cluster.name();
        let about = reference::<K>(meta);
        self.shared.notify(name, &about, Said::warning("Undecodable", &message));
    }
}

/// What an Event about an object refers to.
pub(super) fn reference<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

fn trigger_key(cluster: &Cluster, kind: TriggerKind, namespace: &str, name: &str) -> TriggerKey {
    let cluster = cluster.name().clone();
    TriggerKey { cluster, kind, namespace: namespace.to_owned(), name: name.to_owned() }
}

/// Namespace, name and whether it is gone.
fn parts<H: Held>(change: &Change<H>) -> (&str, &str, bool) {
    let (held, gone) = match change {
        Change::Applied(it) => (it, false),
        Change::Gone(it) => (it, true),
    };
    let (namespace, name) = held.place();
    (namespace, name, gone)
}

/// A kind, how it is held, and what a change of it means.
macro_rules! watched {
    ($kind:ty as $held:ty, $stream:literal, $store:ident, $hold:expr, |$cluster:ident, $change:ident| $event:expr) => {
        impl Watched for $kind {
            const STREAM: &'static str = $stream;
            type Held = $held;

            fn hold(self) -> $held {
                $hold(self)
            }

            fn store(stores: &Stores) -> &Store<$held> {
                &stores.$store
            }

            fn event($cluster: &Cluster, $change: &Change<$held>) -> Option<Event> {
                Some($event)
            }
        }
    };
}

/// Of what is not so many, everything is kept but what nobody reads.
fn whole<K: Resource>(mut object: K) -> K {
    prune(object.meta_mut());
    object
}

watched!(
    ScheduleTrigger as Folded<Self>,
    "scheduletriggers",
    schedule_triggers,
    Folded::of,
    |cluster, change| trigger_event(cluster, TriggerKind::Schedule, change)
);
watched!(
    WebhookTrigger as Folded<Self>,
    "webhooktriggers",
    webhook_triggers,
    Folded::of,
    |cluster, change| trigger_event(cluster, TriggerKind::Webhook, change)
);
watched!(GitRepo as Self, "gitrepos", git_repos, whole, |cluster, change| source_event(
    cluster,
    SourceKind::GitRepo,
    change
));
watched!(ClusterGitRepo as Self, "clustergitrepos", cluster_git_repos, whole, |cluster, change| {
    source_event(cluster, SourceKind::ClusterGitRepo, change)
});
watched!(Action as Self, "actions", actions, whole, |cluster, change| action_event(
    cluster,
    ActionKind::Action,
    change
));
watched!(ClusterAction as Self, "clusteractions", cluster_actions, whole, |cluster, change| {
    action_event(cluster, ActionKind::ClusterAction, change)
});

fn trigger_event<H: Held>(cluster: &Cluster, kind: TriggerKind, change: &Change<H>) -> Event {
    let (namespace, name, gone) = parts(change);
    let key = trigger_key(cluster, kind, namespace, name);
    if gone { Event::TriggerGone(key) } else { Event::TriggerChanged(key) }
}

fn source_event<H: Held>(cluster: &Cluster, kind: SourceKind, change: &Change<H>) -> Event {
    let (namespace, name, _) = parts(change);
    let cluster = cluster.name().clone();
    Event::SourceChanged { cluster, namespace: some(namespace), kind, name: name.to_owned() }
}

fn action_event<H: Held>(cluster: &Cluster, kind: ActionKind, change: &Change<H>) -> Event {
    let (namespace, name, _) = parts(change);
    let cluster = cluster.name().clone();
    Event::ActionChanged { cluster, namespace: some(namespace), kind, name: name.to_owned() }
}

fn some(namespace: &str) -> Option<String> {
    Some(namespace.to_owned()).filter(|it| !it.is_empty())
}

impl Watched for Job {
    const STREAM: &'static str = "jobs";
    const SELECTOR: Option<&'static str> = Some(RUN_ID);
    type Held = JobView;

    fn hold(self) -> JobView {
        JobView::of(&self)
    }

    fn store(stores: &Stores) -> &Store<JobView> {
        &stores.jobs
    }

    fn event(cluster: &Cluster, change: &Change<JobView>) -> Option<Event> {
        let (Change::Applied(job) | Change::Gone(job)) = change;
        let (kind, name) = job.trigger.as_ref()?;
        Some(Event::JobChanged {
            cluster: cluster.name().clone(),
            namespace: job.namespace.clone(),
            trigger: trigger_key(cluster, *kind, &job.namespace, name),
        })
    }

    fn gone(stores: &Stores, held: &JobView) {
        stores.ended.note(&held.uid, &held.sighting);
    }
}
