//! Where is a fleet that somebody installed? In the clusters of kubeconfigs, where the environment names them,
//! with its webhooks behind an ingress; else in sandboxes, with the program beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::real::{Program, Site, World};
use crate::wait::{look_until, mins};

/// A kubeconfig whose current context is an administrator's of the hub.
const HUB: &str = "GER_E2E_HUB";
/// The same for spokes, with colons between; each file is called as the hub calls its cluster.
const SPOKES: &str = "GER_E2E_SPOKES";
/// Where webhooks come in: `http://HOST:PORT`.
const WEBHOOKS: &str = "GER_E2E_WEBHOOKS";
/// The address of this machine by which Pods and the hub's replicas reach it.
const ADDRESS: &str = "GER_E2E_ADDRESS";

/// A fleet that runs, with a namespace for a story in each of its clusters.
pub struct Installed {
    pub git: ger_git::backend::Server,
    clusters: BTreeMap<String, Client>,
    namespace: String,
    /// `HOST:PORT`
    door: String,
    _repositories: TempDir,
    _ours: Option<Ours>,
}

/// What is started where nothing is installed.
#[derive(Debug)]
struct Ours {
    _program: Program,
    _sites: [Site; 2],
    _world: World,
}

impl fmt::Debug for Installed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clusters = self.clusters.keys().collect::<Vec<_>>();
        to.debug_struct("Installed").field("clusters", &clusters).finish_non_exhaustive()
    }
}

impl Installed {
    /// Finds the fleet, or starts one of `program`.
    pub async fn find(program: &str, namespace: &str) -> Self {
        let repositories = tempfile::tempdir().expect("a temporary folder can be made");
        let found = match variable(HUB) {
            Some(hub) => Self::theirs(&hub, namespace, repositories).await,
            None => Self::ours(program, namespace, repositories).await,
        };
        for client in found.clusters.values() {
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
            // What an earlier story left, which was broken off.
            drop(namespaces.delete(namespace, &DeleteParams::default()).await);
            let is_gone =
                async || namespaces.get_opt(namespace).await.ok().flatten().is_none().then_some(());
            assert!(look_until(mins(2), is_gone).await.is_some(), "{namespace} stays");
            crate::fleet::create_namespace(client, namespace).await;
        }
        found
    }

    async fn theirs(hub: &str, namespace: &str, repositories: TempDir) -> Self {
        let needed = |name: &str| variable(name).unwrap_or_else(|| panic!("{name} is not set"));
        let mut clusters = BTreeMap::from([("hub".to_owned(), client(hub).await)]);
        for file in variable(SPOKES).iter().flat_map(|it| it.split(':')) {
            clusters.insert(stem(file), client(file).await);
        }
        let door = needed(WEBHOOKS);
        let door = door.strip_prefix("http://").unwrap_or_else(|| panic!("{WEBHOOKS} is no http"));
        let address: IpAddr = needed(ADDRESS).parse().expect("the address is an IP address");
        let git = ger_git::backend::Server::start_on(repositories.path(), address).await;
        Self {
            git: git.unwrap_or_else(|error| panic!("{ADDRESS}: {error}")),
            clusters,
            namespace: namespace.to_owned(),
            door: door.trim_end_matches('/').to_owned(),
            _repositories: repositories,
            _ours: None,
        }
    }

    async fn ours(program: &str, namespace: &str, repositories: TempDir) -> Self {
        let mut world = World::start(program).await;
        let sites = [world.site("hub").await, world.site("edge").await];
        world.register(&sites[0], "edge", &sites[1]).await;
        // Bound for a moment: the program binds it right after.
        let free = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port is found");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let mut running = world.run_serving(&sites[0], "installed", port).await;
        running.ready().await;
        let git = ger_git::backend::Server::start(repositories.path()).await;
        let clusters = ["hub", "edge"].map(str::to_owned).into_iter();
        Self {
            git: git.expect("git is installed"),
            clusters: clusters.zip(sites.iter().map(Site::admin)).collect(),
            namespace: namespace.to_owned(),
            door: format!("127.0.0.1:{port}"),
            _repositories: repositories,
            _ours: Some(Ours { _program: running, _sites: sites, _world: world }),
        }
    }

    /// The clusters' names, as the hub calls them.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        self.clusters.keys().map(String::as_str)
    }

    /// Applies an object in the story's namespace.
    pub async fn put(&self, cluster: &str, object: &Value) {
        let name = object["metadata"]["name"].as_str().expect("an object has a name");
        let api = self.api(cluster, object);
        let params = PatchParams::apply("story").force();
        let applied = api.patch(name, &params, &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("{cluster} refuses {object}: {error}"));
    }

    /// An object as it is now.
    pub async fn read(&self, cluster: &str, version: &str, kind: &str, name: &str) -> Value {
        let api = self.api(cluster, &json!({ "apiVersion": version, "kind": kind }));
        let read = api.get_opt(name).await.unwrap_or_else(|error| panic!("{cluster}: {error}"));
        serde_json::to_value(read).expect("what was read can be written")
    }

    /// The Jobs in the story's namespace, with all that is to be seen of them.
    pub async fn jobs(&self, cluster: &str) -> Vec<Value> {
        let api = self.api(cluster, &json!({ "apiVersion": "batch/v1", "kind": "Job" }));
        let listed = api.list(&ListParams::default()).await;
        let listed = listed.unwrap_or_else(|error| panic!("{cluster}: {error}"));
        let value = |it| serde_json::to_value(it).expect("what was read can be written");
        listed.items.into_iter().map(value).collect()
    }

    /// Calls a trigger of the story's namespace in a cluster, by the hub's door; the status.
    pub async fn call(&self, cluster: &str, rest: &str, token: &str) -> Option<u16> {
        let place = if cluster == "hub" { String::new() } else { format!("/clusters/{cluster}") };
        let mut stream = TcpStream::connect(&self.door).await.ok()?;
        let request = format!(
            "POST {place}/{}/{rest} HTTP/1.1\r\nHost: {}\r\nx-trigger-auth: {token}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n",
            self.namespace, self.door
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// Takes the story's namespaces away.
    pub async fn leave(self) {
        for client in self.clusters.values() {
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
            drop(namespaces.delete(&self.namespace, &DeleteParams::default()).await);
        }
    }

    fn api(&self, cluster: &str, object: &Value) -> Api<DynamicObject> {
        let version = object["apiVersion"].as_str().expect("an object has a version");
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let kind = object["kind"].as_str().expect("an object has a kind");
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.clusters[cluster].clone(), &self.namespace, &resource)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().and_then(|it| it.to_str());
    stem.unwrap_or_else(|| panic!("{SPOKES}: {file} is no file")).to_owned()
}

async fn client(file: &str) -> Client {
    let read = Kubeconfig::read_from(PathBuf::from(file));
    let read = read.unwrap_or_else(|error| panic!("{file}: {error}"));
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let config = config.unwrap_or_else(|error| panic!("{file}: {error}"));
    Client::try_from(config).unwrap_or_else(|error| panic!("{file}: {error}"))
}
