//! What must be true of the whole, told as stories: one law each, on a ground that each one names.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story that cannot go on has failed")]

mod accepted;
mod admission;
mod bad_input;
mod changes;
mod clusters;
mod commands;
mod concurrency;
mod configuration;
mod crashes;
mod dev;
mod examples;
mod files;
mod git;
mod handover;
mod hooks;
mod hostile;
mod installed;
mod joining;
mod nexts;
mod outcomes;
mod overrides;
mod permissions;
mod places;
mod processes;
mod queue;
mod quiet;
mod real;
mod refusals;
mod replaced;
mod shards;
mod takeover;
mod threats;
mod traces;
mod transports;
