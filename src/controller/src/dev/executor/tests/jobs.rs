//! Does a Job live and end as its spec and its user say?

use super::*;

#[tokio::test]
async fn a_failing_worker_fails_its_job_and_no_other() {
    let mut ground = Ground::new();

    ground.create("bad", shell("exit 7")).await;
    let bad = ground.ended("bad").await;
    let finished = ground.finished().await;
    ground.create("good", shell("true")).await;
    let good = ground.ended("good").await;

    assert_eq!(condition(&bad, "Failed").unwrap().0, "BackoffLimitExceeded");
    assert!(condition(&bad, "FailureTarget").is_some());
    assert_eq!(bad.status.unwrap().failed, Some(1));
    assert_eq!(finished.exit_code, 7);
    assert!(condition(&good, "Complete").is_some());
}

#[tokio::test]
async fn a_failed_pod_is_replaced_within_the_backoff_limit() {
    let ground = Ground::new();
    let marker = ground.state.path().join("marker");
    let script = format!("test -e {0} || {{ touch {0}; exit 1; }}", marker.display());
    let mut spec = shell(&script);
    spec["backoffLimit"] = 1.into();

    ground.create("again", spec).await;
    let job = ground.ended("again").await;

    let status = job.status.clone().unwrap();
    assert!(condition(&job, "Complete").is_some());
    assert_eq!((status.succeeded, status.failed), (Some(1), Some(1)));
    assert_eq!(ground.list_pods().await.len(), 2);
}

#[tokio::test]
async fn a_deadline_ends_the_processes_and_fails_the_job() {
    let ground = Ground::new();
    let alive = ground.state.path().join("alive");
    let mut spec = shell(&breathing(&alive));
    spec["activeDeadlineSeconds"] = 1.into();

    ground.create("slow", spec).await;
    let job = ground.ended("slow").await;

    assert_eq!(condition(&job, "Failed").unwrap().0, "DeadlineExceeded");
    assert_eq!(job.status.unwrap().failed, Some(1));
    assert!(ground.list_pods().await.is_empty());
    dead(&alive).await;
}

#[tokio::test]
async fn deleting_a_job_kills_its_processes_and_removes_its_folder() {
    let ground = Ground::new();
    let alive = ground.state.path().join("alive");
    ground.create("doomed", shell(&breathing(&alive))).await;
    until(async || alive.exists()).await;

    ground.jobs().delete("doomed", &DeleteParams::background()).await.unwrap();

    dead(&alive).await;
    ground.nothing_left().await;
    ground.no_pods().await;
}

#[tokio::test]
async fn deleting_a_job_in_the_foreground_takes_its_pod_first() {
    let ground = Ground::new();
    let alive = ground.state.path().join("alive");
    ground.create("doomed", shell(&breathing(&alive))).await;
    until(async || alive.exists()).await;

    ground.jobs().delete("doomed", &DeleteParams::foreground()).await.unwrap();

    dead(&alive).await;
    until(async || ground.jobs().get_opt("doomed").await.unwrap().is_none()).await;
    ground.no_pods().await;
}

#[tokio::test]
async fn a_suspended_job_starts_when_it_is_resumed() {
    let ground = Ground::new();
    let mut spec = shell("true");
    spec["suspend"] = true.into();

    ground.create("later", spec).await;
    let held = ground.job("later", |it| condition(it, "Suspended").is_some()).await;
    assert!(ground.list_pods().await.is_empty());
    assert!(held.status.unwrap().start_time.is_none());

    ground.suspend("later", &false.into()).await;
    let job = ground.ended("later").await;
    assert!(condition(&job, "Complete").is_some());
    assert!(condition(&job, "Suspended").is_none());
}

#[tokio::test]
async fn a_job_suspended_while_it_runs_loses_its_pod_and_begins_again() {
    let ground = Ground::new();
    let alive = ground.state.path().join("alive");
    ground.create("paused", shell(&breathing(&alive))).await;
    until(async || alive.exists()).await;

    ground.suspend("paused", &true.into()).await;
    let held = ground.job("paused", |it| condition(it, "Suspended").is_some()).await;
    dead(&alive).await;
    ground.no_pods().await;
    assert!(held.status.as_ref().unwrap().start_time.is_none());
    assert!(!is_active(&held));

    fs::remove_file(&alive).unwrap();
    ground.suspend("paused", &false.into()).await;
    until(async || alive.exists()).await;
    ground.job("paused", is_active).await;
}

#[tokio::test]
async fn a_job_of_an_earlier_executor_fails_and_a_fresh_one_runs() {
    let ground = Ground::new();
    let alive = ground.state.path().join("alive");
    ground.create("orphan", shell(&breathing(&alive))).await;
    until(async || alive.exists()).await;
    ground.job("orphan", is_active).await;
    let sandbox = ground.sandbox.clone();
    let (state, _) = ground.stopped().await;
    dead(&alive).await;
    fs::create_dir_all(state.path().join("edge-1/pods/left-over")).unwrap();

    let client = Client::new(sandbox.router(), "default");
    let ground = Ground { sandbox, client, state, ..Ground::idle() };
    ground.create("fresh", shell("true")).await;
    let ground = ground.started(|_| {});

    let orphan = ground.ended("orphan").await;
    let fresh = ground.ended("fresh").await;
    let (reason, message) = condition(&orphan, "Failed").unwrap();
    assert_eq!(reason, "BackoffLimitExceeded");
    assert!(message.contains("restarted"), "{message}");
    assert!(condition(&fresh, "Complete").is_some());
    ground.nothing_left().await;
}

#[tokio::test]
async fn a_job_that_ends_while_the_api_is_down_is_told_when_it_is_back() {
    for fault in [FaultKind::Unavailable(503), FaultKind::Partition] {
        let mut ground = Ground::new();
        let gate = ground.state.path().join("gate");
        let script = format!("while ! test -e {}; do sleep 0.02; done", gate.display());
        ground.create("through", shell(&script)).await;
        ground.job("through", is_active).await;
        until(async || ground.pod_status().await.phase.as_deref() == Some("Running")).await;

        ground.fault(fault.clone());
        fs::write(&gate, "").unwrap();
        ground.finished().await;
        ground.sandbox.clear_faults();

        let job = ground.ended("through").await;
        assert!(condition(&job, "Complete").is_some(), "{fault:?}");
        assert_eq!(ground.pod_status().await.phase.as_deref(), Some("Succeeded"), "{fault:?}");
    }
}

#[tokio::test]
async fn lost_answers_and_conflicts_make_no_second_pod() {
    let ground = Ground::new();
    let lost = |verb: &str, resource: &str| FaultKind::LoseResponse {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        times: 2,
    };
    ground.create("once", shell("true")).await;
    ground.ended("once").await;

    ground.fault(lost("create", "pods"));
    ground.fault(lost("patch", "jobs"));
    ground.fault(FaultKind::Conflict { resource: "jobs".to_owned(), times: 2 });
    let mut ran = shell("true");
    ran["backoffLimit"] = 3.into();
    ground.create("twice", ran).await;

    let job = ground.ended("twice").await;
    assert!(condition(&job, "Complete").is_some());
    assert_eq!(job.status.unwrap().failed, None);
    assert_eq!(ground.sandbox.creations("pods").len(), 2);
}

#[tokio::test]
async fn a_watch_that_breaks_loses_no_job_and_no_deletion() {
    let ground = Ground::new();
    let alive = ground.state.path().join("alive");
    ground.create("doomed", shell(&breathing(&alive))).await;
    until(async || alive.exists()).await;

    ground.fault(FaultKind::Unavailable(503));
    ground.fault(FaultKind::DropWatches);
    ground.jobs().delete("doomed", &DeleteParams::background()).await.unwrap();
    ground.create("next", shell("true")).await;
    // No watch will ever tell of the deletion: the events up to here are forgotten.
    ground.sandbox.compact();
    ground.sandbox.clear_faults();

    dead(&alive).await;
    assert!(condition(&ground.ended("next").await, "Complete").is_some());
}
