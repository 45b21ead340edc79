//! What happens between one process and the clusters? Each request passes here: before it or after it the
//! process may die or freeze, and here a broken law that is about requests is broken.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode, Uri};
use kube::Client;
use kube_sandbox::Sandbox;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tower::{BoxError, ServiceExt as _};

use super::calm::{Place, Troubles};
use super::forger::Forger;
use super::mutant::Mutant;
use super::script::{Call, Moment, Side};
use super::timeline::Timeline;

/// What is counted of all processes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: AtomicU64,
    /// Creations of Jobs that were answered with `AlreadyExists`.
    pub(super) absorbed: AtomicU64,
    pub(super) crashes: AtomicU64,
    pub(super) freezes: AtomicU64,
}

/// The way of one process to all clusters. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Door {
    inner: Arc<Inner>,
}

/// What every process of a life has in common.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) timeline: Arc<Timeline>,
    pub(super) troubles: Arc<Troubles>,
    pub(super) tally: Arc<Tally>,
    /// Strikes whichever process comes to it first.
    pub(super) ambush: Arc<Mutex<Option<Trap>>>,
    pub(super) mutant: Option<Mutant>,
}

#[derive(Debug)]
struct Inner {
    slot: usize,
    common: Common,
    asleep_until: Mutex<Option<Instant>>,
    trap: Mutex<Option<Trap>>,
    is_dead: AtomicBool,
    task: OnceLock<AbortHandle>,
    forger: Option<Forger>,
}

/// What strikes at a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trap {
    pub(super) at: Moment,
    pub(super) strikes: Strike,
}

impl Trap {
    /// Whoever comes to it freezes for so long.
    pub(super) fn sleep(at: Moment, length: Duration) -> Self {
        Self { at, strikes: Strike::Sleep(length) }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Strike {
    Death,
    Sleep(Duration),
}

impl Door {
    pub(super) fn new(slot: usize, common: &Common) -> Self {
        let inner = Inner {
            slot,
            common: common.clone(),
            asleep_until: Mutex::default(),
            trap: Mutex::default(),
            is_dead: AtomicBool::new(false),
            task: OnceLock::new(),
            forger: common.mutant.and_then(Forger::of),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What ends when the process dies.
    pub(super) fn guards(&self, task: AbortHandle) {
        self.inner.task.get_or_init(|| task);
    }

    /// Something will strike; what was to strike before does not.
    pub(super) fn set(&self, trap: Trap) {
        *self.trap() = Some(trap);
    }

    fn trap(&self) -> MutexGuard<'_, Option<Trap>> {
        self.inner.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asleep_until(&self) -> Option<Instant> {
        *self.inner.asleep_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process lives, and does not stand still.
    pub(super) fn is_well(&self) -> bool {
        let is_asleep = self.asleep_until().is_some_and(|it| Instant::now() < it);
        !is_asleep && !self.inner.is_dead.load(Ordering::Relaxed)
    }

    /// Waits while the process is frozen, and for ever once it is dead.
    pub(super) async fn awake(&self) {
        if self.inner.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        while let Some(until) = self.asleep_until().filter(|it| Instant::now() < *it) {
            sleep_until(until).await;
        }
    }

    /// The process is gone: what it still has in hand is held for ever.
    pub(super) fn close(&self) {
        self.inner.is_dead.store(true, Ordering::Relaxed);
    }

    /// Dies now.
    pub(super) fn die(&self) {
        let Inner { slot, common, is_dead, task, .. } = &*self.inner;
        if is_dead.swap(true, Ordering::Relaxed) {
            return;
        }
        let now = common.timeline.now();
        common.troubles.span(Place::Fleet, now, now);
        common.tally.crashes.fetch_add(1, Ordering::Relaxed);
        common.timeline.tell(format!("replica {slot} DIES"));
        if let Some(task) = task.get() {
            task.abort();
        }
    }

    fn freeze(&self, length: Duration) {
        let Inner { slot, common, asleep_until, .. } = &*self.inner;
        let now = common.timeline.now();
        *asleep_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + length);
        common.troubles.span(Place::Fleet, now, now + length);
        common.troubles.span(Place::Ear(*slot), now, now + length);
        common.tally.freezes.fetch_add(1, Ordering::Relaxed);
        common.timeline.tell(format!("replica {slot} FREEZES for {length:?}"));
    }

    /// A client for a cluster, through here.
    pub(super) fn client(&self, sandbox: &Sandbox, namespace: &str) -> Client {
        let router = sandbox.client_router(&client_name(self.inner.slot));
        let (door, cluster): (_, Arc<str>) = (self.clone(), sandbox.name().into());
        let service = tower::service_fn(move |request| {
            door.clone().pass(router.clone(), Arc::clone(&cluster), request)
        });
        Client::new(service, namespace)
    }

    async fn pass(
        self,
        router: Router,
        cluster: Arc<str>,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, BoxError> {
        self.awake().await;
        if is_steward(request.uri().path()) {
            // Its library goes by the machine's clock, which stands still here.
            std::future::pending::<()>().await;
        }
        let call = call(request.method(), request.uri());
        let strikes = self.strikes(call);
        if let Some((Side::Before, strike)) = strikes {
            self.strike(strike).await;
        }
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let is_watch = request.uri().query().is_some_and(|it| it.contains("watch="));
        let request = request.map(Body::new);
        let answered = match &self.inner.forger {
            Some(forger) => forger.pass(router, request).await,
            None => router.oneshot(request).await.map_err(BoxError::from),
        };
        self.note((&cluster, &method, &uri), &answered);
        if call == Call::Create
            && answered.as_ref().is_ok_and(|it| it.status() == StatusCode::CONFLICT)
        {
            self.inner.common.tally.absorbed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some((Side::After, strike)) = strikes {
            self.strike(strike).await;
        }
        self.awake().await;
        answered.map(|it| if is_watch { self.held(it) } else { it })
    }

    fn note(
        &self,
        (cluster, method, uri): (&str, &Method, &Uri),
        answered: &Result<Response<Body>, BoxError>,
    ) {
        let Inner { slot, common, .. } = &*self.inner;
        common.tally.requests.fetch_add(1, Ordering::Relaxed);
        let code = answered.as_ref().map_or(0, |it| it.status().as_u16());
        common.timeline.pass(Asked { slot: *slot, cluster, method, uri, code });
    }

    /// A watch tells nothing to who is frozen.
    fn held(&self, response: Response<Body>) -> Response<Body> {
        let door = self.clone();
        response.map(|body| {
            Body::from_stream(body.into_data_stream().then(move |chunk| door.clone().hold(chunk)))
        })
    }

    /// Gives something on once the process is awake.
    async fn hold<T>(self, what: T) -> T {
        self.awake().await;
        what
    }

    /// What strikes at this request, if anything does.
    fn strikes(&self, call: Call) -> Option<(Side, Strike)> {
        let own = sprung(&mut self.trap(), call);
        let ambush = &self.inner.common.ambush;
        own.or_else(|| sprung(&mut ambush.lock().unwrap_or_else(PoisonError::into_inner), call))
    }

    async fn strike(&self, strike: Strike) {
        match strike {
            Strike::Death => self.die(),
            Strike::Sleep(length) => self.freeze(length),
        }
        self.awake().await;
    }
}

/// A request that was answered; 0 where it was not.
#[derive(Hash)]
struct Asked<'a> {
    slot: usize,
    cluster: &'a str,
    method: &'a Method,
    uri: &'a Uri,
    code: u16,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slot, cluster, method, uri, code } = self;
        write!(f, "{slot} {cluster} {method} {uri} {code}")
    }
}

/// What a trap does at this request; it strikes once.
fn sprung(trap: &mut Option<Trap>, call: Call) -> Option<(Side, Strike)> {
    let Trap { at, strikes } = trap.as_mut()?;
    if at.call != Call::Any && at.call != call {
        return None;
    }
    if at.skip > 0 {
        at.skip -= 1;
        return None;
    }
    let struck = (at.side, *strikes);
    *trap = None;
    Some(struck)
}

/// What the clusters call a replica, whichever process it is now.
pub(super) fn client_name(slot: usize) -> String {
    format!("replica-{slot}")
}

fn is_steward(path: &str) -> bool {
    path.contains("/leases") && path.ends_with("-steward")
}

fn call(method: &Method, uri: &Uri) -> Call {
    let (path, is_trial) = (uri.path(), uri.query().is_some_and(|it| it.contains("dryRun")));
    match *method {
        Method::POST if path.ends_with("/jobs") => Call::Create,
        Method::PATCH if path.contains("/jobs/") => Call::Start,
        Method::PUT if path.ends_with("/status") && is_trial => Call::Record,
        Method::PUT if path.contains("triggers/") && path.ends_with("/status") => Call::Status,
        Method::PUT | Method::POST if path.contains("/leases") => Call::Lease,
        _ => Call::Any,
    }
}
