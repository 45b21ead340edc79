//! A whole fleet in one process: a hub, spokes, remotes, and replicas that come and go.

mod builder;
mod replicas;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ger_core::names::{ClusterName, ShardId, TriggerKey};
use git_events_runner::rights::Reach;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub use self::builder::{Builder, Hooks};
pub(crate) use self::builder::{create_namespace, drop_rules, install_crds, keep};
use self::replicas::Recipe;
pub use self::replicas::Replica;
use crate::cluster::Cluster;
use crate::remotes::{Host, Repo};
use crate::rights;
use crate::scene::Scene;

/// The controller's namespace on the hub.
pub const HOME: &str = "git-events-runner";

/// Longer than any replica needs to join or to take over, with nothing broken.
const SETTLED: Duration = Duration::from_mins(2);

/// Clusters, remotes and replicas. Dropping it ends everything at once.
#[derive(Debug)]
pub struct Fleet {
    scene: Arc<Scene>,
    host: Host,
    recipe: Recipe,
    reach: Reach,
    /// Kubelets and the clusters' own controllers.
    _background: JoinSet<()>,
}

impl Fleet {
    /// One replica, no spokes, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The repository of that name; it has one commit.
    pub fn repo(&self, name: &str) -> Repo {
        self.host.repo(name)
    }

    /// Where all repositories are.
    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn hub(&self) -> Cluster {
        self.cluster("hub")
    }

    pub fn spoke(&self, name: &str) -> Cluster {
        self.cluster(name)
    }

    fn cluster(&self, name: &str) -> Cluster {
        Cluster::new(Arc::clone(&self.scene), name)
    }

    fn sandbox(&self, name: &str) -> &Sandbox {
        &self.scene.sites[name].sandbox
    }

    /// Lets this much time pass, in which nothing is expected to happen.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The one replica that holds the trigger's shard.
    pub async fn owner_of(&self, key: &TriggerKey) -> String {
        let one = async || match self.scene.owners(key).as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        self.until(SETTLED, &format!("one owner of {key}"), one).await
    }

    /// The one replica that starts the Jobs of a cluster.
    pub async fn admits(&self, cluster: &str) -> String {
        let name = match cluster {
            "hub" => ClusterName::hub(),
            name => ClusterName::parse_spoke(name).expect("a spoke's name is one"),
        };
        let one = async || {
            let replicas = self.scene.replicas();
            let admits = |it: &&Replica| it.handle.shards().owns_admission(&name);
            replicas.values().find(admits).map(|it| it.name.clone())
        };
        self.until(SETTLED, &format!("a replica that admits in {cluster}"), one).await
    }

    /// Waits until all replicas take part, every shard has one holder, and nobody holds nothing.
    pub async fn settled(&self) {
        let settled = async || self.is_settled().then_some(());
        self.until(SETTLED, "every shard held by one replica", settled).await;
    }

    fn is_settled(&self) -> bool {
        let replicas = self.scene.replicas();
        let held: Vec<usize> =
            replicas.values().map(|it| it.handle.shards().snapshot().mine.len()).collect();
        replicas.values().all(|it| it.handle.ready().is_ok())
            && held.iter().all(|it| *it > 0)
            && held.iter().sum::<usize>() == usize::from(self.recipe.shards)
    }

    /// How often a trigger was looked at, by all replicas that run.
    pub fn turns(&self, key: &TriggerKey) -> u64 {
        let turns = |it: &Replica| it.handle.metrics().triggers.turns(key);
        self.scene.replicas().values().map(turns).sum()
    }

    /// How many shards each replica holds.
    pub fn holdings(&self) -> Vec<(String, usize)> {
        let replicas = self.scene.replicas();
        let held = |it: &Replica| it.handle.shards().snapshot().mine.len();
        replicas.values().map(|it| (it.name.clone(), held(it))).collect()
    }

    /// Which replica holds each shard.
    pub fn holders(&self) -> BTreeMap<ShardId, String> {
        let replicas = self.scene.replicas();
        let of = |it: &Replica| {
            let mine = it.handle.shards().snapshot().mine;
            mine.into_iter().map(|shard| (shard, it.name.clone())).collect::<Vec<_>>()
        };
        replicas.values().flat_map(of).collect()
    }

    /// What `look` finds within `limit`; else the story ends with what is to be seen.
    pub async fn until<T>(
        &self,
        limit: Duration,
        what: &str,
        look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        self.scene.until(limit, what, look).await
    }

    /// Registers a cluster on the hub as a spoke, under a name.
    pub async fn register(&self, name: &str, cluster: &str) {
        self.register_raw(name, &kubeconfig(cluster, &json!({ "token": "t" }))).await;
    }

    /// Registers what may or may not be a kubeconfig.
    pub async fn register_raw(&self, name: &str, kubeconfig: &str) {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": name, "namespace": HOME,
                "labels": { "sigs.k8s.io/multicluster-runtime-kubeconfig": "true" },
            },
            "stringData": { "kubeconfig": kubeconfig },
        });
        let params = PatchParams::apply("story").force();
        let written = self.secrets().patch(name, &params, &Patch::Apply(object)).await;
        written.expect("the hub takes a Secret");
    }

    /// Deletes a spoke's Secret.
    pub async fn unregister(&self, name: &str) {
        let deleted = self.secrets().delete(name, &DeleteParams::default()).await;
        deleted.expect("the Secret was there");
    }

    fn secrets(&self) -> Api<k8s_openapi::api::core::v1::Secret> {
        Api::namespaced(self.scene.sites["hub"].admin(), HOME)
    }

    /// Makes a cluster answer no replica any more.
    pub fn cut_off(&self, cluster: &str) {
        let replicas: Vec<String> = self.scene.replicas().keys().cloned().collect();
        for replica in replicas {
            self.cut_off_from(cluster, &replica);
        }
    }

    /// Makes a cluster answer one replica no more.
    pub fn cut_off_from(&self, cluster: &str, replica: &str) {
        let client = Some(replica.to_owned());
        self.sandbox(cluster).set_fault(Fault { client, kind: FaultKind::Partition });
    }

    /// Ends every fault of a cluster.
    pub fn mend(&self, cluster: &str) {
        self.sandbox(cluster).clear_faults();
    }
}

/// A story ends badly if the controller asked for what the charts do not grant.
impl Drop for Fleet {
    fn drop(&mut self) {
        let noted =
            self.scene.sites.iter().map(|(name, it)| (name, rights::note(name, &it.sandbox)));
        let refused: Vec<_> = noted.filter(|(_, refused)| !refused.is_empty()).collect();
        if self.reach == Reach::All && !std::thread::panicking() {
            assert!(
                refused.is_empty(),
                "add to the charts' rbac/*.yaml, with the reason: {refused:#?}"
            );
        }
    }
}

/// A kubeconfig that leads to a cluster of the fleet.
pub fn kubeconfig(cluster: &str, user: &Value) -> String {
    json!({
        "current-context": "it",
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "clusters": [{ "name": "it", "cluster": { "server": format!("https://{cluster}") } }],
        "users": [{ "name": "it", "user": user }],
    })
    .to_string()
}
