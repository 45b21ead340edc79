//! What can a person ask for on a command line, beside a replica? Each subcommand says it to a writer and
//! gives an exit code; `cli` parses and prints.

pub mod trigger;
