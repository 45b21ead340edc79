//! Which statuses may a Job not get, whoever writes them?

use serde_json::{Value, json};

use crate::causes::causes;
use crate::ground::{Answer, Ground};
use crate::job_bench::job;

const START: &str = "2026-01-02T03:04:05Z";
const LATER: &str = "2026-01-02T03:05:00Z";

/// A Job that no controller looks after.
struct Work {
    ground: Ground,
    path: String,
}

impl Work {
    async fn new(mut spec: Value) -> Self {
        let ground = Ground::new().await;
        spec["managedBy"] = "example.com/nobody".into();
        let jobs = ground.path("batch/v1", "jobs");
        let made = ground.post(&jobs, &job(spec)).await;
        assert_eq!(made.code, 201, "{}", made.text);
        Self { ground, path: format!("{jobs}/work/status") }
    }

    async fn say(&self, status: Value) -> Answer {
        self.ground.patch(&self.path, "merge", &json!({ "status": status })).await
    }

    async fn becomes(&self, status: Value) {
        let written = self.say(status).await;
        assert_eq!(written.code, 200, "{}", written.text);
    }

    async fn faults(&self, status: Value) -> Vec<String> {
        causes(&self.say(status).await)
    }
}

fn conditions(kinds: &[&str]) -> Value {
    let all = kinds.iter().map(|it| {
        json!({
            "type": it, "status": "True", "lastProbeTime": START, "lastTransitionTime": START,
        })
    });
    all.collect::<Vec<_>>().into()
}

/// What has been counted stays counted.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#delegation-of-managing-a-job-object-to-external-controller>
#[tokio::test]
async fn counters_do_not_go_back() {
    let work = Work::new(json!({ "completions": 5 })).await;
    work.becomes(json!({ "startTime": START, "succeeded": 2, "failed": 2 })).await;

    let less = work.faults(json!({ "succeeded": 1, "failed": 1 })).await;

    assert_eq!(
        less,
        [
            "status.failed: Invalid value: 1: cannot decrease the failed counter",
            "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        ]
    );
}

/// When a Job began, unless it is suspended, and when it was completed, does not change any more.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#delegation-of-managing-a-job-object-to-external-controller>
#[tokio::test]
async fn times_stay() {
    let work = Work::new(json!({})).await;
    work.becomes(json!({ "startTime": START })).await;
    let done = json!({
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"]), "completionTime": LATER,
    });

    let restarted = work.faults(json!({ "startTime": LATER })).await;
    let unstarted = work.faults(json!({ "startTime": null })).await;
    work.becomes(done).await;
    let moved = work.faults(json!({ "completionTime": "2026-01-02T03:06:00Z" })).await;

    let started = "field is immutable for unsuspended job once set";
    assert_eq!(restarted, [format!("status.startTime: Invalid value: {LATER:?}: {started}")]);
    assert_eq!(unstarted, [format!("status.startTime: Invalid value: null: {started}")]);
    assert_eq!(
        moved,
        ["status.completionTime: Invalid value: \"2026-01-02T03:06:00Z\": field is immutable"]
    );
}

/// A suspended Job may lose its start; one that goes on gets another.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job>
#[tokio::test]
async fn a_suspended_job_may_begin_again() {
    let work = Work::new(json!({ "suspend": true })).await;
    work.becomes(json!({ "startTime": START, "conditions": conditions(&["Suspended"]) })).await;
    let mut resumed = conditions(&["Suspended"]);
    resumed[0]["status"] = "False".into();
    let job = work.path.trim_end_matches("/status");
    work.ground.patch(job, "merge", &json!({ "spec": { "suspend": false } })).await;

    let written = work.say(json!({ "startTime": LATER, "conditions": resumed })).await;

    assert_eq!(written.code, 200, "{}", written.text);
    assert_eq!(written.json()["status"]["startTime"], LATER);
}

/// A Job that has ended has no Pods left, none that end and none to count.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#termination-of-job-pods>
#[tokio::test]
async fn an_ended_job_has_nothing_left() {
    let work = Work::new(json!({})).await;
    let status = json!({
        "conditions": conditions(&["FailureTarget", "Failed"]), "active": 1, "terminating": 1,
        "uncountedTerminatedPods": { "failed": ["a"] },
    });

    let said = work.faults(status).await;

    assert_eq!(
        said,
        [
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.startTime: Required value: startTime is required for finished job",
            "status.uncountedTerminatedPods: Invalid value: {\"Succeeded\":null,\"Failed\":[\"a\"]}: \
             must be empty for finished job",
            "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        ]
    );
}

/// A Pod that is to be counted is so once, and has a uid.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-tracking-with-finalizers>
#[tokio::test]
async fn a_pod_is_counted_once() {
    let work = Work::new(json!({})).await;
    let lists = json!({ "succeeded": ["a", "b"], "failed": ["", "a"] });

    let said = work.faults(json!({ "uncountedTerminatedPods": lists })).await;

    let place = "status.uncountedTerminatedPods.failed";
    assert_eq!(
        said,
        [
            format!("{place}[0]: Invalid value: \"\": must not be empty"),
            format!("{place}[1]: Duplicate value: \"a\""),
        ]
    );
}

/// Indexes that have ended are those of the Job, in order, and have ended one way.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#backoff-limit-per-index>
#[tokio::test]
async fn indexes_are_listed_in_order() {
    let indexed = json!({
        "completionMode": "Indexed", "completions": 4, "parallelism": 1, "backoffLimitPerIndex": 1,
    });
    let work = Work::new(indexed).await;

    let odd = work.faults(json!({ "completedIndexes": "2,1", "failedIndexes": "0-4" })).await;
    let both = work.faults(json!({ "completedIndexes": "0-2", "failedIndexes": "2,3" })).await;

    assert_eq!(
        odd,
        [
            "status.completedIndexes: Invalid value: \"2,1\": error parsing completedIndexes: \
             non-increasing order, previous: 2, current: 1",
            "status.failedIndexes: Invalid value: \"0-4\": error parsing failedIndexes: too large \
             index: \"4\"",
        ]
    );
    assert_eq!(
        both,
        [
            "status.failedIndexes: Invalid value: \"2,3\": failedIndexes and completedIndexes overlap \
             at index: 2"
        ]
    );
}

/// Whoever has no indexes has none that ended.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>
#[tokio::test]
async fn only_indexed_jobs_list_indexes() {
    let work = Work::new(json!({})).await;

    let said = work.faults(json!({ "completedIndexes": "0", "failedIndexes": "" })).await;

    assert_eq!(
        said,
        [
            "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when \
             non-indexed completion mode",
            "status.failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when \
             backoffLimitPerIndex is null",
        ]
    );
}

/// Success that was promised cannot be taken back, nor failure promised beside it.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions>
#[tokio::test]
async fn promised_success_stays() {
    let work = Work::new(json!({})).await;
    let both = json!({ "conditions": conditions(&["SuccessCriteriaMet", "FailureTarget"]) });

    work.becomes(json!({ "conditions": conditions(&["SuccessCriteriaMet"]) })).await;
    let taken = work.faults(json!({ "conditions": null })).await;
    let both = work.faults(both).await;

    assert_eq!(
        taken,
        ["status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition"]
    );
    assert_eq!(
        both,
        ["status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and \
             FailureTarget=true conditions"]
    );
}

/// Only what a write changes is judged: an old fault does not stand in the way.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#elastic-indexed-jobs>
#[tokio::test]
async fn what_stays_is_not_judged_again() {
    let size = json!({ "completionMode": "Indexed", "completions": 3, "parallelism": 3 });
    let work = Work::new(size).await;
    work.becomes(json!({ "startTime": START, "completedIndexes": "0-2", "succeeded": 3 })).await;
    let smaller = json!({ "spec": { "completions": 1, "parallelism": 1 } });
    let job = work.path.trim_end_matches("/status");
    let shrunk = work.ground.patch(job, "merge", &smaller).await;

    let written = work.say(json!({ "ready": 0 })).await;
    let counted = work.say(json!({ "succeeded": 1 })).await;

    assert_eq!(shrunk.code, 200, "{}", shrunk.text);
    assert_eq!((written.code, counted.code), (200, 200), "{} {}", written.text, counted.text);
}

/// A suspended Job that wants nothing done is complete without having begun.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job>
#[tokio::test]
async fn nothing_to_do_is_done_without_a_start() {
    let work = Work::new(json!({ "suspend": true, "completions": 0 })).await;
    let done = json!({
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"]), "completionTime": LATER,
    });

    let written = work.say(done).await;

    assert_eq!(written.code, 200, "{}", written.text);
}
