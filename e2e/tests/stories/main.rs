//! What must be true of the whole, told as stories: one law each, on a ground that each one names.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod admission;
mod bad_input;
mod changes;
mod clusters;
mod configuration;
mod crashes;
mod files;
mod git;
mod permissions;
mod quiet;
mod real;
mod shards;
mod transports;
