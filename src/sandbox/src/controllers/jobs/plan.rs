//! What does a Job need now? From what it asks for and what its Pods have come to, to what is done.

use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::{
    controllers::jobs::{
        backoff::Backoff,
        pod::{Pod, Replacement},
        policy,
        tally::{Sight, Tally},
    },
    object,
};

/// How a Job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Complete { reason: String, message: String },
    Failed { reason: String, message: String },
}

/// A Pod to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) index: Option<u32>,
    /// How often the index has failed, of a Job that counts by index.
    pub(super) failures: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tally: Tally,
    pub(super) verdict: Option<Verdict>,
    /// Pods that go without being counted: they are in the way.
    pub(super) dismissed: Vec<Pod>,
    /// Pods that go because the Job ends.
    pub(super) killed: Vec<Pod>,
    pub(super) births: Vec<Birth>,
    pub(super) active: usize,
    pub(super) ready: usize,
    pub(super) terminating: usize,
    pub(super) backoff: Backoff,
    /// When to look again though nothing changes.
    pub(super) wake: Option<Duration>,
}

impl Plan {
    pub(super) fn of(sight: Sight<'_>, mut backoff: Backoff) -> Self {
        let tally = Tally::of(sight);
        for pod in &tally.ended {
            if pod.succeeded() {
                backoff.succeeded();
            } else {
                backoff.failed(pod.finished_at(sight.now));
            }
        }
        let mut plan = Self {
            verdict: None,
            dismissed: Vec::new(),
            killed: Vec::new(),
            births: Vec::new(),
            active: tally.active.len(),
            ready: tally.ready(),
            terminating: tally.terminating,
            backoff,
            wake: None,
            tally,
        };
        plan.verdict = plan.end(sight);
        if plan.verdict.is_some() {
            plan.kill();
            return plan;
        }
        if !object::is_deleting(sight.job) {
            plan.manage(sight);
        }
        plan.verdict = plan.completion(sight);
        plan
    }

    fn wake_in(&mut self, pause: Duration) {
        self.wake = Some(self.wake.map_or(pause, |it| it.min(pause)));
    }

    /// What ends the Job whatever runs.
    fn end(&mut self, sight: Sight<'_>) -> Option<Verdict> {
        if let Some(said) = said(sight) {
            return Some(said);
        }
        let failed = |reason: &str, message: &str| {
            Some(Verdict::Failed { reason: reason.to_owned(), message: message.to_owned() })
        };
        if let Some(why) = &self.tally.fatal {
            return failed("PodFailurePolicy", why);
        }
        if is_past_limit(sight, &self.tally) {
            let message = "Job has reached the specified backoff limit";
            return failed("BackoffLimitExceeded", message);
        }
        if let Some(left) = deadline(sight) {
            if left.is_zero() {
                let message = "Job was active longer than specified deadline";
                return failed("DeadlineExceeded", message);
            }
            self.wake_in(left);
        }
        let completions = sight.indexed()?;
        if sight.limit_per_index().is_some() {
            let (failures, successes) = (self.tally.failed_indexes.len(), &self.tally.completed);
            let most = sight.number("maxFailedIndexes").and_then(|it| usize::try_from(it).ok());
            if most.is_some_and(|it| failures > it) {
                let message = "Job has exceeded the specified maximal number of failed indexes";
                return failed("MaxFailedIndexesExceeded", message);
            }
            if failures > 0 && failures + successes.len() >= completions as usize {
                return failed("FailedIndexes", "Job has failed indexes");
            }
        }
        let rule = policy::met(sight.job, &self.tally.completed)?;
        let message = format!("Matched rules at index {rule}");
        Some(Verdict::Complete { reason: "SuccessPolicy".to_owned(), message })
    }

    /// All that is needed has been done.
    fn completion(&self, sight: Sight<'_>) -> Option<Verdict> {
        let wanted = sight.number("completions").unwrap_or(1);
        let done = self.tally.succeeded >= wanted && self.active == 0;
        done.then(|| Verdict::Complete {
            reason: "CompletionsReached".to_owned(),
            message: "Reached expected number of succeeded pods".to_owned(),
        })
    }

    fn kill(&mut self) {
        self.killed = self.tally.active.clone();
        self.terminating += self.killed.len();
        (self.active, self.ready) = (0, 0);
    }

    fn dismiss(&mut self, pods: Vec<Pod>) {
        self.active -= pods.len();
        self.ready -= pods.iter().filter(|it| it.is_ready()).count();
        self.terminating += pods.len();
        self.dismissed = pods;
    }

    /// Too many Pods go, missing ones come.
    fn manage(&mut self, sight: Sight<'_>) {
        if sight.is_suspended() {
            return self.dismiss(self.tally.active.clone());
        }
        let stray = self.stray(sight);
        if !stray.is_empty() {
            return self.dismiss(stray);
        }
        let wanted = self.wanted(sight);
        if self.active > wanted {
            let mut pods = self.tally.active.clone();
            pods.sort_by_cached_key(Pod::worth);
            pods.truncate(self.active - wanted);
            return self.dismiss(pods);
        }
        let held = match self.tally.replacement {
            Replacement::Failed => self.terminating,
            Replacement::TerminatingOrFailed => 0,
        };
        let missing = wanted.saturating_sub(self.active + held);
        if missing > 0 {
            self.create(sight, missing);
        }
    }

    fn create(&mut self, sight: Sight<'_>, missing: usize) {
        if sight.indexed().is_some() {
            return self.create_indexed(sight, missing);
        }
        if self.must_wait(sight.now) {
            return;
        }
        self.births = vec![Birth { index: None, failures: None }; missing];
        self.active += missing;
    }

    /// Whether failures make the Job wait. A status that waits shows no active Pods, as Kubernetes'
    /// own does.
    fn must_wait(&mut self, now: Timestamp) -> bool {
        let pause = self.backoff.remaining(now);
        if pause.is_zero() {
            return false;
        }
        self.wake_in(pause);
        (self.active, self.ready) = (0, 0);
        true
    }

    fn create_indexed(&mut self, sight: Sight<'_>, missing: usize) {
        let by_index = sight.limit_per_index().is_some();
        if !by_index && self.must_wait(sight.now) {
            return;
        }
        for index in self.pending(sight) {
            if self.births.len() == missing {
                break;
            }
            let failures = by_index.then(|| failures(sight, &self.tally, index));
            let (count, last) = failures.unwrap_or((0, None));
            let pause =
                last.map_or(Duration::ZERO, |it| Backoff::new(count, it).remaining(sight.now));
            if pause.is_zero() {
                self.births.push(Birth { index: Some(index), failures: by_index.then_some(count) });
            } else {
                self.wake_in(pause);
            }
        }
        self.active += self.births.len();
    }

    /// Indexes that nobody works on, the lowest first.
    fn pending(&self, sight: Sight<'_>) -> Vec<u32> {
        let held = |pod: &&Pod| {
            pod.is_active() || self.tally.replacement == Replacement::Failed && pod.is_terminating()
        };
        let taken: BTreeSet<u32> = sight.pods.iter().filter(held).filter_map(Pod::index).collect();
        let all = 0..sight.indexed().unwrap_or_default();
        all.filter(|it| {
            ![&taken, &self.tally.completed, &self.tally.failed_indexes]
                .iter()
                .any(|set| set.contains(it))
        })
        .collect()
    }

    /// Active Pods whose index the Job no longer has, or another works on.
    fn stray(&self, sight: Sight<'_>) -> Vec<Pod> {
        if sight.indexed().is_none() {
            return Vec::new();
        }
        let mut pods = self.tally.active.clone();
        pods.sort_by_cached_key(|it| Reverse(it.worth()));
        let mut seen = BTreeSet::new();
        pods.retain(|it| !sight.index(it).is_some_and(|index| seen.insert(index)));
        pods
    }

    fn wanted(&self, sight: Sight<'_>) -> usize {
        let parallelism = sight.number("parallelism").unwrap_or(1);
        let wanted = match sight.number("completions") {
            // Whoever succeeds first says that the work is done: the others only finish theirs.
            None if self.tally.succeeded > 0 => return self.active,
            None => parallelism,
            Some(completions) => {
                let failed = i64::try_from(self.tally.failed_indexes.len()).unwrap_or(i64::MAX);
                parallelism.min(completions - self.tally.succeeded - failed)
            }
        };
        usize::try_from(wanted).unwrap_or_default()
    }
}

/// What the status has promised already.
fn said(sight: Sight<'_>) -> Option<Verdict> {
    let condition = |kind: &str| {
        let it = object::items(sight.job, "/status/conditions")
            .find(|it| it["type"] == kind && it["status"] == "True")?;
        let text = |pointer: &str| object::text(it, pointer).to_owned();
        Some((text("/reason"), text("/message")))
    };
    if let Some((reason, message)) = condition("FailureTarget") {
        return Some(Verdict::Failed { reason, message });
    }
    let (reason, message) = condition("SuccessCriteriaMet")?;
    Some(Verdict::Complete { reason, message })
}

fn is_past_limit(sight: Sight<'_>, tally: &Tally) -> bool {
    let limit = sight.number("backoffLimit").unwrap_or(6);
    if tally.failed > limit {
        return true;
    }
    if object::text(sight.job, "/spec/template/spec/restartPolicy") != "OnFailure" {
        return false;
    }
    let running = sight.pods.iter().filter(|it| matches!(it.phase(), "Running" | "Pending"));
    let restarts: i64 = running.map(Pod::restarts).sum();
    restarts > 0 && restarts >= limit
}

/// How long the Job may still be active.
fn deadline(sight: Sight<'_>) -> Option<Duration> {
    let allowed = sight.number("activeDeadlineSeconds").filter(|_| !sight.is_suspended())?;
    let start: Option<Timestamp> = object::text(sight.job, "/status/startTime").parse().ok();
    let passed = start.map(|it| sight.now.duration_since(it));
    let passed = passed.and_then(|it| Duration::try_from(it).ok()).unwrap_or_default();
    Some(Duration::from_secs(u64::try_from(allowed).unwrap_or_default()).saturating_sub(passed))
}

/// How often an index has failed, and when last.
fn failures(sight: Sight<'_>, tally: &Tally, index: u32) -> (u32, Option<Timestamp>) {
    let failed = sight
        .pods
        .iter()
        .filter(|it| it.is_tracked() && it.index() == Some(index) && it.failed(tally.replacement));
    let last = failed.max_by_key(|it| it.earlier_failures());
    last.map_or((0, None), |it| (it.earlier_failures() + 1, Some(it.finished_at(sight.now))))
}
