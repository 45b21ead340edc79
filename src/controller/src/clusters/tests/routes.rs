//! How do the clusters of a test answer? By the host of a URL, each behind clients that are counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use ger_core::names::ClusterName;
use kube::Client;
use kube_sandbox::Sandbox;
use serde_json::json;

use super::ground::CONTROLLER;
use crate::clusters::{Clients, Connect, Error, Target};

/// Leads to the sandboxes by the host of a server's URL.
#[derive(Clone)]
pub(super) struct Routes {
    pub(super) clusters: BTreeMap<&'static str, Sandbox>,
    /// Every client holds one, so that they can be counted.
    pub(super) alive: Arc<Mutex<()>>,
    /// The uids that clusters only say they have.
    pub(super) pretended: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Routes {
    /// The clients of somebody with such a token; faults know him by it, unless it is the usual one.
    pub(super) fn clients(&self, cluster: &str, token: Option<&str>) -> Clients {
        let of = token.filter(|it| *it != "t").map(|it| format!("{CONTROLLER}-{it}"));
        let of = of.as_deref().unwrap_or(CONTROLLER);
        Clients { requests: self.client(cluster, of), watches: self.client(cluster, of) }
    }

    fn client(&self, cluster: &str, of: &str) -> Client {
        let groups = ["system:authenticated"];
        let router = self.clusters[cluster].client_router_as(of, CONTROLLER, &groups);
        let (routes, cluster) = (self.clone(), cluster.to_owned());
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let counted = Arc::clone(&routes.alive);
            let pretended = routes.pretended(&cluster, &request);
            let answered = tower::ServiceExt::oneshot(router.clone(), request);
            async move {
                let answer = answered.await;
                drop(counted);
                answer.map(|it| replaced(it, pretended))
            }
        });
        Client::new(service, "default")
    }
}

/// An answer with another text, if there is one.
fn replaced<B: From<String>>(answer: http::Response<B>, text: Option<String>) -> http::Response<B> {
    match text {
        Some(text) => answer.map(|_| text.into()),
        None => answer,
    }
}

impl Routes {
    /// What a cluster says of itself that is not so.
    fn pretended<B>(&self, cluster: &str, request: &http::Request<B>) -> Option<String> {
        let uid = self.pretended.lock().unwrap().get(cluster).cloned()?;
        let is_asked = request.uri().path() == "/api/v1/namespaces/kube-system";
        is_asked.then(|| json!({ "metadata": { "name": "kube-system", "uid": uid } }).to_string())
    }
}

impl Connect for Routes {
    fn connect<'a>(
        &'a self,
        _cluster: &'a ClusterName,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Clients, Error>> {
        Box::pin(async {
            let host = target.server().trim_start_matches("https://").trim_end_matches('/');
            if self.clusters.contains_key(host) {
                Ok(self.clients(host, target.token.as_deref()))
            } else {
                Err(Error::Local)
            }
        })
    }
}
