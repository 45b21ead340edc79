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

#[cfg(test)]
mod tests;

/// A Job of ours that never started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub trigger: TriggerKey,
    pub run_id: String,
    pub job: String,
    pub job_uid: String,
    /// When the API server created the Job: compared with other Jobs alone, never with a clock.
    pub created: Timestamp,
    pub ledger: Standing,
    pub withdrawn: Withdrawn,
    /// How long it has waited already, by [`Waits`].
    pub waited: Duration,
    /// How long it may wait.
    pub timeout: Duration,
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

/// Whether a suspended Job carries [`crate::job::WITHDRAWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    No,
    /// Nobody starts it any more; its run is about to be ended.
    Yes,
}

/// How many may run.
#[derive(Clone, Copy, Debug)]
pub struct Slots<'a> {
    /// Jobs of ours that run, as the watch shows.
    pub running: usize,
    /// Uids of Jobs that were started here and that the watch still shows suspended.
    pub own_starts: &'a BTreeSet<String>,
    /// 0: nothing starts, and nobody's time runs.
    pub limit: u32,
}

/// What to do about a waiting Job. Both name the uid and are valid for the Job as it was seen: the
/// write carries its resourceVersion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Set `suspend: false`.
    Start { trigger: TriggerKey, run_id: String, job: String, job_uid: String },
    /// Set [`crate::job::WITHDRAWN`]; then [`ledger::expired`]; then delete it. In this order: after
    /// the first nobody can start it, after the second it is forgotten by nobody.
    Expire { trigger: TriggerKey, run_id: String, job: String, job_uid: String },
}

/// Decides about the waiting Jobs of one cluster: round-robin over triggers, beginning behind the
/// trigger that was served last, and oldest first within each.
pub fn next(
    queue: &[Waiting],
    slots: Slots<'_>,
    served_last: Option<&TriggerKey>,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let mut turns: BTreeMap<&TriggerKey, VecDeque<&Waiting>> = BTreeMap::new();
    let mut oldest_first: Vec<&Waiting> = queue.iter().collect();
    oldest_first.sort_by_key(|it| (it.created, &it.run_id));

    for waiting in oldest_first {
        let is_ours =
            waiting.ledger == Standing::Queued && !slots.own_starts.contains(&waiting.job_uid);
        let is_late = slots.limit > 0 && waiting.waited >= waiting.timeout;
        if is_ours && (waiting.withdrawn == Withdrawn::Yes || is_late) {
            decisions.push(waiting.expire());
        } else if is_ours {
            turns.entry(&waiting.trigger).or_default().push_back(waiting);
        }
    }

    let limit = usize::try_from(slots.limit).unwrap_or(usize::MAX);
    let mut free = limit.saturating_sub(slots.running.saturating_add(slots.own_starts.len()));
    let is_behind = |it: &&TriggerKey| served_last.is_some_and(|last| *it > last);
    let (first, second): (Vec<_>, Vec<_>) = turns.keys().copied().partition(is_behind);
    let order: Vec<&TriggerKey> = first.into_iter().chain(second).collect();
    while free > 0 && turns.values().any(|it| !it.is_empty()) {
        for trigger in &order {
            let Some(waiting) = turns.get_mut(*trigger).and_then(VecDeque::pop_front) else {
                continue;
            };
            if free == 0 {
                break;
            }
            free -= 1;
            decisions.push(waiting.start());
        }
    }
    decisions
}

impl Waiting {
    fn start(&self) -> Decision {
        let Self { trigger, run_id, job, job_uid, .. } = self.clone();
        Decision::Start { trigger, run_id, job, job_uid }
    }

    fn expire(&self) -> Decision {
        let Self { trigger, run_id, job, job_uid, .. } = self.clone();
        Decision::Expire { trigger, run_id, job, job_uid }
    }
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
        waiting: impl IntoIterator<Item = &'a str>,
        limit: u32,
        now: Mono,
    ) {
        let passed = if limit == 0 { Duration::ZERO } else { now.saturating_sub(self.last) };
        self.last = now;
        let mut waited = BTreeMap::new();
        for key in waiting {
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
