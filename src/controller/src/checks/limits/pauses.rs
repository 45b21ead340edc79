//! Whom do we leave alone, and for how long? As long as the server says, else longer each time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Caller;

/// Hosts are named by tenants; what is forgotten costs one more request.
const MOST: usize = 4096;
/// Nobody is left alone for longer, whatever a `Retry-After` says.
const LONGEST: Duration = Duration::from_mins(10);
/// The first pause of a server that does not say how long, and the longest.
const FIRST_OWN: Duration = Duration::from_secs(1);
const LONGEST_OWN: Duration = Duration::from_mins(5);

/// Servers that said 429 or 503, by whom they said it to.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    paused: Mutex<HashMap<Caller, Pause>>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    /// How often in a row.
    strikes: u32,
}

impl Pauses {
    /// The host wants to be left alone, and may say for how long.
    ///
    /// What was sent before it said so and comes back in the same way makes the pause no longer, unless
    /// the host says so.
    pub(crate) fn strike(&self, caller: &Caller, wait: Option<Duration>, now: Instant) {
        let mut paused = self.lock();
        if paused.len() >= MOST {
            paused.retain(|_, it| it.until > now);
        }
        let known = paused.get(caller).copied();
        let running = known.filter(|it| it.until > now);
        let strikes = match running {
            Some(pause) => pause.strikes,
            None => known.map_or(0, |it| it.strikes).saturating_add(1),
        };
        let until = match (wait, running) {
            (None, Some(pause)) => pause.until,
            (Some(wait), Some(pause)) => pause.until.max(now + wait.min(LONGEST)),
            (wait, None) => now + wait.unwrap_or_else(|| own(caller, strikes)).min(LONGEST),
        };
        if paused.len() < MOST || known.is_some() {
            paused.insert(caller.clone(), Pause { until, strikes });
        }
    }

    /// It answers. What was sent before a pause ends none.
    pub(crate) fn forgive(&self, caller: &Caller, now: Instant) {
        let mut paused = self.lock();
        if paused.get(caller).is_some_and(|it| it.until <= now) {
            paused.remove(caller);
        }
    }

    /// How long the caller is still to stay away.
    pub(crate) fn left(&self, caller: &Caller, now: Instant) -> Option<Duration> {
        let paused = self.lock();
        let left = paused.get(caller)?.until.checked_duration_since(now);
        left.filter(|it| !it.is_zero())
    }

    /// How many callers stay away.
    pub(crate) fn count(&self, now: Instant) -> usize {
        self.lock().values().filter(|it| it.until > now).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Caller, Pause>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Twice as long each time, less a part that differs by caller: else all come back at once. The same
/// caller comes back at the same time in each replay.
fn own(caller: &Caller, strikes: u32) -> Duration {
    let doubled = FIRST_OWN.saturating_mul(2_u32.saturating_pow(strikes.saturating_sub(1).min(16)));
    let whole = doubled.min(LONGEST_OWN);
    let mut hasher = DefaultHasher::new();
    (caller, strikes).hash(&mut hasher);
    let part = u32::from(hasher.finish().to_le_bytes()[0]);
    // Up to a quarter less, but never under the first.
    whole.saturating_sub(whole / 1024 * part).max(FIRST_OWN)
}
