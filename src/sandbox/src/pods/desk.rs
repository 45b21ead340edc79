//! Where is it written down what becomes of a Pod? In its status, each time something does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::{
    cluster::Cluster,
    object,
    pods::progress::{Place, Progress},
    store::Key,
};

/// Where all Pods of a sandbox run.
pub(super) const NODE: &str = "sandbox";

/// How what did not end by itself has ended.
const KILLED: (i32, &str, &str) = (137, "Error", "");

/// One Pod's papers.
#[derive(Debug)]
pub(super) struct Desk {
    cluster: Arc<Cluster>,
    key: Key,
    uid: String,
    sheet: Mutex<Sheet>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Sheet {
    progress: Progress,
    /// Nobody writes any more: what somebody would still say comes too late.
    is_closed: bool,
}

impl Desk {
    pub(super) fn new(cluster: Arc<Cluster>, pod: &Value) -> Self {
        Self {
            key: Key::of(pod),
            uid: object::uid(pod).to_owned(),
            sheet: Mutex::new(Sheet { progress: Progress::of(pod), is_closed: false }),
            changed: watch::Sender::new(()),
            cluster,
        }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    fn lock(&self) -> MutexGuard<'_, Sheet> {
        self.sheet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Pod as it is now, if it is still the same one.
    pub(super) fn pod(&self) -> Option<Value> {
        let stored = self.cluster.lock().find("pods", &self.key)?;
        (object::uid(&stored.value) == self.uid).then(|| stored.value.clone())
    }

    /// Changes what is known, and says it in the status.
    fn note(&self, change: impl FnOnce(&mut Progress)) {
        let sheet = &mut *self.lock();
        if sheet.is_closed {
            return;
        }
        change(&mut sheet.progress);
        self.publish(&sheet.progress);
        self.changed.send_replace(());
    }

    fn publish(&self, progress: &Progress) {
        let now = self.cluster.now();
        let state = &mut *self.cluster.lock();
        let stored = state.find("pods", &self.key);
        let Some(stored) = stored.filter(|it| object::uid(&it.value) == self.uid) else { return };
        let mut pod = stored.value.clone();
        pod["spec"]["nodeName"] = NODE.into();
        progress.tell(&mut pod, now);
        if stored.value != pod {
            state.put("pods", pod);
        }
    }

    pub(super) fn place(&self) {
        self.note(|_| {});
    }

    /// The container runs. Another time than the first it begins a new log.
    pub(super) fn start(&self, place: Place) {
        if self.lock().progress.is_running(place) {
            return;
        }
        self.turn_log(place);
        let now = self.cluster.now();
        self.note(|it| it.start(place, now));
    }

    pub(super) fn wait(&self, place: Place, why: (&str, &str)) {
        self.note(|it| it.wait(place, why));
    }

    pub(super) fn end(&self, place: Place, how: (i32, &str, &str)) {
        let now = self.cluster.now();
        self.note(|it| it.end(place, how, now));
    }

    /// The container starts again: its log so far is the previous one.
    pub(super) fn again(&self, place: Place, why: (&str, &str)) {
        self.note(|it| it.again(place, why));
    }

    /// Begins a new log, unless it is the container's first.
    fn turn_log(&self, place: Place) {
        if self.restarts(place) > 0 && self.is_there() {
            let name = self.lock().progress.name(place);
            self.cluster.logs.turn((&self.key, &self.uid), &name);
        }
    }

    /// What a Pod writes that is gone is lost: another may have its name.
    pub(super) fn write(&self, place: Place, text: &str) {
        if !text.is_empty() && self.is_there() {
            let name = self.lock().progress.name(place);
            self.cluster.logs.append((&self.key, &self.uid), &name, (self.cluster.now(), text));
            self.cluster.tidy_logs();
        }
    }

    fn is_there(&self) -> bool {
        let stored = self.cluster.lock().find("pods", &self.key);
        stored.is_some_and(|it| it.value.peek(|pod| object::uid(pod) == self.uid))
    }

    pub(super) fn restarts(&self, place: Place) -> u32 {
        self.lock().progress.restarts(place)
    }

    /// Returns when the container runs.
    pub(super) async fn started(&self, place: Place) {
        let mut changed = self.changed.subscribe();
        while !self.lock().progress.is_running(place) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// The Pod fails as a whole, and what runs of it is killed.
    pub(super) fn fail(&self, reason: &str, message: &str) {
        let now = self.cluster.now();
        self.note(|it| {
            it.fail(reason, message);
            it.kill(KILLED, now);
        });
        self.lock().is_closed = true;
    }

    /// Nothing of the Pod runs from now on: the last word on it.
    pub(super) fn close(&self) {
        let now = self.cluster.now();
        self.note(|it| it.kill(KILLED, now));
        self.lock().is_closed = true;
    }
}
