//! What is a connection doing, for those who look at it from outside? Nothing, waiting for a body, or
//! answering.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Pulse {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose headers have arrived, and those that were answered.
    begun: u64,
    ended: u64,
    /// Of those that are served: whose body is still to come.
    waiting: u64,
    /// Since when nothing is served, where nothing is.
    idle_since: Instant,
    /// Since when there was always a body to come, where there is one.
    waits_since: Instant,
}

impl State {
    fn serving(&self) -> u64 {
        self.begun.saturating_sub(self.ended)
    }
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        let state = State { begun: 0, ended: 0, waiting: 0, idle_since: now, waits_since: now };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has arrived, with all its headers.
    pub(super) fn begin(self: &Arc<Self>) -> Serving {
        self.state().begun += 1;
        Serving(Arc::clone(self))
    }

    /// A body that did not come with its headers.
    fn wait(self: &Arc<Self>) -> Waiting {
        let mut state = self.state();
        if state.waiting == 0 {
            state.waits_since = Instant::now();
        }
        state.waiting += 1;
        Waiting(Arc::clone(self))
    }

    /// Since when nothing is served; none while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.serving() == 0).then_some(state.idle_since)
    }

    /// Since when we have nothing to do but to wait for the caller; none while something is answered.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        match state.serving() {
            0 => Some(state.idle_since),
            serving if serving <= state.waiting => Some(state.waits_since),
            _ => None,
        }
    }

    pub(super) fn has_served(&self) -> bool {
        self.state().ended > 0
    }

    /// How many requests have begun.
    pub(super) fn begun(&self) -> u64 {
        self.state().begun
    }
}

/// A request that is being served.
#[derive(Debug)]
pub(super) struct Serving(Arc<Pulse>);

impl Drop for Serving {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.idle_since = Instant::now();
        state.ended += 1;
    }
}

#[derive(Debug)]
struct Waiting(Arc<Pulse>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

/// A body that says when it keeps us waiting: from the first piece that was not there to its end.
#[derive(Debug)]
pub(super) struct Heard<B> {
    body: B,
    pulse: Arc<Pulse>,
    waits: Option<Waiting>,
}

impl<B> Heard<B> {
    pub(super) fn new(body: B, pulse: Arc<Pulse>) -> Self {
        Self { body, pulse, waits: None }
    }
}

impl<B: Body + Unpin> Body for Heard<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Pending if this.waits.is_none() => this.waits = Some(this.pulse.wait()),
            Poll::Ready(None | Some(Err(_))) => this.waits = None,
            Poll::Ready(Some(Ok(_))) if this.body.is_end_stream() => this.waits = None,
            Poll::Pending | Poll::Ready(Some(Ok(_))) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
