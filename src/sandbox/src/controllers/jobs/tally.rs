//! What has become of a Job's Pods so far, those that ended since the last look included.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    controllers::jobs::{
        indexes,
        pod::{Pod, Replacement},
        policy::{self, Action},
    },
    object,
};

/// A Job, its Pods, and what time it is.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) job: &'a Value,
    pub(super) pods: &'a [Pod],
    pub(super) now: Timestamp,
}

impl Sight<'_> {
    pub(super) fn number(&self, field: &str) -> Option<i64> {
        self.job["spec"][field].as_i64()
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.job["spec"]["suspend"] == true
    }

    /// How many indexes there are, of an indexed Job.
    pub(super) fn indexed(&self) -> Option<u32> {
        let indexed = self.job["spec"]["completionMode"] == "Indexed";
        self.number("completions").filter(|_| indexed).and_then(|it| u32::try_from(it).ok())
    }

    /// The Pod's index, if the Job has that many.
    pub(super) fn index(&self, pod: &Pod) -> Option<u32> {
        let completions = self.indexed()?;
        pod.index().filter(|it| *it < completions)
    }

    pub(super) fn limit_per_index(&self) -> Option<i64> {
        self.number("backoffLimitPerIndex")
    }

    fn set(&self, field: &str) -> BTreeSet<u32> {
        let text = self.job["status"][field].as_str().unwrap_or_default();
        indexes::parse(text, self.indexed().unwrap_or_default())
    }
}

#[derive(Debug)]
pub(super) struct Tally {
    pub(super) replacement: Replacement,
    pub(super) active: Vec<Pod>,
    pub(super) terminating: usize,
    /// Ends that no status tells of yet.
    pub(super) ended: Vec<Pod>,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
    pub(super) completed: BTreeSet<u32>,
    pub(super) failed_indexes: BTreeSet<u32>,
    /// Why a rule of the Job's ends it.
    pub(super) fatal: Option<String>,
}

impl Tally {
    pub(super) fn of(sight: Sight<'_>) -> Self {
        let replacement = Replacement::of(sight.job);
        let kept = |keep: fn(&Pod) -> bool| sight.pods.iter().filter(move |it| keep(it)).cloned();
        let mut tally = Self {
            replacement,
            active: kept(Pod::is_active).collect(),
            terminating: kept(Pod::is_terminating).count(),
            ended: Vec::new(),
            succeeded: counted(sight.job, "succeeded"),
            failed: counted(sight.job, "failed"),
            completed: sight.set("completedIndexes"),
            failed_indexes: sight.set("failedIndexes"),
            fatal: None,
        };
        for pod in sight.pods.iter().filter(|it| it.is_tracked() && !is_uncounted(sight.job, it)) {
            tally.add(sight, pod);
        }
        if sight.indexed().is_some() {
            tally.succeeded = i64::try_from(tally.completed.len()).unwrap_or(i64::MAX);
        }
        tally.failed_indexes.retain(|it| !tally.completed.contains(it));
        tally.ended.sort_by_cached_key(|it| it.finished_at(sight.now));
        tally
    }

    fn add(&mut self, sight: Sight<'_>, pod: &Pod) {
        if pod.succeeded() {
            self.succeeded += 1;
            self.completed.extend(sight.index(pod));
        } else if pod.failed(self.replacement) {
            match policy::on_failure(sight.job, pod) {
                Action::Ignore => {}
                Action::FailJob(why) => {
                    self.failed += 1;
                    self.fatal.get_or_insert(why);
                }
                action => {
                    self.failed += 1;
                    let earlier = i64::from(pod.earlier_failures());
                    let is_spent = sight.limit_per_index().is_some_and(|it| earlier >= it);
                    let ends = is_spent || action == Action::FailIndex;
                    self.failed_indexes.extend(sight.index(pod).filter(|_| ends));
                }
            }
        } else {
            return;
        }
        self.ended.push(pod.clone());
    }

    pub(super) fn ready(&self) -> usize {
        self.active.iter().filter(|it| it.is_ready()).count()
    }
}

/// What the status has counted, and what it was about to count.
fn counted(job: &Value, kind: &str) -> i64 {
    let waiting = job["status"]["uncountedTerminatedPods"][kind].as_array().map_or(0, Vec::len);
    let waiting = i64::try_from(waiting).unwrap_or_default();
    job["status"][kind].as_i64().unwrap_or_default() + waiting
}

/// Whether the status was about to count the Pod's end.
pub(super) fn is_uncounted(job: &Value, pod: &Pod) -> bool {
    let waiting = &job["status"]["uncountedTerminatedPods"];
    let listed = |kind: &str| object::items(waiting, kind).any(|it| it == pod.uid());
    listed("/succeeded") || listed("/failed")
}
