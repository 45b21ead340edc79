//! The columns of what runs Pods.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    http::table::{
        Cell, Columns,
        text::{self, NONE, age, count, each, or_none, selector},
    },
    object,
};

pub(super) fn columns(table: &str) -> Option<Columns> {
    Some(match table {
        "jobs.batch" => (JOBS, WITH_SELECTOR),
        "cronjobs.batch" => (CRON_JOBS, CRON_JOBS_WIDE),
        "deployments.apps" => (DEPLOYMENTS, WITH_SELECTOR),
        "replicasets.apps" => (REPLICA_SETS, WITH_SELECTOR),
        "statefulsets.apps" => (const { &[Cell::text("Ready", ready)] }, TEMPLATE),
        "daemonsets.apps" => (DAEMON_SETS, WITH_SELECTOR),
        "controllerrevisions.apps" => (REVISIONS, &[]),
        _ => return None,
    })
}

const CONTAINERS: &str = "/spec/template/spec/containers";

const TEMPLATE: &[Cell] = &[
    Cell::wide("Containers", |it, _| each(it, CONTAINERS, "/name")),
    Cell::wide("Images", |it, _| each(it, CONTAINERS, "/image")),
];

const WITH_SELECTOR: &[Cell] = &[
    Cell::wide("Containers", |it, _| each(it, CONTAINERS, "/name")),
    Cell::wide("Images", |it, _| each(it, CONTAINERS, "/image")),
    Cell::wide("Selector", |it, _| selector(&it["spec"]["selector"])),
];

const JOBS: &[Cell] = &[
    Cell::text("Status", |it, _| job_status(it).into()),
    Cell::text("Completions", |it, _| {
        let done = it["status"]["succeeded"].as_i64().unwrap_or_default();
        match (it["spec"]["completions"].as_i64(), it["spec"]["parallelism"].as_i64()) {
            (Some(wanted), _) => format!("{done}/{wanted}").into(),
            (None, Some(parallel @ 2..)) => format!("{done}/1 of {parallel}").into(),
            (None, _) => format!("{done}/1").into(),
        }
    }),
    Cell::text("Duration", |it, now| {
        let Ok(start) = object::text(it, "/status/startTime").parse() else { return "".into() };
        let end = object::text(it, "/status/completionTime").parse().unwrap_or(now);
        text::between(start, end).into()
    }),
];

fn job_status(job: &Value) -> &'static str {
    let holds = |kind: &str| {
        object::items(job, "/status/conditions")
            .any(|it| it["type"] == *kind && it["status"] == "True")
    };
    if holds("Complete") {
        "Complete"
    } else if holds("Failed") {
        "Failed"
    } else if object::is_deleting(job) {
        "Terminating"
    } else if holds("Suspended") {
        "Suspended"
    } else if holds("FailureTarget") {
        "FailureTarget"
    } else if holds("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

const CRON_JOBS: &[Cell] = &[
    Cell::text("Schedule", |it, _| it["spec"]["schedule"].clone()),
    Cell::text("Timezone", |it, _| or_none(it, "/spec/timeZone")),
    Cell::flag("Suspend", |it, _| match it["spec"]["suspend"].as_bool() {
        Some(true) => "True".into(),
        Some(false) => "False".into(),
        None => "<unset>".into(),
    }),
    Cell::number("Active", |it, _| object::items(it, "/status/active").count().into()),
    Cell::text("Last Schedule", |it, now| match object::text(it, "/status/lastScheduleTime") {
        "" => NONE.into(),
        last => age(last, now),
    }),
];

const JOB_CONTAINERS: &str = "/spec/jobTemplate/spec/template/spec/containers";

const CRON_JOBS_WIDE: &[Cell] = &[
    Cell::wide("Containers", |it, _| each(it, JOB_CONTAINERS, "/name")),
    Cell::wide("Images", |it, _| each(it, JOB_CONTAINERS, "/image")),
    Cell::wide("Selector", |it, _| selector(&it["spec"]["jobTemplate"]["spec"]["selector"])),
];

const DEPLOYMENTS: &[Cell] = &[
    Cell::text("Ready", ready),
    Cell::text("Up-to-date", |it, _| count(it, "/status/updatedReplicas")),
    Cell::text("Available", |it, _| count(it, "/status/availableReplicas")),
];

fn ready(object: &Value, _: Timestamp) -> Value {
    let (ready, wanted) = (count(object, "/status/readyReplicas"), count(object, "/spec/replicas"));
    format!("{ready}/{wanted}").into()
}

const REPLICA_SETS: &[Cell] = &[
    Cell::number("Desired", |it, _| count(it, "/spec/replicas")),
    Cell::number("Current", |it, _| count(it, "/status/replicas")),
    Cell::number("Ready", |it, _| count(it, "/status/readyReplicas")),
];

const DAEMON_SETS: &[Cell] = &[
    Cell::number("Desired", |it, _| count(it, "/status/desiredNumberScheduled")),
    Cell::number("Current", |it, _| count(it, "/status/currentNumberScheduled")),
    Cell::number("Ready", |it, _| count(it, "/status/numberReady")),
    Cell::number("Up-to-date", |it, _| count(it, "/status/updatedNumberScheduled")),
    Cell::number("Available", |it, _| count(it, "/status/numberAvailable")),
    Cell::text("Node Selector", |it, _| {
        text::labels(&it["spec"]["template"]["spec"]["nodeSelector"]).into()
    }),
];

const REVISIONS: &[Cell] = &[
    Cell::text("Controller", |it, _| {
        let owner = object::items(it, "/metadata/ownerReferences")
            .find(|it| it["controller"] == true)
            .map(|it| {
                let api = object::text(it, "/apiVersion");
                let group = api.split_once('/').map_or(String::new(), |(it, _)| format!(".{it}"));
                let kind = object::text(it, "/kind").to_lowercase();
                format!("{kind}{group}/{}", object::text(it, "/name"))
            });
        owner.map_or_else(|| NONE.into(), Value::from)
    }),
    Cell::text("Revision", |it, _| count(it, "/revision")),
];
