//! What time is it? The only clock of the controller: real in production, tokio's own in virtual time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use ger_core::membership::Mono;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// More virtual time than passes in any simulation.
const LONG: Duration = Duration::from_hours(24 * 365);

/// The monotonic time as core wants it: since a moment that never changes in this process.
pub(crate) fn mono() -> Mono {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    // Long past: where time is paused, each runtime has its own, and none may be before this.
    let origin = ORIGIN.get_or_init(|| now.checked_sub(LONG).unwrap_or(now));
    now.saturating_duration_since(*origin)
}

/// Tells the time, cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    /// Wall time follows tokio's clock from a given start, so that paused time moves both.
    Virtual {
        start: Timestamp,
        origin: Instant,
        /// How far it was moved by hand, in milliseconds.
        moved: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// A wall clock that reads `start` now, and moves as tokio's clock does.
    pub fn virtual_from(start: Timestamp) -> Self {
        Self { source: Source::Virtual { start, origin: Instant::now(), moved: Arc::default() } }
    }

    /// Moves a virtual clock, as somebody who sets it does. The machine's is not ours to move.
    pub fn jump(&self, by: SignedDuration) {
        if let Source::Virtual { moved, .. } = &self.source {
            let by = i64::try_from(by.as_millis()).unwrap_or_default();
            moved.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// The wall time: for what is written and for cron, never to judge another machine's Lease.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX),
            Source::Virtual { start, origin, moved } => {
                let moved = SignedDuration::from_millis(moved.load(Ordering::Relaxed));
                let now = start.checked_add(origin.elapsed()).and_then(|it| it.checked_add(moved));
                now.unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The monotonic time: for timeouts and expiry.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// How long until `at`, nothing if it is past.
    pub fn until(&self, at: Timestamp) -> Duration {
        at.duration_since(self.now()).try_into().unwrap_or(Duration::ZERO)
    }
}
