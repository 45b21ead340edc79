//! Token buckets of one kind, one for each name: bounded, and what was taken can be given back.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_core::webhook::Rate;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::Seen;

/// Buckets of one kind. A trigger's or a source's is there only if it is; addresses are strangers'.
pub(super) const MOST: usize = 65_536;
/// Buckets that are full again are dropped after this many questions.
pub(super) const TIDY_EVERY: u64 = 16_384;

/// Tokio's clock: it stands still where a test's time does.
#[derive(Clone, Debug)]
pub(super) struct Ticks(Instant);

impl Ticks {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Whose a bucket is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name<K> {
    Of(K),
    /// Of all that find no room for one of their own.
    Nobodys,
}

/// The buckets of one kind.
pub(super) struct Buckets<K: Hash + Eq + Clone> {
    rate: Rate,
    limiter: RateLimiter<Name<K>, States<K>, Ticks, StateInformationMiddleware>,
    states: States<K>,
    ticks: Ticks,
    asked: AtomicU64,
}

/// A call that was counted in a bucket. It was not, if this is dropped before it is kept.
#[must_use]
pub(super) struct Token<'a, K: Hash + Eq + Clone> {
    buckets: &'a Buckets<K>,
    /// None: it is kept.
    taken_from: Option<Name<K>>,
    seen: Seen,
}

/// Until when each bucket is not full, as governor counts it.
struct States<K>(Arc<Mutex<HashMap<Name<K>, Nanos>>>);

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(super) fn new(rate: Rate, ticks: &Ticks) -> Self {
        let quota = Quota::with_period(rate.period());
        let quota = quota.unwrap_or_else(|| Quota::per_second(rate.burst)).allow_burst(rate.burst);
        let states = States(Arc::default());
        let limiter = RateLimiter::new(quota, states.clone(), ticks.clone());
        Self { rate, limiter, states, ticks: ticks.clone(), asked: AtomicU64::new(0) }
    }

    /// Counts a call, or says when the next one will be.
    pub(super) fn take(&self, name: K) -> Result<Token<'_, K>, Seen> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let name = self.states.name(name);
        match self.limiter.check_key(&name) {
            Ok(it) => {
                let seen = left(self.rate, it.remaining_burst_capacity());
                Ok(Token { buckets: self, taken_from: Some(name), seen })
            }
            Err(it) => Err(none_left(self.rate, it.wait_time_from(self.ticks.now()))),
        }
    }

    /// Takes back a call that was counted and kept.
    pub(super) fn give_back(&self, name: K) {
        self.states.give_back(&self.states.name(name), self.rate.period());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.limiter.len()
    }
}

impl<K: Hash + Eq + Clone> Token<'_, K> {
    /// It stays counted; what is left then.
    pub(super) fn keep(mut self) -> Seen {
        self.taken_from = None;
        self.seen
    }
}

impl<K: Hash + Eq + Clone> Drop for Token<'_, K> {
    fn drop(&mut self) {
        if let Some(name) = self.taken_from.take() {
            self.buckets.states.give_back(&name, self.buckets.rate.period());
        }
    }
}

fn left(rate: Rate, remaining: u32) -> Seen {
    let used = rate.burst.get().saturating_sub(remaining);
    let reset = rate.period().saturating_mul(used);
    Seen { burst: rate.burst.get(), remaining, next: Duration::ZERO, reset }
}

fn none_left(rate: Rate, next: Duration) -> Seen {
    let rest = rate.period().saturating_mul(rate.burst.get().saturating_sub(1));
    Seen { burst: rate.burst.get(), remaining: 0, next, reset: next.saturating_add(rest) }
}

impl<K: Hash + Eq> States<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Name<K>, Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, of: K) -> Name<K> {
        let (states, name) = (self.lock(), Name::Of(of));
        if states.len() < MOST || states.contains_key(&name) { name } else { Name::Nobodys }
    }

    fn give_back(&self, name: &Name<K>, period: Duration) {
        if let Some(state) = self.lock().get_mut(name) {
            *state = Nanos::new(state.as_u64().saturating_sub(Nanos::from(period).as_u64()));
        }
    }
}

impl<K> Clone for States<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Hash + Eq + Clone> StateStore for States<K> {
    type Key = Name<K>;

    fn measure_and_replace<T, F, E>(&self, name: &Name<K>, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.lock();
        let (outcome, next) = measure(states.get(name).copied())?;
        states.insert(name.clone(), next);
        Ok(outcome)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<Name<K>> for States<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, it| *it > drop_below);
    }

    fn shrink_to_fit(&self) {
        self.lock().shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}
