//! What if who holds a Lease were trusted, or a Job came before its record? Requests are forged on their way,
//! so that the product needs no switch for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use http::request::Parts;
use http::{Method, Request, Response};
use serde_json::Value;
use tower::{BoxError, ServiceExt as _};

use super::mutant::Mutant;

/// Forges the requests of one process.
#[derive(Debug)]
pub(super) enum Forger {
    /// Ledger writes that hold a new run wait until its Job was created.
    CreateFirst(Mutex<Vec<(Parts, Bytes)>>),
    /// Ledger writes say that they are about what is there, whatever that is.
    TrustLease,
}

impl Forger {
    pub(super) fn of(mutant: Mutant) -> Option<Self> {
        match mutant {
            Mutant::CreateFirst => Some(Self::CreateFirst(Mutex::default())),
            Mutant::TrustLease => Some(Self::TrustLease),
            Mutant::NoSequence
            | Mutant::NoRecovery
            | Mutant::NoGate
            | Mutant::OldAnswer
            | Mutant::DeadWatch
            | Mutant::NoStandIn => None,
        }
    }

    pub(super) async fn pass(
        &self,
        router: Router,
        request: Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let is_status =
            method == Method::PUT && path.contains("triggers/") && path.ends_with("/status");
        let is_trial = request.uri().query().is_some_and(|it| it.contains("dryRun"));
        match self {
            // The trial too: it would notice what the write is not to.
            Self::TrustLease if is_status => trusted(router, request).await,
            Self::CreateFirst(held) if is_status && !is_trial => {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await?;
                if has_pending(&body) {
                    lock(held).push((parts, body.clone()));
                    return Ok(Response::new(Body::from(body)));
                }
                send(router, parts, body).await
            }
            Self::CreateFirst(held) if method == Method::POST && path.ends_with("/jobs") => {
                let answered = router.clone().oneshot(request).await?;
                let records = std::mem::take(&mut *lock(held));
                for (parts, body) in records {
                    drop(send(router.clone(), parts, body).await);
                }
                Ok(answered)
            }
            Self::TrustLease | Self::CreateFirst(_) => Ok(router.oneshot(request).await?),
        }
    }
}

fn lock(held: &Mutex<Vec<(Parts, Bytes)>>) -> MutexGuard<'_, Vec<(Parts, Bytes)>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn send(router: Router, parts: Parts, body: Bytes) -> Result<Response<Body>, BoxError> {
    Ok(router.oneshot(Request::from_parts(parts, Body::from(body))).await?)
}

fn has_pending(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let runs = body["status"]["runs"].as_array();
    runs.into_iter().flatten().any(|it| it["phase"] == "Pending")
}

/// Writes on the version that is there now, and not on the one that was read.
async fn trusted(router: Router, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    let mut object: Value = serde_json::from_slice(&body)?;
    let path = parts.uri.path().trim_end_matches("/status").to_owned();
    let read = router.clone().oneshot(Request::get(path).body(Body::empty())?).await?;
    if read.status().is_success() {
        let now: Value = serde_json::from_slice(&to_bytes(read.into_body(), usize::MAX).await?)?;
        object["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
    }
    send(router, parts, serde_json::to_vec(&object)?.into()).await
}
