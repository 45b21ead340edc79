//! Which waiting Job starts next, and which has waited too long?
//!
//! Nothing here starts what the ledger does not hold. How long a Job waited is measured by whoever
//! admits, from when it first saw the Job, with its own monotonic clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ger_api::TriggerStatus;
use ger_api::status::RunPhase;
use jiff::Timestamp;

use crate::ledger;
use crate::membership::Mono;
use crate::names::TriggerKey;

pub mod taken;
#[cfg(test)]
mod tests;

/// A Job of ours that never started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub trigger: TriggerKey,
    pub run_id: String,
    pub job: String,
    pub job_uid: String,
    /// When the API server created the Job, to the second: compared with other Jobs alone, never with a clock.
    pub created: Timestamp,
    /// Where its run stands in the ledger: a trigger's runs start in this order, whenever their Jobs were created.
    pub turn: usize,
    pub ledger: Standing,
    pub readiness: Readiness,
    pub withdrawn: Withdrawn,
    /// How long it has waited already, by [`Waits`].
    pub waited: Duration,
    /// How long it may wait.
    pub timeout: Duration,
    /// The queue of Kueue that its Action names: then who admits is Kueue.
    pub queue: Option<String>,
}

/// What the ledger says of a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its run is `Queued` with this Job's uid: it may start.
    Queued,
    /// Anything else.
    NotQueued,
}

impl Standing {
    /// What the status, as last seen, says of the Job of a run.
    pub fn of(status: &TriggerStatus, run_id: &str, job_uid: &str) -> Self {
        if ledger::holds_queued(status, run_id, job_uid) { Self::Queued } else { Self::NotQueued }
    }
}

/// Whether a Job could start, were there a place for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Something is in its way that may be mended: others have the place meanwhile.
    Hindered,
    /// Its trigger is suspended: it neither starts nor expires.
    Suspended,
}

/// Whether a suspended Job carries [`crate::job::WITHDRAWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    No,
    /// Nobody starts it any more; its run is about to be ended.
    Yes,
}

/// How many may run, and who has them.
#[derive(Clone, Copy, Debug)]
pub struct Slots<'a> {
    /// How many places each trigger has.
    pub running: &'a BTreeMap<TriggerKey, usize>,
    /// Uids of Jobs that have a place: some the watch may still show suspended.
    pub own_starts: &'a BTreeSet<String>,
    /// 0: nothing starts, and nobody's time runs.
    pub limit: u32,
}

/// Whose turn was when. What waits no longer is forgotten: who comes back is served at once.
#[derive(Clone, Debug, Default)]
pub struct Served {
    turn: u64,
    namespaces: BTreeMap<String, u64>,
    triggers: BTreeMap<TriggerKey, u64>,
}

impl Served {
    /// A Job of this trigger was started, or could not be: others are next.
    pub fn note(&mut self, trigger: &TriggerKey) {
        self.turn = self.turn.saturating_add(1);
        self.namespaces.insert(trigger.namespace.clone(), self.turn);
        self.triggers.insert(trigger.clone(), self.turn);
    }

    /// Forgets those that have nothing waiting.
    pub fn retain<'a>(&mut self, waiting: impl IntoIterator<Item = &'a TriggerKey>) {
        let waiting: BTreeSet<&TriggerKey> = waiting.into_iter().collect();
        let namespaces: BTreeSet<&str> = waiting.iter().map(|it| it.namespace.as_str()).collect();
        self.triggers.retain(|it, _| waiting.contains(it));
        self.namespaces.retain(|it, _| namespaces.contains(it.as_str()));
    }
}

/// What to do about a waiting Job. Each names the uid and is valid for the Job as it was seen: the
/// write carries its resourceVersion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Set `suspend: false`.
    Start { trigger: TriggerKey, run_id: String, job: String, job_uid: String },
    /// Set the label that gives the Job to this queue of Kueue.
    HandOver { trigger: TriggerKey, run_id: String, job_uid: String, queue: String },
    /// Set [`crate::job::WITHDRAWN`]; then [`ledger::expired`]; then delete it. In this order: after
    /// the first nobody can start it, after the second it is forgotten by nobody.
    Expire { trigger: TriggerKey, run_id: String, job: String, job_uid: String },
}

impl Decision {
    /// Whose Job it is about.
    pub fn trigger(&self) -> &TriggerKey {
        match self {
            Self::Start { trigger, .. }
            | Self::HandOver { trigger, .. }
            | Self::Expire { trigger, .. } => trigger,
        }
    }
}

/// Decides about the waiting Jobs of one cluster: the namespace with the fewest running Jobs is next, and in
/// it the trigger with the fewest; among equals whoever was served longest ago, and then the oldest Job. Of one
/// trigger they start in the order of its ledger, so that what was changed last also runs last.
///
/// Who waited too long is given up only where there is no place: one that may wait for no time at all runs
/// when there is.
pub fn next(queue: &[Waiting], slots: Slots<'_>, served: &Served) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let mut lines: Lines<'_> = BTreeMap::new();
    let mut oldest_first: Vec<&Waiting> = queue.iter().collect();
    oldest_first.sort_by_key(|it| (it.created, it.turn, &it.run_id));

    for waiting in oldest_first {
        let is_ours =
            waiting.ledger == Standing::Queued && !slots.own_starts.contains(&waiting.job_uid);
        if !is_ours {
            continue;
        }
        match (waiting.withdrawn, waiting.readiness, &waiting.queue) {
            (Withdrawn::Yes, _, _) => decisions.push(waiting.expire()),
            (Withdrawn::No, Readiness::Suspended, _) => {}
            (Withdrawn::No, Readiness::Hindered, _) => {
                decisions.extend(slots.is_late(waiting).then(|| waiting.expire()));
            }
            // Kueue has limits of its own, but who stops everything stops this too.
            (Withdrawn::No, Readiness::Ready, Some(queue)) => {
                decisions.extend((slots.limit > 0).then(|| waiting.hand_over(queue)));
            }
            (Withdrawn::No, Readiness::Ready, None) => {
                let of_namespace = lines.entry(&waiting.trigger.namespace).or_default();
                of_namespace.entry(&waiting.trigger).or_default().push_back(waiting);
            }
        }
    }

    for line in lines.values_mut().flat_map(BTreeMap::values_mut) {
        line.make_contiguous().sort_by_key(|it| it.turn);
    }
    let limit = usize::try_from(slots.limit).unwrap_or(usize::MAX);
    let running: usize = slots.running.values().fold(0, |sum, it| sum.saturating_add(*it));
    let mut shares = Shares::of(slots.running, served);
    for _ in running..limit {
        let Some(waiting) = shares.take_next(&mut lines) else { break };
        decisions.push(waiting.start());
    }
    let left = lines.values().flat_map(BTreeMap::values).flatten();
    decisions.extend(left.filter(|it| slots.is_late(it)).map(|it| it.expire()));
    decisions
}

impl Slots<'_> {
    fn is_late(&self, waiting: &Waiting) -> bool {
        self.limit > 0 && waiting.waited >= waiting.timeout
    }
}

/// What waits, in the order of the ledger, by namespace and trigger; none of them is empty.
type Lines<'a> = BTreeMap<&'a str, BTreeMap<&'a TriggerKey, VecDeque<&'a Waiting>>>;

/// Who has how much, while it is given out.
struct Shares<'a> {
    running: BTreeMap<&'a TriggerKey, usize>,
    of_namespaces: BTreeMap<&'a str, usize>,
    served: Served,
}

impl<'a> Shares<'a> {
    fn of(running: &'a BTreeMap<TriggerKey, usize>, served: &Served) -> Self {
        let mut of_namespaces: BTreeMap<&str, usize> = BTreeMap::new();
        for (trigger, count) in running {
            *of_namespaces.entry(&trigger.namespace).or_default() += count;
        }
        let running = running.iter().map(|(trigger, count)| (trigger, *count)).collect();
        Self { running, of_namespaces, served: served.clone() }
    }

    fn take_next(&mut self, lines: &mut Lines<'a>) -> Option<&'a Waiting> {
        let count = |it: Option<&usize>| it.copied().unwrap_or_default();
        let turn = |it: Option<&u64>| it.copied().unwrap_or_default();
        let age = |it: &VecDeque<&'a Waiting>| it.front().map(|it| (it.created, &it.run_id));

        let of_namespace = |(name, triggers): &(&&'a str, &BTreeMap<_, VecDeque<_>>)| {
            let oldest = triggers.values().filter_map(age).min();
            let (has, served) =
                (self.of_namespaces.get(**name), self.served.namespaces.get(**name));
            (count(has), turn(served), oldest)
        };
        let namespace = lines.iter().min_by_key(of_namespace).map(|it| *it.0)?;
        let triggers = lines.get_mut(namespace)?;
        let of_trigger = |(trigger, line): &(&&'a TriggerKey, &VecDeque<_>)| {
            let (has, served) = (self.running.get(**trigger), self.served.triggers.get(**trigger));
            (count(has), turn(served), age(line))
        };
        let trigger = triggers.iter().min_by_key(of_trigger).map(|it| *it.0)?;
        let line = triggers.get_mut(trigger)?;
        let waiting = line.pop_front()?;

        if line.is_empty() {
            triggers.remove(trigger);
        }
        if triggers.is_empty() {
            lines.remove(namespace);
        }
        *self.running.entry(trigger).or_default() += 1;
        *self.of_namespaces.entry(namespace).or_default() += 1;
        self.served.note(trigger);
        Some(waiting)
    }
}

impl Waiting {
    fn start(&self) -> Decision {
        let Self { trigger, run_id, job, job_uid, .. } = self.clone();
        Decision::Start { trigger, run_id, job, job_uid }
    }

    fn hand_over(&self, queue: &str) -> Decision {
        let Self { trigger, run_id, job_uid, .. } = self.clone();
        Decision::HandOver { trigger, run_id, job_uid, queue: queue.to_owned() }
    }

    fn expire(&self) -> Decision {
        let Self { trigger, run_id, job, job_uid, .. } = self.clone();
        Decision::Expire { trigger, run_id, job, job_uid }
    }
}

/// Whether the waiting time of a thing runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Runs,
    StandsStill,
}

/// How long each thing has waited since this owner first saw it.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    waited: BTreeMap<String, Duration>,
    last: Mono,
}

impl Waits {
    /// Takes in what waits now. Time counts only while `limit` lets anything start; what no longer
    /// waits is forgotten.
    pub fn on_seen<'a>(
        &mut self,
        waiting: impl IntoIterator<Item = (&'a str, Time)>,
        limit: u32,
        now: Mono,
    ) {
        let passed = if limit == 0 { Duration::ZERO } else { now.saturating_sub(self.last) };
        self.last = now;
        let mut waited = BTreeMap::new();
        for (key, time) in waiting {
            let passed = if time == Time::Runs { passed } else { Duration::ZERO };
            let so_far = self.waited.get(key).map(|it| it.saturating_add(passed));
            waited.insert(key.to_owned(), so_far.unwrap_or_default());
        }
        self.waited = waited;
    }

    /// How long this has waited.
    pub fn of(&self, key: &str) -> Duration {
        self.waited.get(key).copied().unwrap_or_default()
    }
}

/// Whether to keep a suspended Job that was never started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphan {
    Keep,
    /// Decide again on a live read of its trigger; if it is still so, delete the Job.
    DeleteAfterLiveRead,
}

/// Judges a suspended, never-started Job of ours. `trigger` is the uid and status of the trigger that
/// its labels name, if there is one. A Job that ever started is none of this function's business.
pub fn orphan(
    trigger_uid: &str,
    run_id: &str,
    job_uid: &str,
    trigger: Option<(&str, &TriggerStatus)>,
) -> Orphan {
    let status = trigger.filter(|(uid, _)| *uid == trigger_uid).map(|(_, status)| status);
    let run = status.and_then(|it| it.runs.iter().find(|it| it.id == run_id));
    let is_wanted = run.is_some_and(|it| match it.phase {
        // Its Job may be this one: it is about to be recorded.
        RunPhase::Pending => true,
        RunPhase::Queued | RunPhase::Running => it.job_uid.as_deref() == Some(job_uid),
        RunPhase::Requested
        | RunPhase::Succeeded
        | RunPhase::Failed
        | RunPhase::Expired
        | RunPhase::Deleted
        | RunPhase::Skipped
        | RunPhase::Unchanged => false,
    });
    if is_wanted { Orphan::Keep } else { Orphan::DeleteAfterLiveRead }
}
