//! Clones one source for a Job, as told by its command line and environment.

use std::{
    env,
    io::{self, IsTerminal as _},
    process::ExitCode,
};

fn main() -> ExitCode {
    let lookup = |name: &str| env::var(name).ok();
    let mut stderr = io::stderr();
    ExitCode::from(if stderr.is_terminal() {
        gitrepo_cloner::run_at_terminal(env::args_os(), lookup)
    } else {
        gitrepo_cloner::run(env::args_os(), lookup, &mut io::stdout(), &mut stderr)
    })
}
