//! What is to be seen and done in one cluster? Objects are applied, and states are awaited.

use std::sync::Arc;
use std::time::Duration;

use ger_api::status::{Run, RunPhase};
use ger_api::{ScheduleTrigger, TriggerStatus, WebhookTrigger};
use ger_core::names::{ClusterName, Commit, TriggerKey, TriggerKind};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use kube_sandbox::{AuditEntry, Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::fleet;
use crate::kubelet::{Kubelet, Seen, Work};
use crate::objects::{APPS, Trigger};
use crate::scene::{Scene, Site};
use crate::wait::secs;

/// What the API has recorded is seen by a kubelet this soon.
const SEEN: Duration = Duration::from_secs(5);
/// A cluster is seen by every replica within this.
const CONNECTED: Duration = Duration::from_mins(3);

/// One cluster of a fleet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    scene: Arc<Scene>,
    name: String,
}

impl Cluster {
    pub(crate) fn new(scene: Arc<Scene>, name: &str) -> Self {
        assert!(scene.sites.contains_key(name), "there is no cluster {name}");
        Self { scene, name: name.to_owned() }
    }

    fn site(&self) -> &Site {
        &self.scene.sites[&self.name]
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn sandbox(&self) -> &Sandbox {
        &self.site().sandbox
    }

    pub fn kubelet(&self) -> &Kubelet {
        &self.site().kubelet
    }

    /// A client with every right, which no replica's fault touches.
    pub fn admin(&self) -> Client {
        self.site().admin()
    }

    /// What becomes of Jobs from now on.
    pub fn work(&self, work: Work) {
        self.kubelet().set(work);
    }

    /// Makes something go wrong for all replicas, and nobody else.
    pub fn fault(&self, kind: &FaultKind) {
        for replica in self.scene.replicas().keys() {
            let client = Some(replica.clone());
            self.sandbox().set_fault(Fault { client, kind: kind.clone() });
        }
    }

    /// Installs our CRDs, or puts them back as they are.
    pub async fn install_crds(&self) {
        fleet::install_crds(&self.admin(), fleet::keep).await;
    }

    /// Installs our CRDs with nothing in them that judges: objects that are older than a rule.
    pub async fn install_crds_without_rules(&self) {
        fleet::install_crds(&self.admin(), fleet::drop_rules).await;
    }

    /// Installs our CRDs with a status that does not know a field.
    pub async fn install_crds_without(&self, field: &str) {
        let forget = |crd: &mut Value| {
            for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
                let status = "/schema/openAPIV3Schema/properties/status/properties";
                let fields = version.pointer_mut(status).and_then(Value::as_object_mut);
                fields.and_then(|it| it.remove(field));
            }
        };
        fleet::install_crds(&self.admin(), forget).await;
    }

    pub async fn create_namespace(&self, name: &str) {
        fleet::create_namespace(&self.admin(), name).await;
    }

    /// Applies a trigger with what it needs.
    pub async fn apply(&self, trigger: &Trigger) -> TriggerKey {
        let applied = self.try_apply(trigger).await;
        applied.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// Applies a trigger, or tells why the API refuses it.
    pub async fn try_apply(&self, trigger: &Trigger) -> Result<TriggerKey, String> {
        for object in trigger.objects() {
            self.try_put(&object).await?;
        }
        let cluster = match self.name.as_str() {
            "hub" => ClusterName::hub(),
            name => ClusterName::parse_spoke(name).expect("a spoke's name is one"),
        };
        let (namespace, name) = (trigger.namespace.clone(), trigger.name.clone());
        Ok(TriggerKey { cluster, kind: trigger.kind, namespace, name })
    }

    /// Applies one object.
    pub async fn put(&self, object: &Value) {
        self.try_put(object).await.unwrap_or_else(|refused| panic!("{refused}"));
    }

    /// Applies one object, or tells why the API refuses it.
    pub async fn try_put(&self, object: &Value) -> Result<(), String> {
        let (api, name) = self.api_of(object);
        let params = PatchParams::apply("story").force();
        let applied = api.patch(&name, &params, &Patch::Apply(object)).await;
        applied.map(drop).map_err(|error| format!("{object} is refused: {error}"))
    }

    /// Deletes one object, named by a manifest of it.
    pub async fn delete(&self, object: &Value) {
        let (api, name) = self.api_of(object);
        let deleted = api.delete(&name, &DeleteParams::background()).await;
        deleted.unwrap_or_else(|error| panic!("{object} cannot be deleted: {error}"));
    }

    fn api_of(&self, object: &Value) -> (Api<DynamicObject>, String) {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let version = text(&object["apiVersion"]);
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = text(&object["kind"]);
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.admin(), namespace, &resource),
            None => Api::all_with(self.admin(), &resource),
        };
        (api, text(&object["metadata"]["name"]))
    }

    fn triggers(&self, key: &TriggerKey) -> Api<DynamicObject> {
        let resource = match key.kind {
            TriggerKind::Schedule => ApiResource::erase::<ScheduleTrigger>(&()),
            TriggerKind::Webhook => ApiResource::erase::<WebhookTrigger>(&()),
        };
        Api::namespaced_with(self.admin(), &key.namespace, &resource)
    }

    /// Changes a trigger as `kubectl patch` does.
    pub async fn edit(&self, key: &TriggerKey, change: &Value) {
        let patched = self
            .triggers(key)
            .patch(&key.name, &PatchParams::default(), &Patch::Merge(change))
            .await;
        patched.unwrap_or_else(|error| panic!("{key} cannot be changed: {error}"));
    }

    /// Sets annotations of ours.
    pub async fn annotate<const N: usize>(&self, key: &TriggerKey, annotations: [(&str, &str); N]) {
        let annotations: serde_json::Map<String, Value> = annotations
            .into_iter()
            .map(|(key, value)| (format!("git-events-runner.rs/{key}"), value.into()))
            .collect();
        self.edit(key, &json!({ "metadata": { "annotations": annotations } })).await;
    }

    pub async fn delete_trigger(&self, key: &TriggerKey) {
        let deleted = self.triggers(key).delete(&key.name, &DeleteParams::default()).await;
        deleted.unwrap_or_else(|error| panic!("{key} cannot be deleted: {error}"));
    }

    pub async fn status(&self, key: &TriggerKey) -> TriggerStatus {
        let trigger = self.triggers(key).get(&key.name).await;
        let trigger = trigger.unwrap_or_else(|error| panic!("{key}: {error}"));
        let status = trigger.data.get("status").cloned().unwrap_or(Value::Null);
        let status: Option<TriggerStatus> =
            serde_json::from_value(status).unwrap_or_else(|error| panic!("{key}: {error}"));
        status.unwrap_or_default()
    }

    pub async fn version(&self, key: &TriggerKey) -> String {
        let trigger = self.triggers(key).get(&key.name).await;
        let trigger = trigger.unwrap_or_else(|error| panic!("{key}: {error}"));
        trigger.metadata.resource_version.unwrap_or_default()
    }

    pub async fn finalizers(&self, key: &TriggerKey) -> Vec<String> {
        let trigger = self.triggers(key).get(&key.name).await;
        let trigger = trigger.unwrap_or_else(|error| panic!("{key}: {error}"));
        trigger.metadata.finalizers.unwrap_or_default()
    }

    pub async fn condition(&self, key: &TriggerKey, kind: &str) -> Option<Condition> {
        self.status(key).await.conditions.into_iter().find(|it| it.type_ == kind)
    }

    pub async fn webhook_condition(&self, name: &str, kind: &str) -> Option<Condition> {
        let triggers: Api<WebhookTrigger> = Api::namespaced(self.admin(), APPS);
        let status = triggers.get(name).await.ok()?.status?;
        status.conditions.into_iter().find(|it| it.type_ == kind)
    }

    /// Waits until a condition has this status and reason.
    pub async fn until_condition(
        &self,
        key: &TriggerKey,
        (kind, status, reason): (&str, &str, &str),
    ) -> Condition {
        let what = format!("{key} has {kind}={status} {reason}");
        let look = async || {
            let found = self.condition(key, kind).await;
            found.filter(|it| it.status == status && it.reason == reason)
        };
        self.until(secs(60), &what, look).await
    }

    /// Waits until the ledger holds a run of the commit in this phase.
    pub async fn until_run(&self, key: &TriggerKey, commit: &Commit, phase: RunPhase) -> Run {
        let what = format!("{key} has a run of {commit} that is {phase:?}");
        let look = async || {
            let runs = self.status(key).await.runs;
            let of = |it: &Run| it.phase == phase && it.commit.as_deref() == Some(commit.as_str());
            runs.into_iter().find(of)
        };
        self.until(secs(90), &what, look).await
    }

    /// The first Job that is created for a commit.
    pub async fn job_for(&self, commit: &Commit, limit: Duration) -> Seen {
        let what = format!("a Job in {} for {commit}", self.name);
        let look = async || self.jobs_for(commit).await.into_iter().next();
        self.until(limit, &what, look).await
    }

    /// Waits until a commit's Job has finished.
    pub async fn done_for(&self, commit: &Commit, limit: Duration) -> Seen {
        let what = format!("a finished Job in {} for {commit}", self.name);
        let look = async || self.jobs_for(commit).await.into_iter().find(|it| it.is_finished);
        self.until(limit, &what, look).await
    }

    /// Every Job that was ever created for a commit, by the API's own record.
    pub async fn jobs_for(&self, commit: &Commit) -> Vec<Seen> {
        let jobs = self.jobs().await;
        jobs.into_iter().filter(|it| it.commit.as_ref() == Some(commit)).collect()
    }

    /// Those of a commit's Jobs that were started.
    pub async fn started_for(&self, commit: &Commit) -> Vec<Seen> {
        let jobs = self.jobs_for(commit).await;
        jobs.into_iter().filter(|it| it.started.is_some()).collect()
    }

    /// Waits until a run, by its id, is in this phase.
    pub async fn until_phase(&self, key: &TriggerKey, run: &str, phase: RunPhase) -> Run {
        let what = format!("{key} has the run {run} as {phase:?}");
        let look = async || {
            let runs = self.status(key).await.runs;
            runs.into_iter().find(|it| it.id == run && it.phase == phase)
        };
        self.until(secs(90), &what, look).await
    }

    /// Every Job that was ever created, by the API's own record.
    pub async fn jobs(&self) -> Vec<Seen> {
        let all_seen = async || {
            let (created, seen) = (self.sandbox().creations("jobs"), self.kubelet().seen());
            let is_seen = |it: &AuditEntry| seen.iter().any(|job| job.uid == it.uid);
            created.iter().all(is_seen).then_some(seen)
        };
        self.until(SEEN, "the kubelet sees every Job that the API created", all_seen).await
    }

    /// The Jobs that are there now.
    pub async fn present(&self) -> Vec<Job> {
        let listed = Api::<Job>::all(self.admin()).list(&ListParams::default()).await;
        listed.expect("Jobs can be listed").items
    }

    /// Keeps the Pod of a Job, which may be deleted, from being gone.
    pub async fn hold_pod(&self, job: &str) -> String {
        let pods: Api<Pod> = Api::namespaced(self.admin(), APPS);
        let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        let look = async || pods.list(&of_job).await.ok()?.items.pop()?.metadata.name;
        let name = self.until(secs(10), "the Job has a Pod", look).await;
        let held =
            json!([{ "op": "add", "path": "/metadata/finalizers/-", "value": "story.test/holds" }]);
        let held = Patch::Json::<()>(serde_json::from_value(held).expect("it is a patch"));
        let held = pods.patch(&name, &PatchParams::default(), &held).await;
        held.expect("a Pod takes a finalizer");
        name
    }

    /// Fails a Job that is deleted and has its Pods still, as its controller may where their deletion is the first
    /// it sees.
    pub async fn fail_of_deletion(&self, job: &str) {
        let jobs: Api<Job> = Api::namespaced(self.admin(), APPS);
        let live = jobs.get(job).await.expect("the Job is there still");
        let deleted = live.metadata.deletion_timestamp.expect("it was deleted");
        let at = deleted.0 + secs(5);
        let condition = |kind: &str| {
            json!({
                "type": kind, "status": "True", "lastProbeTime": at, "lastTransitionTime": at,
                "reason": "BackoffLimitExceeded",
                "message": "Job has reached the specified backoff limit",
            })
        };
        let conditions = ["FailureTarget", "Failed"].map(condition);
        let status = json!({ "status": { "failed": 1, "conditions": conditions } });
        let params = PatchParams::default();
        let failed = jobs.patch_status(job, &params, &Patch::Merge(status)).await;
        failed.expect("such a status is taken");
    }

    /// Lets a Pod go that is kept and deleted.
    pub async fn let_pod_go(&self, name: &str) {
        let pods: Api<Pod> = Api::namespaced(self.admin(), APPS);
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        let free = pods.patch(name, &PatchParams::default(), &free).await;
        free.expect("a Pod loses its finalizers");
    }

    /// The Events of a reason, as often as each was published.
    pub async fn events(&self, reason: &str) -> Vec<Event> {
        let listed = Api::<Event>::all(self.admin()).list(&ListParams::default()).await;
        let of_reason = |it: &Event| it.reason.as_deref() == Some(reason);
        let all = listed.expect("Events can be listed").items.into_iter().filter(of_reason);
        let often = |it: &Event| {
            let count = it.series.as_ref().and_then(|it| it.count).or(it.count);
            usize::try_from(count.unwrap_or(1)).unwrap_or(1)
        };
        all.flat_map(|it| std::iter::repeat_n(it.clone(), often(&it))).collect()
    }

    /// What replicas wrote, but for Leases.
    pub fn writes(&self) -> Vec<AuditEntry> {
        let audit = self.sandbox().audit();
        let ours = |it: &AuditEntry| it.client.starts_with("replica-") && it.resource != "leases";
        audit.into_iter().filter(ours).collect()
    }

    /// Waits until every replica has synced with this cluster.
    pub async fn connected(&self) {
        let what = format!("every replica sees {} ready", self.name);
        let look = async || {
            let replicas = self.scene.replicas();
            let sees = |it: &fleet::Replica| {
                let all = it.handle.clusters().all();
                let this = all.iter().find(|it| it.name().as_str() == self.name);
                this.is_some_and(|it| it.state().works())
            };
            replicas.values().all(sees).then_some(())
        };
        self.until(CONNECTED, &what, look).await;
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
}
