//! Which cluster does a case run on, and how does it reach it?
//!
//! A case gets a namespace of its own, and shares the rest: names of what has no namespace are made
//! with [`Ground::unique`].

use std::env;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::control_plane::{Assets, ControlPlane};
use e2e::wait::look_until;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use kube_sandbox::{Breakage, Sandbox, Server};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Controllers lag, and a busy machine more so.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Names what the sandbox is to break, to see whether a case notices.
pub(crate) const BREAKAGE: &str = "KUBE_SANDBOX_BREAKAGE";

/// What does not come at once from a broken sandbox never does.
const SHORT: Duration = Duration::from_secs(3);

/// How many names this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A cluster, and a namespace in it.
pub(crate) struct Ground {
    client: Client,
    kubeconfig: String,
    namespace: String,
    cluster: Cluster,
    _controllers: JoinSet<()>,
}

/// Who answers.
enum Cluster {
    Sandbox { _server: Server },
    ControlPlane(&'static ControlPlane),
    Given,
}

/// What a server said, whatever it was.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|why| panic!("{why}: {} {:?}", self.code, self.text))
    }
}

impl Ground {
    /// The cluster of the environment, with a fresh namespace.
    pub(crate) async fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut controllers = JoinSet::new();
        let (cluster, kubeconfig) = if let Some(assets) = Assets::from_env() {
            let plane = ControlPlane::shared(&assets).await;
            (Cluster::ControlPlane(plane), plane.kubeconfig().to_owned())
        } else if env::var_os("KUBECONFIG").is_some_and(|it| !it.is_empty()) {
            let read = Kubeconfig::read().unwrap();
            (Cluster::Given, serde_json::to_string(&read).unwrap())
        } else {
            let sandbox = Sandbox::new("conformance");
            sandbox.enforce_rbac();
            if let Some(breakage) = breakage() {
                sandbox.set_breakage(breakage);
            }
            // What came before the case is forgotten, as it is by a server that runs for a while.
            sandbox.compact();
            let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
            controllers.spawn(sandbox.run_controllers());
            let kubeconfig = server.kubeconfig();
            (Cluster::Sandbox { _server: server }, kubeconfig)
        };
        let namespace = unique("case");
        let client = connect(&kubeconfig, &namespace, |_| {}).await;
        let ground = Self { client, kubeconfig, namespace, cluster, _controllers: controllers };
        ground.found(&ground.namespace).await;
        ground
    }

    /// Makes a namespace, and waits for what a cluster's own controllers put into it.
    async fn found(&self, name: &str) {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let made = self.post("/api/v1/namespaces", &body).await;
        assert_eq!(made.code, 201, "{}", made.text);
        if self.has_controllers() {
            let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
            let is_there = async || (self.get(&account).await.code == 200).then_some(());
            self.eventually("the namespace's default service account", is_there).await;
        }
    }

    /// Whether Jobs get Pods, owners take what they own with them, and namespaces end.
    pub(crate) fn has_controllers(&self) -> bool {
        match &self.cluster {
            Cluster::Sandbox { .. } | Cluster::Given => true,
            Cluster::ControlPlane(plane) => plane.has_controllers(),
        }
    }

    /// An administrator's client, whose namespace is the case's.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// For programs. Its user is the administrator; its namespace is not the case's.
    pub(crate) fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// The same administrator through a connection of which some things are otherwise: another token,
    /// somebody to impersonate.
    pub(crate) async fn client_with(&self, change: impl FnOnce(&mut AuthInfo)) -> Client {
        connect(&self.kubeconfig, &self.namespace, change).await
    }

    /// A name that no other case has.
    #[expect(clippy::unused_self, reason = "names belong to the ground that they are used on")]
    pub(crate) fn unique(&self, stem: &str) -> String {
        unique(stem)
    }

    /// The objects of a kind in the case's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// The objects of a kind that has no namespaces.
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = ClusterResourceScope, DynamicType = ()>,
    {
        Api::all(self.client())
    }

    /// The objects of a kind that no type here knows, in the case's namespace.
    pub(crate) fn dynamic(
        &self,
        api_version: &str,
        kind: &str,
        plural: &str,
    ) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        Api::namespaced_with(self.client(), &self.namespace, &resource)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        self.ask(request, &body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        let request = Request::put(path).header("content-type", "application/json");
        self.ask(request, &body.to_string()).await
    }

    /// `kind` is that of the patch: `merge`, `json`, `strategic-merge`, `apply` and so on.
    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        let media = match kind {
            "apply" => "application/apply-patch+yaml".to_owned(),
            kind => format!("application/{kind}-patch+json"),
        };
        self.ask(Request::patch(path).header("content-type", media), &body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Answer {
        let request = Request::delete(path).header("content-type", "application/json");
        let body = if options.is_null() { String::new() } else { options.to_string() };
        self.ask(request, &body).await
    }

    /// Any request at all, by the administrator.
    pub(crate) async fn ask(&self, request: http::request::Builder, body: &str) -> Answer {
        ask(&self.client, request, body).await
    }

    /// What `look` finds, unless too long passes first.
    pub(crate) async fn eventually<T>(
        &self,
        what: &str,
        look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let limit = patience();
        let found = look_until(limit, look).await;
        found.unwrap_or_else(|| panic!("after {limit:?} there is still not {what}"))
    }
}

impl Drop for Ground {
    /// What was lent is given back as it was, but for what ends later by itself.
    fn drop(&mut self) {
        let Cluster::Given = self.cluster else { return };
        let (kubeconfig, namespace) = (self.kubeconfig.clone(), self.namespace.clone());
        let end = async move {
            let client = connect(&kubeconfig, &namespace, |_| {}).await;
            let path = format!("/api/v1/namespaces/{namespace}");
            drop(ask(&client, Request::delete(path), "").await);
        };
        // The case's own runtime may be on its way out.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        drop(std::thread::spawn(move || runtime.unwrap().block_on(end)).join());
    }
}

/// How long a case waits for what must come.
pub(crate) fn patience() -> Duration {
    if breakage().is_some() { SHORT } else { LONG }
}

fn breakage() -> Option<Breakage> {
    let name = env::var(BREAKAGE).ok()?;
    Some(name.parse().unwrap_or_else(|why| panic!("{BREAKAGE}: {why}")))
}

/// Whether cases run on sandboxes, as nothing names another cluster.
pub(crate) fn is_sandbox() -> bool {
    let names = |variable: &str| env::var_os(variable).is_some_and(|it| !it.is_empty());
    Assets::from_env().is_none() && !names("KUBECONFIG")
}

/// Any request at all, by any client.
pub(crate) async fn ask(client: &Client, request: http::request::Builder, body: &str) -> Answer {
    let request = request.body(Body::from(body.as_bytes().to_vec())).unwrap();
    let (head, body) = client.send(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        code: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// An object of any type from its JSON.
pub(crate) fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Code, reason and message of a request that was refused.
pub(crate) fn refusal<T: Debug>(result: kube::Result<T>) -> (u16, String, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason, status.message),
        other => panic!("this was to be refused: {other:?}"),
    }
}

/// As most writes here are made.
pub(crate) fn by_post() -> PostParams {
    PostParams::default()
}

async fn connect(kubeconfig: &str, namespace: &str, change: impl FnOnce(&mut AuthInfo)) -> Client {
    let read = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(read, &options).await.unwrap();
    namespace.clone_into(&mut config.default_namespace);
    change(&mut config.auth_info);
    Client::try_from(config).unwrap()
}

fn unique(stem: &str) -> String {
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{}-{made}", std::process::id())
}
