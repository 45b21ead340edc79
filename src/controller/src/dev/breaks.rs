//! What if a law did not hold? Layers on the replicas' clients that switch one off: the product has no
//! hooks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{BoxFuture, FutureExt as _};
use ger_core::names::ClusterName;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

use crate::clusters::{Clients, Connect, Error, Target, TlsConnect};

/// The laws that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Law {
    /// Recorded before done: writes of the ledger are answered, and forgotten.
    Record,
    /// Names for safety: a Job gets a name that no second attempt would give it.
    Dedupe,
    /// Leases of the dead are taken over: they are not.
    Takeover,
}

/// Connects to spokes with clients under which a law is off.
#[derive(Debug)]
pub(super) struct Breaking {
    inner: TlsConnect,
    law: Option<Law>,
}

impl Breaking {
    pub(super) fn new(inner: TlsConnect, law: Option<Law>) -> Self {
        Self { inner, law }
    }
}

impl Connect for Breaking {
    fn connect<'a>(
        &'a self,
        cluster: &'a ClusterName,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Clients, Error>> {
        async move {
            let clients = self.inner.connect(cluster, target).await?;
            Ok(Clients { requests: broken(clients.requests, self.law), ..clients })
        }
        .boxed()
    }
}

/// The client, with a law off.
pub(super) fn broken(client: Client, law: Option<Law>) -> Client {
    let Some(law) = law.filter(|it| *it != Law::Takeover) else { return client };
    let namespace = client.default_namespace().to_owned();
    let count = Arc::new(AtomicU64::new(0));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, count) = (client.clone(), Arc::clone(&count));
        async move {
            match law {
                Law::Record if is_ledger_write(&request) => forget(request).await,
                Law::Dedupe if is_job_creation(&request) => {
                    client
                        .send(renamed(request, count.fetch_add(1, Ordering::Relaxed)).await?)
                        .await
                }
                Law::Record | Law::Dedupe | Law::Takeover => client.send(request).await,
            }
        }
    });
    Client::new(service, namespace)
}

fn is_ledger_write(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    request.method() == Method::PUT && path.contains("triggers/") && path.ends_with("/status")
}

fn is_job_creation(request: &Request<Body>) -> bool {
    request.method() == Method::POST && request.uri().path().ends_with("/jobs")
}

/// Says that it was written, and writes nothing.
async fn forget(request: Request<Body>) -> kube::Result<Response<Body>> {
    let body = request.into_body().collect().await?.to_bytes();
    let mut answer = Response::new(Body::from(body.to_vec()));
    *answer.status_mut() = StatusCode::OK;
    Ok(answer)
}

/// The same Job under a name of its own.
async fn renamed(request: Request<Body>, number: u64) -> kube::Result<Request<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut job: Value = serde_json::from_slice(&body).map_err(kube::Error::SerdeError)?;
    if let Some(name) = job["metadata"]["name"].as_str() {
        let name = format!("{name}-{number}");
        job["metadata"]["name"] = Value::String(name);
    }
    let body = serde_json::to_vec(&job).map_err(kube::Error::SerdeError)?;
    Ok(Request::from_parts(parts, Body::from(body)))
}
