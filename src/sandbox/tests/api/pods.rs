//! Pods that run: Jobs and the Pods that are made for them, whoever runs those, in virtual time.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStatus, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use kube_sandbox::{Executor, Outcome, Run, Sandbox, Script};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use crate::support::from;

mod jobs;
mod lives;
mod processes;
mod restarts;

/// Nothing here takes longer in virtual time.
const LIMIT: Duration = Duration::from_hours(6);

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A cluster whose Jobs run.
pub(crate) struct Ground {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    _tasks: JoinSet<()>,
}

impl Ground {
    pub(crate) fn of(sandbox: Sandbox, executor: impl Executor) -> Self {
        let client = Client::new(sandbox.router(), "default");
        let mut tasks = JoinSet::new();
        tasks.spawn(sandbox.run_controllers());
        tasks.spawn(sandbox.run_pods(executor));
        Self { sandbox, client, _tasks: tasks }
    }

    pub(crate) fn new(executor: impl Executor) -> Self {
        Self::of(Sandbox::new("test"), executor)
    }

    /// Whose containers end as this says.
    pub(crate) fn scripted(
        script: impl Fn(&Run) -> (Duration, Outcome) + Send + Sync + 'static,
    ) -> Self {
        Self::new(Script(script))
    }

    pub(crate) fn jobs(&self) -> Api<Job> {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates a Job of this spec, whose template is a Pod's.
    pub(crate) async fn job(&self, name: &str, spec: Value) {
        self.accounts().await;
        let job = from(json!({"metadata": {"name": name}, "spec": spec}));
        self.jobs().create(&PostParams::default(), &job).await.unwrap();
    }

    pub(crate) async fn pod(&self, name: &str, spec: Value) {
        self.accounts().await;
        let pod = from(json!({"metadata": {"name": name}, "spec": spec}));
        self.pods().create(&PostParams::default(), &pod).await.unwrap();
    }

    /// Pods need their account, which comes soon after the cluster.
    async fn accounts(&self) {
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
            Api::default_namespaced(self.client.clone());
        until(&accounts, "default", |it| it.is_some()).await;
    }

    pub(crate) async fn job_once(&self, name: &str, is_so: impl Fn(&Job) -> bool) -> Job {
        until(&self.jobs(), name, move |it| it.is_some_and(&is_so)).await.unwrap()
    }

    /// The Job when it has ended.
    pub(crate) async fn ended(&self, name: &str) -> Job {
        self.job_once(name, |it| verdict(it).is_some()).await
    }

    pub(crate) async fn pod_once(&self, name: &str, is_so: impl Fn(&Pod) -> bool) -> Pod {
        until(&self.pods(), name, move |it| it.is_some_and(&is_so)).await.unwrap()
    }

    pub(crate) async fn all_pods(&self) -> Vec<Pod> {
        self.pods().list(&ListParams::default()).await.unwrap().items
    }

    /// The Job's only Pod when this is so of it.
    pub(crate) async fn only_pod(&self, job: &str, is_so: impl Fn(&Pod) -> bool) -> Pod {
        let has_pod = |it: &Job| it.status.as_ref().is_some_and(|it| it.active == Some(1));
        self.job_once(job, has_pod).await;
        let label = format!("batch.kubernetes.io/job-name={job}");
        let pods = self.pods().list(&ListParams::default().labels(&label)).await.unwrap().items;
        assert_eq!(pods.len(), 1, "{pods:#?}");
        self.pod_once(&pods[0].name_any(), is_so).await
    }

    pub(crate) async fn patch_job(&self, name: &str, patch: Value) {
        let patch = Patch::Merge(patch);
        self.jobs().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub(crate) async fn delete_pod(&self, name: &str) {
        self.pods().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// How many Pods ever came to be.
    pub(crate) fn pods_created(&self) -> usize {
        self.sandbox.creations("pods").len()
    }
}

pub(crate) async fn until<K>(
    api: &Api<K>,
    name: &str,
    is_so: impl Fn(Option<&K>) -> bool,
) -> Option<K>
where
    K: kube::Resource + Clone + Debug + Send + serde::de::DeserializeOwned + 'static,
{
    let wait = await_condition(api.clone(), name, is_so);
    let found = timeout(LIMIT, wait).await;
    assert!(found.is_ok(), "{name} never got there: {:#?}", api.get_opt(name).await);
    found.unwrap().unwrap()
}

/// A Job's Pod that is never started again.
pub(crate) fn once(more: &Value) -> Value {
    template("Never", more)
}

pub(crate) fn template(policy: &str, more: &Value) -> Value {
    let mut spec = json!({
        "restartPolicy": policy, "containers": [{"name": "main", "image": "busybox:1"}],
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({"spec": spec})
}

/// How the Job ended: the condition, its reason and its message.
pub(crate) fn verdict(job: &Job) -> Option<(String, String, String)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let ends = |it: &str| it == "Complete" || it == "Failed";
    let it = conditions.iter().find(|it| ends(&it.type_) && it.status == "True")?;
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    Some((it.type_.clone(), text(&it.reason), text(&it.message)))
}

pub(crate) fn reason(job: &Job) -> String {
    verdict(job).map(|it| it.1).unwrap_or_default()
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|it| it.phase.as_deref()).unwrap_or_default()
}

/// Of init containers and the others.
pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().flatten().find(|it| it.name == name)
}

pub(crate) fn waiting<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    container(pod, name)?.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

pub(crate) fn is_running(pod: &Pod, name: &str) -> bool {
    let state = container(pod, name).and_then(|it| it.state.as_ref());
    state.is_some_and(|it| it.running.is_some())
}

/// The exit code and the reason.
pub(crate) fn terminated<'a>(pod: &'a Pod, name: &str) -> Option<(i32, &'a str)> {
    let ended = container(pod, name)?.state.as_ref()?.terminated.as_ref()?;
    Some((ended.exit_code, ended.reason.as_deref().unwrap_or_default()))
}

pub(crate) fn conditions(pod: &Pod) -> BTreeMap<&str, (&str, &str)> {
    let all = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
    all.into_iter()
        .flatten()
        .map(|it| {
            (it.type_.as_str(), (it.status.as_str(), it.reason.as_deref().unwrap_or_default()))
        })
        .collect()
}
