//! What `kubectl get` prints: the columns of a kind and the cells of its objects.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::{Target, read::Page},
    http::{json_path, partial},
    object,
    registry::Column,
};

/// A column of a built-in kind and how its cell is read from an object.
type Cell = (&'static str, fn(&Value, Timestamp) -> Value);

pub(super) fn of(target: &Target, page: &Page, now: Timestamp) -> Value {
    let custom = target.version().map(|it| it.columns.as_slice()).unwrap_or_default();
    let built_in = built_in(&target.resource.table);
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name must be unique within a namespace.",
    });
    let mut columns = vec![name];
    if custom.is_empty() {
        for (name, _) in &built_in {
            columns.push(json!({
                "name": name, "type": "string", "format": "", "description": "", "priority": 0,
            }));
        }
    }
    for column in custom {
        columns.push(json!({
            "name": column.name, "type": column.kind, "format": column.format,
            "description": column.description, "priority": column.priority,
        }));
    }
    let rows: Vec<Value> = page
        .objects
        .iter()
        .map(|stored| {
            let object = &stored.value;
            let mut cells = vec![Value::from(object::name(object))];
            if custom.is_empty() {
                cells.extend(built_in.iter().map(|(_, cell)| cell(object, now)));
            } else {
                cells.extend(custom.iter().map(|it| custom_cell(it, object, now)));
            }
            json!({"cells": cells, "object": partial(object)})
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": page.metadata,
        "columnDefinitions": columns, "rows": rows,
    })
}

fn built_in(table: &str) -> Vec<Cell> {
    let born: Cell = ("Age", |object, now| age(object::meta(object, "creationTimestamp"), now));
    let mut columns: Vec<Cell> = match table {
        "pods" => vec![
            ("Ready", ready),
            ("Status", |it, _| it["status"]["phase"].clone()),
            ("Restarts", |it, _| {
                let counts = object::items(it, "/status/containerStatuses");
                counts.filter_map(|it| it["restartCount"].as_i64()).sum::<i64>().to_string().into()
            }),
        ],
        "jobs.batch" => vec![
            ("Status", |it, _| job_status(it).into()),
            ("Completions", |it, _| {
                let done = it["status"]["succeeded"].as_i64().unwrap_or_default();
                format!("{done}/{}", it["spec"]["completions"].as_i64().unwrap_or(1)).into()
            }),
            ("Duration", |it, now| {
                let end = object::text(it, "/status/completionTime");
                let end = end.parse().unwrap_or(now);
                match object::text(it, "/status/startTime") {
                    "" => "".into(),
                    start => age(start, end),
                }
            }),
        ],
        "cronjobs.batch" => vec![
            ("Schedule", |it, _| it["spec"]["schedule"].clone()),
            ("Suspend", |it, _| it["spec"]["suspend"].to_string().into()),
        ],
        "deployments.apps" => vec![
            ("Ready", |it, _| {
                let ready = it["status"]["readyReplicas"].as_i64().unwrap_or_default();
                format!("{ready}/{}", it["spec"]["replicas"]).into()
            }),
            ("Up-to-date", |it, _| count(&it["status"]["updatedReplicas"])),
            ("Available", |it, _| count(&it["status"]["availableReplicas"])),
        ],
        "leases.coordination.k8s.io" => {
            vec![("Holder", |it, _| it["spec"]["holderIdentity"].clone())]
        }
        "secrets" => {
            vec![("Type", |it, _| it["type"].clone()), ("Data", |it, _| size(&it["data"]).into())]
        }
        "configmaps" => {
            vec![("Data", |it, _| (size(&it["data"]) + size(&it["binaryData"])).into())]
        }
        "namespaces" => vec![("Status", |it, _| it["status"]["phase"].clone())],
        "services" => vec![
            ("Type", |it, _| it["spec"]["type"].clone()),
            ("Cluster-IP", |it, _| it["spec"]["clusterIP"].clone()),
            ("External-IP", |_, _| "<none>".into()),
            ("Port(s)", |it, _| {
                let ports = object::items(it, "/spec/ports");
                let ports: Vec<String> = ports
                    .map(|it| format!("{}/{}", it["port"], object::text(it, "/protocol")))
                    .collect();
                ports.join(",").into()
            }),
        ],
        "customresourcedefinitions.apiextensions.k8s.io" => {
            return vec![("Created At", |it, _| it["metadata"]["creationTimestamp"].clone())];
        }
        "events" => return events(),
        _ => Vec::new(),
    };
    columns.push(born);
    columns
}

fn events() -> Vec<Cell> {
    vec![
        ("Last Seen", |it, now| {
            let seen = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
            let seen = seen.into_iter().map(|at| object::text(it, at)).find(|it| !it.is_empty());
            age(seen.unwrap_or_default(), now)
        }),
        ("Type", |it, _| it["type"].clone()),
        ("Reason", |it, _| it["reason"].clone()),
        ("Object", |it, _| {
            let kind = object::text(it, "/involvedObject/kind").to_lowercase();
            format!("{kind}/{}", object::text(it, "/involvedObject/name")).into()
        }),
        ("Message", |it, _| object::text(it, "/message").trim().into()),
    ]
}

fn ready(pod: &Value, _: Timestamp) -> Value {
    let ready = object::items(pod, "/status/containerStatuses").filter(|it| it["ready"] == true);
    format!("{}/{}", ready.count(), object::items(pod, "/spec/containers").count()).into()
}

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
    } else if holds("Suspended") || job["spec"]["suspend"] == true {
        "Suspended"
    } else if holds("FailureTarget") {
        "FailureTarget"
    } else if holds("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn count(value: &Value) -> Value {
    value.as_i64().unwrap_or_default().into()
}

fn size(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

/// The first value that a column's path finds, in the column's type.
fn custom_cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    let found = json_path::find(object, &column.path);
    let Some(value) = found.first().filter(|it| !it.is_null()) else { return Value::Null };
    match column.kind.as_str() {
        "date" => age(value.as_str().unwrap_or_default(), now),
        "integer" => value.as_i64().map_or(Value::Null, Value::from),
        "number" => value.as_f64().map_or(Value::Null, Value::from),
        "boolean" => value.as_bool().map_or(Value::Null, Value::from),
        _ => match value {
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        },
    }
}

/// How long ago something was, as people write it: `42s`, `5m`, `3h20m`, `7d`.
fn age(since: &str, now: Timestamp) -> Value {
    let Ok(since) = since.parse::<Timestamp>() else { return "<unknown>".into() };
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |big: i64, unit: &str, small: i64, of: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{of}") }
    };
    let text = match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => pair(days / 365, "y", days % 365, "d"),
    };
    text.into()
}
