//! What `kubectl logs` asks for, and what it is answered.

use std::time::Duration;

use futures::{AsyncBufReadExt as _, AsyncReadExt as _, TryStreamExt as _};
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, LogParams},
};
use kube_sandbox::{Fault, FaultKind, Outcome, Run};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    pods::{Ground, is_running, once, phase, secs, template, until, waiting},
    support::refusal,
};

/// A container that writes a line every ten seconds, six of them.
async fn count(run: Run) -> Outcome {
    for number in 1..=6 {
        run.write(&format!("line {number}\n"));
        sleep(secs(10)).await;
    }
    Outcome::exit(0)
}

async fn ended(ground: &Ground) -> Api<Pod> {
    ground.pod("a", once(&json!({}))["spec"].clone()).await;
    ground.pod_once("a", |it| phase(it) == "Succeeded").await;
    ground.pods()
}

async fn running(ground: &Ground) -> Api<Pod> {
    ground.pod("a", once(&json!({}))["spec"].clone()).await;
    ground.pod_once("a", |it| is_running(it, "main")).await;
    ground.pods()
}

/// The answer to a query as text, whatever it is.
async fn raw(ground: &Ground, query: &str) -> String {
    let path = format!("/api/v1/namespaces/default/pods/a/log?{query}");
    let request = Request::get(path).body(Vec::new()).unwrap();
    ground.client.request_text(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_log_can_be_read_whole_by_its_end_and_by_its_size() {
    let ground = Ground::new(count);
    let pods = ended(&ground).await;
    let tail = |lines| LogParams { tail_lines: Some(lines), ..LogParams::default() };
    let limit = |bytes| LogParams { limit_bytes: Some(bytes), ..LogParams::default() };

    assert_eq!(pods.logs("a", &LogParams::default()).await.unwrap().lines().count(), 6);
    assert_eq!(pods.logs("a", &tail(2)).await.unwrap(), "line 5\nline 6\n");
    assert_eq!(pods.logs("a", &tail(0)).await.unwrap(), "");
    assert_eq!(pods.logs("a", &limit(9)).await.unwrap(), "line 1\nli");
    let both = LogParams { tail_lines: Some(1), limit_bytes: Some(4), ..LogParams::default() };
    assert_eq!(pods.logs("a", &both).await.unwrap(), "line");
}

#[tokio::test(start_paused = true)]
async fn a_log_can_be_read_from_a_time_on() {
    let ground = Ground::new(count);
    let pods = ended(&ground).await;
    let all = LogParams { timestamps: true, ..LogParams::default() };
    let stamped = pods.logs("a", &all).await.unwrap();
    let third = stamped.lines().nth(2).unwrap().split(' ').next().unwrap().to_owned();

    // The last line is ten seconds old, the one before twenty.
    let since = LogParams { since_seconds: Some(15), ..LogParams::default() };
    let seconds = pods.logs("a", &since).await.unwrap();
    let time = raw(&ground, &format!("sinceTime={third}")).await;

    assert_eq!(seconds, "line 6\n");
    assert_eq!(time, "line 3\nline 4\nline 5\nline 6\n");
    // Lines are counted before they are judged by their time.
    let few = LogParams { tail_lines: Some(5), since_seconds: Some(25), ..LogParams::default() };
    assert_eq!(pods.logs("a", &few).await.unwrap(), "line 5\nline 6\n");
}

#[tokio::test(start_paused = true)]
async fn timestamps_are_before_each_line_and_count_as_bytes() {
    let ground = Ground::new(count);
    ended(&ground).await;

    let all = raw(&ground, "timestamps=true").await;
    let cut = raw(&ground, "timestamps=true&limitBytes=33").await;

    let (times, lines): (Vec<&str>, Vec<&str>) =
        all.lines().map(|it| it.split_once(' ').unwrap()).unzip();
    assert_eq!(lines[..2], ["line 1", "line 2"]);
    let parsed: Vec<jiff::Timestamp> = times.iter().map(|it| it.parse().unwrap()).collect();
    assert!(times.iter().all(|it| it.len() == "2026-01-01T00:00:00.000000000Z".len()), "{all}");
    assert_eq!(parsed[1].duration_since(parsed[0]).as_secs(), 10);
    assert_eq!(cut, format!("{} li", times[0]));
}

#[tokio::test(start_paused = true)]
async fn who_follows_hears_each_line_as_it_comes_and_the_end() {
    let ground = Ground::new(count);
    let pods = running(&ground).await;
    sleep(secs(25)).await;
    let follow = LogParams { follow: true, tail_lines: Some(1), ..LogParams::default() };

    let mut lines = pods.log_stream("a", &follow).await.unwrap().lines();
    let begin = tokio::time::Instant::now();
    let mut heard = Vec::new();
    while let Some(line) = lines.try_next().await.unwrap() {
        heard.push((line, begin.elapsed().as_secs()));
    }

    let heard: Vec<(&str, u64)> = heard.iter().map(|(line, at)| (line.as_str(), *at)).collect();
    assert_eq!(heard, [("line 3", 0), ("line 4", 5), ("line 5", 15), ("line 6", 25)]);
    assert!(begin.elapsed() >= secs(35) && begin.elapsed() < secs(36));
}

#[tokio::test(start_paused = true)]
async fn following_ends_with_the_limit_with_the_pod_and_with_the_connection() {
    let ground = Ground::new(count);
    let pods = running(&ground).await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let limited = LogParams { limit_bytes: Some(10), ..follow.clone() };

    let mut text = String::new();
    let mut stream = pods.log_stream("a", &limited).await.unwrap();
    timeout(secs(11), stream.read_to_string(&mut text)).await.unwrap().unwrap();
    let mut dropped = pods.log_stream("a", &follow).await.unwrap();
    ground.sandbox.set_fault(Fault::of_all(FaultKind::DropWatches));
    timeout(secs(1), dropped.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    ground.sandbox.clear_faults();
    let mut gone = pods.log_stream("a", &follow).await.unwrap();
    pods.delete("a", &DeleteParams::default().grace_period(0)).await.unwrap();
    timeout(secs(1), gone.read_to_end(&mut Vec::new())).await.unwrap().unwrap();

    assert_eq!(text, "line 1\nlin");
}

#[tokio::test(start_paused = true)]
async fn the_log_before_a_restart_is_the_previous_one() {
    let ground = Ground::scripted(|run| {
        let text = format!("start {}\n", run.restarts);
        (secs(10), Outcome::exit(i32::from(run.restarts < 2)).with_log(&text))
    });
    ground.pod("a", template("OnFailure", &json!({}))["spec"].clone()).await;
    let previous = LogParams { previous: true, ..LogParams::default() };
    ground.pod_once("a", |it| is_running(it, "main")).await;
    let pods = ground.pods();

    let none = refusal(pods.logs("a", &previous).await);
    ground.pod_once("a", |it| waiting(it, "main") == Some("CrashLoopBackOff")).await;
    let crashed = pods.logs("a", &LogParams::default()).await.unwrap();
    let before_crash = pods.logs("a", &previous).await.unwrap();
    ground.pod_once("a", |it| phase(it) == "Succeeded").await;

    let message = "previous terminated container \"main\" in pod \"a\" not found";
    assert_eq!(none, (400, "BadRequest".to_owned(), message.to_owned()));
    assert_eq!((crashed.as_str(), before_crash.as_str()), ("start 1\n", "start 0\n"));
    assert_eq!(pods.logs("a", &LogParams::default()).await.unwrap(), "start 2\n");
    assert_eq!(pods.logs("a", &previous).await.unwrap(), "start 1\n");
}

fn several() -> Value {
    json!({
        "initContainers": [{"name": "clone", "image": "git:1"}],
        "containers": [
            {"name": "main", "image": "busybox:1"}, {"name": "other", "image": "busybox:1"},
        ],
    })
}

#[tokio::test(start_paused = true)]
async fn of_several_containers_one_must_be_named() {
    let ground = Ground::scripted(|run| {
        (secs(10), Outcome::exit(0).with_log(&format!("{}\n", run.container.name)))
    });
    ground.pod("a", once(&several())["spec"].clone()).await;
    ground.pod_once("a", |it| phase(it) == "Succeeded").await;
    let of = |name: &str| LogParams { container: Some(name.to_owned()), ..LogParams::default() };
    let pods = ground.pods();

    let unclear = refusal(pods.logs("a", &LogParams::default()).await);
    let unknown = refusal(pods.logs("a", &of("none")).await);

    let message = "a container name must be specified for pod a, choose one of: [clone main other]";
    assert_eq!(unclear, (400, "BadRequest".to_owned(), message.to_owned()));
    assert_eq!((unknown.0, unknown.2.as_str()), (400, "container none is not valid for pod a"));
    for name in ["clone", "main", "other"] {
        assert_eq!(pods.logs("a", &of(name)).await.unwrap(), format!("{name}\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_container_beside_init_containers_needs_no_name() {
    let ground = Ground::scripted(|run| {
        (secs(1), Outcome::exit(0).with_log(&format!("{}\n", run.container.name)))
    });
    let spec = once(&json!({"initContainers": [{"name": "clone", "image": "git:1"}]}));
    ground.pod("a", spec["spec"].clone()).await;

    ground.pod_once("a", |it| phase(it) == "Succeeded").await;

    let log = ground.pods().logs("a", &LogParams::default()).await.unwrap();
    assert_eq!(log, "main\n");
}

#[tokio::test(start_paused = true)]
async fn a_container_that_has_not_started_has_no_log_and_says_why() {
    let ground = Ground::scripted(|run| match run.container.name.as_str() {
        "clone" => (secs(60), Outcome::exit(0)),
        "main" => (secs(60), Outcome::waits("ErrImagePull", "no such image")),
        _ => (secs(60), Outcome::waits("CreateContainerConfigError", "secret \"x\" not found")),
    });
    ground.pod("a", once(&several())["spec"].clone()).await;
    let pods = ground.pods();
    let of = |name: &str| LogParams {
        container: Some(name.to_owned()),
        follow: true,
        ..LogParams::default()
    };
    let why = async |name: &str| refusal(pods.logs("a", &of(name)).await);

    ground.pod_once("a", |it| is_running(it, "clone")).await;
    let initializing = why("main").await;
    ground.pod_once("a", |it| waiting(it, "main") == Some("ErrImagePull")).await;
    let unpulled = why("main").await;
    ground.pod_once("a", |it| waiting(it, "main") == Some("ImagePullBackOff")).await;
    let waits = why("main").await;
    let unconfigured = why("other").await;

    let say = |name: &str, text: &str| {
        let message = format!("container \"{name}\" in pod \"a\" is waiting to start: {text}");
        (400, "BadRequest".to_owned(), message)
    };
    assert_eq!(initializing, say("main", "PodInitializing"));
    assert_eq!(unpulled, say("main", "image can't be pulled"));
    assert_eq!(waits, say("main", "trying and failing to pull image"));
    assert_eq!(unconfigured, say("other", "CreateContainerConfigError"));
}

#[tokio::test(start_paused = true)]
async fn another_pod_of_the_same_name_has_another_log() {
    let ground = Ground::new(count);
    let pods = ended(&ground).await;
    pods.delete("a", &DeleteParams::default()).await.unwrap();
    until(&pods, "a", |it| it.is_none()).await;

    running(&ground).await;

    assert_eq!(pods.logs("a", &LogParams::default()).await.unwrap(), "line 1\n");
}

#[tokio::test(start_paused = true)]
async fn logs_outlive_their_process_with_their_times() {
    let ground = Ground::scripted(|run| {
        let text = format!("start {}\n", run.restarts);
        (secs(10), Outcome::exit(i32::from(run.restarts < 1)).with_log(&text))
    });
    ground.pod("a", template("OnFailure", &json!({}))["spec"].clone()).await;
    ground.pod_once("a", |it| phase(it) == "Succeeded").await;
    let queries = ["timestamps=true", "timestamps=true&previous=true"];
    let mut before = Vec::new();
    for query in queries {
        before.push(raw(&ground, query).await);
    }

    let folder = tempfile::tempdir().unwrap();
    ground.sandbox.save(folder.path()).unwrap();
    let again = kube_sandbox::Sandbox::load("again", folder.path()).unwrap();
    let again = Ground::of(again, kube_sandbox::Succeed);

    for (query, before) in queries.iter().zip(before) {
        assert_eq!(raw(&again, query).await, before, "{query}");
    }
    sleep(Duration::from_secs(1)).await;
}
