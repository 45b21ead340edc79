//! How is a night of seeds run? On as many threads as are wanted, a line a seed, in order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use super::{Mutant, Report, Sizes, live_traced};

/// Simulates whole fleets in virtual time, a life for each seed, and checks that every law held.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
struct Args {
    /// Which seeds: one, or from the first to before the last.
    #[arg(long, default_value = "0..10", value_parser = seeds)]
    seeds: Range<u64>,
    /// How long each life is.
    #[arg(long, default_value_t = 2.0)]
    hours: f64,
    /// Replicas in each fleet.
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// Clusters in each fleet, the hub among them.
    #[arg(long, default_value_t = 5)]
    clusters: usize,
    /// Triggers in all clusters together.
    #[arg(long, default_value_t = 200)]
    triggers: usize,
    /// Shards of the ring.
    #[arg(long, default_value_t = 16)]
    shards: u16,
    /// The longest interval of a schedule, in seconds.
    #[arg(long, default_value_t = 900)]
    longest: u64,
    /// Seeds that live at the same time; all processors unless told.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// A law to switch off, to see that it is noticed.
    #[arg(long, value_parser = mutant)]
    mutant: Option<Mutant>,
    /// Writes every request of a single seed to this file.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Tells the whole timeline of each seed.
    #[arg(long)]
    timeline: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |it: &str| it.parse::<u64>().map_err(|error| format!("{it:?}: {error}"));
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => number(text).map(|it| it..it + 1),
    }
}

fn mutant(text: &str) -> Result<Mutant, String> {
    let names: Vec<&str> = Mutant::ALL.iter().map(|it| it.name()).collect();
    Mutant::named(text).ok_or_else(|| format!("there are {}", names.join(", ")))
}

impl Args {
    fn sizes(&self) -> Sizes {
        Sizes {
            replicas: self.replicas.max(1),
            clusters: self.clusters.max(1),
            triggers: self.triggers.max(1),
            shards: self.shards,
            life: Duration::from_secs_f64(self.hours.clamp(0.2, 10_000.0) * 3600.0),
            longest: Duration::from_secs(self.longest.max(60)),
            mutant: self.mutant,
        }
    }

    /// How a seed is lived again.
    fn replay(&self, seed: u64) -> String {
        let mutant = self.mutant.map_or_else(String::new, |it| format!(" --mutant {}", it.name()));
        format!(
            "cargo run -p e2e --release --bin simulate -- --seeds {seed} --hours {} --replicas {} \
             --clusters {} --triggers {} --shards {} --longest {}{mutant} --timeline",
            self.hours, self.replicas, self.clusters, self.triggers, self.shards, self.longest
        )
    }
}

/// Simulates what the command line says; 1 if a law was broken, 2 if it could not.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// How many seeds broke a law.
fn run(args: &Args) -> anyhow::Result<usize> {
    let traced = args.trace.as_ref().filter(|_| args.seeds.end - args.seeds.start == 1);
    anyhow::ensure!(args.trace.is_none() || traced.is_some(), "a trace is of a single seed");
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.map_or(processors, NonZeroUsize::get);
    let next = AtomicU64::new(args.seeds.start);
    let (told, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (told, next) = (told.clone(), &next);
            scope.spawn(move || work(args, next, &told));
        }
        drop(told);
        tell(args, &reports)
    })
}

/// Lives seeds as long as there are any.
fn work(args: &Args, next: &AtomicU64, told: &mpsc::Sender<anyhow::Result<Report>>) {
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|it| *it < args.seeds.end);
    for seed in std::iter::from_fn(take) {
        if told.send(lived(args, seed)).is_err() {
            return;
        }
    }
}

fn lived(args: &Args, seed: u64) -> anyhow::Result<Report> {
    let trace = match &args.trace {
        Some(path) => {
            let file =
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some(Box::new(BufWriter::new(file)) as Box<dyn Write + Send>)
        }
        None => None,
    };
    Ok(live_traced(seed, &args.sizes(), trace))
}

/// Tells the seeds in their order, whichever is ready first, and in the end what was worst.
fn tell(args: &Args, reports: &mpsc::Receiver<anyhow::Result<Report>>) -> anyhow::Result<usize> {
    let mut out = std::io::stdout().lock();
    let mut waiting = BTreeMap::new();
    let (mut next, mut worst) = (args.seeds.start, super::report::Worst::default());
    for report in reports {
        let report = report?;
        waiting.insert(report.seed, report);
        while let Some(report) = waiting.remove(&next) {
            next += 1;
            writeln!(out, "{}", report.line())?;
            if args.timeline {
                write!(out, "{}", report.told())?;
            }
            if !report.is_well() {
                writeln!(out, "{}  replay: {}", report.explained(), args.replay(report.seed))?;
            }
            out.flush()?;
            worst.take(&report);
        }
    }
    writeln!(out, "{}", worst.told())?;
    Ok(worst.broken)
}
