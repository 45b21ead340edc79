//! What a kubelet says of its Pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{clock, object, pods::Outcome};

/// Where all Pods of a sandbox run.
const NODE: &str = "sandbox";

pub(super) fn running(pod: &mut Value, restarts: u32, now: Timestamp) {
    let at = clock::seconds(now);
    pod["spec"]["nodeName"] = NODE.into();
    pod["status"]["phase"] = "Running".into();
    object::section(pod, "status").entry("startTime").or_insert_with(|| at.clone().into());
    set_ready(pod, "True", &at);
    let last = pod["status"]["containerStatuses"].clone();
    set_containers(pod, |index, status| {
        status["ready"] = true.into();
        status["started"] = true.into();
        status["restartCount"] = restarts.into();
        status["state"] = json!({"running": {"startedAt": at}});
        if restarts > 0 {
            status["lastState"] = last[index]["lastState"].clone();
        }
    });
}

pub(super) fn ended(pod: &mut Value, outcome: &Outcome, now: Timestamp) {
    let phase = if outcome.exit_code == 0 { "Succeeded" } else { "Failed" };
    pod["status"]["phase"] = phase.into();
    let at = clock::seconds(now);
    set_ready(pod, "False", &at);
    let before = pod["status"]["containerStatuses"].clone();
    set_containers(pod, |index, status| {
        status["restartCount"] = before[index]["restartCount"].as_i64().unwrap_or_default().into();
        status["state"] = terminated(&before[index], outcome, &at);
    });
}

/// The containers have ended and will start again.
pub(super) fn crashed(pod: &mut Value, outcome: &Outcome, now: Timestamp) {
    let at = clock::seconds(now);
    set_ready(pod, "False", &at);
    let before = pod["status"]["containerStatuses"].clone();
    set_containers(pod, |index, status| {
        status["restartCount"] = before[index]["restartCount"].as_i64().unwrap_or_default().into();
        status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        status["lastState"] = terminated(&before[index], outcome, &at);
    });
}

fn terminated(before: &Value, outcome: &Outcome, at: &str) -> Value {
    json!({"terminated": {
        "exitCode": outcome.exit_code, "finishedAt": at,
        "reason": if outcome.exit_code == 0 { "Completed" } else { "Error" },
        "startedAt": before["state"]["running"]["startedAt"],
    }})
}

fn set_ready(pod: &mut Value, ready: &str, at: &str) {
    let conditions: Vec<Value> = [
        ("PodScheduled", "True"),
        ("Initialized", "True"),
        ("ContainersReady", ready),
        ("Ready", ready),
    ]
    .iter()
    .map(|(kind, status)| {
        json!({
            "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": at,
        })
    })
    .collect();
    pod["status"]["conditions"] = conditions.into();
}

fn set_containers(pod: &mut Value, change: impl Fn(usize, &mut Value)) {
    let statuses: Vec<Value> = object::items(pod, "/spec/containers")
        .enumerate()
        .map(|(index, container)| {
            let mut status = json!({
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": false, "restartCount": 0, "lastState": {},
            });
            change(index, &mut status);
            status
        })
        .collect();
    pod["status"]["containerStatuses"] = statuses.into();
}
