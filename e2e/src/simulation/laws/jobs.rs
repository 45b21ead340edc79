//! Was each run recorded before its Job was made, started by what the ledger held, once, and ended?

use std::collections::BTreeMap;
use std::time::Duration;

use ger_api::status::RunPhase;

use super::Verdict;
use crate::simulation::timeline::At;
use crate::simulation::witness::{JobSeen, RunSeen, TriggerSeen, Witness};
use crate::simulation::world::World;

/// Between the last look at a ledger and the start of its Job the trigger may be deleted.
const LOOK: Duration = Duration::from_mins(1);
/// A run that was recorded this shortly before the end may be under way.
const UNDER_WAY: Duration = Duration::from_mins(5);

pub(super) fn judge(
    world: &World,
    (cluster, witness): (usize, &Witness),
    end: At,
    verdict: &mut Verdict,
) {
    let mut starts: BTreeMap<(&str, &str), Vec<&JobSeen>> = BTreeMap::new();
    for (uid, job) in &witness.jobs {
        verdict.figures.jobs += 1;
        let Some(trigger) = witness.triggers.get(&job.trigger) else {
            let what = format!("job {} is of no trigger", job.name);
            verdict.fail(job.created.at, "a Job is of a run", what);
            continue;
        };
        recorded_first(trigger, job, verdict);
        if job.started.is_some() {
            verdict.figures.started += 1;
            gated(trigger, (uid, job), verdict);
            starts.entry((&job.trigger, &job.run)).or_default().push(job);
        } else if witness.jobs.values().any(|it| it.run == job.run && it.created < job.created) {
            verdict.figures.doubles += 1;
        }
    }
    for ((_, run), jobs) in starts.iter().filter(|it| it.1.len() > 1) {
        let names: Vec<String> =
            jobs.iter().map(|it| format!("{} at {:?}", it.name, it.started)).collect();
        let at = jobs.iter().filter_map(|it| it.started).max().map_or(end, |it| it.at);
        let what = format!("run {run} started {} Jobs: {}", jobs.len(), names.join(", "));
        verdict.fail(at, "a run runs once", what);
    }
    for (uid, trigger) in &witness.triggers {
        for (id, run) in &trigger.runs {
            verdict.figures.runs += 1;
            let started = starts.get(&(uid.as_str(), id.as_str())).and_then(|it| it.first());
            ended(world, (cluster, uid, trigger), (id, run, started.copied(), end), verdict);
        }
    }
    limited(world, witness, verdict);
    verdict.figures.longest = verdict.figures.longest.max(witness.longest);
}

/// Law 2.
fn recorded_first(trigger: &TriggerSeen, job: &JobSeen, verdict: &mut Verdict) {
    let recorded = trigger.runs.get(&job.run).and_then(|it| it.pending);
    if recorded.is_none_or(|it| it.revision > job.created.revision) {
        let what =
            format!("job {} of {} was created before its run was recorded", job.name, trigger.name);
        verdict.fail(job.created.at, "recorded before done", what);
    }
}

/// The execution point.
fn gated(trigger: &TriggerSeen, (uid, job): (&str, &JobSeen), verdict: &mut Verdict) {
    let Some(started) = job.started else { return };
    // Whoever read the ledger just before could not know that the trigger would go.
    if trigger.gone.is_some_and(|it| it.revision < started.revision && started.at < it.at + LOOK) {
        return;
    }
    let said = trigger.runs.get(&job.run).and_then(|it| it.before(started.revision));
    if said != Some((RunPhase::Queued, Some(uid))) {
        let what =
            format!("job {} of {} started while the ledger said {said:?}", job.name, trigger.name);
        verdict.fail(started.at, "nothing starts but what the ledger holds as queued", what);
    }
}

/// No run is lost, and what the ledger says of its end is so.
fn ended(
    world: &World,
    (cluster, uid, trigger): (usize, &str, &TriggerSeen),
    (id, run, started, end): (&str, &RunSeen, Option<&JobSeen>, At),
    verdict: &mut Verdict,
) {
    let last = run.last();
    let at = run.phases.last().map_or(end, |it| it.0.at);
    let is_unstarted = matches!(last, RunPhase::Expired | RunPhase::Unchanged | RunPhase::Skipped);
    if let (true, Some(job)) = (is_unstarted, started) {
        let what =
            format!("run {id} of {} ended as {last:?}, and job {} started", trigger.name, job.name);
        verdict.fail(at, "the ledger tells the truth", what);
    }
    if last == RunPhase::Succeeded && started.is_none() {
        let what = format!("run {id} of {} succeeded without a Job", trigger.name);
        verdict.fail(at, "the ledger tells the truth", what);
    }
    let lives = world.truth.lives();
    let life = lives.iter().find(|it| it.cluster == cluster && it.uid == *uid);
    let is_suspended = life.and_then(|it| it.specs.last()).is_some_and(|it| it.1.is_suspended);
    let is_left = !last.is_final() && trigger.gone.is_none() && !is_suspended;
    let first = run.phases.first().map_or(end, |it| it.0.at);
    if is_left && end > first + UNDER_WAY {
        let what =
            format!("run {id} of {} is still {last:?}, recorded at {first:.0?}", trigger.name);
        verdict.fail(end, "no run is lost", what);
    }
    if let (Some(job), Some(pending)) = (started.and_then(|it| it.started), run.pending) {
        verdict.figures.start = verdict.figures.start.max(job.at.saturating_sub(pending.at));
    }
}

/// `maxRunningJobs`, but for the one start that a stale admitter had in flight.
fn limited(world: &World, witness: &Witness, verdict: &mut Verdict) {
    let limit = usize::try_from(world.script.max_running).unwrap_or(usize::MAX);
    if let Some((at, most)) = witness.most.last() {
        verdict.figures.most = verdict.figures.most.max(*most);
        if *most > limit + 1 {
            let what = format!("{most} Jobs ran at once, where {limit} may");
            verdict.fail(*at, "no more than maxRunningJobs run", what);
        }
    }
}
