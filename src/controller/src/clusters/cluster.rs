//! What is one cluster, to those who work in it?

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ger_core::names::ClusterName;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::{Notify, watch};

use super::certificate::Proof;
use super::connect::Clients;
use super::state::{Board, Condition, Reason, State, Verdict};
use super::stores::Stores;
use super::wire::{Use, Wire};
use super::{Event, Notice, Said, Severity, Shared};

/// One cluster: its client, its stores and its state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    name: ClusterName,
    /// On what its notices are published: the Secret of a spoke, the namespace of the hub.
    about: ObjectReference,
    requests: Client,
    calls: Client,
    watches: Client,
    stores: Stores,
    board: Mutex<Board>,
    state: watch::Sender<State>,
    wire: Wire,
    /// Somebody saw that the CRDs are not what they should be.
    doubts: Notify,
    uid: OnceLock<String>,
    /// By what it is to know us.
    proof: Proof,
    /// Whether this is the cluster that others see, and not its successor in preparation.
    live: AtomicBool,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Cluster {
    pub fn name(&self) -> &ClusterName {
        &self.inner.name
    }

    /// For requests: limited in time, and never repeated behind the caller's back.
    pub fn client(&self) -> &Client {
        &self.inner.requests
    }

    /// The same for what a webhook's caller waits for: none of the other requests holds it up.
    pub fn client_for_calls(&self) -> &Client {
        &self.inner.calls
    }

    pub fn state(&self) -> State {
        self.inner.state.borrow().clone()
    }

    pub fn stores(&self) -> &Stores {
        &self.inner.stores
    }

    /// The uid of the cluster's `kube-system` namespace, once it was asked.
    pub fn uid(&self) -> Option<String> {
        self.inner.uid.get().cloned()
    }

    /// How long ago the cluster last answered anything: an event, a bookmark, a response.
    pub fn since_last_contact(&self) -> Duration {
        self.inner.wire.since_last_contact()
    }

    pub(super) fn new(
        name: ClusterName,
        about: ObjectReference,
        (clients, wire, proof): (Clients, Wire, Proof),
        steps: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let inner = Inner {
            name,
            about,
            calls: wire.client(clients.requests.clone(), Use::Calls),
            requests: wire.client(clients.requests, Use::Requests),
            watches: wire.client(clients.watches, Use::Watches),
            stores: Stores::default(),
            board: Mutex::new(Board::new(steps)),
            state: watch::Sender::new(State::Connecting),
            wire,
            doubts: Notify::new(),
            uid: OnceLock::new(),
            proof,
            live: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of what its notices are published on.
    pub(super) fn about(&self) -> &str {
        self.inner.about.name.as_deref().unwrap_or_default()
    }

    pub(super) fn watches(&self) -> &Client {
        &self.inner.watches
    }

    pub(super) fn touch(&self) {
        self.inner.wire.touch();
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.inner.wire
    }

    /// Says that a record was not kept as it was written: the CRDs are looked at again.
    pub(crate) fn doubt_crds(&self) {
        self.inner.doubts.notify_one();
    }

    /// Waits until somebody doubts the CRDs.
    pub(super) async fn doubted(&self) {
        self.inner.doubts.notified().await;
    }

    pub(super) fn is(&self, uid: String) {
        self.inner.uid.get_or_init(|| uid);
    }

    pub(super) fn go_live(&self) {
        self.inner.live.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_live(&self) -> bool {
        self.inner.live.load(Ordering::SeqCst)
    }

    /// Tells whether anything of it is still held.
    #[cfg(test)]
    pub(super) fn watch_end(&self) -> impl Fn() -> bool + use<> {
        let inner = Arc::downgrade(&self.inner);
        move || inner.strong_count() == 0
    }

    /// Tells a cluster from its successor under the same name.
    #[cfg(test)]
    pub(super) fn incarnation(&self) -> *const () {
        Arc::as_ptr(&self.inner).cast()
    }

    /// Waits until everything was listed and is being watched.
    pub(super) async fn ready(&self) {
        let mut states = self.inner.state.subscribe();
        // The sender lives in this cluster, so that the channel cannot close.
        drop(states.wait_for(State::works).await);
    }

    /// Takes the report of a step or stream, and tells whom it concerns.
    pub(super) async fn report(&self, step: &'static str, condition: Condition, shared: &Shared) {
        let condition = self.explained(condition, shared.clock.now());
        let (verdict, before) = {
            let mut board = self.inner.board.lock().unwrap_or_else(PoisonError::into_inner);
            let before = self.state();
            let verdict = board.report(step, condition, &before);
            self.inner.state.send_replace(verdict.state.clone());
            (verdict, before)
        };
        if verdict.is_news
            && let Some((severity, reason, message)) = self.words(&verdict)
        {
            let said = Said { severity, reason, message: &message };
            shared.notify(&ClusterName::hub(), &self.inner.about, said);
        }
        if before != verdict.state && self.is_live() {
            shared.changes.send_replace(());
            shared.deliver(Event::ClusterChanged(self.inner.name.clone())).await;
        }
    }

    /// Says what is wrong with what was shown, where it is refused.
    fn explained(&self, mut condition: Condition, now: Timestamp) -> Condition {
        if let Condition::Failing { trouble, .. } = &mut condition
            && trouble.reason == Reason::Unauthorized
            && let Some(why) = self.inner.proof.refused(now)
        {
            trouble.text = format!("{why}; {}", trouble.text);
        }
        condition
    }

    /// How it is now, in the words in which it was said.
    pub(super) fn standing(&self, now: Timestamp) -> Option<Notice> {
        let board = self.inner.board.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = board.verdict(&self.state());
        drop(board);
        let (severity, reason, message) = self.words(&verdict)?;
        let said = Said { severity, reason, message: &message };
        Some(said.notice(&ClusterName::hub(), &self.inner.about, now))
    }

    /// What is to be said of a verdict: nothing before there is one.
    fn words(&self, verdict: &Verdict) -> Option<(Severity, &'static str, String)> {
        let (connected, kept) = if self.is_live() {
            ("", "")
        } else {
            (
                "connected with the new credentials",
                "the new credentials do not work yet, the old stay in use: ",
            )
        };
        let warning = |reason, message| Some((Severity::Warning, reason, message));
        match &verdict.state {
            State::Connecting => None,
            State::Ready if self.is_live() => {
                let all = "connected; everything was listed and is watched";
                Some((Severity::Normal, "Ready", all.to_owned()))
            }
            State::Ready => Some((Severity::Normal, "Ready", connected.to_owned())),
            // It is worked, as far as it lets us: its new credentials too are taken.
            State::Limited { why } if self.is_live() => warning("Limited", why.clone()),
            State::Limited { why } => warning("Limited", format!("{connected}; {why}")),
            State::Unreachable { why, .. } | State::Refused { why } => {
                let reason = verdict.reason.map_or("Refused", Reason::as_str);
                warning(reason, format!("{kept}{why}"))
            }
        }
    }
}
