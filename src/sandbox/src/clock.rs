//! What time it is in the cluster: wall time once, then tokio's clock, so that paused time moves
//! timestamps too.

use std::time::SystemTime;

use jiff::Timestamp;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: Timestamp,
    started: Instant,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a cluster's clock starts from the wall once; afterwards it follows tokio's"
    )]
    pub(crate) fn start() -> Self {
        let wall = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { wall, started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.wall.saturating_add(self.started.elapsed()).unwrap_or(self.wall)
    }
}

/// A timestamp as metadata carry it: RFC 3339 with whole seconds.
pub(crate) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
