//! Who may share an answer? Those that asked before the request was sent, and nobody else.
//!
//! ```text
//! asked ──▶ waiting (others may join) ──▶ sent (too late to join: wait for the next) ──▶ answered
//! ```

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, FutureExt as _, Shared};

/// Shares answers by key: one request in flight and one waiting.
///
/// A push that lands behind a request in flight must not be answered by it, else it is missed until
/// the next check; so whoever asks later waits for a request that is sent later.
pub(crate) struct Coalescer<K, V: Clone> {
    newest: Arc<Mutex<HashMap<K, Flight<V>>>>,
    ids: AtomicU64,
}

/// The newest request of a key, and whether it can still be joined.
#[derive(Clone)]
struct Flight<V: Clone> {
    id: u64,
    sent: Arc<AtomicBool>,
    answer: Shared<BoxFuture<'static, V>>,
}

/// Told by the request itself, just before its first byte leaves.
#[derive(Clone, Debug)]
pub(crate) struct Departure(Arc<AtomicBool>);

impl Departure {
    /// From here on nobody joins.
    pub(crate) fn sent(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whose answer it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Own,
    Joined,
}

impl<K, V> Coalescer<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self { newest: Arc::default(), ids: AtomicU64::default() }
    }

    /// The answer of a request that was sent after this call.
    ///
    /// `request` says itself when it leaves: until then (it may wait for a free slot) others join it.
    pub(crate) async fn ask<F, R>(&self, key: K, request: R) -> (V, Share)
    where
        R: FnOnce(Departure) -> F + Send + 'static,
        F: Future<Output = V> + Send + 'static,
    {
        let (answer, share) = {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            match newest.get(&key).cloned() {
                Some(flight) if !flight.sent.load(Ordering::SeqCst) => {
                    (flight.answer, Share::Joined)
                }
                earlier => {
                    let flight = self.flight(key.clone(), request, earlier);
                    newest.insert(key, flight.clone());
                    (flight.answer, Share::Own)
                }
            }
        };
        (answer.await, share)
    }

    fn flight<F, R>(&self, key: K, request: R, earlier: Option<Flight<V>>) -> Flight<V>
    where
        R: FnOnce(Departure) -> F + Send + 'static,
        F: Future<Output = V> + Send + 'static,
    {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let sent = Arc::new(AtomicBool::new(false));
        let departure = Departure(Arc::clone(&sent));
        let newest = Arc::clone(&self.newest);
        let answer = async move {
            if let Some(earlier) = earlier {
                earlier.answer.await;
            }
            let answer = request(departure).await;
            let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
            if newest.get(&key).is_some_and(|it| it.id == id) {
                newest.remove(&key);
            }
            answer
        };
        Flight { id, sent, answer: answer.boxed().shared() }
    }
}

impl<K, V: Clone> fmt::Debug for Coalescer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
