//! How does one Pod of a Job run? Init containers in order, then the others side by side, while its
//! status follows.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Finished, Shared, container,
    pod::{Ended, Place, Progress},
    private_folder,
    process::{self, Log},
    temporary_folder,
    volumes::Ground,
    write::{self, Unwritten},
};

/// How often a missing Secret is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What a container that cannot start exits with.
const CANNOT_START: i32 = 128;

/// How a Pod has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Failed {
        why: Option<String>,
    },
    /// It was stopped; nothing was said about it.
    Halted,
}

/// A Pod that runs.
struct Attempt<'a> {
    shared: &'a Shared,
    pod: &'a Pod,
    halt: &'a CancellationToken,
    /// The lock is held while a status is written, so that an older one never lands last.
    progress: Mutex<Progress>,
    folder: TempDir,
    log: Log,
}

/// Runs the Pod, whose processes are dead and whose folder is gone when this returns.
pub(super) async fn run(
    shared: &Shared,
    pod: &Pod,
    job: &str,
    halt: &CancellationToken,
) -> Outcome {
    let _permit = tokio::select! {
        permit = shared.permits.acquire() => permit,
        () = halt.cancelled() => return Outcome::Halted,
    };
    let path = shared.log(&pod.namespace().unwrap_or_default(), &pod.name_any());
    let progress = Mutex::new(Progress::new(pod, shared.settings.clock.now()));
    let (folder, log) = match prepare(shared, pod, &path) {
        Ok(prepared) => prepared,
        Err(error) => {
            let why = format!("the executor cannot write its files: {}", write::chain(&error));
            return Outcome::Failed { why: Some(why) };
        }
    };
    let attempt = Attempt { shared, pod, halt, progress, folder, log };
    let ended = attempt.containers().await;
    if halt.is_cancelled() {
        return Outcome::Halted;
    }
    let outcome = match &ended {
        Ended { code: 0, .. } => Outcome::Succeeded,
        Ended { problem, .. } => Outcome::Failed { why: problem.clone() },
    };
    attempt.tell(job, ended, path).await;
    if let Err(Unwritten::Refuse { source }) = attempt.conclude().await {
        tracing::warn!(error = write::chain(&source), "the cluster refuses a Pod's status");
    }
    outcome
}

fn prepare(shared: &Shared, pod: &Pod, log: &Path) -> io::Result<(TempDir, Log)> {
    let folder = temporary_folder(&pod.name_any(), &shared.pods())?;
    private_folder(&folder.path().join("home"))?;
    Ok((folder, Log::create(log, shared.settings.log_limit)?))
}

impl Attempt<'_> {
    /// What the Pod as a whole ended with.
    async fn containers(&self) -> Ended {
        let Some(spec) = &self.pod.spec else { return Ended::default() };
        self.report().await;
        for (index, container) in spec.init_containers.iter().flatten().enumerate() {
            let ended = self.container(Place::Init(index), container).await;
            if ended.code != 0 || self.halt.is_cancelled() {
                return Ended { env: BTreeMap::new(), ..ended };
            }
        }
        let side_by_side = spec.containers.iter().enumerate();
        let side_by_side = side_by_side.map(|(index, it)| self.container(Place::Main(index), it));
        let all = join_all(side_by_side).await;
        let env = all.first().map(|it| it.env.clone()).unwrap_or_default();
        let failed = all.into_iter().find(|it| it.code != 0).unwrap_or_default();
        Ended { env, ..failed }
    }

    async fn container(&self, place: Place, container: &Container) -> Ended {
        let ended = self.container_process(place, container).await;
        if let Some(problem) = &ended.problem {
            self.log.say(None, problem).await;
        }
        let now = self.shared.settings.clock.now();
        self.progress.lock().await.end(place, &ended, now);
        if !self.halt.is_cancelled() {
            self.report().await;
        }
        ended
    }

    async fn container_process(&self, place: Place, container: &Container) -> Ended {
        let settings = &self.shared.settings;
        let prepared = match self.prepared(place, container).await {
            Ok(prepared) => prepared,
            Err(ended) => return ended,
        };
        self.progress.lock().await.start(place, settings.clock.now());
        let running = process::run(&prepared.launch, (&self.log, None), settings.grace, self.halt);
        // The status follows the process and never holds it up.
        let (code, ()) = tokio::join!(running, self.report());
        let env = prepared.launch.env;
        match code {
            Ok(code) => Ended { code, problem: None, env },
            Err(error) => Ended { code: CANNOT_START, problem: Some(write::chain(&error)), env },
        }
    }

    /// Waits for what the container needs, as a kubelet would.
    async fn prepared(
        &self,
        place: Place,
        container: &Container,
    ) -> Result<container::Prepared, Ended> {
        let ground =
            Ground { client: &self.shared.client, pod: self.pod, folder: self.folder.path() };
        let cannot =
            |problem| Ended { code: CANNOT_START, problem: Some(problem), ..Ended::default() };
        let mut known = String::new();
        loop {
            let prepared = tokio::select! {
                it = container::prepare(&ground, container, &self.shared.settings) => it,
                () = self.halt.cancelled() => return Err(cannot("stopped".to_owned())),
            };
            let problem = match prepared {
                Ok(prepared) => return Ok(prepared),
                Err(problem) if problem.may_pass() => problem.message(),
                Err(problem) => return Err(cannot(problem.message())),
            };
            if problem != known {
                self.progress.lock().await.wait(place, problem.clone());
                self.report().await;
                known = problem;
            }
            tokio::select! {
                () = sleep(LOOK_AGAIN) => {}
                () = self.halt.cancelled() => return Err(cannot("stopped".to_owned())),
            }
        }
    }

    async fn tell(&self, job: &str, ended: Ended, log: PathBuf) {
        let Some(observer) = &self.shared.settings.finished else { return };
        let finished = Finished {
            cluster: self.shared.cluster.clone(),
            namespace: self.pod.namespace().unwrap_or_default(),
            job: job.to_owned(),
            exit_code: ended.code,
            log,
            env: ended.env,
        };
        tokio::select! {
            // An observer that has left misses nothing that it wants.
            _heard = observer.send(finished) => {}
            () = self.halt.cancelled() => {}
        }
    }

    /// Writes the status once: a later one will say more.
    async fn report(&self) {
        let progress = self.progress.lock().await;
        tokio::select! {
            () = write::attempt(self.write_status(&progress)) => {}
            () = self.halt.cancelled() => {}
        }
    }

    /// Writes the status until it is there.
    async fn conclude(&self) -> Result<(), Unwritten> {
        let progress = self.progress.lock().await;
        write::persist(self.halt, || self.write_status(&progress)).await
    }

    async fn write_status(&self, progress: &Progress) -> kube::Result<()> {
        let namespace = self.pod.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.shared.client.clone(), &namespace);
        let metadata = json!({"uid": self.pod.uid()});
        let patch = Patch::Merge(json!({"metadata": metadata, "status": progress.status()}));
        pods.patch_status(&self.pod.name_any(), &PatchParams::default(), &patch).await.map(drop)
    }
}
