//! The row of a Pod: what its containers do, in one word.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    http::table::{
        Cell,
        text::{self, or_none},
    },
    object,
};

pub(super) const COLUMNS: &[Cell] = &[
    Cell::text("Ready", |it, _| {
        let seen = Seen::of(it);
        format!("{}/{}", seen.ready, seen.total).into()
    }),
    Cell::text("Status", |it, _| Seen::of(it).reason.into()),
    Cell::text("Restarts", |it, now| {
        let seen = Seen::of(it);
        match seen.last_restart {
            Some(last) if seen.restarts > 0 => {
                format!("{} ({} ago)", seen.restarts, text::between(last, now)).into()
            }
            _ => seen.restarts.to_string().into(),
        }
    }),
];

pub(super) const WIDE: &[Cell] = &[
    Cell::wide("IP", |it, _| match object::text(it, "/status/podIPs/0/ip") {
        "" => or_none(it, "/status/podIP"),
        ip => ip.into(),
    }),
    Cell::wide("Node", |it, _| or_none(it, "/spec/nodeName")),
    Cell::wide("Nominated Node", |it, _| or_none(it, "/status/nominatedNodeName")),
    Cell::wide("Readiness Gates", |it, _| {
        let gates: Vec<&Value> = object::items(it, "/spec/readinessGates").collect();
        if gates.is_empty() {
            return text::NONE.into();
        }
        let open = gates.iter().filter(|gate| holds(it, object::text(gate, "/conditionType")));
        format!("{}/{}", open.count(), gates.len()).into()
    }),
];

/// What a look at a Pod's containers tells.
#[derive(Default)]
struct Seen {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Seen {
    fn of(pod: &Value) -> Self {
        let reason = match object::text(pod, "/status/reason") {
            "" => object::text(pod, "/status/phase"),
            reason => reason,
        };
        let gated = object::items(pod, "/status/conditions")
            .any(|it| it["type"] == "PodScheduled" && it["reason"] == "SchedulingGated");
        let mut seen = Self {
            reason: if gated { "SchedulingGated".to_owned() } else { reason.to_owned() },
            total: object::items(pod, "/spec/containers").count()
                + object::items(pod, "/spec/initContainers").filter(|it| is_sidecar(it)).count(),
            ..Self::default()
        };
        let begins = seen.look_at_init(pod);
        if !begins || holds(pod, "Initialized") {
            seen.look_at_containers(pod);
        }
        let phase = object::text(pod, "/status/phase");
        if object::is_deleting(pod) && object::text(pod, "/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut seen.reason);
        } else if object::is_deleting(pod) && !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut seen.reason);
        }
        seen
    }

    /// Whether containers are still at work that come before all others.
    fn look_at_init(&mut self, pod: &Value) -> bool {
        let planned: Vec<&Value> = object::items(pod, "/spec/initContainers").collect();
        for (index, status) in object::items(pod, "/status/initContainerStatuses").enumerate() {
            self.count_restarts(status);
            let sidecar = planned.iter().any(|it| it["name"] == status["name"] && is_sidecar(it));
            let (ended, waits) = (&status["state"]["terminated"], &status["state"]["waiting"]);
            if ended["exitCode"] == 0 {
                continue;
            }
            if sidecar && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            let waiting = object::text(waits, "/reason");
            self.reason = if ended.is_object() {
                format!("Init:{}", end_of(ended))
            } else if !matches!(waiting, "" | "PodInitializing") {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", planned.len())
            };
            return true;
        }
        false
    }

    fn look_at_containers(&mut self, pod: &Value) {
        let mut runs = false;
        let statuses: Vec<&Value> = object::items(pod, "/status/containerStatuses").collect();
        for status in statuses.into_iter().rev() {
            self.count_restarts(status);
            let (ended, waits) = (&status["state"]["terminated"], &status["state"]["waiting"]);
            let waiting = object::text(waits, "/reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if ended.is_object() {
                self.reason = end_of(ended);
            } else if status["ready"] == true && status["state"]["running"].is_object() {
                runs = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && runs {
            let word = if holds(pod, "Ready") { "Running" } else { "NotReady" };
            word.clone_into(&mut self.reason);
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += status["restartCount"].as_i64().unwrap_or_default();
        let last = object::text(status, "/lastState/terminated/finishedAt").parse().ok();
        self.last_restart = self.last_restart.max(last);
    }
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

/// How a container ended, in one word.
fn end_of(ended: &Value) -> String {
    match (object::text(ended, "/reason"), ended["signal"].as_i64().unwrap_or_default()) {
        ("", 0) => format!("ExitCode:{}", ended["exitCode"].as_i64().unwrap_or_default()),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn holds(pod: &Value, condition: &str) -> bool {
    object::items(pod, "/status/conditions")
        .any(|it| it["type"] == condition && it["status"] == "True")
}

/// Rows of Pods that have run say so, so that clients may leave them out.
pub(super) fn mark_finished(pod: &Value, row: &mut Value) {
    let (phase, message) = match object::text(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return,
    };
    row["conditions"] = json!([
        {"type": "Completed", "status": "True", "reason": phase, "message": message}
    ]);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Seen;

    #[test]
    fn a_pods_status_is_what_its_containers_say() {
        let pod = |status: Value| {
            json!({"spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
                "status": status})
        };
        let cases = [
            (json!({"phase": "Pending"}), "Pending"),
            (json!({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
            (
                json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {}}]}),
                "Init:0/1",
            ),
            (
                json!({"phase": "Pending", "initContainerStatuses": [
                    {"name": "i", "state": {"terminated": {"exitCode": 2}}}]}),
                "Init:ExitCode:2",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [
                    {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
                "CrashLoopBackOff",
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [
                    {"name": "c", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
                "Error",
            ),
        ];

        for (status, wanted) in cases {
            assert_eq!(Seen::of(&pod(status.clone())).reason, wanted, "{status}");
        }
    }
}
