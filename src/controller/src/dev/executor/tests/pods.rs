//! Do containers find what their spec promises, and does their Pod tell the truth?

use std::os::unix::fs::PermissionsExt as _;

use kube::api::LogParams;

use super::*;

#[tokio::test]
async fn a_job_clones_works_and_completes() {
    let mut ground = Ground::new();
    ground.secret("keys", &[("tok", "s3cret"), ("other", "x")]).await;
    let clone = "echo hello > /work/file && cp $GER_CLONE_CREDENTIALS/token /work/copy && \
                 ls $GER_CLONE_CREDENTIALS && echo $GER_CLONE_URI";

    ground.create("build", clone_and_work(clone, "cat file copy && echo $WORKDIR $COMMIT")).await;
    let job = ground.ended("build").await;
    let finished = ground.finished().await;

    let status = job.status.clone().unwrap();
    let log = fs::read_to_string(&finished.log).unwrap();
    let workdir = &finished.env["WORKDIR"];
    assert_eq!(condition(&job, "Complete").unwrap().0, "CompletionsReached", "{log}");
    assert!(condition(&job, "SuccessCriteriaMet").is_some());
    assert_eq!((status.succeeded, status.failed, status.active), (Some(1), None, None));
    assert!(status.start_time.unwrap() <= status.completion_time.unwrap());
    assert_eq!(log, format!("token\ngit@host:/work/repo\nhello\ns3cret{workdir} abc\n"));
    assert_eq!((finished.job.as_str(), finished.exit_code), ("build", 0));
    assert!(workdir.starts_with(ground.state.path().to_str().unwrap()), "{workdir}");
    ground.nothing_left().await;
}

#[tokio::test]
async fn the_pod_tells_what_its_containers_did() {
    let ground = Ground::new();
    ground.secret("keys", &[("tok", "s3cret")]).await;

    let job = ground.create("build", clone_and_work("echo cloned", "echo worked")).await;
    ground.ended("build").await;

    let pod = ground.list_pods().await.remove(0);
    let status = ground.pod_status().await;
    let init = &status.init_container_statuses.unwrap()[0];
    let main = &status.container_statuses.unwrap()[0];
    let over = |it: &k8s_openapi::api::core::v1::ContainerStatus| {
        let it = it.state.clone().unwrap().terminated.unwrap();
        (it.exit_code, it.reason.unwrap())
    };
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    assert_eq!(over(init), (0, "Completed".to_owned()));
    assert_eq!(over(main), (0, "Completed".to_owned()));
    assert_eq!(pod.labels()["batch.kubernetes.io/job-name"], "build");
    assert_eq!(pod.labels()["app"], "x");
    assert_eq!(pod.owner_references()[0].uid, job.uid().unwrap());
    assert!(pod.name_any().starts_with("build-"), "{}", pod.name_any());
    let of = |container: &str| LogParams {
        container: Some(container.to_owned()),
        ..LogParams::default()
    };
    assert_eq!(ground.pods().logs(&pod.name_any(), &of("cloner")).await.unwrap(), "cloned\n");
    assert_eq!(ground.pods().logs(&pod.name_any(), &of("worker")).await.unwrap(), "worked\n");
}

#[tokio::test]
async fn a_failing_cloner_keeps_the_worker_from_starting() {
    let mut ground = Ground::new();
    ground.secret("keys", &[("tok", "s3cret")]).await;

    ground.create("build", clone_and_work("exit 2", "echo never")).await;
    let job = ground.ended("build").await;
    let finished = ground.finished().await;

    let status = ground.pod_status().await;
    let worker = status.container_statuses.unwrap()[0].state.clone().unwrap();
    assert!(condition(&job, "Failed").is_some());
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    assert_eq!((finished.exit_code, finished.env.len()), (2, 0));
    assert_eq!(fs::read_to_string(finished.log).unwrap(), "");
    assert!(worker.waiting.is_some(), "{worker:?}");
}

#[tokio::test]
async fn a_secret_is_only_where_and_while_it_is_mounted() {
    let mut ground = Ground::new();
    ground.secret("keys", &[("tok", "s3cret")]).await;
    let pods = ground.state.path().join("edge-1/pods");
    let search =
        format!("grep -rl s3cret {0} | wc -l; find {0} -name token | wc -l", pods.display());
    let clone = "stat -c %a $GER_CLONE_CREDENTIALS $GER_CLONE_CREDENTIALS/token";

    ground.create("build", clone_and_work(clone, &format!("ls /work; {search}"))).await;
    let finished = ground.finished().await;

    let log = fs::read_to_string(finished.log).unwrap();
    let lines: Vec<&str> = log.split_whitespace().collect();
    assert_eq!(lines, ["700", "600", "0", "0"]);
}

#[tokio::test]
async fn a_pod_waits_for_a_secret_that_is_not_there_yet() {
    let ground = Ground::new();
    ground.create("build", clone_and_work("true", "true")).await;
    until(async || {
        let pods = ground.list_pods().await;
        let status = pods.first().and_then(|it| it.status.clone()).unwrap_or_default();
        let init = status.init_container_statuses.unwrap_or_default();
        let waiting = init.first().and_then(|it| it.state.clone()?.waiting?.message);
        waiting.is_some_and(|it| it == "Secret keys is not there")
    })
    .await;

    ground.secret("keys", &[("tok", "s3cret")]).await;

    let job = ground.ended("build").await;
    assert!(condition(&job, "Complete").is_some());
}

#[tokio::test]
async fn without_a_command_the_job_fails_and_says_why() {
    let mut ground = Ground::new();
    let mut spec = shell("");
    spec["template"]["spec"]["containers"][0]["command"] = Value::Null;

    ground.create("image", spec).await;
    let job = ground.ended("image").await;

    let why = "the sandbox has no images: give the Action a command";
    let log = fs::read_to_string(ground.finished().await.log).unwrap();
    let ended = ground.terminated().await;
    assert_eq!(condition(&job, "Failed").unwrap().0, "BackoffLimitExceeded");
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (128, Some("StartError")));
    assert_eq!((log.trim_end(), ended.message.as_deref()), (why, Some(why)));
}

#[tokio::test]
async fn what_cannot_be_imitated_fails_and_says_so() {
    let ground = Ground::new();
    let mut host = shell("true");
    host["template"]["spec"]["volumes"] = json!([{"name": "h", "hostPath": {"path": "/"}}]);
    host["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "h", "mountPath": "/h"}]);
    let mut elsewhere = shell("true");
    elsewhere["template"]["spec"]["containers"][0]["workingDir"] = "/srv".into();

    for (name, spec, part) in
        [("host", host, "volume h is none"), ("elsewhere", elsewhere, "/srv is in no volume")]
    {
        ground.create(name, spec).await;
        ground.ended(name).await;
        let message = ground.terminated().await.message.unwrap();
        assert!(message.contains(part), "{message}");
        ground.jobs().delete(name, &DeleteParams::background()).await.unwrap();
        ground.no_pods().await;
    }
}

#[tokio::test]
async fn a_job_of_many_pods_runs_them_all() {
    let ground = Ground::new();
    let mut many = shell("true");
    many["completions"] = 3.into();
    many["parallelism"] = 3.into();

    ground.create("many", many).await;
    let job = ground.ended("many").await;

    assert_eq!(job.status.unwrap().succeeded, Some(3));
}

#[tokio::test]
async fn variables_come_from_where_they_are_said_to() {
    let mut ground = Ground::new();
    ground.secret("keys", &[("tok", "s3cret")]).await;
    let mut spec = shell("echo $(TOKEN) $POD $ALL_tok $NOTHING; export -p");
    let container = &mut spec["template"]["spec"]["containers"][0];
    let key = |key: &str| json!({"name": "keys", "key": key, "optional": true});
    container["envFrom"] = json!([{"prefix": "ALL_", "secretRef": {"name": "keys"}}]);
    container["env"] = json!([
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": key("tok")}},
        {"name": "NOTHING", "valueFrom": {"secretKeyRef": key("none")}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]);

    ground.create("env", spec).await;
    let finished = ground.finished().await;

    let log = fs::read_to_string(&finished.log).unwrap();
    let pod = ground.list_pods().await.remove(0).name_any();
    assert!(log.starts_with(&format!("s3cret {pod} s3cret\n")), "{log}");
    let names: Vec<&str> = finished.env.keys().map(String::as_str).collect();
    assert_eq!(names, ["ALL_tok", "HOME", "LANG", "PATH", "POD", "TOKEN"]);
    assert!(!log.contains("CARGO"), "{log}");
}

#[tokio::test]
async fn no_more_pods_run_at_once_than_allowed() {
    let ground = Ground::with(|it| it.parallelism = 1);
    let busy = ground.state.path().join("busy");
    let script = format!("mkdir {0} && sleep 0.1 && rmdir {0}", busy.display());

    for name in ["a", "b", "c", "d"] {
        ground.create(name, shell(&script)).await;
    }

    for name in ["a", "b", "c", "d"] {
        assert!(condition(&ground.ended(name).await, "Complete").is_some(), "{name}");
    }
}

#[tokio::test]
async fn logs_are_private_files_that_settings_find() {
    let mut ground = Ground::new();
    ground.create("talk", shell("echo hi")).await;
    let finished = ground.finished().await;

    let pod = ground.list_pods().await.remove(0).name_any();
    let settings = Settings::new(ground.state.path()).unwrap();
    let found: Option<PathBuf> = settings.log("edge-1", "default", &pod);
    let mode = fs::metadata(&finished.log).unwrap().permissions().mode();
    assert_eq!(found, Some(finished.log));
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(settings.log("edge-1", "default", "none"), None);
}
