//! How does one cluster live? It connects, says who it is, follows its streams, and is replaced or ends.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use ger_core::names::ClusterName;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::certificate::Proof;
use super::claims::{Claim, Claims, Rank};
use super::cluster::Cluster;
use super::connect::{self, Clients, Connect};
use super::kubeconfig::{Refusal, Target};
use super::state::{Condition, IDENTITY, Reason, Trouble, backoff};
use super::streak::Streak;
use super::wire::Wire;
use super::{Event, Said, Settings, Shared, spokes, streams};

/// What every session works with.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) connect: Arc<dyn Connect>,
    pub(super) shared: Arc<Shared>,
    pub(super) claims: Claims,
}

impl Context {
    /// The hub's cluster, which is there from the start.
    pub(super) fn hub(&self, clients: Clients) -> Cluster {
        let name = Some(self.settings.namespace.clone());
        let about = streams::reference::<Namespace>(&ObjectMeta { name, ..Default::default() });
        let name = ClusterName::hub();
        let steps = streams::steps(&self.settings, &name);
        let forms = self.settings.clusters.forms.iter().map(|it| spokes::stream(*it));
        let wire = self.wire(&name);
        let (way, steps) = ((clients, wire, Proof::Token), steps.into_iter().chain(forms));
        let hub = Cluster::new(name, about, way, steps);
        hub.go_live();
        hub
    }

    /// The way to a cluster, with its limits.
    fn wire(&self, name: &ClusterName) -> Wire {
        let limits = self.settings.clusters.limits_of(name.as_str());
        Wire::new(name.clone(), limits, self.shared.metrics.clone())
    }
}

/// How a cluster is to be reached, and what is said about it on which object.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) about: ObjectReference,
    pub(super) rank: Rank,
    pub(super) access: Result<Access, Refusal>,
}

impl Order {
    /// The name of the Secret; empty for the hub.
    fn secret(&self) -> &str {
        self.about.name.as_deref().unwrap_or_default()
    }

    /// Whether a session under the other order would be no different.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.access == other.access && self.stands_for(other)
    }

    /// Whether both are one registration: a Secret that was deleted and created again is another, and comes
    /// in among its rivals anew, whatever it holds.
    fn stands_for(&self, other: &Self) -> bool {
        self.rank == other.rank && self.about.uid == other.about.uid
    }
}

#[derive(Clone, Debug)]
pub(super) enum Access {
    Hub(Cluster),
    Spoke(Target),
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hub(_), Self::Hub(_)) => true,
            (Self::Spoke(mine), Self::Spoke(theirs)) => mine == theirs,
            (Self::Hub(_), Self::Spoke(_)) | (Self::Spoke(_), Self::Hub(_)) => false,
        }
    }
}

/// A cluster that is being followed.
struct Session {
    cluster: Cluster,
    order: Order,
    claim: Claim,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Session {
    /// Stops every stream, and waits until what they took is delivered.
    async fn end(mut self) -> Cluster {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.cluster.clone()
    }

    /// Waits until the session cannot go on: another registration of the same cluster comes first, or a
    /// stream died.
    async fn broken(&mut self) {
        tokio::select! {
            biased;
            () = self.claim.lost() => {}
            ended = self.tasks.join_next() => {
                tracing::error!(cluster = %self.cluster.name(), ?ended, "a stream ended by itself");
            }
        }
    }
}

/// Keeps one cluster as it is ordered, until there is no order any more.
pub(super) struct Keeper {
    pub(super) name: ClusterName,
    pub(super) context: Arc<Context>,
    pub(super) orders: watch::Receiver<Option<Order>>,
    pub(super) stop: CancellationToken,
}

/// What a keeper waited for.
enum Step {
    Established(Box<Session>),
    Broken,
    Ordered,
    Stopped,
}

/// A cluster whose streams died is not asked again at once.
const REST: Duration = Duration::from_secs(1);

impl Keeper {
    pub(super) async fn run(mut self) {
        let mut live: Option<Session> = None;
        let mut secret = String::new();
        loop {
            let Some(order) = self.orders.borrow_and_update().clone() else { break };
            secret = self.follow(&secret, &order);
            let step = self.step(&order, &mut live).await;
            match step {
                Step::Established(session) => self.switch(&mut live, *session).await,
                Step::Broken => {
                    self.leave(live.take()).await;
                    sleep(REST).await;
                }
                Step::Ordered => {}
                Step::Stopped => return end(live).await,
            }
        }
        self.context.shared.accept(&secret);
        self.leave(live).await;
    }

    /// What was said of another Secret that stood for this cluster is said no more.
    fn follow(&self, before: &str, order: &Order) -> String {
        let secret = order.secret();
        if before != secret {
            self.context.shared.accept(before);
        }
        secret.to_owned()
    }

    /// Does what is ordered until something happens. What must not be cut short is not done here.
    async fn step(&mut self, order: &Order, live: &mut Option<Session>) -> Step {
        let access = match &order.access {
            Ok(access) => access,
            Err(refusal) => {
                self.leave(live.take()).await;
                let why = refusal.to_string();
                self.context.shared.decline(&order.about, "KubeconfigRefused", &why);
                return self.ordered().await;
            }
        };
        if live.as_ref().is_some_and(|it| !it.order.stands_for(order)) {
            self.leave(live.take()).await;
        }
        let current = live.as_ref().is_some_and(|it| it.order.same(order));
        let place = if live.is_some() { Place::Successor } else { Place::First };
        let (context, name) = (Arc::clone(&self.context), self.name.clone());
        // Boxed: a fleet has many of these, and each is large.
        let establishing = Box::pin(establish(&context, &name, order, access, place));
        tokio::select! {
            biased;
            step = self.ordered() => step,
            () = broken(live) => Step::Broken,
            session = establishing, if !current => Step::Established(Box::new(session)),
        }
    }

    /// Waits for another order.
    async fn ordered(&mut self) -> Step {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Step::Stopped,
            changed = self.orders.changed() => changed.map_or(Step::Stopped, |()| Step::Ordered),
        }
    }

    /// Puts a session in place, and only then ends the one that was there.
    async fn switch(&self, live: &mut Option<Session>, session: Session) {
        let shared = &self.context.shared;
        let cluster = session.cluster.clone();
        cluster.go_live();
        shared.accept(cluster.about());
        shared.publish(&cluster);
        let old = match live.replace(session) {
            Some(old) => old.end().await,
            None => cluster.clone(),
        };
        streams::announce(&cluster, &old, shared).await;
        shared.deliver(Event::ClusterChanged(self.name.clone())).await;
    }

    /// Forgets the cluster and its triggers; nothing in the cluster is touched.
    async fn leave(&self, live: Option<Session>) {
        let shared = &self.context.shared;
        let published = shared.withdraw(&self.name);
        if let Some(session) = live {
            let cluster = session.end().await;
            streams::forget(&cluster, shared).await;
        }
        shared.metrics.forget_cluster(self.name.as_str());
        if published.is_some() {
            shared.deliver(Event::ClusterChanged(self.name.clone())).await;
        }
    }
}

async fn end(live: Option<Session>) {
    if let Some(session) = live {
        session.end().await;
    }
}

async fn broken(live: &mut Option<Session>) {
    match live {
        Some(session) => session.broken().await,
        None => pending().await,
    }
}

/// Whether a session is the first of its cluster or prepares to take another's place unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Successor,
}

/// Said of a cluster that has another's uid and is not proved to be it.
const SHARED: &str = "this cluster answers with the uid of another that is registered here, and is not that one: \
     it is a copy, or it lies; it is served as a cluster of its own";

/// Connects, for as long as that takes, and starts to follow.
async fn establish(
    context: &Context,
    name: &ClusterName,
    order: &Order,
    access: &Access,
    place: Place,
) -> Session {
    let shared = &context.shared;
    let cluster = match access {
        Access::Hub(cluster) => cluster.clone(),
        Access::Spoke(target) => {
            let clients = connect(context, name, order, target).await;
            let steps = streams::steps(&context.settings, name);
            let way = (clients, context.wire(name), Proof::of(target));
            Cluster::new(name.clone(), order.about.clone(), way, steps)
        }
    };
    if place == Place::First {
        cluster.go_live();
        shared.accept(order.secret());
        shared.publish(&cluster);
    }

    let uid = identify(context, &cluster).await;
    cluster.is(uid.clone());
    let claim = context.claims.enter(uid, order.rank.clone(), cluster.client());
    await_turn(&claim, &cluster, shared).await;
    if claim.is_contested() {
        shared.notify(&ClusterName::hub(), &order.about, Said::warning("SharedIdentity", SHARED));
    }
    cluster.report(IDENTITY, Condition::Working, shared).await;

    let stop = shared.stop.child_token();
    let tasks = streams::start(&cluster, &context.settings, shared, &stop);
    if place == Place::Successor {
        cluster.ready().await;
    }
    Session { cluster, order: order.clone(), claim, stop, tasks }
}

/// Tries until there are clients. What is wrong is said once, not at each try.
async fn connect(context: &Context, name: &ClusterName, order: &Order, target: &Target) -> Clients {
    let limit = context.settings.request_timeout;
    let mut attempt = 0;
    loop {
        let why = match timeout(limit, context.connect.connect(name, target)).await {
            Ok(Ok(clients)) => return clients,
            Ok(Err(error)) => error.text(),
            Err(_) => format!("no connection within {} s", limit.as_secs()),
        };
        context.shared.decline(&order.about, "CannotConnect", &why);
        attempt += 1;
        sleep(backoff(attempt, (name.as_str(), "connect", context.settings.seed))).await;
    }
}

/// Asks until the cluster says who it is.
async fn identify(context: &Context, cluster: &Cluster) -> String {
    let mut streak = Streak::new(IDENTITY);
    loop {
        match connect::identify(cluster.client(), context.settings.request_timeout).await {
            Ok(uid) => return uid,
            Err(fault) => {
                let place = (&context.settings, &*context.shared);
                sleep(streak.failed(cluster, fault, place).await).await;
            }
        }
    }
}

/// Waits while another registration of the same cluster comes before this one.
async fn await_turn(claim: &Claim, cluster: &Cluster, shared: &Shared) {
    let since = Instant::now();
    while let Some(rival) = claim.rival().await {
        let text = format!("this cluster is already here under the name {rival}");
        let trouble = Trouble { reason: Reason::Duplicate, text };
        cluster.report(IDENTITY, Condition::Failing { failures: 1, since, trouble }, shared).await;
        claim.moved(Some(&rival)).await;
    }
}
