//! Which namespaces of a cluster are served? All, or those with certain labels.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use tokio::sync::watch;

use super::cluster::Cluster;
use super::reflector::{Reflector, Sink};
use super::state::Condition;
use super::stores::{Change, Held, Store};
use super::{Settings, Shared, streams};

/// The stream of the namespaces that are served, where not all are.
pub(super) const STREAM: &str = "namespaces";

/// The namespaces that are served. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// None where all are; and, until it is known which, a set that is not there yet.
    names: Option<watch::Receiver<Option<BTreeSet<String>>>>,
}

impl Selection {
    pub(super) fn all() -> Self {
        Self { names: None }
    }

    /// Waits until it is known which.
    pub(super) async fn known(&mut self) {
        if let Some(names) = &mut self.names {
            // Whoever tells ends with all that listen.
            drop(names.wait_for(Option::is_some).await);
        }
    }

    /// Waits until it is others.
    pub(super) async fn changed(&mut self) {
        let waited = match &mut self.names {
            Some(names) => names.changed().await.is_ok(),
            None => false,
        };
        if !waited {
            std::future::pending::<()>().await;
        }
    }

    /// Marks what is selected now as seen.
    pub(super) fn mark_seen(&mut self) {
        if let Some(names) = &mut self.names {
            names.mark_unchanged();
        }
    }

    /// Whether an object is served; what has no namespace always is.
    pub(super) fn has(&self, meta: &ObjectMeta) -> bool {
        let (Some(names), Some(namespace)) = (&self.names, &meta.namespace) else { return true };
        names.borrow().as_ref().is_some_and(|it| it.contains(namespace))
    }
}

/// One namespace of those that are selected.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    name: String,
    uid: String,
    version: String,
}

impl Held for Selected {
    fn place(&self) -> (&str, &str) {
        ("", &self.name)
    }

    fn version(&self) -> (&str, &str) {
        (&self.uid, &self.version)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.uid.len() + self.version.len()
    }
}

struct NamespaceSink {
    cluster: Cluster,
    shared: Arc<Shared>,
    store: Store<Selected>,
    told: watch::Sender<Option<BTreeSet<String>>>,
}

impl NamespaceSink {
    fn tell(&self) {
        if !self.store.is_synced() {
            return;
        }
        let names: BTreeSet<String> = self.store.list().iter().map(|it| it.name.clone()).collect();
        self.told.send_if_modified(|it| {
            let is_news = it.as_ref() != Some(&names);
            *it = Some(names);
            is_news
        });
    }
}

impl Sink for NamespaceSink {
    type Object = Namespace;
    type Held = Selected;

    fn hold(&self, object: Namespace) -> Selected {
        let meta = object.metadata;
        Selected {
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            version: meta.resource_version.unwrap_or_default(),
        }
    }

    fn touch(&self) {
        self.cluster.touch();
    }

    async fn report(&self, condition: Condition) {
        self.tell();
        self.cluster.report(STREAM, condition, &self.shared).await;
    }

    async fn deliver(&self, _change: Change<Selected>) {
        self.tell();
    }

    async fn undecodable(&self, meta: &ObjectMeta, error: &str) {
        let name = meta.name.as_deref().unwrap_or_default();
        tracing::warn!(cluster = %self.cluster.name(), name, error, "a namespace is not understood");
    }
}

/// Follows the namespaces with certain labels: the future does, and the selection is what it saw.
pub(super) fn follow(
    (cluster, selector): (&Cluster, &str),
    settings: &Settings,
    shared: &Arc<Shared>,
    stop: &tokio_util::sync::CancellationToken,
) -> (Selection, impl Future<Output = ()> + Send + 'static) {
    let store = Store::<Selected>::default();
    let (told, names) = watch::channel(None);
    let sink = NamespaceSink {
        cluster: cluster.clone(),
        shared: Arc::clone(shared),
        store: store.clone(),
        told,
    };
    let reflector = Reflector {
        api: Api::all(cluster.watches().clone()),
        selector: Some(selector.to_owned()),
        selection: Selection::all(),
        store,
        sink,
        pace: streams::pace(settings, cluster.name(), STREAM),
        stop: stop.clone(),
    };
    (Selection { names: Some(names) }, reflector.run())
}
