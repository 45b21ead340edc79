//! A Pod as the Job controller sees it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{object, store::Stored};

/// Keeps a Pod until its end is counted.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Which index of an indexed Job a Pod works on.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How often this index has failed before.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// How a Job looks at its Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replacement {
    /// A Pod that is being deleted has failed already.
    TerminatingOrFailed,
    /// Only the end of a Pod is its failure.
    Failed,
}

impl Replacement {
    pub(super) fn of(job: &Value) -> Self {
        if job["spec"]["podReplacementPolicy"] == "Failed" {
            Self::Failed
        } else {
            Self::TerminatingOrFailed
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Pod(pub(super) Arc<Stored>);

impl Pod {
    pub(super) fn value(&self) -> &Value {
        &self.0.value
    }

    pub(super) fn uid(&self) -> &str {
        object::uid(self.value())
    }

    pub(super) fn name(&self) -> &str {
        object::name(self.value())
    }

    pub(super) fn phase(&self) -> &str {
        object::text(self.value(), "/status/phase")
    }

    pub(super) fn is_tracked(&self) -> bool {
        object::finalizers(self.value()).contains(&TRACKING)
    }

    pub(super) fn is_deleting(&self) -> bool {
        object::is_deleting(self.value())
    }

    pub(super) fn succeeded(&self) -> bool {
        self.phase() == "Succeeded"
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    pub(super) fn is_active(&self) -> bool {
        !self.has_ended() && !self.is_deleting()
    }

    pub(super) fn is_terminating(&self) -> bool {
        !self.has_ended() && self.is_deleting()
    }

    /// Whether the Job counts it as failed. One that was deleted may never get that far by itself.
    pub(super) fn failed(&self, replacement: Replacement) -> bool {
        let deleted = replacement == Replacement::TerminatingOrFailed
            && self.is_deleting()
            && !self.succeeded();
        self.phase() == "Failed" || deleted
    }

    pub(super) fn is_ready(&self) -> bool {
        object::items(self.value(), "/status/conditions")
            .any(|it| it["type"] == "Ready" && it["status"] == "True")
    }

    pub(super) fn index(&self) -> Option<u32> {
        self.value()["metadata"]["annotations"][INDEX].as_str()?.parse().ok()
    }

    /// How often the Pod's index had failed when the Pod was made.
    pub(super) fn earlier_failures(&self) -> u32 {
        let text = self.value()["metadata"]["annotations"][FAILURES].as_str();
        text.and_then(|it| it.parse().ok()).unwrap_or_default()
    }

    /// How often its containers were started again.
    pub(super) fn restarts(&self) -> i64 {
        let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
        let statuses = lists.iter().flat_map(|it| object::items(self.value(), it));
        statuses.filter_map(|it| it["restartCount"].as_i64()).sum()
    }

    /// When it ended: with the last of its containers, or as near to that as is known.
    pub(super) fn finished_at(&self, now: Timestamp) -> Timestamp {
        let ends = object::items(self.value(), "/status/containerStatuses")
            .map(|it| object::text(it, "/state/terminated/finishedAt").parse::<Timestamp>());
        let ends: Result<Vec<Timestamp>, _> = ends.collect();
        if let Some(last) = ends.ok().and_then(|it| it.into_iter().max()) {
            return last.min(now);
        }
        let deleted = object::meta(self.value(), "deletionTimestamp").parse::<Timestamp>();
        deleted.map_or(now, |it| it.min(now))
    }

    /// The first of these go first when there are too many.
    pub(super) fn worth(&self) -> (bool, bool, bool, std::cmp::Reverse<String>) {
        let created = object::meta(self.value(), "creationTimestamp").to_owned();
        (
            !object::text(self.value(), "/spec/nodeName").is_empty(),
            self.phase() == "Running",
            self.is_ready(),
            std::cmp::Reverse(created),
        )
    }
}
