//! Clones one source for a Job: git and a command line, no Kubernetes.
//!
//! The command line is the original's. The address and the credentials come by `ger_git::contract`.
//! A library too, so that the embedded executor can be its own cloner.

mod arguments;
mod progress;
mod share;

use std::{cell::RefCell, error::Error, ffi::OsString, fmt::Display, io, io::Write};

use clap::Parser as _;
use ger_git::{
    FetchOptions, Fetched, Meter, Step, Want,
    contract::{self, CloneSpec, ContractError},
    fetch,
};

use arguments::Arguments;
use progress::Drawn;

/// The clone is there.
const DONE: u8 = 0;
/// The clone could not be made; the reason is one line on stderr.
const FAILED: u8 = 1;
/// The command line makes no sense.
const MISUSED: u8 = 2;

/// gix tells a lot; a line that long is still one line of a Job's log.
const LONGEST_REASON: usize = 1000;

/// What kept the clone from being made.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the Job's environment does not say what to clone")]
    Contract { source: ContractError },
    #[error("cannot clone")]
    Clone { source: ger_git::Error },
    #[error("cannot open the files to the worker's group")]
    Share { source: io::Error },
}

/// How a clone is told of while it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// A line a step.
    Lines,
    /// One line on the terminal, redrawn.
    Drawing,
}

/// Does what `args` (the program's name first) and the environment ask for, and gives the exit
/// code: 0 done, 1 failed, 2 misused.
///
/// Tells a line a step on `stderr`; with `--debug`, whose clone it is too. Blocks.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    run_telling(Telling::Lines, args, environment, (stdout, stderr))
}

/// The same for somebody who watches the process's own `stderr`, a terminal: one line, redrawn.
pub fn run_at_terminal(
    args: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> u8 {
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    run_telling(Telling::Drawing, args, environment, (&mut stdout, &mut stderr))
}

fn run_telling(
    telling: Telling,
    args: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
    (stdout, stderr): (&mut dyn Write, &mut dyn Write),
) -> u8 {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            say(stderr, &error);
            return MISUSED;
        }
        Err(help) => {
            say(stdout, &help);
            return DONE;
        }
    };
    // Who wants to know everything wants to keep it.
    let telling = if arguments.debug { Telling::Lines } else { telling };
    let stderr = RefCell::new(stderr);
    let tell = |line: &dyn Display| say(&mut **stderr.borrow_mut(), &format_args!("{line}\n"));
    match clone(&arguments, environment, telling, &tell) {
        Ok(()) => DONE,
        Err(failure) => {
            tell(&format_args!("gitrepo-cloner: {}", one_line(&failure)));
            FAILED
        }
    }
}

fn clone(
    arguments: &Arguments,
    environment: impl Fn(&str) -> Option<String>,
    telling: Telling,
    tell: &dyn Fn(&dyn Display),
) -> Result<(), Failure> {
    let unclear = |source| Failure::Contract { source };
    let spec = contract::from_env(environment).map_err(unclear)?;
    let remote = spec.remote().map_err(unclear)?;
    let want = want(arguments, &spec);
    if arguments.debug {
        tell(&format_args!("{} {} from {}", arguments.kind, arguments.source, spec.uri.host()));
    }
    let meter = Meter::default();
    let drawn = (telling == Telling::Drawing).then(|| Drawn::begin(io::stderr(), meter.clone()));
    let on_step = |step: &Step| match &drawn {
        Some(drawn) => drawn.step(step),
        None => tell(step),
    };
    let options = FetchOptions {
        git_folder: arguments.git_folder(),
        on_step: &on_step,
        meter,
        ..FetchOptions::default()
    };
    let fetched = fetch(&remote, &want, &arguments.destination, &options);
    drop(drawn);
    let fetched = fetched.map_err(|source| Failure::Clone { source })?;
    tell_what_is_missing(&fetched, tell);
    share::with_group(&arguments.destination).map_err(|source| Failure::Share { source })
}

/// Whoever looks for these files should not have to wonder.
fn tell_what_is_missing(fetched: &Fetched, tell: &dyn Fn(&dyn Display)) {
    if fetched.submodules > 0 {
        tell(&format_args!("submodules are left empty: {}", fetched.submodules));
    }
    if fetched.lfs_pointers > 0 {
        tell(&format_args!("files kept by Git LFS are left as pointers: {}", fetched.lfs_pointers));
    }
}

/// The command line names the commit or the reference, and the environment the other one.
fn want(arguments: &Arguments, spec: &CloneSpec) -> Want {
    let asked = arguments.want();
    Want {
        commit: asked.commit.or_else(|| spec.commit.clone()),
        reference: asked.reference.or_else(|| spec.reference.clone()),
    }
}

/// The whole chain of causes, fit for one line of a log.
fn one_line(failure: &Failure) -> String {
    let mut line = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.chars().map(|it| if it.is_control() { ' ' } else { it }).take(LONGEST_REASON).collect()
}

/// A log that nobody can write to is no reason to leave a worker without its files.
fn say(output: &mut dyn Write, text: &dyn Display) {
    let _ = write!(output, "{text}");
}
