//! Simulates fleets: `simulate --seeds 0..1000 --hours 2` prints a line for each seed, and ends with 1 if any
//! law was broken.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::simulation::command::main()
}
