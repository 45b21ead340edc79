//! Which spokes are registered? The Secrets of the hub become orders, and each order has a keeper.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ger_core::names::ClusterName;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::claims::Rank;
use super::cluster::Cluster;
use super::kubeconfig::{self, Refusal};
use super::reflector::{Reflector, Sink};
use super::session::{Access, Context, Keeper, Order};
use super::state::{Condition, State};
use super::stores::{Change, Held, Store};
use super::{Said, Settings, Shared, streams};

/// The stream of the hub that the spokes come from.
pub(super) const STREAM: &str = "secrets";

/// The convention of multicluster-runtime, which the tools that register clusters follow.
const SELECTOR: &str = "sigs.k8s.io/multicluster-runtime-kubeconfig=true";

/// The keys of a Secret that may hold the kubeconfig, in the order in which they count.
const KEYS: [&str; 2] = ["kubeconfig", "value"];

/// Follows the hub and every spoke until it is told to stop; ends when all that it started has ended.
pub(super) async fn run(context: Arc<Context>, hub: Cluster, stop: CancellationToken) {
    let store = Store::<Registration>::default();
    let changed = Arc::new(Notify::new());
    let about = ObjectReference::default();
    let order = Order { about, rank: Rank::Hub, access: Ok(Access::Hub(hub.clone())) };
    // Lives as long as this function: its end would end the hub.
    let (_hub_order, orders) = watch::channel(Some(order));
    let keeper = Keeper {
        name: ClusterName::hub(),
        context: Arc::clone(&context),
        orders,
        stop: stop.child_token(),
    };

    let mut tasks = JoinSet::new();
    tasks.spawn(keeper.run());
    tasks.spawn(settle(Arc::clone(&context), hub.clone(), store.clone(), stop.clone()));
    let secrets = Reflector {
        api: Api::namespaced(hub.watches().clone(), &context.settings.namespace),
        selector: Some(SELECTOR),
        store: store.clone(),
        sink: SecretSink {
            hub: hub.clone(),
            shared: Arc::clone(&context.shared),
            settings: context.settings.clone(),
            changed: Arc::clone(&changed),
        },
        pace: streams::pace(&context.settings, hub.name(), STREAM),
        stop: stop.clone(),
    };
    tasks.spawn(secrets.run());

    let mut spokes =
        Spokes { context, store, keepers: JoinSet::new(), known: BTreeMap::new(), stop };
    spokes.run(&hub, &changed).await;
    while tasks.join_next().await.is_some() {}
}

/// The keepers of all spokes.
struct Spokes {
    context: Arc<Context>,
    store: Store<Registration>,
    keepers: JoinSet<()>,
    known: BTreeMap<ClusterName, Kept>,
    stop: CancellationToken,
}

/// A spoke's keeper, which stays until it has forgotten everything.
struct Kept {
    orders: watch::Sender<Option<Order>>,
    task: Id,
}

impl Spokes {
    async fn run(&mut self, hub: &Cluster, changed: &Notify) {
        // A spoke can only be told from the hub once the hub has said who it is.
        let mut changes = self.context.shared.changes.subscribe();
        while hub.uid().is_none() {
            let moved = self.stop.run_until_cancelled(changes.changed()).await;
            if !matches!(moved, Some(Ok(()))) {
                return;
            }
        }
        self.order();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(ended) = self.keepers.join_next_with_id() => {
                    let id = ended.map_or_else(|it| it.id(), |(id, ())| id);
                    self.reap(id);
                }
                () = changed.notified() => self.order(),
            }
        }
        while self.keepers.join_next().await.is_some() {}
    }

    /// Gives every keeper its order, as the Secrets are now.
    fn order(&mut self) {
        let registrations = self.store.list();
        for registration in &registrations {
            match ClusterName::parse_spoke(&registration.name) {
                Ok(name) => {
                    let order = registration.order(&name);
                    self.give(name, order);
                }
                Err(invalid) => {
                    let name = registration.name.clone();
                    let refusal = Refusal::Name { name, why: invalid.to_string() };
                    let about = registration.about();
                    self.context.shared.decline(&about, "KubeconfigRefused", &refusal.to_string());
                }
            }
        }
        for (name, kept) in &self.known {
            if self.store.find(Some(&self.context.settings.namespace), name.as_str()).is_none() {
                kept.orders.send_replace(None);
            }
        }
        self.forget_misnamed();
    }

    fn give(&mut self, name: ClusterName, order: Order) {
        match self.known.entry(name) {
            Entry::Occupied(kept) => {
                let orders = &kept.get().orders;
                let same = orders.borrow().as_ref().is_some_and(|it| it.same(&order));
                if !same {
                    orders.send_replace(Some(order));
                }
            }
            Entry::Vacant(place) => {
                let orders = watch::Sender::new(Some(order));
                let keeper = Keeper {
                    name: place.key().clone(),
                    context: Arc::clone(&self.context),
                    orders: orders.subscribe(),
                    stop: self.stop.child_token(),
                };
                let task = self.keepers.spawn(keeper.run()).id();
                place.insert(Kept { orders, task });
            }
        }
    }

    /// A keeper has ended: it is let go, unless its Secret came back meanwhile.
    fn reap(&mut self, task: Id) {
        let Some(name) =
            self.known.iter().find(|(_, it)| it.task == task).map(|(it, _)| it.clone())
        else {
            return;
        };
        let Some(kept) = self.known.remove(&name) else { return };
        let order = kept.orders.borrow().clone();
        if let Some(order) = order {
            self.give(name, order);
        }
    }

    fn forget_misnamed(&self) {
        let namespace = &self.context.settings.namespace;
        let refused = self.context.shared.refused();
        for name in refused.keys().filter(|it| ClusterName::parse_spoke(it).is_err()) {
            if self.store.find(Some(namespace), name).is_none() {
                self.context.shared.accept(name);
            }
        }
    }
}

/// Says that all is synced once it is, or once that took too long.
async fn settle(
    context: Arc<Context>,
    hub: Cluster,
    store: Store<Registration>,
    stop: CancellationToken,
) {
    let shared = &context.shared;
    let everything = async {
        let mut changes = shared.changes.subscribe();
        while !store.is_synced() && changes.changed().await.is_ok() {}
        let names: Vec<_> = store.list().iter().map(|it| it.name.clone()).collect();
        let settled =
            || is_settled(&hub) && names.iter().all(|it| is_accounted_for(it, &store, shared));
        while !settled() && changes.changed().await.is_ok() {}
    };
    let limit = context.settings.sync_timeout;
    let waited = stop.run_until_cancelled(timeout(limit, everything)).await;
    if waited.is_some_and(|it| it.is_err()) {
        tracing::warn!(
            seconds = limit.as_secs(),
            "going on without the clusters that are not synced"
        );
    }
    shared.synced.send_replace(true);
}

/// Whether nothing more is to be waited for.
fn is_settled(cluster: &Cluster) -> bool {
    matches!(cluster.state(), State::Ready | State::Refused { .. })
}

fn is_accounted_for(name: &str, store: &Store<Registration>, shared: &Shared) -> bool {
    let gone = || !store.list().iter().any(|it| it.name == name);
    let named = || ClusterName::parse_spoke(name).ok().and_then(|it| shared.cluster(&it));
    shared.refused().contains_key(name) || named().is_some_and(|it| is_settled(&it)) || gone()
}

/// A Secret that asks to be a cluster.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    created: Timestamp,
    access: Result<Access, Refusal>,
}

impl Registration {
    fn of(secret: Secret, settings: &Settings) -> Self {
        let data = secret.data.unwrap_or_default();
        let found = KEYS.iter().find_map(|it| data.get(*it));
        let access = found.ok_or(Refusal::KeyMissing);
        let access = access.and_then(|it| kubeconfig::parse(&it.0, settings)).map(Access::Spoke);
        let meta = secret.metadata;
        Self {
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            created: meta.creation_timestamp.map_or(Timestamp::MIN, |it| it.0),
            access,
        }
    }

    fn about(&self) -> ObjectReference {
        streams::reference::<Secret>(&ObjectMeta {
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            resource_version: Some(self.resource_version.clone()),
            ..Default::default()
        })
    }

    fn order(&self, name: &ClusterName) -> Order {
        Order {
            about: self.about(),
            rank: Rank::Spoke { created: self.created, name: name.clone() },
            access: self.access.clone(),
        }
    }
}

impl Held for Registration {
    fn place(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    fn version(&self) -> (&str, &str) {
        (&self.uid, &self.resource_version)
    }
}

/// Takes what is seen of the Secrets.
struct SecretSink {
    hub: Cluster,
    shared: Arc<Shared>,
    settings: Settings,
    changed: Arc<Notify>,
}

impl Sink for SecretSink {
    type Object = Secret;
    type Held = Registration;

    fn hold(&self, object: Secret) -> Registration {
        Registration::of(object, &self.settings)
    }

    fn touch(&self) {
        self.hub.touch();
    }

    async fn report(&self, condition: Condition) {
        self.hub.report(STREAM, condition, &self.shared).await;
        // The first list may hold nothing, and is awaited all the same.
        self.shared.changes.send_replace(());
    }

    async fn deliver(&self, _change: Change<Registration>) {
        self.changed.notify_one();
    }

    // The decoder's message may quote what it read, and here that is a credential.
    async fn undecodable(&self, meta: &ObjectMeta, _error: &str) {
        let about = streams::reference::<Secret>(meta);
        let message = "the Secret is not understood, and ignored until it is mended";
        let hub = self.hub.name();
        self.shared.notify(hub, &about, Said::warning("Undecodable", message));
    }
}
