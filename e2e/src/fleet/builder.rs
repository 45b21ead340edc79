//! How does a fleet begin? Clusters with our CRDs, spokes registered, replicas that have joined.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use git_events_runner::rights::Reach;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use kube_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::replicas::Recipe;
use super::{Fleet, HOME};
use crate::kubelet::Kubelet;
use crate::objects::APPS;
use crate::remotes::Host;
use crate::rights;
use crate::scene::{Scene, Site};

/// Enough for three replicas, and few Leases to renew through long stretches of virtual time.
const SHARDS: u16 = 12;
/// Duration and renewal of Leases in seconds: production's, unless nobody is there to take over.
const LEASE: (u64, u64) = (15, 5);
const LEASE_ALONE: (u64, u64) = (180, 60);

/// A fleet that is not there yet.
#[derive(Clone, Debug)]
pub struct Builder {
    replicas: usize,
    spokes: Vec<String>,
    bare: Vec<String>,
    shards: Option<u16>,
    max_running: u32,
    waiting: Duration,
    ttl: Duration,
    reach: Reach,
    pub(super) hooks: Hooks,
}

/// How replicas may be called, in the words of their flags.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    pub global: Option<String>,
    pub trigger: Option<String>,
    pub source: Option<String>,
    pub caller: Option<String>,
    pub proxies: Option<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            replicas: 1,
            spokes: Vec::new(),
            bare: Vec::new(),
            shards: None,
            max_running: 16,
            waiting: Duration::from_mins(5),
            ttl: Duration::from_hours(2),
            reach: Reach::All,
            hooks: Hooks::default(),
        }
    }
}

impl Builder {
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// Clusters that are registered under their own names.
    pub fn spokes<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.spokes.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// A cluster that is there, without our CRDs and not registered.
    pub fn bare(mut self, name: &str) -> Self {
        self.bare.push(name.to_owned());
        self
    }

    pub fn shards(mut self, count: u16) -> Self {
        self.shards = Some(count);
        self
    }

    /// How replicas may be called.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    pub fn max_running(mut self, count: u32) -> Self {
        self.max_running = count;
        self
    }

    /// How long a Job may wait to be started.
    pub fn waiting(mut self, time: Duration) -> Self {
        self.waiting = time;
        self
    }

    /// How long a finished Job is kept.
    pub fn ttl(mut self, time: Duration) -> Self {
        self.ttl = time;
        self
    }

    /// The controller may start Jobs and read credentials in these namespaces only. What it is refused
    /// elsewhere does not end the story.
    pub fn limited_to<'a>(mut self, namespaces: impl IntoIterator<Item = &'a str>) -> Self {
        self.reach = Reach::Namespaces(namespaces.into_iter().map(str::to_owned).collect());
        self
    }

    /// Starts it all, and waits until the replicas have divided the shards.
    pub async fn start(self) -> Fleet {
        let mut background = JoinSet::new();
        let mut sites = BTreeMap::new();
        let mut now = Timestamp::UNIX_EPOCH;
        for name in ["hub"].into_iter().chain(self.names()) {
            let sandbox = Sandbox::new(name);
            if name == "hub" {
                now = wall(&sandbox).await;
            }
            let kubelet = Kubelet::new(&sandbox);
            background.spawn(sandbox.run_controllers());
            background.spawn(sandbox.run_pods(kubelet.clone()));
            background.spawn(kubelet.clone().watch());
            let site = Site { sandbox, kubelet };
            site.sandbox.enforce_rbac();
            if !self.bare.iter().any(|it| it == name) {
                install_crds(&site.admin(), keep).await;
            }
            for namespace in [APPS, HOME] {
                create_namespace(&site.admin(), namespace).await;
            }
            rights::grant(&site.admin(), name, &self.reach).await;
            sites.insert(name.to_owned(), site);
        }
        let (scene, host) = (Arc::new(Scene::new(sites)), Host::default());
        let recipe = Recipe::new(&self, now, &scene, &host);
        let reach = self.reach.clone();
        let fleet = Fleet { scene, host, recipe, reach, _background: background };
        for name in &self.spokes {
            fleet.register(name, name).await;
        }
        for _ in 0..self.replicas {
            fleet.start_replica();
        }
        if self.replicas > 0 {
            fleet.settled().await;
        }
        for name in &self.spokes {
            fleet.spoke(name).connected().await;
        }
        fleet
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.spokes.iter().chain(&self.bare).map(String::as_str)
    }

    pub(super) fn shard_count(&self) -> u16 {
        self.shards.unwrap_or(if self.replicas == 1 { 1 } else { SHARDS })
    }

    pub(super) fn lease(&self) -> (u64, u64) {
        if self.replicas == 1 { LEASE_ALONE } else { LEASE }
    }

    pub(super) fn action(&self) -> git_events_runner::config::Action {
        let seconds = |it: Duration| it.as_secs();
        git_events_runner::config::Action {
            max_running_jobs: self.max_running,
            job_waiting_timeout_seconds: u32::try_from(seconds(self.waiting)).unwrap_or(u32::MAX),
            ttl_seconds_after_finished: i32::try_from(seconds(self.ttl)).unwrap_or(i32::MAX),
            ..git_events_runner::config::Action::default()
        }
    }
}

/// The wall clock of a cluster that has just begun.
async fn wall(sandbox: &Sandbox) -> Timestamp {
    let client = Client::new(sandbox.client_router("story"), "default");
    let namespace = Api::<Namespace>::all(client).get("kube-system").await;
    let created = namespace.ok().and_then(|it| it.metadata.creation_timestamp);
    created.expect("every cluster begins with this namespace").0
}

/// Installs our CRDs, or replaces those that are there.
pub(crate) async fn install_crds(client: &Client, change: impl Fn(&mut Value)) {
    /// Made once: to derive schemas takes as long as a cluster takes to begin.
    static OURS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let all = ger_api::crd::all();
        all.iter().map(|it| serde_json::to_value(it).expect("a CRD is JSON")).collect()
    });
    let crds = Api::<CustomResourceDefinition>::all(client.clone());
    for mut value in OURS.iter().cloned() {
        let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        change(&mut value);
        let known = crds.get_opt(&name).await.expect("CRDs can be read");
        value["metadata"]["resourceVersion"] =
            json!(known.as_ref().map(ResourceExt::resource_version));
        let crd = serde_json::from_value(value).expect("it is a CRD still");
        let written = match known {
            None => crds.create(&PostParams::default(), &crd).await,
            Some(_) => crds.replace(&name, &PostParams::default(), &crd).await,
        };
        written.unwrap_or_else(|error| panic!("{name} is refused: {error}"));
    }
}

/// Leaves a CRD as it is.
pub(crate) fn keep(_crd: &mut Value) {}

/// Leaves nothing in a schema that judges more than types.
pub(crate) fn drop_rules(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(drop_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(crate) async fn create_namespace(client: &Client, name: &str) {
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }));
    let namespace: Namespace = namespace.expect("a namespace is a name");
    let created =
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await;
    created.expect("a cluster takes a new namespace");
}
