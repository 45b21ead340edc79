//! What a user of the crate holds: one cluster, cheap to clone.

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::{Router, extract::Request};
use jiff::{SignedDuration, Timestamp};

use crate::{
    audit::{AuditEntry, Entry, access::Access},
    auth::User,
    breakage::Breakage,
    cluster::Cluster,
    controllers::Controllers,
    error::Error,
    fault::Fault,
    http::{self, Caller},
    pods::{self, Executor},
    server::Server,
    snapshot,
    store::Key,
};

/// One cluster: its API, its objects, its faults. Clones are the same cluster.
#[derive(Debug, Clone)]
pub struct Sandbox {
    cluster: Arc<Cluster>,
}

impl Sandbox {
    /// An empty cluster with the namespaces that every cluster begins with.
    pub fn new(name: impl Into<String>) -> Self {
        Self { cluster: Arc::new(Cluster::new(name.into())) }
    }

    /// The same, but its clock begins at `at`, and its uids and the chances of its faults follow from
    /// `seed`: made again, and asked the same in the same order, it answers the same.
    pub fn replayed(name: impl Into<String>, at: Timestamp, seed: u64) -> Self {
        Self { cluster: Arc::new(Cluster::replayed(name.into(), at, seed)) }
    }

    /// Writes the cluster into a folder, from where [`Sandbox::load`] has it again: all objects with
    /// their uids and versions, logs of containers, whether roles decide, the key of service account
    /// tokens. The file takes the place of the one before whole or not at all, and is for its owner
    /// alone. This blocks while it writes.
    ///
    /// Not saved are what belongs to a process: servers with their tokens and certificates, faults,
    /// the audit, and the history, so that watches from before get 410.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<(), Error> {
        snapshot::save(&self.cluster, dir.as_ref())
    }

    /// The cluster that [`Sandbox::save`] wrote into a folder; [`Error::Absent`] if there is none.
    ///
    /// Its versions grow on from far above the last one. Its clock is never behind the time at which it
    /// was saved.
    pub fn load(name: impl Into<String>, dir: impl AsRef<Path>) -> Result<Self, Error> {
        let cluster = snapshot::load(name.into(), dir.as_ref())?;
        Ok(Self { cluster: Arc::new(cluster) })
    }

    /// What the cluster was called when it was made.
    pub fn name(&self) -> &str {
        &self.cluster.name
    }

    /// The API as a service in the process: `kube::Client::new(sandbox.router(), "default")`.
    ///
    /// Requests belong to whom their user agent names, or to `in-process`.
    pub fn router(&self) -> Router {
        self.routed(&Caller::admin(None))
    }

    /// The same, with all requests belonging to `client`, for the audit and for faults.
    pub fn client_router(&self, client: &str) -> Router {
        self.routed(&Caller::admin(Some(client)))
    }

    /// The same for somebody who is no administrator: `jane`, or a service account by the name it has
    /// as a user, `system:serviceaccount:NAMESPACE:NAME`, whose groups come with it.
    ///
    /// Only where [`Sandbox::enforce_rbac`] was called does that limit anything.
    pub fn router_as(&self, user: &str, groups: &[&str]) -> Router {
        self.routed(&Caller { client: None, user: Arc::new(User::of(user, groups)) })
    }

    /// The same, with all requests belonging to `client`, for the audit and for faults.
    pub fn client_router_as(&self, client: &str, user: &str, groups: &[&str]) -> Router {
        let user = Arc::new(User::of(user, groups));
        self.routed(&Caller { client: Some(client.into()), user })
    }

    fn routed(&self, caller: &Caller) -> Router {
        let (cluster, caller) = (Arc::clone(&self.cluster), caller.clone());
        Router::new().fallback(move |request: Request| {
            http::answer(Arc::clone(&cluster), caller.clone(), request)
        })
    }

    /// From now on roles and bindings decide who may do what, as with `--authorization-mode=RBAC`.
    ///
    /// The cluster gets the roles and bindings that every such cluster begins with. Administrators,
    /// who are in `system:masters`, may still do everything.
    pub fn enforce_rbac(&self) {
        self.cluster.enforce_rbac();
    }

    /// Serves the API over TCP with TLS and a bearer token, until the server is stopped or dropped.
    pub async fn serve(&self, addr: SocketAddr) -> Result<Server, Error> {
        Server::start(Arc::clone(&self.cluster), addr).await
    }

    /// Puts another certificate authority in place of the cluster's. Servers that are started from now on
    /// prove themselves by it, and client certificates of the one before are nobody's.
    pub fn replace_authority(&self) {
        self.cluster.forget_authority();
    }

    /// Every write since the cluster began, in order, the oldest forgotten after a hundred
    /// thousand.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.cluster.lock().audit.entries().map(Entry::told).collect()
    }

    /// The API's own record of which objects of a resource ever came to be.
    pub fn creations(&self, resource: &str) -> Vec<AuditEntry> {
        let state = self.cluster.lock();
        let created = state.audit.entries().filter(|it| it.creates(resource));
        created.map(Entry::told).collect()
    }

    /// Every kind of request that anybody has made about resources, reads and refused ones too, each once:
    /// what a role must allow, and what it need not.
    pub fn accesses(&self) -> Vec<Access> {
        self.cluster.accesses.all()
    }

    /// Makes something go wrong from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.cluster.faults.set(fault);
    }

    /// Casts the lots of faults that happen by chance anew: the same seed and the same requests in
    /// the same order have the same fate. A cluster begins with the seed 0.
    pub fn seed_faults(&self, seed: u64) {
        self.cluster.faults.seed(seed);
    }

    /// Moves the cluster's clock, forwards or back: its timestamps, what is due by them, and how long
    /// tokens last. What takes its time, such as a watch with a timeout, takes no more and no less.
    pub fn jump_clock(&self, by: SignedDuration) {
        self.cluster.jump_clock(by);
    }

    /// Ends all faults. The clock stays where it is.
    pub fn clear_faults(&self) {
        self.cluster.faults.clear();
    }

    /// Breaks a rule of Kubernetes from now on, for good: a test that passes all the same proves nothing.
    pub fn set_breakage(&self, breakage: Breakage) {
        self.cluster.lock().broken.add(breakage);
    }

    /// Forgets all events so far: watches from an older version get 410, as after a compaction.
    pub fn compact(&self) {
        let state = &mut *self.cluster.lock();
        let (revision, broken) = (state.revision, state.broken);
        for table in state.tables.values_mut() {
            if broken.has(Breakage::UnsaidGaps) {
                table.log.lose(revision);
            } else {
                table.compact(revision);
            }
        }
    }

    /// Appends to what `kubectl logs` shows of a container of a Pod, if there is such a Pod.
    pub fn append_log(&self, namespace: &str, pod: &str, container: &str, text: &str) {
        self.cluster.append_log(&Key::new(namespace, pod), container, text);
    }

    /// The controllers of a cluster: Jobs and their Pods, owner garbage collection, the end of finished
    /// Jobs, the end of namespaces, and what each has in it from the first: its `default` service account
    /// and the `kube-root-ca.crt` ConfigMap. Nothing of this happens unless somebody drives it.
    pub fn run_controllers(&self) -> impl Future<Output = ()> + Send + 'static {
        self.controllers().run()
    }

    /// Places the Pods of the cluster and has them run, as its scheduler and its kubelets would.
    pub fn run_pods(&self, executor: impl Executor) -> impl Future<Output = ()> + Send + 'static {
        pods::run(Arc::clone(&self.cluster), executor)
    }

    /// The same, to choose among them.
    pub fn controllers(&self) -> Controllers {
        Controllers::of(Arc::clone(&self.cluster))
    }
}
