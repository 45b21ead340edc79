//! How long does a Job wait before it replaces what failed? Twice as long each time.

use std::time::Duration;

use jiff::Timestamp;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(10);

/// What a Job has gone through since its last success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<Timestamp>,
}

impl Backoff {
    pub(super) fn new(failures: u32, last: Timestamp) -> Self {
        Self { failures, last: Some(last) }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, at: Timestamp) {
        self.failures += 1;
        self.last = Some(at);
    }

    /// How long to wait still.
    pub(super) fn remaining(&self, now: Timestamp) -> Duration {
        let Some(last) = self.last.filter(|_| self.failures > 0) else { return Duration::ZERO };
        let doublings = 2_u32.saturating_pow(self.failures - 1);
        let pause = FIRST.saturating_mul(doublings).min(LONGEST);
        let passed = Duration::try_from(now.duration_since(last)).unwrap_or_default();
        pause.saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_and_a_success_ends_it() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();

        for _ in 0..9 {
            backoff.failed(now);
            pauses.push(backoff.remaining(now).as_secs());
        }

        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        let later = now + Duration::from_secs(250);
        assert_eq!(backoff.remaining(later).as_secs(), 350);
        backoff.succeeded();
        assert_eq!(backoff.remaining(now), Duration::ZERO);
    }
}
