//! What a Pod's status says while its containers come and go.

use kube_sandbox::Succeed;

use super::*;

fn cloned() -> Value {
    json!({
        "initContainers": [
            {"name": "clone", "image": "git:1"}, {"name": "build", "image": "make:1"},
        ],
        "containers": [
            {"name": "main", "image": "busybox:1"}, {"name": "other", "image": "busybox:1"},
        ],
    })
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_one_after_another_and_the_others_side_by_side() {
    let ground = Ground::scripted(|_| (secs(10), Outcome::exit(0)));
    ground.job("steps", json!({"template": once(&cloned())})).await;

    let first = ground.only_pod("steps", |it| is_running(it, "clone")).await;
    let name = first.name_any();
    let second = ground.pod_once(&name, |it| is_running(it, "build")).await;
    let third = ground.pod_once(&name, |it| is_running(it, "main")).await;
    ground.ended("steps").await;

    assert_eq!((phase(&first), waiting(&first, "main")), ("Pending", Some("PodInitializing")));
    assert_eq!(waiting(&first, "build"), Some("PodInitializing"));
    assert_eq!(conditions(&first)["Initialized"], ("False", "ContainersNotInitialized"));
    assert_eq!(terminated(&second, "clone"), Some((0, "Completed")));
    assert_eq!(waiting(&second, "main"), Some("PodInitializing"));
    let ready = ground.pod_once(&name, |it| phase(it) == "Succeeded").await;
    assert_eq!(conditions(&third)["Initialized"].0, "True");
    assert_eq!(conditions(&ready)["Ready"], ("False", "PodCompleted"));
    assert_eq!(terminated(&ready, "other"), Some((0, "Completed")));
    let ends = |it: &str| {
        let state = container(&ready, it).unwrap().state.as_ref().unwrap();
        state.terminated.as_ref().unwrap().finished_at.as_ref().unwrap().0
    };
    assert_eq!(ends("main"), ends("other"));
    assert_eq!(ends("main").duration_since(ends("clone")).as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn both_run_and_are_ready_before_they_end() {
    let ground = Ground::scripted(|_| (secs(10), Outcome::exit(0)));
    ground.pod("a", once(&cloned())["spec"].clone()).await;

    let all = |it: &Pod| is_running(it, "main") && is_running(it, "other");
    let pod = ground.pod_once("a", all).await;

    assert_eq!((phase(&pod), conditions(&pod)["Ready"].0), ("Running", "True"));
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("sandbox"));
}

#[tokio::test(start_paused = true)]
async fn an_init_container_that_fails_keeps_the_others_from_starting() {
    let ground = Ground::scripted(|run| {
        let code = if run.container.name == "clone" { 128 } else { 0 };
        (secs(1), Outcome::exit(code))
    });

    ground.job("broken", json!({"backoffLimit": 0, "template": once(&cloned())})).await;
    let job = ground.ended("broken").await;

    assert_eq!(reason(&job), "BackoffLimitExceeded");
    let pods = ground.all_pods().await;
    assert_eq!((phase(&pods[0]), terminated(&pods[0], "clone")), ("Failed", Some((128, "Error"))));
    assert_eq!(waiting(&pods[0], "main"), Some("PodInitializing"));
}

#[tokio::test(start_paused = true)]
async fn one_container_that_fails_fails_the_pod_when_all_have_ended() {
    let ground = Ground::scripted(|run| match run.container.name.as_str() {
        "main" => (secs(1), Outcome::exit(5)),
        _ => (secs(30), Outcome::exit(0)),
    });
    ground.pod("a", once(&cloned())["spec"].clone()).await;

    let half = ground.pod_once("a", |it| terminated(it, "main").is_some()).await;
    let whole = ground.pod_once("a", |it| terminated(it, "other").is_some()).await;

    assert_eq!((phase(&half), is_running(&half, "other")), ("Running", true));
    assert_eq!(conditions(&half)["ContainersReady"], ("False", "ContainersNotReady"));
    assert_eq!((phase(&whole), terminated(&whole, "main")), ("Failed", Some((5, "Error"))));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_takes_too_much_memory_is_killed_and_says_so() {
    let ground = Ground::scripted(|_| (secs(1), Outcome::out_of_memory()));

    ground.job("fat", json!({"backoffLimit": 0, "template": once(&json!({}))})).await;
    ground.ended("fat").await;

    let pods = ground.all_pods().await;
    assert_eq!(terminated(&pods[0], "main"), Some((137, "OOMKilled")));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_keeps_the_pod_pending_until_it_can() {
    let tries = std::sync::atomic::AtomicU32::new(0);
    let ground =
        Ground::scripted(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0..3 => (secs(1), Outcome::waits("ErrImagePull", "not found")),
            _ => (secs(1), Outcome::exit(0)),
        });
    ground.job("unpulled", json!({"template": once(&json!({}))})).await;

    let failed =
        ground.only_pod("unpulled", |it| waiting(it, "main") == Some("ErrImagePull")).await;
    let name = failed.name_any();
    let waits = ground.pod_once(&name, |it| waiting(it, "main") == Some("ImagePullBackOff")).await;
    let job = ground.ended("unpulled").await;

    assert_eq!((phase(&failed), phase(&waits)), ("Pending", "Pending"));
    let state = container(&waits, "main").unwrap().state.clone().unwrap().waiting.unwrap();
    let message = "Back-off pulling image \"busybox:1\": ErrImagePull: not found";
    assert_eq!(state.message.as_deref(), Some(message));
    assert_eq!(verdict(&job).unwrap().0, "Complete");
    assert_eq!(ground.pods_created(), 1);
    let pod = ground.pods().get(&name).await.unwrap();
    assert_eq!(container(&pod, "main").unwrap().restart_count, 0);
}

#[tokio::test(start_paused = true)]
async fn an_executor_may_wait_for_what_a_container_needs() {
    let ground = Ground::new(Waits);
    ground.job("missing", json!({"template": once(&json!({}))})).await;

    let waits = |it: &Pod| waiting(it, "main") == Some("CreateContainerConfigError");
    let pod = ground.only_pod("missing", waits).await;
    ground.ended("missing").await;

    let state = container(&pod, "main").unwrap().state.clone().unwrap().waiting.unwrap();
    assert_eq!(state.message.as_deref(), Some("secret \"keys\" not found"));
    assert_eq!((phase(&pod), conditions(&pod)["Initialized"].0), ("Pending", "True"));
}

struct Waits;

impl Executor for Waits {
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        run.waits("CreateContainerConfigError", "secret \"keys\" not found");
        async move {
            tokio::time::sleep(secs(60)).await;
            run.starts();
            Outcome::exit(0)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sidecars_start_before_the_others_and_end_with_them() {
    let ground = Ground::scripted(|run| match run.container.name.as_str() {
        "main" => (secs(30), Outcome::exit(0)),
        _ => (secs(3600), Outcome::exit(0)),
    });
    let spec = json!({
        "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
    });

    ground.job("helped", json!({"template": once(&spec)})).await;
    let pod = ground.only_pod("helped", |it| is_running(it, "main")).await;
    let job = ground.ended("helped").await;

    assert!(is_running(&pod, "proxy"));
    assert_eq!(verdict(&job).unwrap().0, "Complete");
    let pod = ground.pods().get(&pod.name_any()).await.unwrap();
    assert_eq!((phase(&pod), terminated(&pod, "main")), ("Succeeded", Some((0, "Completed"))));
    assert!(terminated(&pod, "proxy").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_listens_ends_within_its_grace_with_its_own_code() {
    let ground = Ground::new(|run: Run| async move {
        run.asked_to_stop().await;
        tokio::time::sleep(secs(5)).await;
        Outcome::exit(143)
    });
    ground.job("polite", json!({"backoffLimit": 0, "template": once(&json!({}))})).await;
    let pod = ground.only_pod("polite", |it| is_running(it, "main")).await;
    let start = tokio::time::Instant::now();

    ground.delete_pod(&pod.name_any()).await;
    until(&ground.pods(), &pod.name_any(), |it| it.is_none()).await;

    assert!(start.elapsed() >= secs(5) && start.elapsed() < secs(8), "{:?}", start.elapsed());
    assert_eq!(reason(&ground.ended("polite").await), "BackoffLimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn a_pod_has_a_deadline_of_its_own() {
    let ground = Ground::scripted(|_| (secs(3600), Outcome::exit(0)));

    let spec = once(&json!({"activeDeadlineSeconds": 60}));
    ground.pod("late", spec["spec"].clone()).await;
    let pod = ground.pod_once("late", |it| phase(it) == "Failed").await;

    assert_eq!(pod.status.as_ref().unwrap().reason.as_deref(), Some("DeadlineExceeded"));
    assert_eq!(terminated(&pod, "main"), Some((137, "Error")));
}

#[tokio::test(start_paused = true)]
async fn a_pod_with_gates_or_of_another_node_is_left_alone() {
    let ground = Ground::new(Succeed);
    let spec = |more: &Value| once(more)["spec"].clone();

    ground.pod("gated", spec(&json!({"schedulingGates": [{"name": "example.com/wait"}]}))).await;
    ground.pod("elsewhere", spec(&json!({"nodeName": "other"}))).await;
    ground.pod("here", spec(&json!({}))).await;
    ground.pod_once("here", |it| phase(it) == "Succeeded").await;
    tokio::time::sleep(secs(60)).await;

    for name in ["gated", "elsewhere"] {
        assert_eq!(phase(&ground.pods().get(name).await.unwrap()), "Pending", "{name}");
    }
}
