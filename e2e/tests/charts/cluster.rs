//! On which cluster are the charts installed? A sandbox over TCP, or a real API server.

use std::time::Duration;

use e2e::control_plane::{Assets, ControlPlane};
use e2e::wait::look_until;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use kube_sandbox::{Sandbox, Server, Succeed};
use tokio::task::JoinSet;

use crate::cases::beside;
use crate::programs::{Program, kubectl};

const LONG: Duration = Duration::from_mins(1);

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) kubeconfig: String,
    served: Served,
    _background: JoinSet<()>,
}

/// Who answers, for as long as it is held.
enum Served {
    Sandbox { _server: Server },
    ControlPlane { _plane: Box<ControlPlane> },
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut background = JoinSet::new();
        let (served, kubeconfig) = if let Some(assets) = Assets::from_env() {
            let plane = Box::new(ControlPlane::start(&assets, "charts").await);
            let kubeconfig = plane.kubeconfig().to_owned();
            (Served::ControlPlane { _plane: plane }, kubeconfig)
        } else {
            let sandbox = Sandbox::new("charts");
            sandbox.enforce_rbac();
            let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
            background.spawn(sandbox.run_controllers());
            background.spawn(sandbox.run_pods(Succeed));
            let kubeconfig = server.kubeconfig();
            (Served::Sandbox { _server: server }, kubeconfig)
        };
        let read = Kubeconfig::from_yaml(&kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(read, &options).await.unwrap();
        let client = Client::try_from(config).unwrap();
        Self { client, kubeconfig, served, _background: background }
    }

    /// Whether Pods run.
    pub(crate) fn runs_pods(&self) -> bool {
        matches!(self.served, Served::Sandbox { .. })
    }

    /// A kubectl of an administrator.
    pub(crate) fn kubectl(&self) -> Program {
        kubectl().on(&self.kubeconfig)
    }

    /// Makes namespaces.
    pub(crate) async fn with_namespaces(self, names: &[&str]) -> Self {
        let kubectl = self.kubectl();
        for name in names {
            kubectl.run(&["create", "namespace", name]).await;
        }
        self
    }

    /// Makes the kinds of others that the charts make objects of.
    pub(crate) async fn with_kinds_of_others(self) -> Self {
        let kubectl = self.kubectl();
        let file = beside("kinds.yaml").display().to_string();
        kubectl.run(&["create", "-f", &file]).await;
        kubectl.run(&["wait", "--for=condition=Established", "crd", "--all"]).await;
        self
    }

    /// An object, if it is there.
    pub(crate) async fn find(&self, kind: &str, place: &str) -> Option<DynamicObject> {
        let (version, kind) = kind.rsplit_once('/').unwrap();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let (api, name) = match place.split_once('/') {
            Some((namespace, name)) => {
                let namespaced: Api<DynamicObject> =
                    Api::namespaced_with(self.client.clone(), namespace, &resource);
                (namespaced, name)
            }
            None => (Api::all_with(self.client.clone(), &resource), place),
        };
        api.get_opt(name).await.unwrap()
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, kind: &str, place: &str) {
        let is_gone = async || self.find(kind, place).await.is_none().then_some(());
        assert!(look_until(LONG, is_gone).await.is_some(), "{kind} {place} stays");
    }
}
