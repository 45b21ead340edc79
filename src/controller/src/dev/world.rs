//! What is there to try it on? Sandbox clusters, a Git server, executors, and replicas that come and go.

mod replicas;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use kube_sandbox::{AuditEntry, Fault, FaultKind, Sandbox, Server};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::replicas::Running;
use self::state::State;
use super::breaks::Law;
use super::executor::{self, Finished, Keep, Pods};
use super::git_server::GitServer;
use crate::rights::{self, Account, Place, Reach};

/// The controller's namespace on the hub.
pub const NAMESPACE: &str = "git-events-runner";
/// The clusters, the hub first.
pub const CLUSTERS: [&str; 3] = ["hub", "edge-1", "edge-2"];
/// Who the replicas are to a spoke: what is cut off, when a spoke is.
const CONTROLLER: &str = "git-events-runner";
/// Reports of finished pods that nobody has read yet.
const REPORTS: usize = 1024;
/// What a wait looks at, it looks at this often.
const LOOK: Duration = Duration::from_millis(20);

/// What keeps the embedded default from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make a folder for repositories, clones and kubeconfigs")]
    Folder { source: std::io::Error },

    #[error("cannot write {path}")]
    Write { path: PathBuf, source: std::io::Error },

    #[error("cannot start the Git server; is git installed?")]
    Git { source: ger_git::backend::Error },

    #[error("cannot serve the sandbox {name}")]
    Serve { name: String, source: kube_sandbox::Error },

    #[error(
        "{} is not empty, and no whole state of `dev` is in it: name an empty folder, or one that \
         `dev --state` has written",
        folder.display()
    )]
    Foreign { folder: PathBuf },

    #[error("another `dev` uses {}: end it, or name another folder", folder.display())]
    InUse { folder: PathBuf },

    #[error("{} is not whole: put a copy of the folder in its place, or name another one", path.display())]
    Damaged { path: PathBuf },

    #[error(
        "a later release wrote {}, in format {format}, and this one reads up to {known}: go on with \
         that release, or name another folder",
        path.display()
    )]
    Newer { path: PathBuf, format: u64, known: u64 },

    #[error(
        "cannot serve the repositories on port {port}, which GitRepos name: end what listens there"
    )]
    GitAgain { port: u16, source: ger_git::backend::Error },

    #[error("cannot go on with the cluster {name}")]
    Resume { name: String, source: kube_sandbox::Error },

    #[error("cannot keep the cluster {name}")]
    Keep { name: &'static str, source: kube_sandbox::Error },

    #[error("cannot prepare the sandbox {name}")]
    Prepare { name: String, source: Box<kube::Error> },

    #[error("the settings of the replicas do not fit together")]
    Settings { source: crate::config::Error },

    #[error("cannot start an executor")]
    Executor { source: executor::Error },

    #[error("cannot listen for webhooks on 127.0.0.1")]
    Listen { source: std::io::Error },

    #[error("cannot start a replica")]
    Replica { source: crate::replica::Error },

    #[error("cannot make an HTTP client for Git remotes")]
    Remotes { source: ger_git::Error },
}

/// How the world is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub replicas: u8,
    pub broken: Option<Law>,
    /// Where clusters and repositories outlive it; nowhere without.
    pub state: Option<PathBuf>,
}

/// One sandbox cluster, served over TLS.
#[derive(Debug)]
pub struct Site {
    pub name: &'static str,
    pub sandbox: Sandbox,
    pub server: Server,
    pub kubeconfig: PathBuf,
}

impl Site {
    /// A client with every right, over no socket.
    pub fn admin(&self) -> Client {
        Client::new(self.sandbox.client_router("admin"), "default")
    }

    /// The API's record of the Jobs that were created.
    pub fn job_creations(&self) -> Vec<AuditEntry> {
        self.sandbox.creations("jobs")
    }
}

/// Everything that `dev` starts.
#[derive(Debug)]
pub struct World {
    pub sites: Vec<Site>,
    pub git: GitServer,
    pub replicas: BTreeMap<String, Running>,
    pub finished: mpsc::Receiver<Finished>,
    pub options: Options,
    started: u32,
    repositories: PathBuf,
    executors: JoinSet<()>,
    background: JoinSet<()>,
    stop: CancellationToken,
    keeps: Vec<(&'static str, Keep)>,
    /// Its folder is this world's until it ends.
    state: Option<State>,
    /// Removed with all that is in it when the world ends.
    folder: TempDir,
}

impl World {
    /// Starts everything; replicas join within seconds.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("git-events-runner-").tempdir();
        let folder = folder.map_err(|source| Error::Folder { source })?;
        let state = options.state.as_deref().map(State::open).transpose()?;
        let base = state.as_ref().map_or_else(|| folder.path(), State::folder).to_owned();
        let repositories = base.join("repositories");
        std::fs::create_dir_all(&repositories).map_err(|source| Error::Folder { source })?;
        let git = match &state {
            Some(state) => state.serve(&repositories).await?,
            None => {
                GitServer::start(&repositories).await.map_err(|source| Error::Git { source })?
            }
        };

        let (reports, finished) = mpsc::channel(REPORTS);
        let mut sites = Vec::new();
        let mut keeps = Vec::new();
        for name in CLUSTERS {
            let sandbox =
                state.as_ref().map_or_else(|| Ok(Sandbox::new(name)), |it| it.cluster(name));
            let site = site(sandbox?, name, folder.path()).await?;
            keeps.extend(state.as_ref().map(|it| (name, it.keep(&site.sandbox))));
            sites.push(site);
        }
        let mut world = Self {
            sites,
            git,
            replicas: BTreeMap::new(),
            finished,
            options,
            started: 0,
            repositories,
            executors: JoinSet::new(),
            background: JoinSet::new(),
            stop: CancellationToken::new(),
            keeps,
            state,
            folder,
        };
        world.execute(&base.join("pods"), &reports)?;
        world.prepare().await?;
        world.begin_to_keep().await?;
        for _ in 0..world.options.replicas {
            world.start_replica()?;
        }
        Ok(world)
    }

    /// Has the controllers of the clusters run, and the Pods that they make.
    fn execute(&mut self, folder: &Path, reports: &mpsc::Sender<Finished>) -> Result<(), Error> {
        for site in &self.sites {
            self.background.spawn(site.sandbox.run_controllers());
            let keep = self.keeps.iter().find(|(name, _)| *name == site.name);
            let settings = executor::Settings {
                cloner_arguments_prefix: vec!["cloner".to_owned()],
                finished: Some(reports.clone()),
                pods: Pods::Sandbox(site.sandbox.clone()),
                keep: keep.map(|(_, keep)| keep.clone()),
                ..executor::Settings::new(folder).map_err(|source| Error::Executor { source })?
            };
            let client = Client::new(site.sandbox.client_router("executor"), "default");
            let executing = executor::run(site.name, client, settings, self.stop.clone());
            self.executors.spawn(executing_in(site.name, executing));
        }
        Ok(())
    }

    /// From now on the state's folder is one to go on from.
    async fn begin_to_keep(&mut self) -> Result<(), Error> {
        let Some(state) = &self.state else { return Ok(()) };
        for (name, keep) in &self.keeps {
            keep.save().await.map_err(|source| Error::Keep { name, source })?;
        }
        state.seal(&self.git)?;
        self.background.spawn(state::keep(self.keeps.clone()));
        Ok(())
    }

    /// CRDs and the controller's account everywhere, and the spokes registered on the hub.
    async fn prepare(&self) -> Result<(), Error> {
        for site in &self.sites {
            let admin = site.admin();
            let installed = super::manifests::install_crds(&admin).await;
            installed.map_err(|source| unprepared(site.name, source))?;
            let created = super::manifests::create_namespace(&admin, NAMESPACE).await;
            created.map_err(|source| unprepared(site.name, source))?;
            let granted = rights::grant(&admin, "dev", &account(site.name)).await;
            granted.map_err(|source| unprepared(site.name, source))?;
            site.sandbox.enforce_rbac();
        }
        for name in CLUSTERS.into_iter().skip(1) {
            self.register(name).await?;
        }
        Ok(())
    }

    /// Where repositories are.
    pub fn repositories(&self) -> &Path {
        &self.repositories
    }

    /// Where kubeconfigs are, while it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The cluster of that name; the hub for a name that is none.
    pub fn site(&self, name: &str) -> &Site {
        self.sites.iter().find(|it| it.name == name).unwrap_or(&self.sites[0])
    }

    /// Writes the spoke's kubeconfig Secret on the hub.
    pub async fn register(&self, name: &str) -> Result<(), Error> {
        let user = account(name).user();
        let kubeconfig = self.site(name).server.kubeconfig_as(CONTROLLER, &user, &[]);
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": { "sigs.k8s.io/multicluster-runtime-kubeconfig": "true" },
            },
            "stringData": { "kubeconfig": kubeconfig },
        });
        let params = PatchParams::apply("dev").force();
        let written = self.secrets().patch(name, &params, &Patch::Apply(secret)).await;
        written.map_err(|source| unprepared(name, source))?;
        Ok(())
    }

    /// Deletes the spoke's Secret on the hub.
    pub async fn unregister(&self, name: &str) -> Result<(), Error> {
        let deleted = self.secrets().delete(name, &DeleteParams::default()).await;
        deleted.map_err(|source| unprepared(name, source))?;
        Ok(())
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.site("hub").admin(), NAMESPACE)
    }

    /// Makes a spoke answer none of the replicas any more.
    pub fn cut_off(&self, name: &str) {
        let client = Some(CONTROLLER.to_owned());
        self.site(name).sandbox.set_fault(Fault { client, kind: FaultKind::Partition });
    }

    /// Ends every fault of a cluster.
    pub fn mend(&self, name: &str) {
        self.site(name).sandbox.clear_faults();
    }

    /// Stops everything in order.
    pub async fn stop(mut self) {
        for (_, replica) in std::mem::take(&mut self.replicas) {
            replica.stop().await;
        }
        self.stop.cancel();
        // The executors end by themselves; the sandboxes' controllers never do.
        while self.executors.join_next().await.is_some() {}
        self.background.shutdown().await;
        state::save(&self.keeps).await;
    }
}

/// As whom the replicas act in a cluster: with the rights that the charts grant, and no others.
pub(super) fn account(cluster: &str) -> Account {
    Account {
        place: if cluster == "hub" { Place::Hub } else { Place::Spoke },
        namespace: NAMESPACE.to_owned(),
        name: CONTROLLER.to_owned(),
        jobs: Reach::All,
        secrets: Reach::All,
    }
}

async fn executing_in(name: &str, executing: impl Future<Output = Result<(), executor::Error>>) {
    if let Err(error) = executing.await {
        let error = anyhow::Error::new(error);
        tracing::error!(cluster = name, "the executor ended: {error:#}");
    }
}

fn unprepared(name: &str, source: kube::Error) -> Error {
    Error::Prepare { name: name.to_owned(), source: Box::new(source) }
}

/// Waits until `is_so`, for `limit` at the most; says whether it came to be.
pub async fn until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !is_so() {
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}

/// What `look` finds within `limit`.
pub(super) async fn until_found<T>(
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn site(sandbox: Sandbox, name: &'static str, folder: &Path) -> Result<Site, Error> {
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await;
    let server = server.map_err(|source| Error::Serve { name: name.to_owned(), source })?;
    let kubeconfig = folder.join(format!("{name}.kubeconfig"));
    write_private(&kubeconfig, &server.kubeconfig())
        .map_err(|source| Error::Write { path: kubeconfig.clone(), source })?;
    Ok(Site { name, sandbox, server, kubeconfig })
}

/// A kubeconfig holds a token: only its owner may read it.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
