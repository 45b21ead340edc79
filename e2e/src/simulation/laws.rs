//! Did every law hold? What the clusters showed is compared with what is true of the repositories and of the
//! triggers: by the API's own record, from the first to the last.

mod jobs;
mod sight;

use std::time::Duration;

use super::timeline::At;
use super::truth::{Episode, Life};
use super::witness::{Broken, JobSeen, RunSeen, TriggerSeen, Witness};
use super::world::World;

/// How good a life was at its worst.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) runs: usize,
    pub(super) jobs: usize,
    pub(super) started: usize,
    /// Changes that had to be seen, and were.
    pub(super) changes: usize,
    /// From a change to its record, with nothing the matter.
    pub(super) detection: Duration,
    /// From a change to its record, whatever was the matter.
    pub(super) detection_ever: Duration,
    /// From a record to the start of its Job.
    pub(super) start: Duration,
    /// Jobs that were created for a run that had one, and never started.
    pub(super) doubles: usize,
    /// Jobs of one cluster that ran at once.
    pub(super) most: usize,
    /// Runs that a status held.
    pub(super) longest: usize,
}

/// The verdict on a life.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) broken: Vec<Broken>,
    pub(super) figures: Figures,
}

/// One source of one trigger's life, with all that became of it.
pub(super) struct Case<'a> {
    pub(super) world: &'a World,
    pub(super) life: &'a Life,
    pub(super) source: usize,
    pub(super) end: At,
    pub(super) episodes: Vec<Episode>,
    /// Its runs in the ledger's order, with the Job that started.
    pub(super) runs: Vec<(&'a str, &'a RunSeen, Option<&'a JobSeen>)>,
}

impl Verdict {
    pub(super) fn fail(&mut self, at: At, law: &'static str, what: String) {
        self.broken.push(Broken { at, law, what });
    }
}

/// Judges a life that has ended.
pub(super) fn judge(world: &World, end: At) -> Verdict {
    let mut verdict = Verdict::default();
    for (cluster, yard) in world.yards.iter().enumerate() {
        let witness = yard.witness();
        verdict.broken.extend(witness.broken.iter().cloned());
        jobs::judge(world, (cluster, &witness), end, &mut verdict);
        let lives = world.truth.lives();
        for life in lives.iter().filter(|it| it.cluster == cluster) {
            let Some(seen) = witness.triggers.get(&life.uid) else {
                let what = format!("{} was never seen", life.name);
                verdict.fail(life.from, "the witness sees everything", what);
                continue;
            };
            of_life(world, (life, seen, &witness), end, &mut verdict);
        }
    }
    verdict.broken.extend(world.sentry.found().broken);
    verdict.broken.sort_by_key(|it| it.at);
    verdict
}

fn of_life(
    world: &World,
    (life, seen, witness): (&Life, &TriggerSeen, &Witness),
    end: At,
    verdict: &mut Verdict,
) {
    let sources = life.specs.first().map(|it| it.1.sources.repos.clone()).unwrap_or_default();
    for source in sources {
        let name = super::hands::source_name(source);
        let started = |run: &str| {
            let of_run =
                |it: &&JobSeen| it.run == run && it.trigger == life.uid && it.started.is_some();
            witness.jobs.values().find(of_run)
        };
        let of_source = seen.order.iter().filter(|it| seen.runs[*it].source == name);
        let runs = of_source.map(|id| (id.as_str(), &seen.runs[id], started(id))).collect();
        let episodes = world.truth.episodes(&world.forge, life, source, end);
        let case = Case { world, life, source, end, episodes, runs };
        sight::judge(&case, verdict);
    }
}
