//! What was measured, as the tables of `docs/performance.md`?

pub(crate) mod checks;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::burst::Burst;
use crate::checks::Checks;
use crate::hold::{HELD, Held};
use crate::hooks::Hooks;
use crate::process::Spent;
use crate::scheduler::{FLEETS, SHARDS, TRIGGERS};

/// How many bytes a trigger shall take at the most.
const MOST_BYTES: u64 = 4096;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Where criterion left its estimates.
    pub(crate) criterion: PathBuf,
    pub(crate) checks: Checks,
    /// What a check takes that clones with libgit2, if it was built in.
    pub(crate) clone: Option<Spent>,
    pub(crate) bursts: Vec<Burst>,
    pub(crate) held: Held,
    pub(crate) hooks: Hooks,
}

impl Figures {
    /// Markdown, without a heading of its own.
    pub(crate) fn report(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        checks::all(&mut text, &self.checks, self.clone)?;
        checks::bursts(&mut text, &self.bursts)?;
        self.scheduler(&mut text)?;
        memory(&mut text, &self.held)?;
        self.hooks.report(&mut text)?;
        Ok(text)
    }

    fn scheduler(&self, text: &mut String) -> anyhow::Result<()> {
        writeln!(text, "\n### Scheduler\n")?;
        writeln!(text, "| what | {} |", TRIGGERS.map(|it| format!("{it} triggers")).join(" | "))?;
        writeln!(text, "| --- | ---: | ---: |")?;
        let rows = [
            ("fire", "a timer fires, and is set again"),
            ("event", "a trigger changes, is worked, and its timer set"),
            ("fill", "all triggers are taken up"),
        ];
        for (name, title) in rows {
            let cells = TRIGGERS.map(|it| self.mean(&format!("queue/{name}/{it}")).map(time));
            let [few, many] = cells;
            writeln!(text, "| {title} | {} | {} |", few?, many?)?;
        }
        writeln!(text, "\n| what | time |\n| --- | ---: |")?;
        for shards in SHARDS {
            let build = time(self.mean(&format!("ring/build/{shards}"))?);
            let find = time(self.mean(&format!("ring/look-up/{shards}"))?);
            writeln!(text, "| the ring of {shards} shards is built | {build} |")?;
            writeln!(text, "| a trigger's shard is looked up among {shards} | {find} |")?;
        }
        for (shards, members) in FLEETS {
            let assign = time(self.mean(&format!("ring/assign/{shards}-{members}"))?);
            writeln!(text, "| {shards} shards are assigned to {members} members | {assign} |")?;
        }
        let (interval, cron) = (self.mean("times/interval")?, self.mean("times/cron")?);
        writeln!(text, "| the next time of an interval | {} |", time(interval))?;
        writeln!(text, "| the next time of a cron expression with a time zone | {} |", time(cron))?;
        Ok(())
    }

    /// Criterion's mean.
    fn mean(&self, id: &str) -> anyhow::Result<Duration> {
        let path = self.criterion.join(id).join("new/estimates.json");
        let text = std::fs::read(&path).with_context(|| format!("{id} was not measured"))?;
        let read: Value = serde_json::from_slice(&text)?;
        let nanos = read["mean"]["point_estimate"].as_f64().context("criterion left no mean")?;
        Ok(Duration::from_secs_f64(nanos / 1e9))
    }
}

pub(crate) fn memory(text: &mut String, held: &Held) -> anyhow::Result<()> {
    let Held { fresh, settled, idle, busy } = held;
    let each = busy.memory.saturating_sub(idle.memory) / HELD as u64;
    writeln!(text, "\n### {HELD} triggers held\n")?;
    writeln!(text, "| what | as JSON | memory | aim ≤ {MOST_BYTES} B |")?;
    writeln!(text, "| --- | ---: | ---: | --- |")?;
    for (title, json, bytes) in [
        ("one that no controller has seen, in the stores", fresh.json, fresh.store),
        ("one that was checked and run once, in the stores", settled.json, settled.store),
        ("the same in a whole replica that checks it", settled.json, each),
    ] {
        let verdict = verdict(&bytes, &MOST_BYTES);
        writeln!(text, "| {title} | {json} B | {bytes} B | {verdict} |")?;
    }
    writeln!(text, "\n| a whole replica | memory | CPU | requests to remotes |")?;
    writeln!(text, "| --- | ---: | ---: | ---: |")?;
    for (title, it) in [("no trigger", idle), ("all of them, each checked every minute", busy)] {
        let (memory, cores, requests) = (mebibytes(it.memory), it.cores, it.requests);
        writeln!(text, "| with {title} | {memory} MiB | {cores:.3} cores | {requests:.1}/s |")?;
    }
    Ok(())
}

fn verdict<T: PartialOrd>(least: &T, most: &T) -> &'static str {
    if least <= most { "met" } else { "**missed**" }
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn time(it: Duration) -> String {
    let nanos = it.as_secs_f64() * 1e9;
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        1e3..1e6 => format!("{:.1} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}
