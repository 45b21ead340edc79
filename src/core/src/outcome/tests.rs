//! Pods as a kubelet leaves them, and what is made of them.

use serde_json::{Value, json};

use super::*;

const SAID: &str = "BackoffLimitExceeded: Job has reached the specified backoff limit";
const LATE: &str = "DeadlineExceeded: Job was active longer than specified deadline";

/// A Pod of ours with these container statuses.
fn pod(init: &Value, worker: &Value) -> Pod {
    let status = |name: &str, state: &Value| {
        json!([{
            "name": name, "state": state, "image": format!("{name}:1"), "imageID": "",
            "ready": false, "restartCount": 0,
        }])
    };
    serde_json::from_value(json!({
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "initContainers": [
                {"name": "action-cloner", "env": [{"name": "GER_CLONE_URI", "value": "u"}]},
            ],
            "containers": [{"name": "action-worker"}],
        },
        "status": {
            "phase": "Failed",
            "initContainerStatuses": status("action-cloner", init),
            "containerStatuses": status("action-worker", worker),
        },
    }))
    .unwrap()
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
}

fn waits(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

fn why(init: &Value, worker: &Value) -> String {
    why_failed(SAID, None, &[pod(init, worker)])
}

fn event(reason: &str, message: &str, second: u32) -> Event {
    serde_json::from_value(json!({
        "metadata": {}, "involvedObject": {}, "reason": reason, "message": message,
        "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
    }))
    .unwrap()
}

#[test]
fn each_way_to_fail_has_its_word() {
    let (done, begins) = (ended(0, "Completed", ""), waits("PodInitializing", ""));
    let log = "the commit is asked for\n\
        gitrepo-cloner: cannot clone: git.test refused the credentials (HTTP 403)\n";
    for (init, worker, expected) in [
        (
            &done,
            ended(3, "Error", "secret output"),
            "ExitCode: container action-worker ended with code 3",
        ),
        (
            &done,
            ended(137, "OOMKilled", ""),
            "OOMKilled: container action-worker took more memory than it may",
        ),
        (
            &done,
            ended(128, "StartError", "exec: \"mke\": not found"),
            "StartError: container action-worker cannot be started: exec: \"mke\": not found",
        ),
        (
            &ended(1, "Error", log),
            begins.clone(),
            "CloneFailed: cannot clone: git.test refused the credentials (HTTP 403)",
        ),
        (&ended(2, "Error", ""), begins.clone(), "CloneFailed: the cloner ended with code 2"),
        (
            &ended(137, "OOMKilled", "x"),
            begins.clone(),
            "OOMKilled: the cloner took more memory than it may",
        ),
    ] {
        assert_eq!(why(init, &worker), expected);
    }
}

/// What a worker prints may be anything.
#[test]
fn a_worker_s_words_are_not_repeated() {
    let said = why(&ended(0, "Completed", ""), &ended(1, "Error", "token=hunter2"));

    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn another_init_container_is_not_the_cloner() {
    let mut injected = pod(&ended(1, "Error", "its own words"), &waits("PodInitializing", ""));
    injected.spec.as_mut().unwrap().init_containers.as_mut().unwrap()[0].env = None;

    let said = why_failed(SAID, None, &[injected]);

    assert_eq!(said, "ExitCode: container action-cloner ended with code 1");
}

#[test]
fn a_pod_that_was_ended_from_outside_says_by_what() {
    let mut evicted = pod(&json!({}), &json!({}));
    let status = evicted.status.as_mut().unwrap();
    status.reason = Some("Evicted".to_owned());
    status.message = Some("The node was low on resource: memory.".to_owned());

    let said = why_failed(SAID, None, &[evicted]);

    assert_eq!(said, "Evicted: The node was low on resource: memory.");
}

#[test]
fn the_newest_pod_counts_and_without_any_the_job_s_own_word() {
    let mut older = pod(&ended(0, "Completed", ""), &ended(1, "Error", ""));
    let newer = pod(&ended(0, "Completed", ""), &ended(2, "Error", ""));
    let created = older.metadata.creation_timestamp.as_mut().unwrap();
    created.0 = "2025-01-01T00:00:00Z".parse().unwrap();

    let said = why_failed(SAID, None, &[newer, older]);

    assert_eq!(said, "ExitCode: container action-worker ended with code 2");
    assert_eq!(why_failed(SAID, None, &[]), SAID);
    assert_eq!(why_failed(SAID, Some("ImagePull: no"), &[]), SAID);
}

/// The Pods of a Job that took too long are gone; what hindered it was seen before.
#[test]
fn a_deadline_says_what_took_so_long() {
    let before = "ImagePull: the image worker:1 of container action-worker cannot be had: no";

    assert_eq!(why_failed(LATE, Some(before), &[]), format!("{LATE}; {before}"));
    assert_eq!(why_failed(LATE, None, &[]), LATE);
}

#[test]
fn what_hinders_a_job_is_seen_while_it_runs() {
    let begins = json!({});
    let image = waits("ImagePullBackOff", "Back-off pulling image \"worker:1\"");
    let config = waits("CreateContainerConfigError", "secret \"db\" not found");

    let of_image = progress(&[pod(&ended(0, "Completed", ""), &image)], &[]);
    let of_cloner = progress(&[pod(&image, &waits("PodInitializing", ""))], &[]);
    let of_config = progress(&[pod(&ended(0, "Completed", ""), &config)], &[]);

    let hindered = |it: Progress| match it {
        Progress::Hindered(why) => why.text(),
        Progress::Works | Progress::Begins => panic!("{it:?}"),
    };
    let said = hindered(of_image);
    assert!(said.starts_with("ImagePull: the image action-worker:1 of container"), "{said}");
    assert!(hindered(of_cloner).starts_with("ImagePull: the image action-cloner:1"));
    assert!(hindered(of_config).starts_with("CreateContainerConfigError: container action-worker"));
    let working = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    assert_eq!(progress(&[pod(&ended(0, "", ""), &working)], &[]), Progress::Works);
    assert_eq!(progress(&[pod(&begins, &begins)], &[]), Progress::Begins);
    assert_eq!(progress(&[], &[]), Progress::Begins);
}

#[test]
fn a_pod_that_no_node_takes_says_so() {
    let mut pod = pod(&json!({}), &json!({}));
    let condition = json!([{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }]);
    pod.status.as_mut().unwrap().conditions = serde_json::from_value(condition).unwrap();

    let progress = progress(&[pod], &[]);

    assert_eq!(progress, Progress::Hindered(Why::new("Unschedulable", "0/3 nodes are available")));
}

#[test]
fn a_pod_that_cannot_be_made_says_why_not() {
    for (message, reason) in [
        (
            "Error creating: pods \"x-\" is forbidden: error looking up service account apps/y: \
             serviceaccount \"y\" not found",
            "ServiceAccountMissing",
        ),
        ("Error creating: pods \"x-\" is forbidden: exceeded quota: q", "QuotaExceeded"),
        (
            "Error creating: pods \"x-\" is forbidden: failed quota: q: must specify",
            "QuotaExceeded",
        ),
        (
            "Error creating: pods \"x-\" is forbidden: violates PodSecurity \"restricted:latest\"",
            "PodSecurityViolated",
        ),
        ("Error creating: admission webhook \"p\" denied the request", "PodRefused"),
    ] {
        let events = [event("FailedCreate", message, 2), event("Suspended", "", 3)];

        let hindered = progress(&[], &events);

        assert_eq!(hindered, Progress::Hindered(Why::new(reason, message)));
    }
}

#[test]
fn how_a_job_ended_that_is_gone_is_in_its_events() {
    let completed = [event("SuccessfulCreate", "", 1), event("Completed", "Job completed", 9)];
    let failed = [event("DeadlineExceeded", "too long", 7)];

    let at = |second: u32| format!("2026-01-01T00:00:{second:02}Z").parse().ok();
    assert_eq!(evidence(&completed), Some(JobSighting::Succeeded { at: at(9) }));
    let message = "DeadlineExceeded: too long".to_owned();
    assert_eq!(evidence(&failed), Some(JobSighting::Failed { at: at(7), message }));
    assert_eq!(evidence(&[event("Suspended", "", 1)]), None);
}

#[test]
fn a_condition_s_reason_and_message_are_one_text() {
    assert_eq!(said(Some("A"), Some("b c")), "A: b c");
    assert_eq!(said(Some("A"), Some("A")), "A");
    assert_eq!(said(None, Some("b")), "b");
    assert_eq!(said(Some("A"), None), "A");
    assert_eq!(said(None, Some("")), "the Job says no reason");
}
