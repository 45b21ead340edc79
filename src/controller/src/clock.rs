//! What time is it? The only clock of the controller: real in production, tokio's own in virtual time.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use ger_core::membership::Mono;
use jiff::Timestamp;
use tokio::time::Instant;

/// The monotonic time as core wants it: since a moment that never changes in this process.
pub(crate) fn mono() -> Mono {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    now.saturating_duration_since(*ORIGIN.get_or_init(|| now))
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
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// A wall clock that reads `start` now, and moves as tokio's clock does.
    pub fn virtual_from(start: Timestamp) -> Self {
        Self { source: Source::Virtual { start, origin: Instant::now() } }
    }

    /// The wall time: for what is written and for cron, never to judge another machine's Lease.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX),
            Source::Virtual { start, origin } => {
                start.checked_add(origin.elapsed()).unwrap_or(Timestamp::MAX)
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
