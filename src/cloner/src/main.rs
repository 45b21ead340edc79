//! Clones one source for a Job, as told by its command line and environment.

use std::{env, io, process::ExitCode};

fn main() -> ExitCode {
    let lookup = |name: &str| env::var(name).ok();
    ExitCode::from(gitrepo_cloner::run(
        env::args_os(),
        lookup,
        &mut io::stdout(),
        &mut io::stderr(),
    ))
}
