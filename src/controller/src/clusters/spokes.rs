//! Which spokes are registered? The Secrets of the hub become orders, and each order has a keeper.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ger_core::names::ClusterName;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::claims::Rank;
use super::cluster::Cluster;
use super::kubeconfig::Refusal;
use super::namespaces::Selection;
use super::reflector::{Reflector, Sink};
use super::registration::{self, Registration};
use super::session::{Access, Context, Keeper, Order};
use super::state::{Condition, State};
use super::stores::{Change, Store};
use super::{Said, Settings, Shared, streams};
use crate::config::Form;

/// The stream of the hub that the spokes of a form come from.
pub(super) fn stream(form: Form) -> &'static str {
    match form {
        Form::Native => "secrets",
        Form::ClusterApi => "secrets of Cluster API",
        Form::ArgoCd => "secrets of Argo CD",
    }
}

/// Follows the hub and every spoke until it is told to stop; ends when all that it started has ended.
pub(super) async fn run(context: Arc<Context>, hub: Cluster, stop: CancellationToken) {
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
    let mut secrets = Secrets::default();
    for form in forms(&context.settings) {
        let store = Store::<Registration>::default();
        secrets.stores.push(store.clone());
        let reflector = Reflector {
            api: Api::namespaced(hub.watches().clone(), &context.settings.namespace),
            selector: Some(registration::selector(form).to_owned()),
            selection: Selection::all(),
            store,
            sink: SecretSink {
                hub: hub.clone(),
                shared: Arc::clone(&context.shared),
                settings: context.settings.clone(),
                form,
                changed: Arc::clone(&changed),
            },
            pace: streams::pace(&context.settings, hub.name(), stream(form)),
            stop: stop.clone(),
        };
        tasks.spawn(reflector.run());
    }
    tasks.spawn(settle(Arc::clone(&context), hub.clone(), secrets.clone(), stop.clone()));

    let mut spokes = Spokes {
        context,
        secrets,
        keepers: JoinSet::new(),
        known: BTreeMap::new(),
        declined: BTreeSet::new(),
        stop,
    };
    spokes.run(&hub, &changed).await;
    while tasks.join_next().await.is_some() {}
}

/// The forms that are looked for, each once.
fn forms(settings: &Settings) -> BTreeSet<Form> {
    settings.clusters.forms.iter().copied().collect()
}

/// The Secrets of every form.
#[derive(Clone, Debug, Default)]
struct Secrets {
    stores: Vec<Store<Registration>>,
}

impl Secrets {
    fn list(&self) -> Vec<Arc<Registration>> {
        self.stores.iter().flat_map(Store::list).collect()
    }

    fn is_synced(&self) -> bool {
        self.stores.iter().all(Store::is_synced)
    }
}

/// The keepers of all spokes.
struct Spokes {
    context: Arc<Context>,
    secrets: Secrets,
    keepers: JoinSet<()>,
    known: BTreeMap<ClusterName, Kept>,
    /// The Secrets that got no keeper, by name.
    declined: BTreeSet<String>,
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
        let all = self.secrets.list();
        let mut declined = BTreeSet::new();
        let mut chosen: BTreeMap<ClusterName, Arc<Registration>> = BTreeMap::new();
        for registration in &all {
            let (reason, why) = match self.judge(registration) {
                Ok(name) => match chosen.insert(name.clone(), Arc::clone(registration)) {
                    None => continue,
                    Some(other) => {
                        let (first, second) = in_order(other, Arc::clone(registration));
                        let why = format!("the name {name} is that of Secret {}", first.secret);
                        declined.insert(second.secret.clone());
                        self.context.shared.decline(&second.about(), "NameTaken", &why);
                        chosen.insert(name, first);
                        continue;
                    }
                },
                Err(it) => it,
            };
            declined.insert(registration.secret.clone());
            self.context.shared.decline(&registration.about(), reason, &why);
        }
        for (name, kept) in &self.known {
            if !chosen.contains_key(name) {
                kept.orders.send_replace(None);
            }
        }
        for secret in std::mem::replace(&mut self.declined, declined) {
            if !self.declined.contains(&secret) {
                self.context.shared.accept(&secret);
            }
        }
        for (name, registration) in chosen {
            let order = registration.order(&name);
            self.give(name, order);
        }
    }

    /// The name of the cluster that a Secret registers, or why it is none.
    fn judge(&self, registration: &Registration) -> Result<ClusterName, (&'static str, String)> {
        let refused = |it: &Refusal| ("KubeconfigRefused", it.to_string());
        let name = registration.cluster.clone().map_err(|it| refused(&it))?;
        match self.context.settings.clusters.bars(name.as_str()) {
            Some(why) => {
                Err(("ClusterNotAllowed", format!("the cluster {name} is not served: {why}")))
            }
            None => Ok(name),
        }
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
}

/// Two registrations of one name, the one that has it first.
fn in_order(
    one: Arc<Registration>,
    other: Arc<Registration>,
) -> (Arc<Registration>, Arc<Registration>) {
    if one.precedence() <= other.precedence() { (one, other) } else { (other, one) }
}

/// Says that all is synced once it is, or once that took too long.
async fn settle(context: Arc<Context>, hub: Cluster, secrets: Secrets, stop: CancellationToken) {
    let shared = &context.shared;
    let everything = async {
        let mut changes = shared.changes.subscribe();
        while !secrets.is_synced() && changes.changed().await.is_ok() {}
        let names: Vec<_> = secrets.list().iter().map(|it| it.secret.clone()).collect();
        let settled =
            || is_settled(&hub) && names.iter().all(|it| is_accounted_for(it, &secrets, shared));
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
    match cluster.state() {
        State::Ready | State::Limited { .. } | State::Refused { .. } => true,
        State::Connecting | State::Unreachable { .. } => false,
    }
}

fn is_accounted_for(secret: &str, secrets: &Secrets, shared: &Shared) -> bool {
    let all = secrets.list();
    let Some(found) = all.iter().find(|it| it.secret == secret) else { return true };
    let named = || found.cluster.as_ref().ok().and_then(|it| shared.cluster(it));
    shared.refused().contains_key(secret) || named().is_some_and(|it| is_settled(&it))
}

/// Takes what is seen of the Secrets.
struct SecretSink {
    hub: Cluster,
    shared: Arc<Shared>,
    settings: Settings,
    form: Form,
    changed: Arc<Notify>,
}

impl Sink for SecretSink {
    type Object = Secret;
    type Held = Registration;

    fn hold(&self, object: Secret) -> Registration {
        Registration::of(object, self.form, &self.settings)
    }

    fn wants(&self, meta: &ObjectMeta) -> bool {
        registration::registers(self.form, meta)
    }

    fn touch(&self) {
        self.hub.touch();
    }

    async fn report(&self, condition: Condition) {
        self.hub.report(stream(self.form), condition, &self.shared).await;
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
