//! Does a Job live and end as its spec and its user say?

use jiff::SignedDuration;

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
    ground.job("again", |it| it.status.as_ref().is_some_and(|it| it.failed == Some(1))).await;
    ground.sandbox.jump_clock(SignedDuration::from_secs(20));
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

    let mut ground = Ground::on(sandbox, state);
    ground.running.spawn(ground.sandbox.run_controllers());
    ground.create("fresh", shell("true")).await;
    let ground = ground.started(|_| {});

    let orphan = ground.ended("orphan").await;
    let fresh = ground.ended("fresh").await;
    assert_eq!(condition(&orphan, "Failed").unwrap().0, "BackoffLimitExceeded");
    assert!(condition(&fresh, "Complete").is_some());
    let pods = ground.list_pods().await;
    let orphan = pods.iter().find(|it| it.name_any().starts_with("orphan-")).unwrap();
    let containers = orphan.status.as_ref().unwrap().container_statuses.as_ref().unwrap();
    let ended = containers[0].state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(ended.reason.as_deref(), Some("ContainerStatusUnknown"));
    ground.nothing_left().await;
}

#[tokio::test]
async fn what_an_executor_left_that_was_killed_is_killed_and_removed() {
    let folder = TempDir::new().unwrap();
    let left = folder.path().join("edge-1/pods/left-over");
    fs::create_dir_all(&left).unwrap();
    let alive = folder.path().join("alive");
    let mut stray = tokio::process::Command::new("sh")
        .args(["-c", &breathing(&alive)])
        .env("HOME", left.join("home"))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until(async || alive.exists()).await;

    let ground = Ground::on(Sandbox::new("edge-1"), folder).started(|_| {});

    dead(&alive).await;
    ground.nothing_left().await;
    assert!(!stray.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_container_starts_only_when_it_is_on_the_disk_that_it_does() {
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("kept");
    let ground = Ground::idle();
    let keep = Keep::new(ground.sandbox.clone(), &kept);
    let ground = ground.started(|settings| settings.keep = Some(keep));
    let copy = folder.path().join("copy");
    let script = format!("cp {}/cluster.jsonl {}", kept.display(), copy.display());

    ground.create("kept", shell(&script)).await;
    ground.ended("kept").await;

    let saved = fs::read_to_string(copy).unwrap();
    let pod = saved.lines().find(|it| it.contains("\"table\":\"pods\"")).unwrap();
    assert!(pod.contains("\"running\":{\"startedAt\""), "{pod}");
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_start() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let ground = Ground::idle();
    let keep = Keep::new(ground.sandbox.clone(), file.join("in a file"));
    let ground = ground.started(|settings| settings.keep = Some(keep));
    let ran = folder.path().join("ran");

    ground.create("lost", shell(&format!("touch {}", ran.display()))).await;
    ground.ended("lost").await;

    let ended = ground.terminated().await;
    assert!(ended.message.unwrap().starts_with("it cannot be recorded that it starts"));
    assert!(!ran.exists());
}
