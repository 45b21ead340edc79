//! The Pod that a Job makes from its template.

use serde_json::{Map, Value, json};

use crate::{
    controllers::jobs::{
        plan::Birth,
        pod::{FAILURES, INDEX, TRACKING},
    },
    object::{self, fill},
};

/// What the API leaves of a prefix when it adds its own letters.
const PREFIX: usize = 58;

/// The Job as the owner of what it makes.
pub(super) fn reference(job: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

pub(super) fn pod(job: &Value, birth: Birth) -> Value {
    let template = &job["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": prefix(object::name(job), birth.index),
            "namespace": job["metadata"]["namespace"],
            "ownerReferences": [reference(job)],
        },
        "spec": template["spec"],
    });
    for field in ["labels", "annotations"] {
        if let Some(map) = template["metadata"][field].as_object().filter(|it| !it.is_empty()) {
            object::set_meta(&mut pod, field, Some(Value::Object(map.clone())));
        }
    }
    let mut finalizers = object::finalizers(template);
    finalizers.push(TRACKING);
    let finalizers = json!(finalizers);
    object::set_meta(&mut pod, "finalizers", Some(finalizers));
    if let Some(index) = birth.index {
        give_index(&mut pod, index, (object::name(job), birth.failures));
    }
    pod
}

/// The name's beginning; an index is never cut off.
fn prefix(job: &str, index: Option<u32>) -> String {
    let tail = index.map_or_else(|| "-".to_owned(), |it| format!("-{it}-"));
    let room = if index.is_some() { PREFIX - tail.len() } else { PREFIX };
    let head: String = job.chars().take(room).collect();
    format!("{head}{tail}")
}

fn give_index(pod: &mut Value, index: u32, (job, failures): (&str, Option<u32>)) {
    let text = index.to_string();
    let metadata = object::metadata(pod);
    let mut note = |field: &str, key: &str, value: &str| {
        let map = metadata.entry(field).or_insert_with(|| Value::Object(Map::new()));
        map[key] = value.into();
    };
    note("labels", INDEX, &text);
    note("annotations", INDEX, &text);
    if let Some(failures) = failures {
        note("annotations", FAILURES, &failures.to_string());
    }
    fill(&mut pod["spec"], "hostname", format!("{job}-{index}").into());
    let variable = json!({
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}},
    });
    for list in ["/spec/initContainers", "/spec/containers"] {
        for container in object::items_mut(pod, list) {
            let variables = object::fields(container).entry("env").or_insert_with(|| json!([]));
            let Some(variables) = variables.as_array_mut() else { continue };
            if !variables.iter().any(|it| it["name"] == variable["name"]) {
                variables.push(variable.clone());
            }
        }
    }
}
