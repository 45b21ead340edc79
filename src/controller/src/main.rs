//! The binary: parse, run, print the chain, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    git_events_runner::cli::main()
}
