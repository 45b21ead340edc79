//! The decisions of git-events-runner: what to own, when to run, whether it changed, what the Job looks
//! like, who is admitted next. Functions of values; time is an argument; no async, no client, no clock.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod admission;
pub mod assignment;
pub mod broken;
pub mod change;
pub mod claim;
pub mod fairness;
pub mod job;
pub mod ledger;
pub mod membership;
pub mod names;
pub mod outcome;
pub mod plan;
pub mod reach;
pub mod ring;
pub mod schedule;
pub mod telling;
pub mod trace;
pub mod webhook;
