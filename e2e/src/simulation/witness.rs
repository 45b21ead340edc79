//! What did one cluster's API show, version by version? Every Job and every ledger that ever was, with the
//! revision at which it was so: what really happened, and not what is left of it.

use std::collections::{BTreeMap, BTreeSet};

use ger_api::TriggerStatus;
use ger_api::status::{Run, RunPhase, RunReason};
use ger_core::ledger::{MOST_UNFINISHED, may_follow};
use serde::Deserialize;

use super::timeline::At;

/// Finished runs that are kept: five of each of three classes, and the newest of each source.
const KEPT: usize = 15;
/// A message in a status has at most so many bytes.
const LONGEST_MESSAGE: usize = 256;

/// When something was so: by the clock, and by the cluster's revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) at: At,
    pub(super) revision: u64,
}

/// A Job that ever was.
#[derive(Clone, Debug)]
pub(super) struct JobSeen {
    pub(super) name: String,
    pub(super) run: String,
    pub(super) trigger: String,
    pub(super) created: Mark,
    pub(super) started: Option<Mark>,
    pub(super) finished: Option<Mark>,
    pub(super) gone: Option<Mark>,
}

impl JobSeen {
    fn runs(&self) -> bool {
        self.started.is_some() && self.finished.is_none() && self.gone.is_none()
    }
}

/// A run that ever was recorded.
#[derive(Clone, Debug)]
pub(super) struct RunSeen {
    pub(super) source: String,
    pub(super) reason: RunReason,
    pub(super) forced: bool,
    pub(super) occasion: Option<String>,
    pub(super) commit: Option<String>,
    /// When it got its commit.
    pub(super) pending: Option<Mark>,
    /// What the ledger said of it, one after the other.
    pub(super) phases: Vec<(Mark, RunPhase, Option<String>)>,
}

impl RunSeen {
    /// What the ledger said just before a revision.
    pub(super) fn before(&self, revision: u64) -> Option<(RunPhase, Option<&str>)> {
        let known = self.phases.iter().rev().find(|it| it.0.revision < revision);
        known.map(|(_, phase, uid)| (*phase, uid.as_deref()))
    }

    pub(super) fn last(&self) -> RunPhase {
        self.phases.last().map_or(RunPhase::Requested, |it| it.1)
    }
}

/// A trigger that ever was, by its uid.
#[derive(Clone, Debug, Default)]
pub(super) struct TriggerSeen {
    pub(super) name: String,
    pub(super) created: Option<Mark>,
    pub(super) gone: Option<Mark>,
    pub(super) runs: BTreeMap<String, RunSeen>,
    /// The runs in the order in which they got their commits.
    pub(super) order: Vec<String>,
    sequence: i64,
    last: Vec<Run>,
}

/// A law that did not hold.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) at: At,
    pub(super) law: &'static str,
    pub(super) what: String,
}

/// All that one cluster showed.
#[derive(Debug, Default)]
pub(super) struct Witness {
    pub(super) jobs: BTreeMap<String, JobSeen>,
    pub(super) triggers: BTreeMap<String, TriggerSeen>,
    pub(super) broken: Vec<Broken>,
    running: BTreeSet<String>,
    /// How many Jobs of triggers that are there ran at once, each time that it became more.
    pub(super) most: Vec<(At, usize)>,
    /// The most runs that a status held.
    pub(super) longest: usize,
}

/// A Job as far as it matters.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Job {
    pub(super) metadata: Meta,
    #[serde(default)]
    pub(super) spec: JobSpec,
    #[serde(default)]
    status: JobStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobSpec {
    pub(super) suspend: Option<bool>,
    pub(super) ttl_seconds_after_finished: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct JobStatus {
    #[serde(default)]
    conditions: Vec<JobCondition>,
}

#[derive(Clone, Debug, Deserialize)]
struct JobCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// A trigger as far as it matters.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Trigger {
    pub(super) metadata: Meta,
    #[serde(default)]
    status: Option<TriggerStatus>,
}

/// What is followed, event by event.
pub(super) trait Versioned {
    fn version(&self) -> &str;
}

impl Versioned for Job {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl Versioned for Trigger {
    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    labels: BTreeMap<String, String>,
}

impl Meta {
    fn revision(&self) -> u64 {
        self.resource_version.parse().unwrap_or_default()
    }

    fn label(&self, key: &str) -> String {
        self.labels.get(key).cloned().unwrap_or_default()
    }
}

/// What a Job has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Created,
    Started,
    Finished,
    None,
}

impl Witness {
    /// A Job is there, as it is now.
    pub(super) fn job(&mut self, at: At, job: &Job) -> News {
        let (meta, mark) = (&job.metadata, Mark { at, revision: job.metadata.revision() });
        let mut news = News::None;
        let seen = self.jobs.entry(meta.uid.clone()).or_insert_with(|| {
            news = News::Created;
            JobSeen {
                name: meta.name.clone(),
                run: meta.label(ger_core::job::RUN_ID),
                trigger: meta.label(ger_core::job::TRIGGER_UID),
                created: mark,
                started: None,
                finished: None,
                gone: None,
            }
        });
        if job.spec.suspend != Some(true) && seen.started.is_none() {
            seen.started = Some(mark);
            news = News::Started;
        }
        if job.is_finished() && seen.finished.is_none() {
            seen.finished = Some(mark);
            news = News::Finished;
        }
        if seen.runs() {
            self.count(at, &meta.uid);
        } else {
            self.running.remove(&meta.uid);
        }
        news
    }

    /// A Job is gone.
    pub(super) fn job_gone(&mut self, at: At, job: &Job) {
        let mark = Mark { at, revision: job.metadata.revision() };
        if let Some(seen) = self.jobs.get_mut(&job.metadata.uid) {
            seen.gone = Some(mark);
        }
        self.running.remove(&job.metadata.uid);
    }

    fn count(&mut self, at: At, uid: &str) {
        if !self.running.insert(uid.to_owned()) {
            return;
        }
        // A Job outlives its trigger, and then nobody counts it.
        let is_counted = |it: &&String| {
            let of = self.jobs.get(*it).and_then(|job| self.triggers.get(&job.trigger));
            of.is_some_and(|it| it.gone.is_none())
        };
        let running = self.running.iter().filter(is_counted).count();
        if self.most.last().is_none_or(|it| it.1 < running) {
            self.most.push((at, running));
        }
    }

    /// A trigger is there, as it is now. Gives the runs that got their commit by this.
    pub(super) fn trigger(&mut self, at: At, trigger: &Trigger) -> Vec<String> {
        let mark = Mark { at, revision: trigger.metadata.revision() };
        let seen = self.triggers.entry(trigger.metadata.uid.clone()).or_default();
        seen.name.clone_from(&trigger.metadata.name);
        seen.created.get_or_insert(mark);
        let Some(status) = &trigger.status else { return Vec::new() };
        self.longest = self.longest.max(status.runs.len());
        let mut broken = Vec::new();
        let fresh = seen.take(mark, status, &mut broken);
        let name = &seen.name;
        self.broken.extend(broken.into_iter().map(|(law, what)| {
            let what = format!("{name}: {what}");
            Broken { at, law, what }
        }));
        fresh
    }

    /// What a run was recorded for.
    pub(super) fn why(&self, trigger: &Trigger, run: &str) -> String {
        let seen = self.triggers.get(&trigger.metadata.uid).and_then(|it| it.runs.get(run));
        seen.map_or_else(String::new, |it| {
            let commit = it.commit.as_deref().unwrap_or_default();
            let occasion = it.occasion.as_deref().unwrap_or_default();
            format!("of {} at {commit:.8}, {:?} {occasion}", it.source, it.reason)
        })
    }

    pub(super) fn trigger_gone(&mut self, at: At, trigger: &Trigger) {
        let mark = Mark { at, revision: trigger.metadata.revision() };
        if let Some(seen) = self.triggers.get_mut(&trigger.metadata.uid) {
            seen.gone = Some(mark);
        }
    }
}

impl Job {
    fn is_finished(&self) -> bool {
        let ends = |it: &JobCondition| {
            (it.kind == "Complete" || it.kind == "Failed") && it.status == "True"
        };
        self.status.conditions.iter().any(ends)
    }
}

type Said = (&'static str, String);

impl TriggerSeen {
    fn take(&mut self, mark: Mark, status: &TriggerStatus, broken: &mut Vec<Said>) -> Vec<String> {
        if status.runs == self.last && status.sequence == self.sequence {
            return Vec::new();
        }
        self.compare(status, broken);
        bounds(status, broken);
        let mut fresh = Vec::new();
        for run in &status.runs {
            let seen = self.runs.entry(run.id.clone()).or_insert_with(|| RunSeen::of(run));
            let said = (run.phase, run.job_uid.clone());
            if seen.phases.last().is_none_or(|it| (it.1, &it.2) != (said.0, &said.1)) {
                seen.phases.push((mark, said.0, said.1));
            }
            seen.forced |= run.forced;
            if seen.pending.is_none() && run.commit.is_some() && run.phase != RunPhase::Requested {
                seen.commit.clone_from(&run.commit);
                seen.pending = Some(mark);
                self.order.push(run.id.clone());
                fresh.push(run.id.clone());
            }
        }
        self.sequence = status.sequence;
        self.last.clone_from(&status.runs);
        fresh
    }

    /// What may follow what.
    fn compare(&self, status: &TriggerStatus, broken: &mut Vec<Said>) {
        const LAW: &str = "the ledger goes forward only";
        for was in &self.last {
            let is = status.runs.iter().find(|it| it.id == was.id);
            if let Some(what) = step(was, is) {
                broken.push((LAW, what));
            }
        }
        let new: Vec<&Run> =
            status.runs.iter().filter(|it| !self.runs.contains_key(&it.id)).collect();
        for run in &new {
            if !matches!(run.phase, RunPhase::Requested | RunPhase::Pending) {
                broken.push((LAW, format!("run {} begins as {:?}", run.id, run.phase)));
            }
        }
        let known = |it: &&Run| self.last.iter().all(|was| was.id != it.id);
        for run in status.runs.iter().filter(known).filter(|it| self.runs.contains_key(&it.id)) {
            broken.push((LAW, format!("run {} is back", run.id)));
        }
        let grown = usize::try_from(status.sequence - self.sequence);
        if grown != Ok(new.len()) {
            let (from, to) = (self.sequence, status.sequence);
            broken.push((LAW, format!("sequence {from} to {to} with {} new runs", new.len())));
        }
    }
}

/// What is wrong with how a run went on, if anything is.
fn step(was: &Run, is: Option<&Run>) -> Option<String> {
    let Some(is) = is else {
        let is_kept = !was.phase.is_final();
        return is_kept.then(|| format!("run {} is gone while {:?}", was.id, was.phase));
    };
    let may = is.phase == was.phase || may_follow(was.phase, is.phase);
    let keeps = was.job_uid.is_none() || was.job_uid == is.job_uid;
    let same = was.commit.is_none() || was.commit == is.commit;
    (!(may && keeps && same)).then(|| format!("run {} from {was:?} to {is:?}", was.id))
}

fn bounds(status: &TriggerStatus, broken: &mut Vec<Said>) {
    const LAW: &str = "statuses are bounded";
    let mut by_source: BTreeMap<&str, usize> = BTreeMap::new();
    for run in status.runs.iter().filter(|it| !it.phase.is_final()) {
        *by_source.entry(&run.source).or_default() += 1;
    }
    // One that takes the place of another may come on top.
    if let Some((source, count)) = by_source.iter().find(|it| *it.1 > MOST_UNFINISHED + 1) {
        broken.push((LAW, format!("{count} unfinished runs of {source}")));
    }
    let finished = status.runs.iter().filter(|it| it.phase.is_final()).count();
    if finished > KEPT + by_source.len() {
        broken.push((LAW, format!("{finished} finished runs")));
    }
    let long = |it: &&Run| it.message.as_ref().is_some_and(|it| it.len() > LONGEST_MESSAGE);
    if let Some(run) = status.runs.iter().find(long) {
        broken.push((LAW, format!("a long message of run {}", run.id)));
    }
}

impl RunSeen {
    fn of(run: &Run) -> Self {
        Self {
            source: run.source.clone(),
            reason: run.reason,
            forced: run.forced,
            occasion: run.occasion.clone(),
            commit: None,
            pending: None,
            phases: Vec::new(),
        }
    }
}
