//! A Job and its Pods: what the Job controller does as Pods come to their ends.

use serde_json::{Value, json};

use crate::job_bench::{Bench, condition, is, template};

fn true_because(reason: &str, message: &str) -> (String, String, String) {
    ("True".to_owned(), reason.to_owned(), message.to_owned())
}

/// A Job makes a Pod from its template that it owns, with labels that name it and a finalizer that keeps
/// it until it is counted.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-labels>
#[tokio::test]
async fn a_job_makes_a_pod_of_its_own() {
    let Some(bench) = Bench::new().await else { return };
    let job = bench.start(json!({})).await;

    let pod = bench.live_pods(1).await.remove(0);

    let uid = &job["metadata"]["uid"];
    let labels = json!({
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "work",
        "controller-uid": uid, "job-name": "work",
    });
    let owner = json!([{
        "apiVersion": "batch/v1", "kind": "Job", "name": "work", "uid": uid, "controller": true,
        "blockOwnerDeletion": true,
    }]);
    assert_eq!(pod["metadata"]["labels"], labels);
    assert_eq!(job["metadata"]["labels"], labels);
    assert_eq!(pod["metadata"]["ownerReferences"], owner);
    assert_eq!(pod["metadata"]["generateName"], "work-");
    assert_eq!(pod["metadata"]["finalizers"], json!(["batch.kubernetes.io/job-tracking"]));
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
    assert_eq!(pod["status"]["phase"], "Pending");
}

/// A Job that has begun says since when, and counts the Pods that are active and those that are ready.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobStatus>
#[tokio::test]
async fn the_status_counts_active_and_ready_pods() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({})).await;

    let begun = bench.status_when("an active Pod", |it| it["active"] == 1).await;
    let pod = bench.live_pods(1).await.remove(0);
    bench.runs(&pod, 0).await;
    let ready = bench.status_when("a ready Pod", |it| it["ready"] == 1).await;

    assert!(begun["startTime"].is_string());
    assert_eq!((&begun["ready"], &begun["terminating"]), (&json!(0), &json!(0)));
    assert_eq!(begun["uncountedTerminatedPods"], json!({}));
    assert_eq!(ready["active"], 1);
    assert_eq!(ready["startTime"], begun["startTime"]);
}

/// A Job whose Pods have succeeded is complete: it meets its criteria, has a time of completion, and the
/// Pod has lost its finalizer but stays.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions>
#[tokio::test]
async fn a_job_is_complete_when_its_pod_has_succeeded() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({})).await;
    let pod = bench.live_pods(1).await.remove(0);

    bench.ends(&pod, 0).await;
    let status = bench.status_when("the end", is("Complete")).await;

    let met = Some(true_because("CompletionsReached", "Reached expected number of succeeded pods"));
    assert_eq!(condition(&status, "Complete"), met);
    assert_eq!(condition(&status, "SuccessCriteriaMet"), met);
    assert_eq!((&status["succeeded"], &status["active"]), (&json!(1), &Value::Null));
    assert!(status["completionTime"].is_string());
    let pods = bench.pods().await;
    assert_eq!(pods[0]["metadata"]["finalizers"], Value::Null);
    assert_eq!(bench.event("Completed").await["message"], "Job completed");
}

/// With no retries left a failed Pod fails the Job: the reason is the backoff limit.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy>
#[tokio::test]
async fn a_job_without_retries_fails_with_its_pod() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "backoffLimit": 0 })).await;
    let pod = bench.live_pods(1).await.remove(0);

    bench.ends(&pod, 1).await;
    let status = bench.status_when("the end", is("Failed")).await;

    let why =
        Some(true_because("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    assert_eq!(condition(&status, "Failed"), why);
    assert_eq!(condition(&status, "FailureTarget"), why);
    assert_eq!((&status["failed"], &status["completionTime"]), (&json!(1), &Value::Null));
    let event = bench.event("BackoffLimitExceeded").await;
    assert_eq!(
        (&event["type"], &event["source"]["component"]),
        (&json!("Warning"), &json!("job-controller"))
    );
}

/// A failed Pod is replaced, ten seconds after its end at the earliest.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy>
#[tokio::test]
async fn a_failed_pod_is_replaced_after_a_pause() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({})).await;
    let pod = bench.live_pods(1).await.remove(0);

    let begun = tokio::time::Instant::now();
    bench.ends(&pod, 1).await;
    bench.status_when("a failure", |it| it["failed"] == 1).await;
    let next = bench.live_pods(1).await.remove(0);

    assert_ne!(next["metadata"]["uid"], pod["metadata"]["uid"]);
    assert!(begun.elapsed().as_secs() >= 8, "{:?}", begun.elapsed());
}

/// A Job that is created suspended has no Pods and no start time, and says that it is suspended.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job>
#[tokio::test]
async fn a_suspended_job_has_no_pods() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "suspend": true })).await;

    let status = bench.status_when("the suspension", is("Suspended")).await;

    assert_eq!(
        condition(&status, "Suspended"),
        Some(true_because("JobSuspended", "Job suspended"))
    );
    assert_eq!(status["startTime"], Value::Null);
    assert!(bench.pods().await.is_empty());
    assert_eq!(bench.event("Suspended").await["message"], "Job suspended");
}

/// A Job that is resumed begins: it gets its start time and its Pods.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job>
#[tokio::test]
async fn a_resumed_job_begins() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "suspend": true })).await;
    bench.status_when("the suspension", is("Suspended")).await;

    bench.change(json!({ "suspend": false })).await;
    bench.live_pods(1).await;
    let status = bench.status_when("a start", |it| it["startTime"].is_string()).await;

    let resumed = ("False".to_owned(), "JobResumed".to_owned(), "Job resumed".to_owned());
    assert_eq!(condition(&status, "Suspended"), Some(resumed));
    assert_eq!(bench.event("Resumed").await["type"], "Normal");
}

/// A suspended Job that wants nothing done is complete all the same.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job>
#[tokio::test]
async fn a_suspended_job_without_work_completes() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "suspend": true, "completions": 0 })).await;

    let status = bench.status_when("the end", is("Complete")).await;

    assert_eq!((&status["startTime"], status["completionTime"].is_string()), (&json!(null), true));
}

/// To suspend a running Job deletes its Pods, which are not counted as failures, and takes its start time.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job>
#[tokio::test]
async fn suspending_a_running_job_deletes_its_pods() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "backoffLimit": 0 })).await;
    let pod = bench.live_pods(1).await.remove(0);
    bench.runs(&pod, 0).await;

    bench.change(json!({ "suspend": true })).await;
    let quiet = |it: &Value| is("Suspended")(it) && it["terminating"] == 0;
    let status = bench.status_when("the suspension", quiet).await;

    assert!(bench.pods().await.is_empty());
    let left = ["active", "failed", "startTime"].map(|it| status[it].clone());
    assert_eq!(left, [Value::Null, Value::Null, Value::Null]);
    let deleted = bench.event("SuccessfulDelete").await;
    let name = pod["metadata"]["name"].as_str().unwrap();
    assert_eq!(deleted["message"], format!("Deleted pod: {name}"));
}

/// A Job that is active for longer than it may loses its Pods and fails.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup>
#[tokio::test]
async fn a_job_fails_at_its_deadline() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "activeDeadlineSeconds": 1 })).await;
    bench.live_pods(1).await;

    let status = bench.status_when("the end", is("Failed")).await;

    let why =
        Some(true_because("DeadlineExceeded", "Job was active longer than specified deadline"));
    assert_eq!(condition(&status, "Failed"), why);
    assert_eq!(condition(&status, "FailureTarget"), why);
    assert_eq!((&status["failed"], &status["active"]), (&json!(1), &Value::Null));
    assert!(bench.pods().await.is_empty());
}

/// The deadline does not run while the Job is suspended, and runs from its resumption.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job>
#[tokio::test]
async fn a_suspended_job_has_no_deadline() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "suspend": true, "activeDeadlineSeconds": 2 })).await;
    let first = bench.status_when("the suspension", is("Suspended")).await;

    // Another Job with the same deadline, which is not suspended, says when that is over.
    bench.outlive(json!({ "activeDeadlineSeconds": 2 })).await;
    let later = bench.status().await;
    bench.change(json!({ "suspend": false })).await;
    let ended = bench.status_when("the end", is("Failed")).await;

    assert_eq!(later, first);
    assert_eq!(condition(&ended, "Failed").unwrap().1, "DeadlineExceeded");
}

/// No more Pods run at once than `parallelism` says, and the Job ends with its last completion.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#controlling-parallelism>
#[tokio::test]
async fn parallelism_bounds_and_completions_end() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "parallelism": 2, "completions": 3 })).await;

    let first = bench.live_pods(2).await;
    bench.ends(&first[0], 0).await;
    bench.status_when("one success", |it| it["succeeded"] == 1).await;
    for pod in bench.live_pods(2).await {
        bench.ends(&pod, 0).await;
    }
    let status = bench.status_when("the end", is("Complete")).await;

    assert_eq!(status["succeeded"], 3);
    assert_eq!(bench.pods().await.len(), 3);
}

/// Without `completions` one success is the end of the work: the others finish, none is made anew.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs>
#[tokio::test]
async fn a_work_queue_ends_with_its_pods() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "parallelism": 2 })).await;
    let pods = bench.live_pods(2).await;

    bench.ends(&pods[0], 0).await;
    let one = bench.status_when("one success", |it| it["succeeded"] == 1).await;
    bench.ends(&pods[1], 0).await;
    let status = bench.status_when("the end", is("Complete")).await;

    assert_eq!((&one["active"], condition(&one, "Complete")), (&json!(1), None));
    assert_eq!(status["succeeded"], 2);
    assert_eq!(bench.pods().await.len(), 2);
}

/// A Job of no parallelism waits without Pods; one of no completions is complete at once.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#controlling-parallelism>
#[tokio::test]
async fn nothing_at_once_waits_and_nothing_to_do_is_done() {
    let (Some(waits), Some(done)) = (Bench::new().await, Bench::new().await) else { return };

    waits.start(json!({ "parallelism": 0 })).await;
    let begun = waits.status_when("a start", |it| it["startTime"].is_string()).await;
    done.start(json!({ "completions": 0 })).await;
    let ended = done.status_when("the end", is("Complete")).await;

    assert_eq!((&begun["active"], &begun["conditions"]), (&Value::Null, &Value::Null));
    assert_eq!(ended["succeeded"], Value::Null);
    assert!(waits.pods().await.is_empty() && done.pods().await.is_empty());
}

/// Less parallelism takes Pods away, which are no failures.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#controlling-parallelism>
#[tokio::test]
async fn less_parallelism_takes_pods_away() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "parallelism": 3, "completions": 3 })).await;
    bench.live_pods(3).await;

    bench.change(json!({ "parallelism": 1 })).await;
    bench.live_pods(1).await;
    let settled = |it: &Value| it["active"] == 1 && it["terminating"] == 0;
    let status = bench.status_when("one active Pod", settled).await;

    assert_eq!(status["failed"], Value::Null);
}

/// Where containers start again, their restarts count against the backoff limit.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy>
#[tokio::test]
async fn restarts_count_against_the_limit() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "backoffLimit": 2, "template": template("OnFailure") })).await;
    let pod = bench.live_pods(1).await.remove(0);

    bench.runs(&pod, 1).await;
    let once = bench.status_when("a ready Pod", |it| it["ready"] == 1).await;
    bench.runs(&pod, 2).await;
    let status = bench.status_when("the end", is("Failed")).await;

    assert_eq!(once["conditions"], Value::Null);
    assert_eq!(condition(&status, "Failed").unwrap().1, "BackoffLimitExceeded");
    assert!(bench.pods().await.is_empty());
}

/// A Pod that is deleted by hand counts as failed.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-replacement-policy>
#[tokio::test]
async fn a_pod_deleted_by_hand_has_failed() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({})).await;
    let pod = bench.live_pods(1).await.remove(0);

    let held = bench.ground.delete(&bench.pod_path(&pod), &Value::Null).await;
    let status = bench.status_when("a failure", |it| it["failed"] == 1).await;

    assert_eq!((held.code, &held.json()["kind"]), (200, &json!("Pod")));
    assert!(held.json()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(status["conditions"], Value::Null);
}

/// A Job that is deleted in the foreground lets go of its Pods, which are deleted then, and stays until they are
/// gone.
/// <https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion>
#[tokio::test]
async fn a_job_waits_for_its_pods_and_does_not_keep_them() {
    let Some(bench) = Bench::new().await else { return };
    bench.start(json!({ "backoffLimit": 0 })).await;
    let pod = bench.live_pods(1).await.remove(0);
    bench.runs(&pod, 0).await;
    let keep = |finalizers: Value| json!({ "metadata": { "finalizers": finalizers } });
    let both = keep(json!(["batch.kubernetes.io/job-tracking", "conformance.test/holds"]));
    let kept = bench.ground.patch(&bench.pod_path(&pod), "merge", &both).await;

    let asked = json!({ "propagationPolicy": "Foreground" });
    let asked = bench.ground.delete(&bench.job_path(), &asked).await;
    let is_let_go = async || {
        let pod = bench.ground.get(&bench.pod_path(&pod)).await.json();
        let own = json!(["conformance.test/holds"]);
        let meta = &pod["metadata"];
        (meta["deletionTimestamp"].is_string() && meta["finalizers"] == own).then_some(())
    };
    bench.ground.eventually("a Pod that is deleted and not kept", is_let_go).await;
    let waiting = bench.status_when("a Pod that ends", |it| it["terminating"] == 1).await;
    bench.ends(&pod, 143).await;
    bench.status_when("no Pod that ends", |it| it["terminating"] == 0).await;
    let job = bench.ground.get(&bench.job_path()).await;
    bench.ground.patch(&bench.pod_path(&pod), "merge", &keep(Value::Null)).await;
    let is_gone = async || (bench.ground.get(&bench.job_path()).await.code == 404).then_some(());
    bench.ground.eventually("the end of the Job", is_gone).await;

    assert_eq!((kept.code, asked.code, job.code), (200, 200, 200));
    assert_eq!((&waiting["active"], &waiting["ready"]), (&Value::Null, &json!(0)));
    assert_eq!(job.json()["metadata"]["finalizers"], json!(["foregroundDeletion"]));
}

/// A Job that names another controller is left alone.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#delegation-of-managing-a-job-object-to-external-controller>
#[tokio::test]
async fn a_job_of_another_controller_is_left_alone() {
    let (Some(theirs), Some(ours)) = (Bench::new().await, Bench::new().await) else { return };

    theirs.start(json!({ "managedBy": "example.com/queue" })).await;
    ours.start(json!({ "managedBy": "kubernetes.io/job-controller" })).await;
    ours.live_pods(1).await;

    assert_eq!(theirs.status().await, json!({}));
    assert!(theirs.pods().await.is_empty());
}

/// An indexed Job makes a Pod for each index, told by annotation, label, host name and environment.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>
#[tokio::test]
async fn an_indexed_job_numbers_its_pods() {
    let Some(bench) = Bench::new().await else { return };
    let spec = json!({ "completionMode": "Indexed", "completions": 2, "parallelism": 2 });
    bench.start(spec).await;

    let pods = bench.live_pods(2).await;

    let index = "batch.kubernetes.io/job-completion-index";
    for (number, pod) in ["0", "1"].iter().zip(&pods) {
        assert_eq!(pod["metadata"]["generateName"], format!("work-{number}-"));
        assert_eq!(pod["metadata"]["annotations"][index], **number);
        assert_eq!(pod["metadata"]["labels"][index], **number);
        assert_eq!(pod["spec"]["hostname"], format!("work-{number}"));
        let variable = &pod["spec"]["containers"][0]["env"][0];
        assert_eq!(variable["name"], "JOB_COMPLETION_INDEX");
        let path = format!("metadata.labels['{index}']");
        assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], path);
    }
}

/// An indexed Job tells which indexes have succeeded.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>
#[tokio::test]
async fn an_indexed_job_tells_what_is_done() {
    let Some(bench) = Bench::new().await else { return };
    let spec = json!({ "completionMode": "Indexed", "completions": 4, "parallelism": 4 });
    bench.start(spec).await;
    let pods = bench.live_pods(4).await;

    for number in [0, 2, 3] {
        bench.ends(&pods[number], 0).await;
    }
    let most = bench.status_when("three successes", |it| it["succeeded"] == 3).await;
    bench.ends(&pods[1], 0).await;
    let all = bench.status_when("the end", is("Complete")).await;

    assert_eq!(most["completedIndexes"], "0,2,3");
    assert_eq!((&all["completedIndexes"], &all["succeeded"]), (&json!("0-3"), &json!(4)));
}
