//! Do Jobs run in a sandbox cluster as they would in a real one, as far as the API can tell?

use std::{fs, path::PathBuf};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ContainerStateTerminated, Pod, PodStatus, Secret},
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube_sandbox::{Fault, FaultKind};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::*;

mod jobs;
mod ours;
mod pods;
mod theirs;

const LONG: Duration = Duration::from_secs(20);

/// A cluster with its controllers and an executor.
struct Ground {
    sandbox: Sandbox,
    client: Client,
    state: TempDir,
    finished: mpsc::Receiver<Finished>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Ground {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::idle().started(change)
    }

    /// An API without a Job controller: the executor stands in for that too.
    fn bare() -> Self {
        Self::bare_with(Pods::Ours)
    }

    fn bare_with(pods: Pods) -> Self {
        let mut ground = Self::on(Sandbox::new("edge-1"), TempDir::new().unwrap());
        ground.running.spawn(ground.sandbox.controllers().without_jobs().run());
        ground.started(|settings| settings.pods = pods)
    }

    fn idle() -> Self {
        let mut ground = Self::on(Sandbox::new("edge-1"), TempDir::new().unwrap());
        ground.running.spawn(ground.sandbox.run_controllers());
        ground
    }

    fn on(sandbox: Sandbox, state: TempDir) -> Self {
        let client = Client::new(sandbox.router(), "default");
        let (_, finished) = mpsc::channel(1);
        let (stop, running) = (CancellationToken::new(), JoinSet::new());
        Self { sandbox, client, state, finished, stop, running }
    }

    fn started(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let (sender, finished) = mpsc::channel(64);
        self.finished = finished;
        let mut settings = Settings {
            program: "/bin/sh".into(),
            cloner_arguments_prefix: vec!["-c".to_owned()],
            finished: Some(sender),
            pods: Pods::Sandbox(self.sandbox.clone()),
            pause: Duration::from_millis(10),
            grace: Duration::from_millis(500),
            ..Settings::new(self.state.path()).unwrap()
        };
        change(&mut settings);
        let client = Client::new(self.sandbox.client_router("executor"), "default");
        let stop = self.stop.clone();
        self.running.spawn(async move { run("edge-1", client, settings, stop).await.unwrap() });
        self
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), "default")
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Only the executor suffers.
    fn fault(&self, kind: FaultKind) {
        self.sandbox.set_fault(Fault { client: Some("executor".to_owned()), kind });
    }

    async fn create(&self, name: &str, spec: Value) -> Job {
        let job = json!({"metadata": {"name": name}, "spec": spec});
        let job = serde_json::from_value(job).unwrap();
        self.jobs().create(&PostParams::default(), &job).await.unwrap()
    }

    async fn secret(&self, name: &str, values: &[(&str, &str)]) {
        let data = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
        secret.metadata.name = Some(name.to_owned());
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "default");
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }

    async fn suspend(&self, name: &str, value: &Value) {
        let patch = Patch::Merge(json!({"spec": {"suspend": value}}));
        self.jobs().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The Job once `wanted` is true of it.
    async fn job(&self, name: &str, wanted: impl Fn(&Job) -> bool) -> Job {
        let mut last = None;
        let limit = Instant::now() + LONG;
        while Instant::now() < limit {
            let job = self.jobs().get(name).await.unwrap();
            if wanted(&job) {
                return job;
            }
            last = Some(job);
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{name} did not get there: {last:#?}");
    }

    async fn ended(&self, name: &str) -> Job {
        self.job(name, status::has_ended).await
    }

    async fn list_pods(&self) -> Vec<Pod> {
        self.pods().list(&ListParams::default()).await.unwrap().items
    }

    async fn pod_status(&self) -> PodStatus {
        let pods = self.list_pods().await;
        assert_eq!(pods.len(), 1, "{pods:#?}");
        pods.into_iter().next().unwrap().status.unwrap()
    }

    /// How the container of the only Pod ended.
    async fn terminated(&self) -> ContainerStateTerminated {
        let status = self.pod_status().await;
        let containers = status.container_statuses.unwrap();
        containers[0].state.clone().unwrap().terminated.unwrap()
    }

    async fn finished(&mut self) -> Finished {
        timeout(LONG, self.finished.recv()).await.unwrap().unwrap()
    }

    async fn no_pods(&self) {
        until(async || self.list_pods().await.is_empty()).await;
    }

    /// No pod has left anything in its temporary folder.
    async fn nothing_left(&self) {
        let pods = self.state.path().join("edge-1/pods");
        until(async || fs::read_dir(&pods).unwrap().next().is_none()).await;
    }

    async fn stopped(mut self) -> (TempDir, Client) {
        self.stop.cancel();
        until(async || self.running.try_join_next().is_some()).await;
        (self.state, self.client)
    }
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done().await {
        assert!(Instant::now() < limit, "it did not come true in time");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A Job as the controller builds them: clone into a shared folder, then work in it.
fn clone_and_work(clone: &str, work: &str) -> Value {
    json!({
        "backoffLimit": 0,
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {
            "restartPolicy": "Never",
            "initContainers": [{
                "name": "cloner", "image": "cloner", "args": [clone],
                "env": [
                    {"name": "GER_CLONE_URI", "value": "git@host:/work/repo"},
                    {"name": "GER_CLONE_CREDENTIALS", "value": "/work/keys"},
                ],
                "volumeMounts": [
                    {"name": "work", "mountPath": "/work"},
                    {"name": "keys", "mountPath": "/work/keys"},
                ],
            }],
            "containers": [{
                "name": "worker", "image": "alpine", "command": ["/bin/sh", "-c"], "args": [work],
                "workingDir": "/work",
                "env": [{"name": "WORKDIR", "value": "/work"}, {"name": "COMMIT", "value": "abc"}],
                "volumeMounts": [{"name": "work", "mountPath": "/work"}],
            }],
            "volumes": [
                {"name": "work", "emptyDir": {}},
                {"name": "keys", "secret": {
                    "secretName": "keys", "items": [{"key": "tok", "path": "token"}],
                }},
            ],
        }},
    })
}

fn shell(script: &str) -> Value {
    json!({
        "backoffLimit": 0,
        "template": {"spec": {"restartPolicy": "Never", "containers": [
            {"name": "worker", "image": "alpine", "command": ["/bin/sh", "-c", script]},
        ]}},
    })
}

fn condition<'a>(job: &'a Job, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let it = conditions.iter().find(|it| it.type_ == kind && it.status == "True")?;
    Some((it.reason.as_deref()?, it.message.as_deref()?))
}

fn is_active(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|it| it.active == Some(1))
}

/// A script that changes a file for as long as it, or a child of it, lives.
fn breathing(file: &Path) -> String {
    format!("(while :; do echo x >> {0}; sleep 0.02; done) & echo y >> {0}; wait", file.display())
}

/// Waits until nothing writes to the file any more.
async fn dead(file: &Path) {
    let size = || fs::metadata(file).unwrap().len();
    until(async || {
        let before = size();
        // Ten breaths: a living one would have written.
        sleep(Duration::from_millis(200)).await;
        size() == before
    })
    .await;
}
