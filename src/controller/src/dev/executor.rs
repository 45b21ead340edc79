//! How does a Job run on a laptop? Local processes instead of containers, no images, no isolation.
//! ```text
//! sandbox's kubelet -> local (one container) ---------------------------> container -> process
//! an API server ----> kubelet (its Pods) ------------> attempt (a Pod) --^
//!               \---> life (its Jobs, without Pods) --^
//! ```

mod attempt;
mod container;
mod keep;
mod kubelet;
mod life;
mod local;
mod paths;
mod pod;
mod process;
mod status;
mod strays;
mod volumes;
mod write;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use kube_sandbox::Sandbox;
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

pub use self::keep::Keep;

/// What keeps an executor from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cloner cannot be run as this very program.
    #[error("cannot find this program's own file, to run the cloner with it")]
    FindProgram {
        /// Why not.
        source: io::Error,
    },

    /// The folder for clones and logs cannot be prepared.
    #[error("cannot prepare the folder {}; may it be written to?", path.display())]
    PrepareFolder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Who makes the Pods of Jobs.
#[derive(Clone, Debug)]
pub enum Pods {
    /// The controllers of this sandbox; its kubelet has them run here. `kubectl logs` shows what they
    /// write.
    Sandbox(Sandbox),
    /// The Job controller of an API server: the executor is the kubelet too.
    Theirs,
    /// The executor, where an API server has no Job controller.
    Ours,
}

/// How Jobs are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is run for a container that clones, instead of its image.
    pub program: PathBuf,
    /// The arguments of `program` that come before the container's own.
    pub cloner_arguments_prefix: Vec<String>,
    /// The folder for clones and logs, best without spaces: shell commands name paths in it.
    /// Executors may share it if their clusters have different names.
    pub state: PathBuf,
    /// How many pods may run at once; the others wait as `Pending`.
    pub parallelism: usize,
    /// The size in bytes at which a pod's log is cut.
    pub log_limit: u64,
    /// The time between asking a process to end and killing it.
    pub grace: Duration,
    /// The pause before a failed pod is replaced where the executor does that; it doubles each time.
    pub pause: Duration,
    /// Who is told about each pod whose processes have ended by themselves.
    pub finished: Option<mpsc::Sender<Finished>>,
    /// Who makes the Pods.
    pub pods: Pods,
    /// Where a sandbox is kept: before a container starts there, it is on the disk that it does.
    pub keep: Option<Keep>,
    /// What time is written into the statuses of an API server's Pods.
    pub clock: Clock,
}

impl Settings {
    /// Runs the cloner as a hidden subcommand of this very program.
    pub fn new(state: impl Into<PathBuf>) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(|source| Error::FindProgram { source })?;
        Ok(Self {
            program,
            cloner_arguments_prefix: vec!["cloner".to_owned()],
            state: state.into(),
            parallelism: 16,
            log_limit: 1 << 20,
            grace: Duration::from_secs(2),
            pause: Duration::from_secs(10),
            finished: None,
            pods: Pods::Ours,
            keep: None,
            clock: Clock::system(),
        })
    }

    /// Where the log of a pod is, if it has written one.
    pub fn log(&self, cluster: &str, namespace: &str, pod: &str) -> Option<PathBuf> {
        let path = log_path(&self.state.join(cluster), namespace, pod);
        path.is_file().then_some(path)
    }
}

/// A pod whose processes have ended, told before its Job's status says so.
#[derive(Clone, Debug)]
pub struct Finished {
    pub cluster: String,
    pub namespace: String,
    pub job: String,
    /// The first code that is not zero, of the init containers first.
    pub exit_code: i32,
    /// What all containers have written, in order.
    pub log: PathBuf,
    /// The whole environment of the first container proper; empty if it never started.
    pub env: BTreeMap<String, String>,
}

/// What every Job's task needs.
struct Shared {
    cluster: String,
    client: Client,
    settings: Settings,
    /// This cluster's part of the state folder.
    folder: PathBuf,
    permits: Arc<Semaphore>,
}

impl Shared {
    fn open(cluster: &str, client: Client, settings: Settings) -> Result<Self, Error> {
        let folder = settings.state.join(cluster);
        let permits = settings.parallelism.clamp(1, Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(permits));
        let shared = Self { cluster: cluster.to_owned(), client, settings, folder, permits };
        // An executor that was killed has left processes, clones and credentials behind.
        let pods = shared.pods();
        strays::kill(&pods);
        let prepared = match fs::remove_dir_all(&pods) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => private_folder(&pods),
        };
        prepared.map_err(|source| Error::PrepareFolder { path: pods, source })?;
        Ok(shared)
    }

    /// Where each pod has its temporary folder.
    fn pods(&self) -> PathBuf {
        self.folder.join("pods")
    }

    fn log(&self, namespace: &str, pod: &str) -> PathBuf {
        log_path(&self.folder, namespace, pod)
    }
}

fn log_path(folder: &Path, namespace: &str, pod: &str) -> PathBuf {
    folder.join("logs").join(namespace).join(format!("{pod}.log"))
}

/// Makes a folder and those above it, for this user's eyes only.
fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a folder that goes when it is dropped, for this user's eyes only.
fn temporary_folder(name: &str, inside: &Path) -> io::Result<TempDir> {
    let private = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(&format!("{name}-")).permissions(private).tempdir_in(inside)
}

/// Runs the Jobs of the cluster called `name` until `stop`, then kills what still runs.
///
/// Nothing is adopted: a Job that an earlier executor has started is `Failed`, for its processes
/// died with that executor or are nobody's now.
pub async fn run(
    name: &str,
    client: Client,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let pods = settings.pods.clone();
    let shared = Arc::new(Shared::open(name, client, settings)?);
    match pods {
        Pods::Sandbox(sandbox) => local::run(shared, &sandbox, stop).await,
        Pods::Ours => run_jobs(shared, stop).await,
        Pods::Theirs => kubelet::run(shared, stop).await,
    }
    Ok(())
}

async fn run_jobs(shared: Arc<Shared>, stop: CancellationToken) {
    let jobs = watcher(Api::<Job>::all(shared.client.clone()), watcher::Config::default());
    let mut jobs = pin!(jobs.default_backoff());
    let name = shared.cluster.clone();
    let mut lives = Lives::new(shared);

    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = lives.tasks.join_next() => report(&name, ended),
            event = jobs.next() => match event {
                Some(Ok(event)) => lives.on_event(event),
                Some(Err(error)) => {
                    tracing::debug!(cluster = name, %error, "the Job watch failed");
                }
                None => break,
            },
        }
    }

    lives.wishes.clear();
    while let Some(ended) = lives.tasks.join_next().await {
        report(&name, ended);
    }
}

fn report(cluster: &str, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(cluster, %error, "the task of a Job ended early");
    }
}

/// One task per Job, told what the watch says of it.
struct Lives {
    shared: Arc<Shared>,
    /// By uid. A dropped sender tells its task that the Job is gone.
    wishes: HashMap<String, watch::Sender<Arc<Job>>>,
    tasks: JoinSet<()>,
    listed: HashSet<String>,
}

impl Lives {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, wishes: HashMap::new(), tasks: JoinSet::new(), listed: HashSet::new() }
    }

    fn on_event(&mut self, event: Event<Job>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(job) => {
                self.listed.extend(job.uid());
                self.on_job(job);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.wishes.retain(|uid, _| listed.contains(uid));
            }
            Event::Apply(job) => self.on_job(job),
            Event::Delete(job) => {
                self.wishes.remove(&job.uid().unwrap_or_default());
            }
        }
    }

    fn on_job(&mut self, job: Job) {
        let Some(uid) = job.uid().filter(|_| life::is_ours(&job)) else { return };
        let job = Arc::new(job);
        if let Some(wish) = self.wishes.get(&uid) {
            wish.send_replace(job);
            return;
        }
        let (wish, job) = watch::channel(job);
        self.wishes.insert(uid, wish);
        self.tasks.spawn(life::live(Arc::clone(&self.shared), job));
    }
}

#[cfg(test)]
mod tests;
