//! The embedded default: a hub, two spokes, replicas, a Git server and an executor, in one process.
//!
//! ```text
//! world: sandboxes + Git server + executors + replicas ──▶ console (a person) or exercise (unattended)
//! ```

mod breaks;
mod caller;
mod console;
pub mod executor;
mod exercise;
mod git_server;
mod manifests;
mod samples;
mod screen;
mod table;
pub mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use self::screen::say;
use self::world::{Options, World};

pub use self::breaks::Law;

/// How `dev` is started.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Apply the manifests of this folder instead of the samples. Files go to the hub, those in the
    /// folders `hub`, `edge-1` and `edge-2` to that cluster.
    #[arg(short, long, value_name = "DIR")]
    file: Option<PathBuf>,
    /// Push, stop, cut off and delete unattended; exit 0 only if every change ran exactly once.
    #[arg(long, conflicts_with = "file")]
    exercise: bool,
    /// Keep clusters and repositories in this folder, and go on from what is there. It holds the clusters'
    /// Secrets.
    #[arg(long, value_name = "DIR", conflicts_with = "exercise")]
    state: Option<PathBuf>,
    /// Switch one law off: the exercise must then fail.
    #[arg(long = "break", value_name = "LAW", requires = "exercise")]
    broken: Option<Law>,
    /// How many replicas to start.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    replicas: u8,
    /// Show the replicas' log lines.
    #[arg(long)]
    pub(crate) logs: bool,
}

/// Runs the embedded default until it is told to end, or until the exercise is done.
pub async fn run(arguments: Args) -> anyhow::Result<ExitCode> {
    let (replicas, broken, state) = (arguments.replicas, arguments.broken, arguments.state);
    let options = Options { replicas, broken, state };
    let mut world = World::start(options).await.context("cannot start the embedded default")?;
    let code = if arguments.exercise {
        let passed = exercise::run(&mut world).await;
        if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    } else {
        match &arguments.file {
            Some(folder) => manifests::apply_folder(&world, folder).await?,
            None => samples::apply(&world).await?,
        }
        say(&console::welcome(&world, arguments.file.as_deref()));
        console::run(&mut world).await?;
        ExitCode::SUCCESS
    };
    world.stop().await;
    Ok(code)
}

/// The cloner, as this very program: what the executor runs in place of its image.
pub fn clone(arguments: Vec<String>) -> u8 {
    let arguments = std::iter::once("gitrepo-cloner".to_owned()).chain(arguments).map(Into::into);
    let lookup = |name: &str| std::env::var(name).ok();
    gitrepo_cloner::run(arguments, lookup, &mut std::io::stdout(), &mut std::io::stderr())
}
