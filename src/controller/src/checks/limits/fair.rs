//! How many may pass at once, and whose turn is it when more want to? Clusters pass in turn, by the time
//! that they have taken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ger_core::fairness::Turns;
use ger_core::names::ClusterName;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Weights;

type Ticket = u64;

/// A gate that so many may be inside of.
#[derive(Debug)]
pub(super) struct Fair {
    weights: Weights,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    turns: Turns<ClusterName, Ticket>,
    calls: HashMap<Ticket, oneshot::Sender<()>>,
    issued: Ticket,
}

/// The right to be inside, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Fair>,
    cluster: ClusterName,
    since: Instant,
}

impl Fair {
    pub(super) fn new(width: usize, weights: Weights) -> Arc<Self> {
        let state =
            State { free: width, turns: Turns::default(), calls: HashMap::new(), issued: 0 };
        Arc::new(Self { weights, state: Mutex::new(state) })
    }

    /// Waits for the cluster's turn. Safe to drop while it waits.
    pub(super) async fn enter(self: &Arc<Self>, cluster: &ClusterName) -> Pass {
        let waiting = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                state.turns.begin(cluster.clone(), self.weights.of(cluster));
                return self.pass(cluster);
            }
            let (called, calls) = oneshot::channel();
            state.issued += 1;
            let ticket = state.issued;
            state.turns.wait(cluster.clone(), ticket);
            state.calls.insert(ticket, called);
            Waiting {
                gate: Arc::clone(self),
                cluster: cluster.clone(),
                ticket,
                calls,
                is_over: false,
            }
        };
        waiting.pass().await
    }

    fn pass(self: &Arc<Self>, cluster: &ClusterName) -> Pass {
        Pass { gate: Arc::clone(self), cluster: cluster.clone(), since: Instant::now() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place that is free to whose turn it is.
    fn hand_on(&self, state: &mut State) {
        match state.turns.next(|it| self.weights.of(it)) {
            Some((_, ticket)) => {
                // Who does not listen any more gives it back when he is dropped.
                if let Some(call) = state.calls.remove(&ticket) {
                    let _ = call.send(());
                }
            }
            None => state.free += 1,
        }
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.turns.is_empty() && state.calls.is_empty()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let gate = Arc::clone(&self.gate);
        let mut state = gate.lock();
        state.turns.end(&self.cluster, self.since.elapsed(), gate.weights.of(&self.cluster));
        gate.hand_on(&mut state);
    }
}

/// Somebody who waits to be called.
struct Waiting {
    gate: Arc<Fair>,
    cluster: ClusterName,
    ticket: Ticket,
    calls: oneshot::Receiver<()>,
    is_over: bool,
}

impl Waiting {
    async fn pass(mut self) -> Pass {
        // The caller is kept by the gate until it calls.
        let _ = (&mut self.calls).await;
        self.is_over = true;
        self.gate.pass(&self.cluster)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let gate = Arc::clone(&self.gate);
        let mut state = gate.lock();
        if state.calls.remove(&self.ticket).is_some() {
            state.turns.leave(&self.cluster, &self.ticket);
        } else {
            // It was called, and is not there any more.
            let weight = gate.weights.of(&self.cluster);
            state.turns.end(&self.cluster, std::time::Duration::ZERO, weight);
            gate.hand_on(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse_spoke(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_place_is_not_the_flood_s() {
        let gate = Fair::new(1, Weights::default());
        let name = cluster("flood");
        let inside = gate.enter(&name).await;
        let mut flood: Vec<_> = (0..100).map(|_| Box::pin(gate.enter(&name))).collect();
        for one in &mut flood {
            assert!(futures::poll!(one.as_mut()).is_pending());
        }
        let quiet = cluster("quiet");
        let mut quiet = Box::pin(gate.enter(&quiet));
        assert!(futures::poll!(quiet.as_mut()).is_pending());

        tokio::time::advance(Duration::from_secs(1)).await;
        drop(inside);

        assert!(quiet.as_mut().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_his_place_to_others() {
        let gate = Fair::new(1, Weights::default());
        let name = cluster("edge");
        let inside = gate.enter(&name).await;
        let mut gone = Box::pin(gate.enter(&name));
        let mut called = Box::pin(gate.enter(&name));
        assert!(futures::poll!(gone.as_mut()).is_pending());
        assert!(futures::poll!(called.as_mut()).is_pending());

        drop(gone);
        drop(inside);
        // It was called, and nobody heard.
        drop(called);

        assert!(gate.is_idle());
        assert!(gate.enter(&name).now_or_never().is_some());
    }
}
