//! How often in a row has a step of a cluster failed, since when, and when is it tried again?

use std::time::Duration;

use tokio::time::Instant;

use super::cluster::Cluster;
use super::error::Fault;
use super::state::{Condition, backoff};
use super::{Settings, Shared};

/// The failures of one step since it last worked.
#[derive(Debug)]
pub(super) struct Streak {
    step: &'static str,
    failures: u32,
    attempts: u32,
    since: Instant,
}

impl Streak {
    pub(super) fn new(step: &'static str) -> Self {
        Self { step, failures: 0, attempts: 0, since: Instant::now() }
    }

    /// The step had an answer, whether or not that is a good one.
    pub(super) fn was_answered(&mut self) {
        (self.failures, self.attempts) = (0, 0);
    }

    /// The step works.
    pub(super) fn is_over(&mut self) {
        self.was_answered();
        self.since = Instant::now();
    }

    /// Since when it does not work.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Reports one more failure, and says how long to wait.
    pub(super) async fn failed(
        &mut self,
        cluster: &Cluster,
        fault: Fault,
        (settings, shared): (&Settings, &Shared),
    ) -> Duration {
        self.failures += fault.weight;
        self.attempts += 1;
        let (failures, since) = (self.failures, self.since);
        let condition = Condition::Failing { failures, since, trouble: fault.trouble };
        cluster.report(self.step, condition, shared).await;
        let salt = (cluster.name().as_str(), self.step, settings.seed);
        backoff(self.attempts, salt).max(fault.retry_after.unwrap_or_default())
    }
}
