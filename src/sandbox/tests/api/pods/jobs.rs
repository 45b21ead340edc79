//! What becomes of Jobs by what becomes of their Pods.

use kube_sandbox::Succeed;
use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_job_whose_pod_succeeds_at_once_is_complete() {
    let ground = Ground::new(Succeed);

    ground.job("one", json!({"template": once(&json!({}))})).await;
    let job = ground.ended("one").await;

    assert_eq!(verdict(&job).unwrap().0, "Complete");
    let status = job.status.unwrap();
    assert_eq!((status.succeeded, status.failed, status.active), (Some(1), None, None));
    let pods = ground.all_pods().await;
    assert_eq!((pods.len(), phase(&pods[0])), (1, "Succeeded"));
    assert_eq!(terminated(&pods[0], "main"), Some((0, "Completed")));
    assert_eq!(pods[0].finalizers().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_work_takes_an_hour_of_the_cluster_s_clock() {
    let ground = Ground::scripted(|_| (secs(3600), Outcome::exit(0)));
    let start = Instant::now();

    ground.job("long", json!({"template": once(&json!({}))})).await;
    let pod = ground.only_pod("long", |it| is_running(it, "main")).await;
    let job = ground.ended("long").await;

    assert!(start.elapsed() >= secs(3600) && start.elapsed() < secs(3602));
    let status = job.status.unwrap();
    let took = status.completion_time.unwrap().0.duration_since(status.start_time.unwrap().0);
    assert!((3600..3603).contains(&took.as_secs()), "{took}");
    let ended = ground.pods().get(&pod.name_any()).await.unwrap();
    let state = container(&ended, "main").unwrap().state.clone().unwrap().terminated.unwrap();
    let ran = state.finished_at.unwrap().0.duration_since(state.started_at.unwrap().0);
    assert_eq!(ran.as_secs(), 3600);
}

#[tokio::test(start_paused = true)]
async fn failed_pods_are_replaced_up_to_the_backoff_limit_after_growing_pauses() {
    let ground = Ground::scripted(|_| (secs(1), Outcome::exit(3)));
    let start = Instant::now();

    ground.job("bad", json!({"backoffLimit": 2, "template": once(&json!({}))})).await;
    let job = ground.ended("bad").await;

    let (kind, reason, message) = verdict(&job).unwrap();
    assert_eq!((kind.as_str(), reason.as_str()), ("Failed", "BackoffLimitExceeded"));
    assert_eq!(message, "Job has reached the specified backoff limit");
    assert_eq!(job.status.unwrap().failed, Some(3));
    assert_eq!(ground.pods_created(), 3);
    // Three seconds of work, a pause of ten seconds and one of twenty, each from a whole second on.
    assert!(start.elapsed() >= secs(31) && start.elapsed() < secs(36), "{:?}", start.elapsed());
    for pod in ground.all_pods().await {
        assert_eq!((phase(&pod), terminated(&pod, "main")), ("Failed", Some((3, "Error"))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_succeeds_completes_the_job() {
    let tries = std::sync::atomic::AtomicU32::new(0);
    let ground = Ground::scripted(move |_| {
        let is_first = tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        (secs(1), Outcome::exit(i32::from(is_first)))
    });

    ground.job("second", json!({"backoffLimit": 1, "template": once(&json!({}))})).await;
    let status = ground.ended("second").await.status.unwrap();

    assert_eq!((status.succeeded, status.failed), (Some(1), Some(1)));
    assert_eq!(ground.pods_created(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pod_failure_policy_decides_by_exit_code() {
    let ground = Ground::scripted(|run| {
        let code = if run.pod.name_any().starts_with("fatal") { 42 } else { 7 };
        (secs(1), Outcome::exit(code))
    });
    let policy = json!({"rules": [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}},
    ]});
    let spec = |limit: u32| {
        let template = once(&json!({}));
        json!({
            "backoffLimit": limit, "activeDeadlineSeconds": 60, "podFailurePolicy": policy,
            "template": template,
        })
    };

    ground.job("fatal", spec(6)).await;
    ground.job("ignored", spec(0)).await;
    let (fatal, ignored) = (ground.ended("fatal").await, ground.ended("ignored").await);

    assert_eq!(reason(&fatal), "PodFailurePolicy");
    assert!(verdict(&fatal).unwrap().2.contains("failed with exit code 42"));
    assert_eq!(reason(&ignored), "DeadlineExceeded");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_job_and_its_pod() {
    let ground = Ground::scripted(|_| (secs(3600), Outcome::exit(0)));
    let start = Instant::now();

    let spec = json!({"activeDeadlineSeconds": 60, "template": once(&json!({}))});
    ground.job("late", spec).await;
    let pod = ground.only_pod("late", |it| is_running(it, "main")).await;
    let job = ground.ended("late").await;

    assert_eq!(reason(&job), "DeadlineExceeded");
    // The container does not listen: it has its grace of thirty seconds besides, of whole seconds.
    assert!(start.elapsed() >= secs(88) && start.elapsed() < secs(93), "{:?}", start.elapsed());
    assert!(ground.pods().get_opt(&pod.name_any()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_job_suspended_while_it_runs_loses_its_pod_and_begins_again() {
    let ground = Ground::scripted(|_| (secs(600), Outcome::exit(0)));
    ground.job("held", json!({"template": once(&json!({}))})).await;
    let first = ground.only_pod("held", |it| is_running(it, "main")).await;

    ground.patch_job("held", json!({"spec": {"suspend": true}})).await;
    until(&ground.pods(), &first.name_any(), |it| it.is_none()).await;
    let held = ground
        .job_once("held", |it| {
            let conditions = it.status.as_ref().and_then(|it| it.conditions.as_ref());
            let mut all = conditions.into_iter().flatten();
            all.any(|it| it.type_ == "Suspended" && it.status == "True")
        })
        .await;
    ground.patch_job("held", json!({"spec": {"suspend": false}})).await;
    let second = ground.only_pod("held", |it| is_running(it, "main")).await;
    let job = ground.ended("held").await;

    assert_eq!(held.status.unwrap().start_time, None);
    assert_ne!(second.uid(), first.uid());
    let status = job.status.unwrap();
    assert_eq!((status.succeeded, status.failed), (Some(1), None));
}

#[tokio::test(start_paused = true)]
async fn a_pod_deleted_while_it_runs_counts_as_failed_and_is_replaced() {
    let ground = Ground::scripted(|_| (secs(600), Outcome::exit(0)));
    ground.job("robbed", json!({"template": once(&json!({}))})).await;
    let first = ground.only_pod("robbed", |it| is_running(it, "main")).await;

    ground.delete_pod(&first.name_any()).await;
    let job = ground.ended("robbed").await;

    let status = job.status.unwrap();
    assert_eq!((status.succeeded, status.failed), (Some(1), Some(1)));
    assert_eq!(ground.pods_created(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_deleted_while_it_runs_takes_its_pod_along() {
    let ground = Ground::scripted(|_| (secs(600), Outcome::exit(0)));
    ground.job("gone", json!({"template": once(&json!({}))})).await;
    let pod = ground.only_pod("gone", |it| is_running(it, "main")).await;

    ground.jobs().delete("gone", &DeleteParams::foreground()).await.unwrap();
    until(&ground.pods(), &pod.name_any(), |it| it.is_none()).await;
    until(&ground.jobs(), "gone", |it| it.is_none()).await;

    assert_eq!(ground.pods_created(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_indexed_job_runs_each_index_once_side_by_side() {
    let ground = Ground::scripted(|run| {
        let variables = run.container.env.iter().flatten();
        let names: Vec<&str> = variables.map(|it| it.name.as_str()).collect();
        (secs(10), Outcome::exit(i32::from(names != ["JOB_COMPLETION_INDEX"])))
    });
    let start = Instant::now();

    let spec = json!({
        "completions": 5, "parallelism": 3, "completionMode": "Indexed", "template": once(&json!({})),
    });
    ground.job("many", spec).await;
    let status = ground.ended("many").await.status.unwrap();

    assert_eq!(status.completed_indexes.as_deref(), Some("0-4"));
    assert_eq!((status.succeeded, status.failed), (Some(5), None));
    assert!(start.elapsed() < secs(23), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_finished_job_goes_with_its_pods_when_its_time_is_over() {
    let ground = Ground::new(Succeed);

    let spec = json!({"ttlSecondsAfterFinished": 100, "template": once(&json!({}))});
    ground.job("brief", spec).await;
    ground.ended("brief").await;
    until(&ground.jobs(), "brief", |it| it.is_none()).await;

    tokio::time::sleep(secs(5)).await;
    assert_eq!(ground.all_pods().await.len(), 0);
}
