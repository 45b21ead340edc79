//! What happened, seen from outside: every write of the ledger, and every Job that started.

use std::collections::BTreeMap;

use ger_api::TriggerStatus;
use ger_api::status::{Run, RunPhase};

use super::replica::Asked;
use super::world::SOURCE;
use crate::ledger::may_follow;
use crate::names::Commit;

#[derive(Default)]
pub(super) struct Truth {
    /// Steps taken so far.
    pub(super) clock: u64,
    /// The first law that was broken.
    pub(super) broken: Option<String>,
    /// The changes that were recorded, in order.
    changes: Vec<Recorded>,
    /// The Jobs that started, by run.
    started: BTreeMap<String, Vec<String>>,
    /// How often a record moved without a run.
    quiet_moves: usize,
    /// When each `Requested` run was last asked for.
    asked_for: BTreeMap<(String, Option<String>), u64>,
}

struct Recorded {
    run_id: String,
    commit: String,
    /// Which head of the remote it is: an A that comes back is another. A push that touches nothing
    /// that is watched does not count.
    push: u32,
    is_expired: bool,
}

/// Whether the same is watched after both pushes.
fn is_alike(one: u32, other: u32) -> bool {
    one.abs_diff(other).is_multiple_of(2)
}

impl Truth {
    pub(super) fn started(&mut self, run_id: &str, uid: &str) {
        self.started.entry(run_id.to_owned()).or_default().push(uid.to_owned());
        let jobs = self.started.get(run_id).map_or(0, Vec::len);
        self.demand(jobs == 1, || format!("run {run_id} started {jobs} Jobs"));
        let Some(change) = self.changes.iter().find(|it| it.run_id == run_id) else {
            self.demand(false, || {
                format!("a Job of run {run_id} started, and no such run is recorded")
            });
            return;
        };
        let (push, expired) = (change.push, change.is_expired);
        self.demand(!expired, || format!("run {run_id} is Expired, and its Job started"));
        let of_push = self.changes.iter().filter(|it| it.push == push);
        let jobs = of_push.filter(|it| self.started.contains_key(&it.run_id)).count();
        self.demand(jobs == 1, || format!("{jobs} Jobs started for push {push}"));
    }

    /// A write was accepted: it must be one that may follow.
    pub(super) fn written(
        &mut self,
        old: &TriggerStatus,
        new: &TriggerStatus,
        asked: Option<Asked>,
    ) {
        for run in &old.runs {
            let is_kept = new.runs.iter().any(|it| it.id == run.id);
            self.demand(is_kept || run.phase.is_final(), || {
                format!("unfinished {run:?} was dropped")
            });
        }
        let mut fresh = 0;
        for run in &new.runs {
            let twins = new.runs.iter().filter(|it| it.id == run.id).count();
            self.demand(twins == 1, || format!("run id {} is there {twins} times", run.id));
            let known = old.runs.iter().find(|it| it.id == run.id);
            match known {
                Some(known) => self.moved(known, run),
                None => fresh += 1,
            }
            self.noted(known, run, asked);
        }
        if asked.is_none() {
            self.replaced(old, new);
        }
        self.demand(new.sequence == old.sequence + fresh, || {
            "the sequence does not count runs".to_owned()
        });
        self.record_follows_runs(old, new, asked);
    }

    fn moved(&mut self, old: &Run, new: &Run) {
        let is_legal = old.phase == new.phase || may_follow(old.phase, new.phase);
        self.demand(is_legal, || format!("{:?} → {:?}", old.phase, new.phase));
        let keeps_commit = old.commit.is_none() || old.commit == new.commit;
        self.demand(keeps_commit, || format!("the commit of {} was replaced", old.id));
        let keeps_job = old.job_uid.is_none() || old.job_uid == new.job_uid;
        self.demand(keeps_job, || format!("the Job of {} was replaced", old.id));
        if new.phase == RunPhase::Expired
            && let Some(change) = self.changes.iter_mut().find(|it| it.run_id == new.id)
        {
            change.is_expired = true;
            let has_started = self.started.contains_key(&new.id);
            self.demand(!has_started, || {
                format!("run {} started, and is said to be Expired", new.id)
            });
        }
    }

    /// A run that takes another's place stands for the same change.
    fn replaced(&mut self, old: &TriggerStatus, new: &TriggerStatus) {
        let is_fresh = |it: &&Run| old.runs.iter().all(|known| known.id != it.id);
        for run in new.runs.iter().filter(is_fresh).filter(|it| it.commit.is_some()) {
            let ended = new.runs.iter().find(|it| {
                let known = old.runs.iter().find(|known| known.id == it.id);
                known.is_some_and(|known| known.phase != it.phase) && it.phase == RunPhase::Expired
            });
            let change =
                ended.and_then(|it| self.changes.iter_mut().find(|change| change.run_id == it.id));
            let Some(change) = change.filter(|it| Some(&it.commit) == run.commit.as_ref()) else {
                self.demand(false, || format!("{run:?} takes nobody's place"));
                return;
            };
            change.run_id.clone_from(&run.id);
            change.is_expired = false;
        }
    }

    /// Notes what a write says of a run for the first time.
    fn noted(&mut self, old: Option<&Run>, new: &Run, asked: Option<Asked>) {
        let request = |it: &Run| (it.id.clone(), it.occasion.clone());
        if new.phase == RunPhase::Requested && old.map(request) != Some(request(new)) {
            self.asked_for.insert(request(new), self.clock);
        }
        if let (Some(old), Some(asked)) = (old, asked)
            && old.phase == RunPhase::Requested
            && new.phase != RunPhase::Requested
        {
            let since = self.asked_for.get(&request(old)).copied().unwrap_or_default();
            self.demand(asked.sent > since, || format!("{} is answered by an older check", old.id));
        }
        if old.is_none_or(|it| it.commit.is_none())
            && let (Some(commit), Some(asked)) = (&new.commit, asked)
        {
            self.recorded(new, commit, asked.push);
        }
    }

    fn recorded(&mut self, run: &Run, commit: &str, push: u32) {
        let last = self.changes.last();
        let is_new = last.is_none_or(|it| !is_alike(it.push, push) || it.is_expired);
        let goes_on = last.is_none_or(|it| it.push <= push);
        self.demand(is_new, || format!("run {} is of a state that was just recorded", run.id));
        self.demand(goes_on, || format!("run {} is of a head older than the last", run.id));
        let (run_id, commit) = (run.id.clone(), commit.to_owned());
        self.changes.push(Recorded { run_id, commit, push, is_expired: false });
    }

    /// A record moves with a run, and is cleared with one: by itself only to where the watched files
    /// are what they were.
    fn record_follows_runs(
        &mut self,
        old: &TriggerStatus,
        new: &TriggerStatus,
        asked: Option<Asked>,
    ) {
        let commit = |it: &TriggerStatus| it.checked_sources.get(SOURCE)?.commit_hash.clone();
        let (before, after) = (commit(old), commit(new));
        if before == after {
            return;
        }
        let last = self.changes.last();
        let is_as_run =
            asked.zip(last).is_some_and(|(asked, last)| is_alike(asked.push, last.push));
        let files = |it: &TriggerStatus| it.checked_sources.get(SOURCE)?.file_hash.clone();
        let is_quiet = before.is_some() && after.is_some() && new.sequence == old.sequence;
        if is_quiet && files(old).is_some() && files(old) == files(new) && is_as_run {
            self.quiet_moves += 1;
            return;
        }
        let turned = |it: &&Run| {
            let known = old.runs.iter().find(|known| known.id == it.id);
            known.is_none_or(|known| known.phase != it.phase)
        };
        let is_cause = |it: &Run| match &after {
            Some(_) => it.phase == RunPhase::Pending && it.commit == after,
            None => it.phase == RunPhase::Expired,
        };
        let is_caused = new.runs.iter().filter(turned).any(is_cause);
        self.demand(is_caused, || {
            format!("the record went from {before:?} to {after:?} without a run")
        });
    }

    /// At rest: every change that was recorded has one started Job, or waited too long and was
    /// recorded again or overtaken; and the newest is what the remote has.
    pub(super) fn judge(
        &self,
        status: &TriggerStatus,
        head: &Commit,
        push: u32,
    ) -> Result<(), String> {
        if let Some(run) = super::super::unfinished(status).next() {
            return Err(format!("{run:?} never ends"));
        }
        let last = self.changes.last().ok_or("no run was ever recorded")?;
        if !is_alike(last.push, push) || last.is_expired {
            return Err(format!("the head {head} was never run: the last run is {}", last.run_id));
        }
        let record = status.checked_sources.get(SOURCE).and_then(|it| it.commit_hash.as_deref());
        if record != Some(head.as_str()) {
            return Err(format!("the record is at {record:?}, the head is {head}"));
        }
        for change in &self.changes {
            let jobs = self.started.get(&change.run_id).map_or(0, Vec::len);
            let expected = usize::from(!change.is_expired);
            if jobs != expected {
                return Err(format!("run {} started {jobs} Jobs", change.run_id));
            }
        }
        Ok(())
    }

    /// How many changes ran.
    pub(super) fn runs(&self) -> usize {
        self.started.len()
    }

    /// How often a record moved without a run.
    pub(super) fn quiet_moves(&self) -> usize {
        self.quiet_moves
    }

    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "an assertion: the condition is its argument"
    )]
    fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(what());
        }
    }
}
