//! What was measured, as the tables of `docs/performance.md`?

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::hold::{HELD, Held};
use crate::remotes::REFS;
use crate::scheduler::{FLEETS, SHARDS, TRIGGERS};

/// How many times less CPU a check shall take than `git ls-remote`.
const LEAST_RATIO: f64 = 50.0;
/// How many bytes a trigger shall take at the most.
const MOST_BYTES: u64 = 4096;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Where criterion left its estimates.
    pub(crate) criterion: PathBuf,
    pub(crate) held: Held,
}

impl Figures {
    /// Markdown, without a heading of its own.
    pub(crate) fn report(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        self.cpu(&mut text)?;
        self.rate(&mut text)?;
        self.scheduler(&mut text)?;
        self.memory(&mut text)?;
        Ok(text)
    }

    fn cpu(&self, text: &mut String) -> anyhow::Result<()> {
        writeln!(text, "### CPU of one check\n")?;
        writeln!(
            text,
            "| server | refs | ours | `git ls-remote` | ratio | aim ≥ {LEAST_RATIO:.0}× |"
        )?;
        writeln!(text, "| --- | ---: | ---: | ---: | ---: | --- |")?;
        let servers = [
            ("backend", "`git http-backend`"),
            ("canned", "canned, http"),
            ("tls", "canned, https"),
        ];
        for (server, title) in servers {
            for refs in REFS {
                let ours = self.mean(&format!("cpu/ours-{server}/{refs}"))?;
                let git = self.mean(&format!("cpu/git-{server}/{refs}"))?;
                let ratio = git.as_secs_f64() / ours.as_secs_f64();
                let verdict = verdict(&LEAST_RATIO, &ratio);
                let (ours, git) = (time(ours), time(git));
                writeln!(text, "| {title} | {refs} | {ours} | {git} | {ratio:.0}× | {verdict} |")?;
            }
        }
        Ok(())
    }

    fn rate(&self, text: &mut String) -> anyhow::Result<()> {
        writeln!(text, "\n### Checks per second of one core, and the time of one check\n")?;
        writeln!(
            text,
            "| refs | checks/s, http | checks/s, https | one check | one `git ls-remote` |"
        )?;
        writeln!(text, "| ---: | ---: | ---: | ---: | ---: |")?;
        for refs in REFS {
            let rate =
                |way| self.mean(&format!("rate/{way}/{refs}")).map(|it| 1.0 / it.as_secs_f64());
            let (plain, tls) = (rate("canned")?, rate("tls")?);
            let ours = time(self.mean(&format!("latency/ours/{refs}"))?);
            let git = time(self.mean(&format!("latency/git/{refs}"))?);
            writeln!(text, "| {refs} | {plain:.0} | {tls:.0} | {ours} | {git} |")?;
        }
        Ok(())
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

    fn memory(&self, text: &mut String) -> anyhow::Result<()> {
        let Held { fresh, settled, idle, busy } = &self.held;
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
        for (title, it) in [("no trigger", idle), ("all of them, each checked every minute", busy)]
        {
            let (memory, cores, requests) = (mebibytes(it.memory), it.cores, it.requests);
            writeln!(text, "| with {title} | {memory} MiB | {cores:.3} cores | {requests:.1}/s |")?;
        }
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
