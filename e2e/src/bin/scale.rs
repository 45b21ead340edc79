//! Measures fleets: `scale fleet`, `scale tcp` and `scale failover` give the figures of `docs/scale.md`.

use std::process::ExitCode;

/// As the program is shipped, which leaves memory to the system: only what is measured beside it is not.
fn main() -> ExitCode {
    e2e::scale::main()
}
