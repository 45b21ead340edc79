//! The controller's program, as the stories on real ground start it: built with them, and never stale.

use std::process::ExitCode;

fn main() -> ExitCode {
    git_events_runner::cli::main()
}
