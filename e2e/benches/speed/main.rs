//! How much does a check, a trigger, a replica cost? Each figure of `docs/performance.md` is measured here.
//!
//! ```text
//! this process: measured ── requests ──▶ the same program as `remotes` and `cluster`: not measured
//!        └── starts `stores` and `replica`, so that nothing else is in their memory
//! ```

mod checks;
mod cluster;
mod hold;
mod process;
mod remotes;
mod report;
mod scheduler;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use criterion::Criterion;

use self::report::Figures;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("remotes") => threads()?.block_on(remotes::serve()),
        Some("cluster") => threads()?.block_on(cluster::serve()),
        Some("stores") => threads()?.block_on(hold::stores(&arguments[1..])),
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

fn measure(arguments: &[String]) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speed");
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .without_plots()
        .output_directory(&folder.join("criterion"))
        .configure_from_args();
    let remotes = remotes::Remotes::start()?;
    scheduler::bench(&mut criterion);
    checks::bench(&mut criterion, &remotes)?;
    criterion.final_summary();

    // `cargo bench` alone is a whole run; with a filter, or as a test, there is nothing to report.
    if arguments != ["--bench"] {
        return Ok(());
    }
    let held = hold::measure(&remotes)?;
    let figures = Figures { criterion: folder.join("criterion"), held };
    write(&folder.join("report.md"), &figures.report()?)
}

fn write(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
