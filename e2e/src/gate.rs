//! What happens between a replica and the clusters? Everything passes; at a step, one answer may be
//! lost, or the replica may end or fall asleep.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use http::{Method, Request, Response, Uri};
use kube::Client;
use kube_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tower::{BoxError, ServiceExt as _};

use crate::rights;

/// The steps of a run that are requests, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The status that first holds a call's run, without a commit.
    RunRequested,
    /// The status that first holds the run.
    RunRecorded,
    /// The Job, suspended.
    JobCreated,
    /// The status that holds the Job's uid.
    RunQueued,
    /// The unsuspension.
    JobStarted,
}

impl Step {
    fn of(method: &Method, uri: &Uri, body: &[u8]) -> Option<Self> {
        // What is only tried is no step.
        if uri.query().is_some_and(|it| it.contains("dryRun")) {
            return None;
        }
        let path = uri.path();
        let body = || serde_json::from_slice::<Value>(body).unwrap_or_default();
        let is_status = path.contains("triggers/") && path.ends_with("/status");
        if *method == Method::POST && path.ends_with("/jobs") {
            return Some(Self::JobCreated);
        }
        if *method == Method::PATCH && path.contains("/jobs/") {
            return (body()["spec"]["suspend"] == false).then_some(Self::JobStarted);
        }
        if *method != Method::PUT || !is_status {
            return None;
        }
        let body = body();
        let runs = body["status"]["runs"].as_array();
        // The newest run stands last.
        let phase = runs.and_then(|it| it.last()).and_then(|it| it["phase"].as_str());
        match phase {
            Some("Requested") => Some(Self::RunRequested),
            Some("Pending") => Some(Self::RunRecorded),
            Some("Queued") => Some(Self::RunQueued),
            _ => None,
        }
    }
}

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The step is done; the replica ends before it hears of it.
    Crash,
    /// The step is done; the connection breaks before the answer.
    LoseAnswer,
    /// The replica falls asleep before the step, which is done when it wakes.
    Sleep,
}

/// The way from one replica to all clusters. Clones are the same.
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    replica: String,
    sandboxes: Vec<Sandbox>,
    traps: Mutex<Vec<(Step, Fate)>>,
    sprung: watch::Sender<Vec<Step>>,
    is_dead: watch::Sender<bool>,
    /// Requests for single Secrets and WebhookTriggers so far.
    asked: AtomicU64,
    task: OnceLock<AbortHandle>,
}

impl Gate {
    pub(crate) fn new(replica: &str, sandboxes: Vec<Sandbox>) -> Self {
        let inner = Inner {
            replica: replica.to_owned(),
            sandboxes,
            traps: Mutex::default(),
            sprung: watch::Sender::default(),
            is_dead: watch::Sender::default(),
            asked: AtomicU64::new(0),
            task: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What ends when the replica crashes.
    pub(crate) fn guards(&self, task: AbortHandle) {
        self.inner.task.get_or_init(|| task);
    }

    /// Sets a trap: the next such step has this fate.
    pub(crate) fn set(&self, step: Step, fate: Fate) {
        self.inner.traps.lock().unwrap_or_else(PoisonError::into_inner).push((step, fate));
    }

    /// The steps whose trap was sprung.
    pub fn sprung(&self) -> Vec<Step> {
        self.inner.sprung.borrow().clone()
    }

    /// How many requests for single Secrets and WebhookTriggers passed.
    pub(crate) fn asked(&self) -> u64 {
        self.inner.asked.load(Ordering::SeqCst)
    }

    /// A client with the controller's rights in a cluster.
    pub(crate) fn client(&self, sandbox: &Sandbox, namespace: &str) -> Client {
        let user = rights::user(sandbox.name());
        let router = sandbox.client_router_as(&self.inner.replica, &user, &[]);
        let gate = self.clone();
        let service = tower::service_fn(move |request| gate.clone().pass(router.clone(), request));
        Client::new(service, namespace)
    }

    async fn pass(
        self,
        router: Router,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, BoxError> {
        self.life().await;
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if path.contains("/secrets/") || path.contains("/webhooktriggers/") {
            self.inner.asked.fetch_add(1, Ordering::SeqCst);
        }
        let body: Bytes = to_bytes(Body::new(body), usize::MAX).await?;
        let step = Step::of(&parts.method, &parts.uri, &body);
        let trap = step.and_then(|it| self.take(it));
        if let Some((step, Fate::Sleep)) = trap {
            self.sleep();
            self.spring(step);
        }
        let response = router.oneshot(Request::from_parts(parts, Body::from(body))).await?;
        self.life().await;
        match trap {
            // A refused step was none.
            Some((step, fate)) if !response.status().is_success() => self.set(step, fate),
            Some((step, Fate::Crash)) => {
                self.end();
                self.spring(step);
                std::future::pending::<()>().await;
            }
            Some((step, Fate::LoseAnswer)) => {
                self.spring(step);
                return Err("connection reset by peer".into());
            }
            Some((_, Fate::Sleep)) | None => {}
        }
        Ok(response)
    }

    /// Never comes back to a replica that has ended.
    async fn life(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        *self.inner.is_dead.borrow()
    }

    fn take(&self, step: Step) -> Option<(Step, Fate)> {
        let mut traps = self.inner.traps.lock().unwrap_or_else(PoisonError::into_inner);
        let index = traps.iter().position(|it| it.0 == step)?;
        Some(traps.remove(index))
    }

    fn spring(&self, step: Step) {
        self.inner.sprung.send_modify(|it| it.push(step));
    }

    fn end(&self) {
        self.inner.is_dead.send_replace(true);
        if let Some(task) = self.inner.task.get() {
            task.abort();
        }
    }

    /// Cuts the replica off from everything: its requests and watches stand still.
    pub(crate) fn sleep(&self) {
        for sandbox in &self.inner.sandboxes {
            let client = Some(self.inner.replica.clone());
            sandbox.set_fault(Fault { client, kind: FaultKind::Partition });
        }
    }

    pub(crate) fn wake(&self) {
        self.inner.sandboxes.iter().for_each(Sandbox::clear_faults);
    }
}
