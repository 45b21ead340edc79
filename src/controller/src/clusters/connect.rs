//! How is a cluster reached? Its two clients, with the limits that keep a silent one from holding us.

use std::time::Duration;

use futures::future::BoxFuture;
use ger_core::names::ClusterName;
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;
use url::{Host, Url};

use super::error::{Error, Fault};
use super::kubeconfig::{Target, is_local};
use super::state::Reason;
use super::{Policy, Settings};

/// The two clients of a cluster.
#[derive(Clone)]
pub struct Clients {
    /// Short requests: with a read timeout and without kube's own retries, which would repeat a write
    /// for a quarter of an hour.
    pub requests: Client,
    /// Lists and watches, each of which its stream limits in time.
    pub watches: Client,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

/// Makes clients for a spoke.
pub trait Connect: Send + Sync {
    fn connect<'a>(
        &'a self,
        cluster: &'a ClusterName,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Clients, Error>>;
}

/// Reaches spokes over TCP and TLS.
#[derive(Clone, Debug)]
pub struct TlsConnect {
    settings: Settings,
}

impl TlsConnect {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }

    async fn clients(&self, target: &Target) -> Result<Clients, Error> {
        self.judge_address(target).await?;
        let kubeconfig = rebuilt(target)?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        clients(config.map_err(configure)?, &self.settings)
    }

    /// A name may lead to where a literal address is refused.
    async fn judge_address(&self, target: &Target) -> Result<(), Error> {
        if self.settings.allow_loopback == Policy::Allow {
            return Ok(());
        }
        let url = Url::parse(&target.server).ok();
        let Some(Host::Domain(name)) = url.as_ref().and_then(Url::host) else { return Ok(()) };
        let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or(443);
        let addresses = tokio::net::lookup_host((name, port)).await;
        let mut addresses = addresses.map_err(|source| Error::Resolve { source })?;
        if addresses.any(|it| is_local(it.ip())) { Err(Error::Local) } else { Ok(()) }
    }
}

impl Connect for TlsConnect {
    fn connect<'a>(
        &'a self,
        _cluster: &'a ClusterName,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Clients, Error>> {
        Box::pin(self.clients(target))
    }
}

/// The clients of the hub, as kube finds its way from inside a pod or by `KUBECONFIG`.
pub async fn hub_clients(settings: &Settings) -> Result<Clients, Error> {
    let config = Config::infer().await;
    clients(config.map_err(|source| Error::Infer { source: Box::new(source) })?, settings)
}

/// The namespace of the kubeconfig that the hub is found by, if there is one and it says.
pub fn kubeconfig_namespace() -> Option<String> {
    namespace_of(&Kubeconfig::read().ok()?)
}

fn namespace_of(kubeconfig: &Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|it| it.name == *current)?;
    context.context.as_ref()?.namespace.clone().filter(|it| !it.is_empty())
}

/// The clients of a kubeconfig that the operator of the hub vouches for: it is used as it is.
pub async fn trusted_clients(
    kubeconfig: Kubeconfig,
    settings: &Settings,
) -> Result<Clients, Error> {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    clients(config.map_err(configure)?, settings)
}

fn configure(source: kube::config::KubeconfigError) -> Error {
    Error::Configure { source: Box::new(source) }
}

/// A kubeconfig that holds what we know and nothing else.
fn rebuilt(target: &Target) -> Result<Kubeconfig, Error> {
    let (certificate, key) = target.certificate.as_ref().map(|(c, k)| (c, k)).unzip();
    let value = json!({
        "current-context": "it",
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "clusters": [{ "name": "it", "cluster": {
            "server": target.server,
            "certificate-authority-data": target.authority,
            "tls-server-name": target.tls_server_name,
            "insecure-skip-tls-verify": target.unverified,
        }}],
        "users": [{ "name": "it", "user": {
            "token": target.token,
            "client-certificate-data": certificate,
            "client-key-data": key,
        }}],
    });
    decode(value).map_err(|source| Error::Build { source: Box::new(source) })
}

fn decode(value: Value) -> Result<Kubeconfig, kube::Error> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}

/// A server that does not complete a connection in this time is as good as not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn clients(mut config: Config, settings: &Settings) -> Result<Clients, Error> {
    let build = |config: Config| {
        Client::try_from(config).map_err(|source| Error::Build { source: Box::new(source) })
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(settings.request_timeout);
    config.default_retry = false;
    // kube takes a proxy from the environment, and is built without the means to use one.
    config.proxy_url = None;
    config.reset_reader_on_write = true;

    let mut watches = config.clone();
    watches.read_timeout = Some(settings.watch_timeout + settings.request_timeout);
    config.read_timeout = Some(settings.request_timeout);
    Ok(Clients { requests: build(config)?, watches: build(watches)? })
}

/// Asks a cluster who it is: the uid of its `kube-system` namespace, which no two clusters share.
pub(super) async fn identify(client: &Client, limit: Duration) -> Result<String, Fault> {
    let what = "get namespace kube-system";
    let namespaces = Api::<Namespace>::all(client.clone());
    let answer = timeout(limit, namespaces.get("kube-system")).await;

    let answer = answer.map_err(|_| Fault::timed_out(what, limit))?;
    let namespace = answer.map_err(|it| {
        let mut fault = Fault::from_kube(what, &it);
        if fault.trouble.reason == Reason::CrdsMissing {
            // Every cluster has this namespace: whatever answers is not an API server, or not yet.
            fault.trouble.reason = Reason::Unreachable;
        }
        fault
    })?;
    namespace.metadata.uid.ok_or_else(|| Fault::nonsense("namespace kube-system has no uid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_the_one_of_the_context_that_is_used() {
        let with = |current: &str| {
            let value = json!({
                "current-context": current,
                "contexts": [
                    { "name": "one", "context": { "cluster": "it", "user": "it", "namespace": "team" } },
                    { "name": "other", "context": { "cluster": "it", "user": "it" } },
                ],
            });
            namespace_of(&decode(value).unwrap())
        };

        assert_eq!(with("one").as_deref(), Some("team"));
        assert_eq!(with("other"), None);
        assert_eq!(with("none"), None);
    }
}
