//! What time it is in the cluster: wall time once, then tokio's clock, so that paused time moves
//! timestamps too.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::SystemTime,
};

use jiff::{SignedDuration, Timestamp, fmt::temporal::DateTimePrinter};
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Clock {
    wall: Timestamp,
    started: Instant,
    /// How far it was moved by hand, in nanoseconds: three centuries are enough.
    jumped: AtomicI64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a cluster's clock starts from the wall once; afterwards it follows tokio's"
    )]
    pub(crate) fn start() -> Self {
        Self::start_at(Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    pub(crate) fn start_at(wall: Timestamp) -> Self {
        Self { wall, started: Instant::now(), jumped: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let followed = self.wall.saturating_add(self.started.elapsed()).unwrap_or(self.wall);
        let jumped = SignedDuration::from_nanos(self.jumped.load(Ordering::Acquire));
        followed.saturating_add(jumped).unwrap_or(followed)
    }

    /// Moves it, forwards or back.
    pub(crate) fn jump(&self, by: SignedDuration) {
        let limit = if by.is_negative() { i64::MIN } else { i64::MAX };
        let by = i64::try_from(by.as_nanos()).unwrap_or(limit);
        let jump = |it: i64| Some(it.saturating_add(by));
        let _ = self.jumped.fetch_update(Ordering::AcqRel, Ordering::Acquire, jump);
    }
}

/// A timestamp as metadata carry it: RFC 3339 with whole seconds.
pub(crate) fn seconds(at: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
    PRINTER.timestamp_to_string(&at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_are_left_out() {
        let at: Timestamp = "2026-03-01T23:59:59.999999999Z".parse().unwrap();
        let before: Timestamp = "1969-12-31T23:59:59.25Z".parse().unwrap();

        assert_eq!(seconds(at), "2026-03-01T23:59:59Z");
        assert_eq!(seconds(before), "1969-12-31T23:59:59Z");
    }
}
