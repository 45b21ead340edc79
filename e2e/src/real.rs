//! The real ground: served clusters, git over http, Jobs as processes, and the controller's own program.
//!
//! A cluster is a sandbox over TCP, or an etcd and an API server where `KUBEBUILDER_ASSETS` has them.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use git_events_runner::dev::executor::{self, Finished, Pods};
use git_events_runner::rights::Reach;
use kube::api::PostParams;
use kube::{Api, Client};
use kube_sandbox::{Sandbox, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::control_plane::{Assets, ControlPlane};
use crate::fleet::{HOME, create_namespace, install_crds, keep};
use crate::rights;
use crate::wait::look_until;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_mins(1);

/// A cluster that is served, with an executor for its Jobs.
pub struct Site {
    admin: Client,
    /// An administrator's.
    pub kubeconfig: PathBuf,
    /// The controller's, with the rights that the charts grant.
    controller: PathBuf,
    served: Served,
}

/// Who answers.
#[derive(Debug)]
enum Served {
    Sandbox { sandbox: Sandbox, _server: Server },
    ControlPlane(ControlPlane),
}

impl fmt::Debug for Site {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Site").field("served", &self.served).finish_non_exhaustive()
    }
}

impl Site {
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    pub async fn create_namespace(&self, name: &str) {
        create_namespace(&self.admin, name).await;
    }

    /// How many Jobs were ever created, by the API's own record.
    pub fn jobs_created(&self) -> usize {
        match &self.served {
            Served::Sandbox { sandbox, .. } => sandbox.creations("jobs").len(),
            Served::ControlPlane(plane) => plane.jobs_created(),
        }
    }
}

/// Everything real. Dropping it ends everything.
#[derive(Debug)]
pub struct World {
    pub git: ger_git::backend::Server,
    /// The pods that have finished.
    pub finished: mpsc::Receiver<Finished>,
    program: PathBuf,
    folder: TempDir,
    background: JoinSet<()>,
    reports: mpsc::Sender<Finished>,
}

impl World {
    /// A Git server, and the program to run.
    pub async fn start(program: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let repositories = folder.path().join("repositories");
        std::fs::create_dir(&repositories).expect("a new folder takes another");
        let git = ger_git::backend::Server::start(&repositories).await;
        let (reports, finished) = mpsc::channel(64);
        Self {
            git: git.expect("git is installed"),
            finished,
            program: program.into(),
            folder,
            background: JoinSet::new(),
            reports,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A cluster with our CRDs that runs Jobs as processes.
    pub async fn site(&mut self, name: &'static str) -> Site {
        let mut site = self.bare(name).await;
        install_crds(&site.admin, keep).await;
        for namespace in [HOME, crate::objects::APPS] {
            create_namespace(&site.admin, namespace).await;
        }
        rights::grant(&site.admin, name, &Reach::All).await;
        let admin = std::fs::read_to_string(&site.kubeconfig).expect("it was written");
        let kubeconfig = rights::kubeconfig(&site.admin, name, &admin).await;
        site.controller = self.keep(&format!("{name}-controller"), &kubeconfig);
        site
    }

    /// A cluster that runs Jobs as processes, and has nothing of ours.
    pub async fn bare(&mut self, name: &'static str) -> Site {
        match Assets::from_env() {
            None => self.sandbox(name).await,
            Some(assets) => self.control_plane(name, &assets).await,
        }
    }

    async fn sandbox(&mut self, name: &'static str) -> Site {
        let sandbox = Sandbox::new(name);
        sandbox.enforce_rbac();
        let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await;
        let server = server.expect("a free port is found");
        self.background.spawn(sandbox.run_controllers());
        let kubeconfig = self.keep(name, &server.kubeconfig());
        let executor = Client::new(sandbox.client_router("executor"), "default");
        self.execute(name, executor, Pods::Sandbox(sandbox.clone()));
        let admin = Client::new(sandbox.client_router("story"), "default");
        let served = Served::Sandbox { sandbox, _server: server };
        Site { admin, kubeconfig, controller: PathBuf::new(), served }
    }

    async fn control_plane(&mut self, name: &'static str, assets: &Assets) -> Site {
        let plane = ControlPlane::start(assets, name).await;
        let kubeconfig = self.keep(name, plane.kubeconfig());
        let pods = if plane.has_controllers() { Pods::Theirs } else { Pods::Ours };
        self.execute(name, plane.client().await, pods);
        let (admin, served) = (plane.client().await, Served::ControlPlane(plane));
        Site { admin, kubeconfig, controller: PathBuf::new(), served }
    }

    fn keep(&self, name: &str, kubeconfig: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        std::fs::write(&path, kubeconfig).expect("the folder is ours");
        path
    }

    /// Runs the cluster's Jobs.
    fn execute(&mut self, name: &'static str, client: Client, pods: Pods) {
        let state = self.folder.path().join("pods");
        let settings = executor::Settings {
            program: self.program.clone(),
            finished: Some(self.reports.clone()),
            pods,
            ..executor::Settings::new(state).expect("this program has a path")
        };
        let running = executor::run(name, client, settings, CancellationToken::new());
        self.background.spawn(async move {
            running.await.expect("an executor ends only when it is stopped");
        });
    }

    /// Registers a served cluster on the hub.
    pub async fn register(&self, hub: &Site, name: &str, spoke: &Site) {
        let kubeconfig = std::fs::read_to_string(&spoke.controller).expect("it was written");
        let secret = json!({
            "metadata": {
                "name": name, "namespace": HOME,
                "labels": { "sigs.k8s.io/multicluster-runtime-kubeconfig": "true" },
            },
            "stringData": { "kubeconfig": kubeconfig },
        });
        let secret = serde_json::from_value(secret).expect("it is a Secret");
        let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(hub.admin(), HOME);
        secrets.create(&PostParams::default(), &secret).await.expect("the hub takes a Secret");
    }

    /// Runs one of the program's commands for operators, and gives whether it succeeded and what it printed.
    pub async fn operate(&self, arguments: &[&str]) -> (bool, String) {
        let command = Command::new(&self.program)
            .args(arguments)
            .env("HOME", self.folder.path())
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(LONG * 2, command).await.expect("a command ends in time");
        let output = output.expect("the program can be started");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Starts the program as in production, against a hub.
    pub async fn run(&self, hub: &Site) -> Program {
        self.run_as(hub, "controller").await
    }

    /// The same as one of several: each has a name, by which it logs and holds its Leases.
    pub async fn run_as(&self, hub: &Site, name: &str) -> Program {
        self.run_with(hub, name, &[]).await
    }

    /// The same with webhooks on a port of 127.0.0.1; on any that is free, if it is 0.
    pub async fn run_serving(&self, hub: &Site, name: &str, webhooks: u16) -> Program {
        self.launch(hub, name, (webhooks, &mut Command::new(&self.program))).await
    }

    /// The same, with more in its environment.
    pub async fn run_with(&self, hub: &Site, name: &str, environment: &[(&str, &str)]) -> Program {
        let mut command = Command::new(&self.program);
        command.envs(environment.iter().copied());
        self.launch(hub, name, (0, &mut command)).await
    }

    /// The same, with more typed behind its arguments, in words that a shell parts.
    pub async fn run_typed(&self, hub: &Site, more: &str, environment: &[(&str, &str)]) -> Program {
        let script = "more=$1 && shift && exec \"$@\" $more";
        let mut command = Command::new("sh");
        command.envs(environment.iter().copied());
        command.args(["-c", script, "sh", more]).arg(&self.program);
        self.launch(hub, "controller", (0, &mut command)).await
    }

    /// Starts it where only so many files may be open, and a shell has allowed fewer.
    pub async fn run_with_few_files(&self, hub: &Site, (soft, hard): (u32, u32)) -> Program {
        let script = "ulimit -Sn $1 && ulimit -Hn $2 && shift 2 && exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", &soft.to_string(), &hard.to_string()]).arg(&self.program);
        self.launch(hub, "controller", (0, &mut command)).await
    }

    /// Starts it by a command, to be called by webhooks at a port; at any, if that is 0.
    async fn launch(
        &self,
        hub: &Site,
        name: &str,
        (webhooks, command): (u16, &mut Command),
    ) -> Program {
        // Bound for a moment: the program binds it right after.
        let free = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port is found");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let log = self.folder.path().join(format!("{name}.log"));
        let output = std::fs::File::create(&log).expect("the folder is ours");
        let errors = output.try_clone().expect("a file has two handles");
        let child = command
            .args(["run", "--allow-loopback-clusters", "--json-logs", "--namespace", HOME])
            .args(["--lease-duration", "3", "--lease-renew", "1", "--shards", "4"])
            .args(["--utility-address", "127.0.0.1", "--utility-port", &port.to_string()])
            .args(["--webhooks-address", "127.0.0.1", "--webhooks-port", &webhooks.to_string()])
            .env("KUBECONFIG", &hub.controller)
            .env("POD_NAME", name)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn();
        Program { child: child.expect("the program can be started"), port, log }
    }
}

/// The program, as it runs.
#[derive(Debug)]
pub struct Program {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Program {
    /// What one of its paths answers: status and body.
    pub async fn http(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// Waits until it takes part.
    pub async fn ready(&mut self) {
        let ready = look_until(LONG, async || {
            self.http("/ready").await.filter(|(status, _)| *status == 200)
        });
        assert!(ready.await.is_some(), "it is not ready:\n{}", self.log());
    }

    /// Where it is called, as it says itself.
    pub fn hooks(&self) -> SocketAddr {
        let log = self.log();
        let mut lines = log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let said = lines.find_map(|it| it["webhooks"].as_str().and_then(|it| it.parse().ok()));
        said.unwrap_or_else(|| panic!("it does not say where it is called:\n{log}"))
    }

    /// Where its probes and metrics are.
    pub fn utility(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The files that it has open.
    pub fn open_files(&self) -> usize {
        let id = self.child.id().expect("it runs");
        std::fs::read_dir(format!("/proc/{id}/fd")).expect("it runs").count()
    }

    /// The memory that it has now, in KiB.
    pub fn resident(&self) -> u64 {
        let id = self.child.id().expect("it runs");
        let text = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:")).expect("it says so");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }

    /// Freezes it where it is: it knows nothing of the time until it is woken.
    pub async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// Wakes it from a freeze.
    pub async fn wake(&self) {
        self.signal("-CONT").await;
    }

    /// Ends it as a power failure does.
    pub async fn kill(mut self) {
        self.signal("-KILL").await;
        let ended = timeout(LONG, self.child.wait()).await;
        ended.expect("it ends at once").expect("it is our child");
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await;
        assert!(sent.is_ok_and(|it| it.success()), "it cannot be sent {signal}");
    }

    /// Asks it to end as Kubernetes does, and gives its exit code.
    pub async fn stop(self) -> Option<i32> {
        self.stop_by("-TERM").await
    }

    /// Asks it to end by another signal, and gives its exit code.
    pub async fn stop_by(mut self, signal: &str) -> Option<i32> {
        self.signal(signal).await;
        let ended = timeout(LONG, self.child.wait()).await;
        ended.expect("it ends in time").expect("it is our child").code()
    }
}

/// Runs kubectl, and gives whether it succeeded and what it printed. None where there is no kubectl.
pub async fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> Option<(bool, String)> {
    let command = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments)
        .env("HOME", kubeconfig.parent()?)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LONG, command).await.expect("kubectl ends in time").ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}
