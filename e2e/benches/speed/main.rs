//! How much does a check, a trigger, a replica cost? Each figure of `docs/performance.md` is measured here.
//!
//! ```text
//! this process: measured ── requests ──▶ the same program as `remotes` and `cluster`: not measured
//!        └── starts `stores` and `replica`, so that nothing else is in their memory
//! ```

mod burst;
mod checks;
mod cluster;
mod hold;
mod hooks;
#[cfg(feature = "libgit2")]
mod original;
mod remotes;
mod report;
mod scheduler;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use criterion::Criterion;
use e2e::measure as process;

use self::checks::Effort;
use self::process::Spent;
use self::remotes::Remotes;
use self::report::Figures;

const WHOLE: Effort = Effort { ours: Duration::from_secs(1), git: Duration::from_secs(2) };
/// To see that it runs.
const BRIEF: Effort = Effort { ours: Duration::from_millis(50), git: Duration::from_millis(50) };

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("remotes") => threads()?.block_on(remotes::serve()),
        Some("cluster") => threads()?.block_on(cluster::serve()),
        Some("stores") => threads()?.block_on(hold::stores(&arguments[1..])),
        // On one core.
        Some("hooked") => workers(1)?.block_on(hooks::serve(&arguments[1..])),
        Some("replica") => threads()?.block_on(hold::replica(&arguments[1..])),
        _ => measure(&arguments),
    }
}

/// What `tokio::main` makes, as the controller has it.
fn threads() -> anyhow::Result<tokio::runtime::Runtime> {
    // Losing the race means that somebody else has chosen: as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The same with so many threads.
fn workers(count: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(count).enable_all().build()?)
}

/// `cargo bench` alone is a whole run and leaves a report. With the name of a part only that is measured
/// and printed; with any other word, what criterion finds by it; with `--test`, briefly.
fn measure(arguments: &[String]) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speed");
    let effort = if arguments.iter().any(|it| it == "--test") { BRIEF } else { WHOLE };
    let part = arguments.iter().find(|it| !it.starts_with('-')).map(String::as_str);
    let mut text = String::new();
    match part {
        Some("checks") => {
            let remotes = Remotes::start()?;
            let checks = checks::measure(&remotes, effort)?;
            report::checks::all(&mut text, &checks, clone(&remotes, effort)?)?;
        }
        Some("bursts") => report::checks::bursts(&mut text, &burst::measure(&Remotes::start()?)?)?,
        Some("hooks") => hooks::measure(&Remotes::start()?)?.report(&mut text)?,
        Some("held") => report::memory(&mut text, &hold::measure(&Remotes::start()?)?)?,
        _ => schedule(&folder),
    }
    // As a test, or with a filter, there is nothing to report.
    if arguments != ["--bench"] {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    let remotes = Remotes::start()?;
    let figures = Figures {
        criterion: folder.join("criterion"),
        checks: checks::measure(&remotes, effort)?,
        clone: clone(&remotes, effort)?,
        bursts: burst::measure(&remotes)?,
        held: hold::measure(&remotes)?,
        hooks: hooks::measure(&remotes)?,
    };
    let path = folder.join("report.md");
    std::fs::write(&path, figures.report()?)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn schedule(folder: &Path) {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .output_directory(&folder.join("criterion"))
        .configure_from_args();
    scheduler::bench(&mut criterion);
    criterion.final_summary();
}

/// What a check takes that clones; libgit2 is C and takes its time to build, so it is seldom there.
#[cfg(feature = "libgit2")]
fn clone(remotes: &Remotes, effort: Effort) -> anyhow::Result<Option<Spent>> {
    original::measure(remotes, effort.git).map(Some)
}

#[cfg(not(feature = "libgit2"))]
#[expect(clippy::unnecessary_wraps, reason = "with libgit2 it may fail")]
fn clone(_: &Remotes, _: Effort) -> anyhow::Result<Option<Spent>> {
    Ok(None)
}
