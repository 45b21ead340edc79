//! How does a story get a real API server? From `KUBEBUILDER_ASSETS`: etcd, kube-apiserver and, where
//! it is there, kube-controller-manager, as processes on 127.0.0.1 that end with their owner.

mod identity;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::ByteString;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

use self::identity::Identity;
use crate::wait::look_until;

/// What controllers' test tools have called the folder with the programs for years.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Two processes beside it may want the same cores.
const LONG: Duration = Duration::from_mins(3);

/// The cluster's own controllers that a Job needs, from its Pods to its end.
const CONTROLLERS: &str = "job-controller,garbage-collector-controller,namespace-controller,\
    ttl-after-finished-controller,serviceaccount-controller,pod-garbage-collector-controller,\
    root-ca-certificate-publisher-controller,serviceaccount-token-controller";

/// Which objects' creations are counted: all that clients ask for, by name and answer.
const AUDIT: &str = r#"{
    "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
    "rules": [
        { "level": "Metadata", "verbs": ["create"], "resources": [{ "group": "batch" }] },
        { "level": "None" }
    ]
}"#;

/// Runs a program until it is told, by the end of its own input, that nobody needs it any more.
const LEASH: &str = r#""$@" & read -r _; kill -KILL $!; wait"#;

/// The one that all tests of a process share, as far as they ask for it.
static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

/// The programs of a control plane.
#[derive(Clone, Debug)]
pub struct Assets {
    etcd: PathBuf,
    api_server: PathBuf,
    controllers: Option<PathBuf>,
}

impl Assets {
    /// What `KUBEBUILDER_ASSETS` names; nothing where it is not set.
    pub fn from_env() -> Option<Self> {
        let folder = std::env::var_os(ASSETS).filter(|it| !it.is_empty())?;
        let folder = Path::new(&folder);
        let found = |name: &str| {
            let path = folder.join(name);
            path.is_file().then_some(path)
        };
        let needed = |name: &str| {
            found(name).unwrap_or_else(|| panic!("{ASSETS} has no {name}: {}", folder.display()))
        };
        Some(Self {
            etcd: needed("etcd"),
            api_server: needed("kube-apiserver"),
            controllers: found("kube-controller-manager"),
        })
    }
}

/// An etcd, an API server and what else there is, for one cluster. Dropping it ends them.
#[derive(Debug)]
pub struct ControlPlane {
    assets: Assets,
    /// In the order in which they are ended: nobody is left without what it talks to.
    children: Vec<Child>,
    kubeconfig: String,
    folder: TempDir,
}

impl ControlPlane {
    /// Starts a cluster, and waits until it says that it is ready.
    pub async fn start(assets: &Assets, name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("control-plane-").tempdir();
        let folder = folder.expect("a temporary folder can be made");
        let [client, peer, port] = free_ports().await;
        let identity = Identity::issue();
        identity.write(folder.path());
        write(folder.path(), "audit.json", AUDIT);
        let server = format!("https://127.0.0.1:{port}");
        let kubeconfig = kubeconfig(name, &server, &identity).to_string();
        write(folder.path(), "kubeconfig", &kubeconfig);
        let mut plane = Self { assets: assets.clone(), children: Vec::new(), kubeconfig, folder };
        let etcd = format!("http://127.0.0.1:{client}");
        plane.spawn_etcd(&etcd, &format!("http://127.0.0.1:{peer}"));
        plane.spawn_api_server(&etcd, port);
        plane.ready().await;
        plane.spawn_controllers();
        plane
    }

    /// The one that all tests of this process share; it ends with the process.
    pub async fn shared(assets: &Assets) -> &'static Self {
        SHARED.get_or_init(|| Self::start(assets, "shared")).await
    }

    /// For an administrator, with everything in it.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// An administrator's client.
    pub async fn client(&self) -> Client {
        let read = Kubeconfig::from_yaml(&self.kubeconfig).expect("it is a kubeconfig");
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("it is whole")).expect("it leads to a server")
    }

    /// Whether a Job controller makes the Pods of Jobs.
    pub fn has_controllers(&self) -> bool {
        self.assets.controllers.is_some()
    }

    /// How many Jobs were ever created.
    pub fn jobs_created(&self) -> usize {
        let audit = std::fs::read_to_string(self.folder.path().join("audit.log"));
        let audit = audit.unwrap_or_default();
        let events = audit.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let created = |it: &Value| {
            it["objectRef"]["resource"] == "jobs" && it["responseStatus"]["code"] == 201
        };
        events.filter(created).count()
    }

    fn spawn_etcd(&mut self, client: &str, peer: &str) {
        let program = self.assets.etcd.clone();
        let data = self.path("etcd");
        self.spawn(
            "etcd",
            &program,
            [
                &format!("--data-dir={data}"),
                &format!("--listen-client-urls={client}"),
                &format!("--advertise-client-urls={client}"),
                &format!("--listen-peer-urls={peer}"),
                &format!("--initial-advertise-peer-urls={peer}"),
                &format!("--initial-cluster=default={peer}"),
                // The story is over when the machine goes down.
                "--unsafe-no-fsync",
            ],
        );
    }

    fn spawn_api_server(&mut self, etcd: &str, port: u16) {
        let program = self.assets.api_server.clone();
        let at = |flag: &str, file: &str| format!("--{flag}={}", self.path(file));
        let mut arguments = vec![
            format!("--etcd-servers={etcd}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            "--advertise-address=127.0.0.1".to_owned(),
            // Nobody here calls the API by its Service, and loopback is no endpoint.
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            at("service-account-key-file", "signer.pub"),
            at("service-account-signing-key-file", "signer.key"),
            at("tls-cert-file", "server.crt"),
            at("tls-private-key-file", "server.key"),
            at("cert-dir", "certificates"),
            at("token-auth-file", "tokens.csv"),
            at("audit-policy-file", "audit.json"),
            at("audit-log-path", "audit.log"),
        ];
        if !self.has_controllers() {
            // Nobody makes the accounts that it waits for.
            arguments.push("--disable-admission-plugins=ServiceAccount".to_owned());
        }
        self.spawn("kube-apiserver", &program, arguments);
    }

    fn spawn_controllers(&mut self) {
        let Some(program) = self.assets.controllers.clone() else { return };
        let arguments = [
            format!("--kubeconfig={}", self.path("kubeconfig")),
            format!("--root-ca-file={}", self.path("ca.crt")),
            format!("--service-account-private-key-file={}", self.path("signer.key")),
            format!("--controllers={CONTROLLERS}"),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        self.spawn("kube-controller-manager", &program, arguments);
    }

    fn spawn(
        &mut self,
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) {
        let log = std::fs::File::create(self.folder.path().join(format!("{name}.log")));
        let log = log.expect("the folder is ours");
        let again = log.try_clone().expect("a file has two handles");
        // Whoever started this may be killed, or end without dropping anything: the pipe ends then.
        let child = Command::new("/bin/sh")
            .args(["-c", LEASH, name])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(again)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        self.children.insert(0, child);
    }

    async fn ready(&mut self) {
        let client = self.client().await;
        let is_ready = async || {
            let asked = http::Request::get("/readyz").body(Vec::new()).expect("it is a path");
            let answer = client.request_text(asked).await;
            // Names are served once the namespace for them is there.
            answer.is_ok_and(|it| it == "ok").then_some(())
        };
        if look_until(LONG, is_ready).await.is_none() {
            let log = std::fs::read_to_string(self.folder.path().join("kube-apiserver.log"));
            panic!("the API server is not ready:\n{}", log.unwrap_or_default());
        }
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.stdin.take());
            drop(child.wait());
        }
    }
}

/// Bound for a moment: the programs bind them right after.
async fn free_ports() -> [u16; 3] {
    let mut bound = Vec::new();
    for _ in 0..3 {
        bound.push(TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port is found"));
    }
    let port = |it: &TcpListener| it.local_addr().expect("it is bound").port();
    [port(&bound[0]), port(&bound[1]), port(&bound[2])]
}

fn kubeconfig(name: &str, server: &str, identity: &Identity) -> Value {
    let ca = ByteString(identity.ca.clone().into_bytes());
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "contexts": [{ "name": name, "context": { "cluster": name, "user": "admin" } }],
        "clusters": [{
            "name": name,
            "cluster": { "server": server, "certificate-authority-data": ca },
        }],
        "users": [{ "name": "admin", "user": { "token": identity.token } }],
    })
}

fn write(folder: &Path, file: &str, text: &str) {
    std::fs::write(folder.join(file), text).expect("the folder is ours");
}
