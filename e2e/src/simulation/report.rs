//! What is said of a seed? A line when all was well; else how to live it again, and what happened when.

use std::fmt::Write as _;
use std::time::Duration;

use super::laws::Figures;
use super::timeline::At;
use super::witness::Broken;

/// So many lines of a timeline before what broke, and after it.
const AROUND: (Duration, Duration) = (Duration::from_secs(400), Duration::from_secs(30));
/// So many laws are told of one seed; the first explains the others.
const TOLD: usize = 6;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Report {
    /// What began it.
    pub seed: u64,
    /// The same for each life of this seed, request by request.
    pub digest: u64,
    pub(super) figures: Figures,
    pub(super) requests: u64,
    pub(super) checks: u64,
    pub(super) absorbed: u64,
    pub(super) crashes: u64,
    pub(super) freezes: u64,
    pub(super) unowned: Duration,
    pub(super) unowned_calm: Duration,
    pub(super) broken: Vec<Broken>,
    pub(super) timeline: Vec<(At, String)>,
}

impl Report {
    /// Whether every law held.
    pub fn is_well(&self) -> bool {
        self.broken.is_empty()
    }

    /// The laws that did not hold, each once.
    pub fn laws(&self) -> Vec<&'static str> {
        let mut laws: Vec<&'static str> = self.broken.iter().map(|it| it.law).collect();
        laws.sort_unstable();
        laws.dedup();
        laws
    }

    /// How often a Job was created for a run that had one, and nothing came of it.
    pub fn absorbed(&self) -> u64 {
        self.absorbed + u64::try_from(self.figures.doubles).unwrap_or_default()
    }

    /// How many Jobs started.
    pub fn started(&self) -> usize {
        self.figures.started
    }

    /// How many changes had to be seen.
    pub fn changes(&self) -> usize {
        self.figures.changes
    }

    /// How many processes died.
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// The seed in a line.
    pub fn line(&self) -> String {
        let Figures { runs, started, changes, detection, detection_ever, start, .. } = self.figures;
        let verdict = if self.is_well() { "ok" } else { "BROKEN" };
        format!(
            "seed {:>5} {verdict} {:016x} | {runs} runs, {started} started, {changes} due changes | \
             seen within {:.0?} ({:.0?} in storms), started within {:.0?} | unowned {:.0?} ({:.0?} in calm) | \
             {} doubles absorbed | {} crashes, {} freezes | {} checks, {} requests",
            self.seed,
            self.digest,
            detection,
            detection_ever,
            start,
            self.unowned,
            self.unowned_calm,
            self.absorbed(),
            self.crashes,
            self.freezes,
            self.checks,
            self.requests,
        )
    }

    /// All that happened, a line each.
    pub fn told(&self) -> String {
        let mut text = String::new();
        for (at, line) in &self.timeline {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "    {:>9.3} {line}", at.as_secs_f64());
        }
        text
    }

    /// What broke, and what happened around the first of it.
    pub fn explained(&self) -> String {
        let mut text = String::new();
        for broken in self.broken.iter().take(TOLD) {
            let at = broken.at.as_secs_f64();
            // Writing into a String cannot fail.
            let _ = writeln!(text, "  at {at:.3}: {}: {}", broken.law, broken.what);
        }
        if self.broken.len() > TOLD {
            let _ = writeln!(text, "  and {} more", self.broken.len() - TOLD);
        }
        let Some(first) = self.broken.first() else { return text };
        let from = first.at.saturating_sub(AROUND.0);
        let around = from..first.at + AROUND.1;
        let _ = writeln!(text, "  timeline around {:.3}:", first.at.as_secs_f64());
        for (at, line) in self.timeline.iter().filter(|it| around.contains(&it.0)) {
            let _ = writeln!(text, "    {:>9.3} {line}", at.as_secs_f64());
        }
        text
    }
}

/// The worst of many seeds.
#[derive(Clone, Debug, Default)]
pub(super) struct Worst {
    seeds: usize,
    pub(super) broken: usize,
    sums: Figures,
    absorbed: u64,
    crashes: u64,
    freezes: u64,
    unowned: Duration,
    unowned_calm: Duration,
}

impl Worst {
    pub(super) fn take(&mut self, report: &Report) {
        let (sums, figures) = (&mut self.sums, &report.figures);
        self.seeds += 1;
        self.broken += usize::from(!report.is_well());
        sums.runs += figures.runs;
        sums.started += figures.started;
        sums.changes += figures.changes;
        sums.detection = sums.detection.max(figures.detection);
        sums.detection_ever = sums.detection_ever.max(figures.detection_ever);
        sums.start = sums.start.max(figures.start);
        sums.most = sums.most.max(figures.most);
        sums.longest = sums.longest.max(figures.longest);
        self.absorbed += report.absorbed();
        self.crashes += report.crashes;
        self.freezes += report.freezes;
        self.unowned = self.unowned.max(report.unowned);
        self.unowned_calm = self.unowned_calm.max(report.unowned_calm);
    }

    pub(super) fn told(&self) -> String {
        let Figures { runs, started, changes, detection, detection_ever, start, most, .. } =
            self.sums;
        format!(
            "{} seeds, {} broken | {runs} runs, {started} started, {changes} due changes, all counted | \
             at worst: seen within {detection:.0?} ({detection_ever:.0?} in storms), started within {start:.0?}, \
             unowned {:.0?} ({:.0?} in calm), {most} Jobs of a cluster at once | {} doubles absorbed, \
             {} crashes, {} freezes\n\
             laws: recorded before done; a run runs once; no change runs twice; no firing runs twice; each \
             change that stays is run; the last commit runs last; nothing starts but what the ledger holds as \
             queued; no run is lost; the ledger goes forward only and tells the truth; no trigger is unowned \
             for longer than the bound; no Lease of a member that renews is taken; a key that one cannot reach goes to one that can; no more than maxRunningJobs \
             run; statuses are bounded; no cluster's trouble shows in another; replicas end when they are asked to",
            self.seeds,
            self.broken,
            self.unowned,
            self.unowned_calm,
            self.absorbed,
            self.crashes,
            self.freezes,
        )
    }
}
