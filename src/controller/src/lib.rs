//! The controller of git-events-runner: everything that does IO with clusters and remotes.

pub mod checks;
pub mod cli;
pub mod clock;
pub mod clusters;
pub mod commands;
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
pub mod metrics;
pub mod replica;
pub mod rights;
pub mod runs;
pub mod schedule;
pub mod shards;
pub mod traces;
pub mod utility;
pub mod webhooks;
