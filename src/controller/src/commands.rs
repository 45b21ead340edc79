//! What can a person ask for on a command line, beside a replica? Each subcommand says it to a writer or
//! line by line; `cli` parses and prints.

pub mod cluster;
pub mod shards;
pub mod trigger;

/// Tells the person who waits.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);
