//! What does a large fleet cost? The figures of `docs/scale.md`: in virtual time with everything in this
//! process, and over TCP with a process for each replica and one for all clusters.
//!
//! ```text
//! fleet:           sandboxes ◀─ counted ─ replicas, one thread, paused time
//! tcp, failover:   `clusters` ◀── TLS ── `replica`, `replica`, `replica`, each asked what it used
//! ```

mod clusters;
mod counted;
mod failover;
mod fleet;
mod replica;
mod seeds;
mod tcp;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use git_events_runner::config::{Flags, Settings};
use tokio::runtime::{Builder, Runtime};

/// Measures whole fleets.
#[derive(Debug, Parser)]
#[command(name = "scale")]
struct Command {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// A fleet in virtual time, all of it in this process.
    Fleet(Sizes),
    /// A fleet of processes, over TCP and TLS.
    Tcp(Sizes),
    /// From the end of a replica to the first check of a trigger of its own, by processes over TCP.
    Failover {
        /// How often a replica is ended, in each of the two ways.
        #[arg(long, default_value_t = 20)]
        runs: usize,
    },
    /// Clusters for those who measure: serves until its input ends.
    #[command(hide = true)]
    Clusters { order: String },
    /// A replica that is measured.
    #[command(hide = true)]
    Replica { order: String },
}

/// How large a fleet is.
#[derive(Clone, Copy, Debug, Args)]
struct Sizes {
    #[arg(long, default_value_t = 10)]
    replicas: usize,
    /// Beside the hub, which has no triggers.
    #[arg(long, default_value_t = 50)]
    spokes: usize,
    /// In each spoke.
    #[arg(long, default_value_t = 2000)]
    triggers: usize,
    #[arg(long, default_value_t = 256)]
    shards: u16,
    /// From one check of a trigger to the next, in seconds.
    #[arg(long, default_value_t = 60)]
    interval: u64,
    /// For how long it is looked at once it has settled, in seconds.
    #[arg(long, default_value_t = 120)]
    window: u64,
}

impl Sizes {
    fn window(self) -> Duration {
        Duration::from_secs(self.window.max(1))
    }

    fn all(self) -> usize {
        self.spokes * self.triggers
    }

    fn told(self) -> String {
        let Self { replicas, spokes, triggers, shards, interval, .. } = self;
        format!(
            "{replicas} replicas, {spokes} spokes of {triggers} triggers, {shards} shards, \
             a check of each every {interval} s"
        )
    }
}

/// Measures what the command line says; 1 if it could not.
pub fn main() -> ExitCode {
    // Losing the race means that somebody else has chosen: as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    match run(Command::parse().part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(part: Part) -> anyhow::Result<()> {
    match part {
        Part::Fleet(sizes) => tell(&fleet::measure(sizes)?),
        Part::Tcp(sizes) => tell(&tcp::measure(sizes)?),
        Part::Failover { runs } => tell(&failover::measure(runs)?),
        Part::Clusters { order } => threads()?.block_on(clusters::serve(&order)),
        Part::Replica { order } => threads()?.block_on(Box::pin(replica::serve(&order))),
    }
}

/// What `tokio::main` makes, as the controller has it.
fn threads() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("no threads")
}

/// The machine as it was, and what was measured on it.
fn tell(text: &str) -> anyhow::Result<()> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut out = std::io::stdout().lock();
    Ok(writeln!(out, "{text}\n({cores} cores, load {load} at the end)")?)
}

/// What production has, but for clusters on this machine, and without series for each trigger.
fn settings(shards: u16) -> anyhow::Result<Settings> {
    let flags = Flags {
        allow_loopback_clusters: Some(true),
        metrics_per_trigger: Some(false),
        shards: Some(shards),
        ..Flags::default()
    };
    Ok(Settings::from_flags(flags)?)
}
