//! What starts again: containers by their Pod's policy, and Pods of a cluster that was saved while they ran.

use kube_sandbox::Succeed;
use tempfile::TempDir;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_container_that_crashes_starts_again_after_growing_pauses() {
    let ground = Ground::scripted(|run| {
        let code = i32::from(run.restarts < 3);
        (secs(1), Outcome::exit(code))
    });
    ground.job("shaky", json!({"template": template("OnFailure", &json!({}))})).await;

    let crashed =
        ground.only_pod("shaky", |it| waiting(it, "main") == Some("CrashLoopBackOff")).await;
    let job = ground.ended("shaky").await;

    assert_eq!((phase(&crashed), conditions(&crashed)["Ready"].0), ("Running", "False"));
    let status = container(&crashed, "main").unwrap();
    let last = status.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, status.restart_count), (1, 2));
    let message = status.state.as_ref().unwrap().waiting.as_ref().unwrap().message.clone();
    assert!(
        message.unwrap().starts_with("back-off 10s restarting failed container=main pod=shaky-")
    );
    let status = job.status.unwrap();
    assert_eq!((status.succeeded, status.failed), (Some(1), None));
    let pod = ground.pods().get(&crashed.name_any()).await.unwrap();
    assert_eq!(container(&pod, "main").unwrap().restart_count, 3);
    assert_eq!(ground.pods_created(), 1);
}

#[tokio::test(start_paused = true)]
async fn restarts_count_against_the_backoff_limit() {
    let ground = Ground::scripted(|_| (secs(1), Outcome::exit(1)));

    let spec = json!({"backoffLimit": 2, "template": template("OnFailure", &json!({}))});
    ground.job("hopeless", spec).await;
    let job = ground.ended("hopeless").await;

    assert_eq!(reason(&job), "BackoffLimitExceeded");
    assert_eq!(ground.pods_created(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_always_runs_starts_again_after_success_too() {
    let ground = Ground::scripted(|_| (secs(60), Outcome::exit(0)));

    ground.pod("server", template("Always", &json!({}))["spec"].clone()).await;
    let again = |it: &Pod| container(it, "main").is_some_and(|it| it.restart_count >= 2);
    let pod = ground.pod_once("server", again).await;

    assert_eq!(phase(&pod), "Running");
}

/// The cluster as it is now, after whatever ran its Pods has died.
fn reborn(ground: Ground, executor: impl Executor) -> Ground {
    let folder = TempDir::new().unwrap();
    ground.sandbox.save(folder.path()).unwrap();
    drop(ground);
    Ground::of(Sandbox::load("test", folder.path()).unwrap(), executor)
}

#[tokio::test(start_paused = true)]
async fn what_ran_when_the_cluster_was_saved_has_failed_and_does_not_run_twice() {
    let before = Ground::scripted(|_| (secs(3600), Outcome::exit(0)));
    before.job("cut", json!({"backoffLimit": 0, "template": once(&json!({}))})).await;
    let pod = before.only_pod("cut", |it| is_running(it, "main")).await;

    let after = reborn(before, Succeed);
    let job = after.ended("cut").await;

    assert_eq!(reason(&job), "BackoffLimitExceeded");
    let pod = after.pods().get(&pod.name_any()).await.unwrap();
    assert_eq!(terminated(&pod, "main"), Some((137, "ContainerStatusUnknown")));
    assert_eq!((phase(&pod), conditions(&pod)["Ready"].0), ("Failed", "False"));
    assert_eq!(after.pods_created(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_clone_whose_work_had_not_begun_is_not_worked_on_without_it() {
    let before = Ground::scripted(|run| match run.container.name.as_str() {
        "clone" => (secs(10), Outcome::exit(0)),
        _ => (secs(10), Outcome::waits("CreateContainerConfigError", "not yet")),
    });
    let spec = json!({"initContainers": [{"name": "clone", "image": "git:1"}]});
    before.job("half", json!({"backoffLimit": 0, "template": once(&spec)})).await;
    before.only_pod("half", |it| waiting(it, "main") == Some("CreateContainerConfigError")).await;

    let after = reborn(before, Succeed);

    assert_eq!(reason(&after.ended("half").await), "BackoffLimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn what_may_start_again_does_so_with_its_count() {
    let before = Ground::scripted(|_| (secs(3600), Outcome::exit(0)));
    before.job("again", json!({"template": template("OnFailure", &json!({}))})).await;
    before.only_pod("again", |it| is_running(it, "main")).await;

    let after = reborn(before, Script(|_: &Run| (secs(10), Outcome::exit(0))));
    let job = after.ended("again").await;

    assert_eq!(verdict(&job).unwrap().0, "Complete");
    let pods = after.all_pods().await;
    let status = container(&pods[0], "main").unwrap();
    let last = status.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((status.restart_count, last.exit_code), (1, 137));
}

#[tokio::test(start_paused = true)]
async fn what_waited_or_was_going_when_the_cluster_was_saved_goes_on_so() {
    let before = Ground::scripted(|run| match run.pod.name_any().as_str() {
        "waits" => (secs(1), Outcome::waits("ErrImagePull", "not found")),
        _ => (secs(3600), Outcome::exit(0)),
    });
    for name in ["waits", "going"] {
        before.pod(name, once(&json!({}))["spec"].clone()).await;
    }
    before.pod_once("waits", |it| waiting(it, "main") == Some("ImagePullBackOff")).await;
    before.pod_once("going", |it| is_running(it, "main")).await;
    before.delete_pod("going").await;

    let after = reborn(before, Succeed);

    after.pod_once("waits", |it| phase(it) == "Succeeded").await;
    until(&after.pods(), "going", |it| it.is_none()).await;
}
