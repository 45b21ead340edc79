//! Simulates fleets: `simulate --seeds 0..1000 --hours 2` prints a line for each seed, and ends with 1 if any
//! law was broken.

use std::process::ExitCode;

/// A life is small allocations for the most part.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    e2e::simulation::command::main()
}
