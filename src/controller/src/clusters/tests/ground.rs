//! A fleet of sandboxes in virtual time, and the part of the controller that follows it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ger_api::{ScheduleTrigger, crd};
use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::routes::Routes;
use crate::clock::Clock;
use crate::clusters::{self, Cluster, Event, Events, Handle, Notice, Parts, Settings, Severity};
use crate::metrics::Metrics;

/// Where the controller is in the hub, and where triggers are.
const HOME: &str = "ger";
pub(super) const APPS: &str = "apps";

/// Longer than anything may take, with nothing broken for good.
pub(super) const LONG: Duration = Duration::from_mins(10);

/// The controller as the sandboxes know it, so that a fault cuts it off and not the test.
pub(super) const CONTROLLER: &str = "controller";

/// How many tasks the runtime has.
pub(super) fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// A hub, other clusters, and the part of a controller that follows them.
pub(super) struct Fleet {
    clusters: BTreeMap<&'static str, Sandbox>,
    routes: Routes,
    pub(super) handle: Handle,
    waiting: Option<BoxFuture<'static, ()>>,
    pub(super) tasks: JoinSet<()>,
    events: Events,
    read: VecDeque<Event>,
    notices: mpsc::Receiver<Notice>,
    heard: Vec<Notice>,
    metrics: Metrics,
    pub(super) stop: CancellationToken,
}

impl Fleet {
    /// A running fleet, with the CRDs in every cluster.
    pub(super) async fn start(spokes: &[&'static str]) -> Self {
        let mut fleet = Self::prepare(spokes).await;
        fleet.run();
        fleet
    }

    /// A running fleet, with the CRDs in the hub alone.
    pub(super) async fn bare(spokes: &[&'static str]) -> Self {
        let mut fleet = Self::assemble(spokes).await;
        fleet.install_all("hub").await;
        fleet.run();
        fleet
    }

    /// A fleet that does not run yet, with the CRDs in every cluster.
    pub(super) async fn prepare(spokes: &[&'static str]) -> Self {
        let fleet = Self::assemble(spokes).await;
        for name in fleet.clusters.keys() {
            fleet.install_all(name).await;
        }
        fleet
    }

    async fn assemble(spokes: &[&'static str]) -> Self {
        Self::assembled(spokes, Settings::new(HOME)).await
    }

    /// A running fleet with such settings, with the CRDs in every cluster.
    pub(super) async fn with(spokes: &[&'static str], change: impl Fn(&mut Settings)) -> Self {
        let mut settings = Settings::new(HOME);
        change(&mut settings);
        let mut fleet = Self::assembled(spokes, settings).await;
        for name in fleet.clusters.keys() {
            fleet.install_all(name).await;
        }
        fleet.run();
        fleet
    }

    async fn assembled(spokes: &[&'static str], settings: Settings) -> Self {
        let names = spokes.iter().copied().chain(["hub"]);
        let clusters: BTreeMap<_, _> = names.map(|it| (it, Sandbox::new(it))).collect();
        let routes =
            Routes { clusters: clusters.clone(), alive: Arc::default(), pretended: Arc::default() };
        let events = Events::default();
        let (notices, heard_notices) = mpsc::channel(1024);
        let stop = CancellationToken::new();
        let metrics = Metrics::new("test").unwrap();
        let parts = Parts {
            settings,
            hub: routes.clients("hub", None),
            connect: Arc::new(routes.clone()),
            clock: Clock::virtual_from(Timestamp::UNIX_EPOCH),
            metrics: metrics.clone(),
            events: events.clone(),
            notices,
        };
        let (handle, running) = clusters::start(parts, stop.clone());
        let fleet = Self {
            clusters,
            routes,
            handle,
            waiting: Some(Box::pin(running)),
            tasks: JoinSet::new(),
            events,
            read: VecDeque::new(),
            notices: heard_notices,
            heard: Vec::new(),
            metrics,
            stop,
        };
        for (name, namespace) in fleet.clusters.keys().flat_map(|it| [(it, HOME), (it, APPS)]) {
            let it = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
            Api::<Namespace>::all(fleet.admin(name))
                .create(&PostParams::default(), &it)
                .await
                .unwrap();
        }
        fleet
    }

    pub(super) fn run(&mut self) {
        self.tasks.spawn(self.waiting.take().unwrap());
    }

    fn admin(&self, cluster: &str) -> Client {
        Client::new(self.clusters[cluster].router(), "default")
    }

    pub(super) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.admin("hub"), HOME)
    }

    pub(super) fn triggers(&self, cluster: &str) -> Api<ScheduleTrigger> {
        Api::namespaced(self.admin(cluster), APPS)
    }

    pub(super) fn clients_alive(&self) -> usize {
        Arc::strong_count(&self.routes.alive)
    }

    pub(super) fn cut_off(&self, cluster: &str) {
        self.fault(cluster, FaultKind::Partition);
    }

    pub(super) fn fault(&self, cluster: &str, kind: FaultKind) {
        self.clusters[cluster].set_fault(Fault { client: Some(CONTROLLER.to_owned()), kind });
    }

    pub(super) fn set_fault(&self, cluster: &str, fault: Fault) {
        self.clusters[cluster].set_fault(fault);
    }

    /// Whether a metric is labelled with a cluster.
    pub(super) fn has_series_of(&self, cluster: &str) -> bool {
        let families = self.metrics.registry().gather();
        let is_of = |it: &prometheus::proto::Metric| {
            it.get_label().iter().any(|it| it.name() == "cluster" && it.value() == cluster)
        };
        families.iter().any(|it| it.get_metric().iter().any(is_of))
    }

    /// How many requests a cluster answered with a code.
    pub(super) fn requests(&self, cluster: &str, code: &str) -> u64 {
        let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
        let requests = &self.metrics.cluster_api_requests_total;
        verbs.iter().map(|it| requests.with_label_values(&[cluster, it, code]).get()).sum()
    }

    pub(super) fn compact(&self, cluster: &str) {
        self.clusters[cluster].compact();
    }

    pub(super) fn reconnect(&self, cluster: &str) {
        self.clusters[cluster].clear_faults();
    }

    pub(super) async fn install_all(&self, cluster: &str) {
        for crd in crd::all() {
            self.install(cluster, &crd).await;
        }
    }

    pub(super) async fn install(&self, cluster: &str, crd: &CustomResourceDefinition) {
        let crds = Api::<CustomResourceDefinition>::all(self.admin(cluster));
        crds.create(&PostParams::default(), crd).await.unwrap();
    }

    /// Puts the CRDs back as they are.
    pub(super) async fn replace_all(&self, cluster: &str) {
        self.replace_with(cluster, |_| {}).await;
    }

    pub(super) async fn replace_with(
        &self,
        cluster: &str,
        change: impl Fn(&mut CustomResourceDefinition),
    ) {
        let crds = Api::<CustomResourceDefinition>::all(self.admin(cluster));
        for mut crd in crd::all() {
            change(&mut crd);
            let name = crd.metadata.name.clone().unwrap();
            crd.metadata.resource_version =
                crds.get(&name).await.unwrap().metadata.resource_version;
            crds.replace(&name, &PostParams::default(), &crd).await.unwrap();
        }
    }

    /// Lets RBAC judge, and permits what a controller needs in the whole cluster, but for a change.
    pub(super) async fn grant(&self, cluster: &str, change: impl Fn(&mut Vec<Value>)) {
        let ours = "git-events-runner.rs";
        let rule = |group: &str, resource: &str, verbs: &[&str]| json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
        let mut rules = vec![
            rule("", "namespaces", &["get"]),
            rule(ours, "scheduletriggers", &["get", "list", "watch", "patch"]),
            rule(ours, "webhooktriggers", &["get", "list", "watch"]),
            rule(ours, "scheduletriggers/status", &["update"]),
            rule(ours, "webhooktriggers/status", &["update"]),
            rule(ours, "gitrepos", &["list", "watch"]),
            rule(ours, "clustergitrepos", &["list", "watch"]),
            rule(ours, "actions", &["list", "watch"]),
            rule(ours, "clusteractions", &["list", "watch"]),
            rule("batch", "jobs", &["list", "watch"]),
        ];
        change(&mut rules);
        let group = "rbac.authorization.k8s.io";
        let role = json!({ "metadata": { "name": CONTROLLER }, "rules": rules });
        let binding = json!({
            "metadata": { "name": CONTROLLER },
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": CONTROLLER },
            "subjects": [{ "apiGroup": group, "kind": "User", "name": CONTROLLER }],
        });
        self.apply::<ClusterRole>(cluster, role).await;
        self.apply::<ClusterRoleBinding>(cluster, binding).await;
        self.clusters[cluster].enforce_rbac();
    }

    async fn apply<K>(&self, cluster: &str, mut object: Value)
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        object["apiVersion"] = K::api_version(&()).into();
        object["kind"] = K::kind(&()).into();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let params = PatchParams::apply("test").force();
        Api::<K>::all(self.admin(cluster))
            .patch(&name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    pub(super) async fn label_namespace(&self, cluster: &str, labels: Value) {
        let change = json!({ "metadata": { "labels": labels } });
        let namespaces = Api::<Namespace>::all(self.admin(cluster));
        namespaces.patch(APPS, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    }

    /// Lets a cluster say that it has another's uid.
    pub(super) fn pretend(&self, cluster: &str, uid: &str) {
        self.routes.pretended.lock().unwrap().insert(cluster.to_owned(), uid.to_owned());
    }

    /// A Secret with such a type and labels.
    pub(super) async fn raw_secret(
        &self,
        name: &str,
        (kind, labels): (&str, &Value),
        data: &Value,
    ) {
        let secret = json!({
            "metadata": { "name": name, "namespace": HOME, "labels": labels },
            "type": kind,
            "stringData": data,
        });
        let secret: Secret = serde_json::from_value(secret).unwrap();
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }

    /// Registers a cluster as a spoke.
    pub(super) async fn register(&self, name: &str, cluster: &str) {
        self.secret(name, Some(data(&kubeconfig(cluster)))).await;
    }

    pub(super) async fn secret(&self, name: &str, data: Option<BTreeMap<String, String>>) {
        let label = "sigs.k8s.io/multicluster-runtime-kubeconfig";
        let metadata = json!({ "name": name, "namespace": HOME, "labels": { label: "true" } });
        let mut secret: Secret = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
        secret.string_data = data;
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }

    pub(super) async fn edit_secret(&self, name: &str, edit: impl FnOnce(&mut Secret)) {
        let mut secret = self.secrets().get(name).await.unwrap();
        edit(&mut secret);
        self.secrets().replace(name, &PostParams::default(), &secret).await.unwrap();
    }

    /// Creates a trigger, and answers its key in the spoke `edge`, or in the hub.
    pub(super) async fn trigger(&self, cluster: &str, name: &str) -> TriggerKey {
        let spec = json!({
            "sources": { "kind": "GitRepo", "names": ["app"], "watchOn": { "reference": { "branch": "main" } } },
            "schedule": { "interval": "1m" },
            "action": { "kind": "Action", "name": "act" },
        });
        self.post_raw(cluster, name, spec).await;
        let cluster = match cluster {
            "hub" => ClusterName::hub(),
            _ => ClusterName::parse_spoke("edge").unwrap(),
        };
        let (namespace, name) = (APPS.to_owned(), name.to_owned());
        TriggerKey { cluster, kind: TriggerKind::Schedule, namespace, name }
    }

    pub(super) async fn post_raw(&self, cluster: &str, name: &str, spec: Value) {
        let path =
            format!("/apis/git-events-runner.rs/v1alpha1/namespaces/{APPS}/scheduletriggers");
        let body = json!({
            "apiVersion": "git-events-runner.rs/v1alpha1",
            "kind": "ScheduleTrigger",
            "metadata": { "name": name, "namespace": APPS },
            "spec": spec,
        });
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&body).unwrap());
        self.admin(cluster).request::<Value>(request.unwrap()).await.unwrap();
    }

    pub(super) async fn delete_trigger(&self, cluster: &str, name: &str) {
        let path = format!(
            "/apis/git-events-runner.rs/v1alpha1/namespaces/{APPS}/scheduletriggers/{name}"
        );
        let request = http::Request::delete(path).body(Vec::new()).unwrap();
        self.admin(cluster).request::<Value>(request).await.unwrap();
    }

    pub(super) fn find(&self, name: &str) -> Option<Cluster> {
        let name = match name {
            "hub" => ClusterName::hub(),
            _ => ClusterName::parse_spoke(name).unwrap(),
        };
        self.handle.cluster(&name)
    }

    pub(super) async fn until(&self, done: impl Fn(&Self) -> bool) {
        let mut changes = self.handle.shared.changes.subscribe();
        let waiting = async { while !done(self) && changes.changed().await.is_ok() {} };
        timeout(LONG, waiting).await.expect("this was never so");
    }

    pub(super) async fn in_state(&self, name: &str, word: &str) -> Cluster {
        let done = |it: &Self| it.find(name).is_some_and(|it| it.state().word() == word);
        let mut changes = self.handle.shared.changes.subscribe();
        let waiting = async { while !done(self) && changes.changed().await.is_ok() {} };
        let waited = timeout(LONG, waiting).await;
        let state = self.find(name).map(|it| it.state());
        assert!(waited.is_ok(), "{name} is {state:?} and not {word}");
        self.find(name).unwrap()
    }

    /// Waits for an event, and answers all that came up to it.
    pub(super) async fn event(&mut self, event: &Event) -> Vec<Event> {
        self.events(std::slice::from_ref(event)).await
    }

    pub(super) async fn events(&mut self, wanted: &[Event]) -> Vec<Event> {
        let mut seen = Vec::new();
        while !wanted.iter().all(|it| seen.contains(it)) {
            if let Some(event) = self.read.pop_front() {
                seen.push(event);
                continue;
            }
            let next = timeout(LONG, self.events.next()).await;
            self.read.extend(next.unwrap_or_else(|_| panic!("{wanted:?} not in {seen:?}")));
        }
        seen
    }

    pub(super) fn drain(&mut self) {
        self.read.clear();
        while self.events.next().now_or_never().is_some() {}
    }

    /// Everything that was said about the object of that name since it was last asked.
    pub(super) fn notices(&mut self, name: &str) -> Vec<Notice> {
        self.heard.extend(std::iter::from_fn(|| self.notices.try_recv().ok()));
        let of = |it: &mut Notice| it.about.name.as_deref() == Some(name);
        self.heard.extract_if(.., of).collect()
    }

    /// The one thing that was said about the object of that name.
    pub(super) async fn notice(&mut self, name: &str) -> Notice {
        loop {
            let mut said = self.notices(name);
            assert!(said.len() < 2, "said more than once: {said:?}");
            if let Some(notice) = said.pop() {
                return notice;
            }
            let next = timeout(LONG, self.notices.recv()).await.expect("nothing was said");
            self.heard.extend(next);
        }
    }

    /// Nothing was said but that clusters are ready.
    pub(super) async fn quiet(&mut self) {
        tokio::time::sleep(LONG).await;
        self.heard.extend(std::iter::from_fn(|| self.notices.try_recv().ok()));
        let warnings: Vec<_> =
            self.heard.iter().filter(|it| it.severity == Severity::Warning).collect();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

pub(super) fn kubeconfig(cluster: &str) -> String {
    json!({
        "current-context": "it",
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "clusters": [{ "name": "it", "cluster": { "server": format!("https://{cluster}") } }],
        "users": [{ "name": "it", "user": { "token": "t" } }],
    })
    .to_string()
}

pub(super) fn data(kubeconfig: &str) -> BTreeMap<String, String> {
    [("kubeconfig".to_owned(), kubeconfig.to_owned())].into()
}

/// Knows nothing of runs, as the CRDs of the original.
pub(super) fn old_schema(crd: &mut CustomResourceDefinition) {
    for version in &mut crd.spec.versions {
        let mut schema = serde_json::to_value(version.schema.take().unwrap()).unwrap();
        if let Some(status) = schema.pointer_mut("/openAPIV3Schema/properties/status/properties") {
            status.as_object_mut().unwrap().remove("runs");
        }
        version.schema = serde_json::from_value(schema).unwrap();
    }
}

/// Lets everything through, as a cluster with a foreign version of our CRDs may.
pub(super) fn open_schema(crd: &mut CustomResourceDefinition) {
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().unwrap();
        schema.open_api_v3_schema = Some(serde_json::from_value(open.clone()).unwrap());
    }
}
