//! How does a decision become a Job, and its outcome a record?
//!
//! ```text
//! decide (core) → ledger: compare-and-swap → jobs: create suspended → ledger: Queued
//!                                             admission: unsuspend → watch → ledger: outcome
//! ```

pub mod admission;
mod bell;
mod copies;
pub(crate) mod ended;
mod error;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod ledger;
pub(crate) mod notices;
pub(crate) mod pods;
pub(crate) mod sources;
pub(crate) mod trigger;

use std::sync::{Arc, Mutex};

use ger_core::telling::Telling;

pub use self::bell::Bell;
pub use self::error::{Error, Remedy};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::{checks, clusters, config, shards, traces};

/// What the work on triggers needs: one for each replica.
#[derive(Debug)]
pub struct Fleet {
    pub clusters: clusters::Handle,
    pub shards: shards::Handle,
    pub checks: checks::Handle,
    pub clock: Clock,
    pub metrics: Metrics,
    pub traces: traces::Handle,
    /// The dynamic configuration.
    pub config: config::Live,
    /// Rung when a Job may be waiting to be started.
    pub admission: Bell,
    /// What was told of which object, so that it is not told too often.
    pub told: Mutex<Telling>,
    /// Ticked by the timer queue's loop, so that a replica whose work stands still is not counted as alive.
    pub progress: shards::Progress,
}

impl Fleet {
    /// The dynamic configuration that is in force: ask once for each piece of work.
    pub fn in_force(&self) -> Arc<config::InForce> {
        self.config.now()
    }
}
