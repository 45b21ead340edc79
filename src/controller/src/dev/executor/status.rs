//! What does a Job's status say? What the Job controller of a cluster would write, as merge patches.

use jiff::Timestamp;
use k8s_openapi::{
    api::batch::v1::{Job, JobCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt as _;
use serde_json::{Value, json};

const SUSPENDED: &str = "Suspended";

/// How a Job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Fail { reason: &'static str, message: String },
}

impl End {
    pub(super) fn backoff_limit(why: Option<String>) -> Self {
        let message = "Job has reached the specified backoff limit";
        let message = why.map_or_else(|| message.to_owned(), |why| format!("{message}: {why}"));
        Self::Fail { reason: "BackoffLimitExceeded", message }
    }

    pub(super) fn deadline() -> Self {
        let message = "Job was active longer than specified deadline".to_owned();
        Self::Fail { reason: "DeadlineExceeded", message }
    }
}

/// Whether the Job has ended, one way or the other.
pub(super) fn has_ended(job: &Job) -> bool {
    let ends = |it: &JobCondition| {
        matches!(it.type_.as_str(), "Complete" | "Failed") && it.status == "True"
    };
    conditions(job).iter().any(ends)
}

/// An active Job, with one pod.
pub(super) fn active(job: &Job, start: Timestamp, failed: i32) -> Value {
    let status = json!({
        "startTime": Time(start),
        "active": 1,
        "failed": (failed > 0).then_some(failed),
        "conditions": not_suspended(job, start),
    });
    patch(job, &status)
}

/// Whether the status says already that the Job is suspended.
pub(super) fn is_suspended(job: &Job) -> bool {
    let is_so = |it: &JobCondition| it.type_ == SUSPENDED && it.status == "True";
    conditions(job).iter().any(is_so) && start_time(job).is_none()
}

/// A Job without pods that waits to be resumed.
pub(super) fn suspended(job: &Job, now: Timestamp) -> Value {
    let others = conditions(job).iter().filter(|it| it.type_ != SUSPENDED).cloned();
    let suspended = condition(SUSPENDED, "JobSuspended", "Job suspended", now);
    let conditions: Vec<JobCondition> = others.chain([suspended]).collect();
    patch(job, &json!({"startTime": null, "active": null, "conditions": conditions}))
}

/// A Job that will not run again.
pub(super) fn ended(job: &Job, start: Timestamp, end: &End, now: Timestamp, failed: i32) -> Value {
    let mut conditions = not_suspended(job, start);
    let mut status = json!({
        "startTime": Time(start),
        "active": null,
        "failed": (failed > 0).then_some(failed),
    });
    match end {
        End::Complete => {
            let message = "Reached expected number of succeeded pods";
            for kind in ["SuccessCriteriaMet", "Complete"] {
                conditions.push(condition(kind, "CompletionsReached", message, now));
            }
            status["succeeded"] = 1.into();
            status["completionTime"] = json!(Time(now));
        }
        End::Fail { reason, message } => {
            for kind in ["FailureTarget", "Failed"] {
                conditions.push(condition(kind, reason, message, now));
            }
        }
    }
    status["conditions"] = json!(conditions);
    patch(job, &status)
}

pub(super) fn start_time(job: &Job) -> Option<Timestamp> {
    Some(job.status.as_ref()?.start_time.as_ref()?.0)
}

/// The uid makes sure that no other Job of the same name is written to.
fn patch(job: &Job, status: &Value) -> Value {
    json!({"metadata": {"uid": job.uid()}, "status": status})
}

fn not_suspended(job: &Job, now: Timestamp) -> Vec<JobCondition> {
    let resumed = |it: &JobCondition| {
        if it.type_ != SUSPENDED || it.status == "False" {
            return it.clone();
        }
        JobCondition {
            status: "False".to_owned(),
            ..condition(SUSPENDED, "JobResumed", "Job resumed", now)
        }
    };
    conditions(job).iter().map(resumed).collect()
}

fn conditions(job: &Job) -> &[JobCondition] {
    job.status.as_ref().and_then(|it| it.conditions.as_deref()).unwrap_or_default()
}

fn condition(kind: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}
