//! Does what ran follow what was to be seen? Every change that stayed long enough has its run, nothing runs
//! without a change, and the last commit runs last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ger_api::status::RunReason;

use super::{Case, Verdict};
use crate::simulation::calm::Place;
use crate::simulation::script::Fires;
use crate::simulation::timeline::At;
use crate::simulation::witness::RunSeen;

/// Beside the interval: the check itself, a timer's place among others, and a schedule's first spread.
const SLACK: Duration = Duration::from_secs(20);
/// An answer may have been on its way for so long when it is recorded.
const ON_ITS_WAY: Duration = Duration::from_mins(5);

pub(super) fn judge(case: &Case<'_>, verdict: &mut Verdict) {
    in_order(case, verdict);
    match case.fires() {
        Some(Fires::OnChange) => no_more_than_changes(case, verdict),
        Some(Fires::Always) => once_each_time(case, verdict),
        None => return,
    }
    no_less_than_changes(case, verdict);
}

impl Case<'_> {
    fn fires(&self) -> Option<Fires> {
        self.life.specs.last().map(|it| it.1.fires)
    }

    fn name(&self) -> String {
        let cluster = &self.world.script.clusters[self.life.cluster];
        format!("{} of {cluster}, repo-{}", self.life.name, self.source)
    }

    /// Whose troubles are this one's.
    fn places(&self) -> Vec<Place> {
        let cluster = self.life.cluster;
        let mut places = vec![
            Place::Fleet,
            Place::Cluster(cluster),
            Place::Objects(cluster),
            Place::Trigger(self.life.trigger),
        ];
        places.extend(self.world.truth.led(cluster, self.source).into_iter().map(Place::Repo));
        places
    }

    /// How long a change must stay to be seen, from a time on; none while nobody looks.
    fn need(&self, at: At) -> Option<Duration> {
        let spec = &self.life.specs.iter().rev().find(|it| it.0 <= at)?.1;
        (!spec.is_suspended).then(|| spec.times.longest() + SLACK + self.world.apart())
    }
}

/// Jobs of one source start in the order in which their runs were recorded.
fn in_order(case: &Case<'_>, verdict: &mut Verdict) {
    let starts = case.runs.iter().filter_map(|(id, run, job)| Some((id, run, (*job)?.started?)));
    let starts: Vec<_> = starts.collect();
    for pair in starts.windows(2) {
        let [(first, _, before), (second, run, after)] = pair else { continue };
        if before.revision > after.revision {
            let commit = run.commit.as_deref().unwrap_or_default();
            let what =
                format!("{}: run {second} of {commit:.8} started before run {first}", case.name());
            verdict.fail(before.at, "the last commit runs last", what);
        }
    }
}

/// Each run that started has a change of its own, in the order of the changes.
fn no_more_than_changes(case: &Case<'_>, verdict: &mut Verdict) {
    let mut next = 0;
    // Who asked for a run whatever has changed, and whose run expired, is owed one.
    let mut owed: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, run, job) in &case.runs {
        let Some(commit) = run.commit.as_deref() else { continue };
        if job.is_none() && is_forced(run) {
            *owed.entry(commit).or_default() += 1;
        }
        if job.is_none() || is_forced(run) {
            continue;
        }
        let recorded = run.pending.map_or(case.end, |it| it.at);
        let fits = |index: &usize| {
            let episode = &case.episodes[*index];
            let last = episode.seen.last().map_or(At::ZERO, |it| it.1);
            episode.commit == commit && episode.from() <= recorded && last + ON_ITS_WAY >= recorded
        };
        if let Some(index) = (next..case.episodes.len()).rev().find(fits) {
            next = index + 1;
        } else if let Some(owed) = owed.get_mut(commit).filter(|it| **it > 0) {
            *owed -= 1;
        } else {
            let what = format!("{}: run {id} of {commit:.8} has no change to it", case.name());
            verdict.fail(recorded, "no change runs twice", what);
        }
    }
}

fn is_forced(run: &RunSeen) -> bool {
    run.forced && run.reason == RunReason::Manual
}

/// A trigger that runs at each firing runs once for each.
fn once_each_time(case: &Case<'_>, verdict: &mut Verdict) {
    let mut occasions = BTreeSet::new();
    for (id, run, job) in &case.runs {
        let Some(occasion) = run.occasion.as_ref().filter(|_| job.is_some()) else { continue };
        if !occasions.insert(occasion) {
            let at = run.pending.map_or(case.end, |it| it.at);
            let what = format!("{}: run {id} is the second for {occasion}", case.name());
            verdict.fail(at, "no firing runs twice", what);
        }
    }
}

/// Each change that stayed long enough, with nothing the matter, was recorded in time.
fn no_less_than_changes(case: &Case<'_>, verdict: &mut Verdict) {
    let places = case.places();
    for episode in &case.episodes {
        let recorded = |until: At| {
            case.runs.iter().find_map(|(_, run, _)| {
                let at = run.pending?.at;
                let is_it = run.commit.as_deref() == Some(episode.commit.as_str());
                (is_it && at >= episode.from() && at <= until).then_some(at)
            })
        };
        if let Some(at) = recorded(case.end) {
            let took = at.saturating_sub(episode.from());
            verdict.figures.detection_ever = verdict.figures.detection_ever.max(took);
        }
        let calm = episode.seen.iter().find_map(|(from, to)| {
            let calms = case.world.common.troubles.calms(&places, *from, *to);
            calms.into_iter().find_map(|(begin, end)| {
                let need = case.need(begin)?;
                (end >= begin + need).then_some((begin, begin + need))
            })
        });
        let Some((begin, deadline)) = calm else { continue };
        verdict.figures.changes += 1;
        match recorded(deadline) {
            Some(at) => {
                let took = at.saturating_sub(begin);
                verdict.figures.detection = verdict.figures.detection.max(took);
            }
            // What came back was recorded the first time: nobody saw that it was away.
            None if was_there(case, episode.from(), &episode.commit) => {}
            None => {
                let commit = &episode.commit;
                let what = format!(
                    "{}: {commit:.8} stood there from {:.0?}, calm from {begin:.0?}, and had no run by {deadline:.0?}",
                    case.name(),
                    episode.from(),
                );
                verdict.fail(deadline, "each change that stays is run", what);
            }
        }
    }
}

/// Whether the commit was the last one recorded before a time: then nothing has changed for who looks.
fn was_there(case: &Case<'_>, from: At, commit: &str) -> bool {
    let before = case.runs.iter().rev().find(|it| it.1.pending.is_some_and(|it| it.at < from));
    before.is_some_and(|it| it.1.commit.as_deref() == Some(commit))
}
