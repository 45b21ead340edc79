//! How does a store follow its cluster? One stream: list, then watch, then again from where it ended.
//!
//! Not kube's `watcher`: it hides bookmarks, which prove that a quiet cluster is alive, puts no limit on
//! a list or on the start of a watch, and restarts a watch that a server keeps closing without a pause.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::error::{Fault, shorten};
use super::namespaces::Selection;
use super::room::Weight;
use super::state::{Condition, Reason, backoff};
use super::stores::{Change, Held, Store};
use super::understood::Understood;

/// What a stream watches, and who hears of it.
pub(super) trait Sink: Send + Sync {
    type Object: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static;
    type Held: Held;

    /// What is kept of an object.
    fn hold(&self, object: Self::Object) -> Self::Held;
    /// Whether an object is looked at, by its metadata.
    fn wants(&self, _meta: &ObjectMeta) -> bool {
        true
    }
    /// Whether the cluster may weigh so much in this store, beside all that it has in others.
    fn judge(&self, _weight: Weight) -> Result<(), Fault> {
        Ok(())
    }
    /// The cluster answered.
    fn touch(&self);
    fn report(&self, condition: Condition) -> impl Future<Output = ()> + Send;
    fn deliver(&self, change: Change<Self::Held>) -> impl Future<Output = ()> + Send;
    fn undecodable(&self, meta: &ObjectMeta, error: &str) -> impl Future<Output = ()> + Send;
}

/// The limits of a stream.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    pub(super) request_timeout: Duration,
    pub(super) watch_timeout: Duration,
    pub(super) sync_timeout: Duration,
    /// Who waits: the cluster's name, the stream's, and a number of this replica.
    pub(super) salt: (String, &'static str, u64),
}

/// Keeps one store as its cluster is.
pub(super) struct Reflector<S: Sink> {
    pub(super) api: Api<Understood<S::Object>>,
    pub(super) selector: Option<String>,
    /// The namespaces that are served.
    pub(super) selection: Selection,
    pub(super) store: Store<S::Held>,
    pub(super) sink: S,
    pub(super) pace: Pace,
    pub(super) stop: CancellationToken,
}

/// A round shorter than this was not a success: the next one waits.
const STEADY: Duration = Duration::from_secs(1);

/// How much longer than it was asked to a watch may be silent, for the answer's way.
const WATCH_GRACE: Duration = Duration::from_secs(5);

/// No server may make us wait longer than this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// An answer is held twice while it is read, and what an allocator has once had it keeps: fewer objects
/// than client-go asks for (500), and still few requests.
const PAGE: u32 = 200;

/// A cluster full of objects that do not decode may not drown what is said of the others.
const MOST_COMPLAINTS: usize = 100;

/// Why a round ended early.
enum End {
    Stopped,
    /// Others are served now: everything is looked at anew, and what is not served goes.
    Reselected,
    Fault(Fault),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a stream knows of itself between rounds.
#[derive(Default)]
struct Progress {
    /// From where the next watch goes on; without it, everything is listed again.
    resume: Option<String>,
    failures: u32,
    failing_since: Option<Instant>,
    /// Tries since the last steady round.
    attempts: u32,
    /// The last complaint about each object that does not decode.
    undecodable: BTreeMap<(String, String), String>,
}

impl<S: Sink> Reflector<S> {
    /// Follows until it is told to stop. What it took into the store it also delivers, whenever it stops.
    pub(super) async fn run(mut self) {
        let mut progress = Progress::default();
        loop {
            let began = Instant::now();
            let ended = self.round(&mut progress).await;
            if began.elapsed() >= STEADY {
                progress.attempts = 0;
            }
            let wait = match ended {
                Err(End::Stopped) => return,
                Err(End::Reselected) => {
                    progress.resume = None;
                    continue;
                }
                Err(End::Fault(fault)) => self.fail(&mut progress, fault).await,
                Ok(()) if began.elapsed() >= STEADY => continue,
                Ok(()) => self.pause(&mut progress),
            };
            if self.until_stopped(sleep(wait)).await.is_err() {
                return;
            }
        }
    }

    fn pause(&self, progress: &mut Progress) -> Duration {
        progress.attempts = progress.attempts.saturating_add(1);
        let (cluster, stream, replica) = &self.pace.salt;
        backoff(progress.attempts, (cluster, stream, *replica))
    }

    /// Reports a fault, and says how long to wait.
    async fn fail(&self, progress: &mut Progress, fault: Fault) -> Duration {
        if fault.relist {
            progress.resume = None;
        }
        progress.failures = progress.failures.saturating_add(fault.weight);
        let since = *progress.failing_since.get_or_insert_with(Instant::now);
        let failures = progress.failures;
        if fault.trouble.reason == Reason::TooLarge {
            for change in self.store.replace(Vec::new()) {
                self.sink.deliver(change).await;
            }
        }
        tracing::debug!(
            cluster = self.pace.salt.0,
            stream = self.pace.salt.1,
            failures,
            why = fault.trouble.text
        );
        self.sink.report(Condition::Failing { failures, since, trouble: fault.trouble }).await;
        let asked = fault.retry_after.unwrap_or_default().min(LONGEST_WAIT);
        self.pause(progress).max(asked)
    }

    async fn round(&mut self, progress: &mut Progress) -> Result<(), End> {
        let known = self.stop.run_until_cancelled(self.selection.known()).await;
        known.ok_or(End::Stopped)?;
        self.selection.mark_seen();
        let from = match progress.resume.take() {
            Some(it) => it,
            None => self.list(progress).await?,
        };
        self.watch(progress, from).await
    }

    async fn list(&self, progress: &mut Progress) -> Result<String, End> {
        let (pages, limit) = (self.pages(progress), self.pace.sync_timeout);
        let listed = self.until_stopped(timeout(limit, pages)).await?;
        let (held, version) =
            listed.map_err(|_| Fault::timed_out(&Self::what("list"), limit))??;
        for change in self.store.replace(held) {
            self.sink.deliver(change).await;
        }
        Ok(version)
    }

    async fn pages(&self, progress: &mut Progress) -> Result<(Vec<S::Held>, String), Fault> {
        let what = Self::what("list");
        let limit = self.pace.request_timeout;
        let mut params = ListParams { label_selector: self.selector.clone(), ..Default::default() };
        params = params.limit(PAGE);
        let mut held = Vec::new();
        let mut invalids = Vec::new();
        let mut weight = Weight::default();
        loop {
            let answer = timeout(limit, self.api.list(&params)).await;
            let answer = answer.map_err(|_| Fault::timed_out(&what, limit))?;
            let page = answer.map_err(|it| Fault::from_kube(&what, &it))?;
            self.sink.touch();
            let known = held.len();
            for guard in page.items.into_iter().filter(|it| self.serves(it.meta())) {
                match guard.0 {
                    Ok(object) => held.push(self.sink.hold(object)),
                    Err(invalid) => invalids.push(invalid),
                }
            }
            let new = held.iter().skip(known).map(Weight::of);
            weight = new.chain([weight]).sum();
            self.sink.judge(weight)?;
            let Some(token) = page.metadata.continue_.filter(|it| !it.is_empty()) else {
                self.complain_anew(progress, invalids).await;
                let version = page.metadata.resource_version.filter(|it| !it.is_empty());
                let version = version.ok_or_else(|| Fault::nonsense("a list has no version"))?;
                return Ok((held, version));
            };
            params = params.continue_token(&token);
        }
    }

    async fn watch(&self, progress: &mut Progress, from: String) -> Result<(), End> {
        let what = Self::what("watch");
        let seconds = u32::try_from(self.pace.watch_timeout.as_secs()).unwrap_or(u32::MAX);
        let mut params =
            WatchParams { label_selector: self.selector.clone(), ..Default::default() };
        params = params.timeout(seconds);
        let version = progress.resume.insert(from).clone();

        let limit = self.pace.request_timeout;
        let started = self.until_stopped(timeout(limit, self.api.watch(&params, &version))).await?;
        let started = started.map_err(|_| Fault::timed_out(&what, limit))?;
        let mut events = started.map_err(|it| Fault::from_kube(&what, &it))?.boxed();
        self.sink.touch();
        progress.failures = 0;
        progress.failing_since = None;
        self.sink.report(Condition::Working).await;

        let silence = self.pace.watch_timeout + WATCH_GRACE;
        loop {
            let next = self.until_stopped(timeout(silence, events.next())).await?;
            match next.map_err(|_| Fault::timed_out(&what, silence))? {
                Some(Ok(event)) => self.take(progress, event).await?,
                Some(Err(error)) => return Err(Fault::from_kube(&what, &error).into()),
                None => return Ok(()),
            }
        }
    }

    async fn take(
        &self,
        progress: &mut Progress,
        event: WatchEvent<Understood<S::Object>>,
    ) -> Result<(), Fault> {
        self.sink.touch();
        let version = match event {
            WatchEvent::Error(status) => {
                return Err(Fault::from_status(&Self::what("watch"), &status));
            }
            WatchEvent::Bookmark(it) => Some(it.metadata.resource_version),
            WatchEvent::Deleted(guard) => {
                let meta = guard.meta().clone();
                progress.undecodable.remove(&place(&meta));
                // The last state may never have been seen before.
                if let Ok(last) = guard.0
                    && self.serves(&meta)
                {
                    self.store.apply(self.sink.hold(last));
                }
                self.remove(&meta).await;
                meta.resource_version
            }
            WatchEvent::Added(guard) | WatchEvent::Modified(guard) => {
                let version = guard.meta().resource_version.clone();
                self.apply(progress, guard).await;
                self.sink.judge(self.store.weight())?;
                version
            }
        };
        match version.filter(|it| !it.is_empty()) {
            Some(it) => progress.resume = Some(it),
            None => return Err(Fault::nonsense("a watch event has no version")),
        }
        Ok(())
    }

    fn serves(&self, meta: &ObjectMeta) -> bool {
        self.sink.wants(meta) && self.selection.has(meta)
    }

    async fn apply(&self, progress: &mut Progress, guard: Understood<S::Object>) {
        if !self.serves(guard.meta()) {
            return;
        }
        match guard.0 {
            Ok(object) => {
                progress.undecodable.remove(&place(object.meta()));
                if let Some(change) = self.store.apply(self.sink.hold(object)) {
                    self.sink.deliver(change).await;
                }
            }
            // What it was before is not what it says now: nothing may run by the old text.
            Err(invalid) => {
                self.complain(progress, &invalid).await;
                self.remove(&invalid.metadata).await;
            }
        }
    }

    async fn remove(&self, meta: &ObjectMeta) {
        let (namespace, name) = place(meta);
        if let Some(change) = self.store.remove(&namespace, &name) {
            self.sink.deliver(change).await;
        }
    }

    /// Replaces all complaints by those of a new list.
    async fn complain_anew(&self, progress: &mut Progress, invalids: Vec<InvalidObject>) {
        let known = std::mem::take(&mut progress.undecodable);
        for invalid in invalids {
            let place = place(&invalid.metadata);
            if let Some(error) = known.get(&place) {
                progress.undecodable.insert(place, error.clone());
            }
            self.complain(progress, &invalid).await;
        }
    }

    /// Says that an object does not decode, unless the same was said of it already, or of very many.
    async fn complain(&self, progress: &mut Progress, invalid: &InvalidObject) {
        let error = shorten(&invalid.error);
        let known = progress.undecodable.len();
        let before = progress.undecodable.insert(place(&invalid.metadata), error.clone());
        if before.as_ref() != Some(&error) && known < MOST_COMPLAINTS {
            self.sink.undecodable(&invalid.metadata, &error).await;
        }
    }

    /// Waits for IO, and for nothing else: a change that was taken is always delivered.
    async fn until_stopped<T>(&self, io: impl Future<Output = T>) -> Result<T, End> {
        let mut selection = self.selection.clone();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(End::Stopped),
            () = selection.changed() => Err(End::Reselected),
            done = io => Ok(done),
        }
    }

    fn what(verb: &str) -> String {
        format!("{verb} {}", S::Object::plural(&()))
    }
}

fn place(meta: &ObjectMeta) -> (String, String) {
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
