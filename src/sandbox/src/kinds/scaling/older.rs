//! `autoscaling/v1`: an autoscaler by its share of CPU alone; the rest of it is in annotations.

use serde_json::{Map, Value, json};

use crate::{
    kinds::Shape,
    object::{self, fill},
};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CPU: &str = "targetCPUUtilizationPercentage";

/// How `autoscaling/v1` shows what is stored as `autoscaling/v2`.
pub(crate) const SHAPE: Shape = Shape { to_storage, from_storage };

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource"
        && metric["resource"]["name"] == "cpu"
        && metric["resource"]["target"]["averageUtilization"].is_i64()
}

fn to_storage(object: &mut Value) {
    let spec = object::section(object, "spec");
    let mut metrics: Vec<Value> = Vec::new();
    if let Some(share) = spec.remove(CPU) {
        let target = json!({"type": "Utilization", "averageUtilization": share});
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    let annotation = |name: &str| {
        let text = object["metadata"]["annotations"][name].as_str()?;
        serde_json::from_str::<Value>(text).ok()
    };
    let (more, behavior) = (annotation(METRICS), annotation(BEHAVIOR));
    if let Some(Value::Array(more)) = more {
        metrics.extend(more.into_iter().map(newer_metric));
    }
    if !metrics.is_empty() {
        object["spec"]["metrics"] = metrics.into();
    }
    if let Some(behavior) = behavior {
        object["spec"]["behavior"] = recased(&behavior, lower);
    }
    forget(object);
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("currentCPUUtilizationPercentage");
    }
    object["apiVersion"] = "autoscaling/v2".into();
}

/// The annotations are only how the older form carries the rest.
fn forget(object: &mut Value) {
    let Some(annotations) = object["metadata"]["annotations"].as_object_mut() else { return };
    annotations.remove(METRICS);
    annotations.remove(BEHAVIOR);
    if annotations.is_empty() {
        object::set_meta(object, "annotations", None);
    }
}

fn from_storage(object: &mut Value) {
    let spec = object::section(object, "spec");
    let behavior = spec.remove("behavior");
    let Some(Value::Array(mut metrics)) = spec.remove("metrics") else { return };
    if let Some(index) = metrics.iter().position(is_cpu) {
        let metric = metrics.remove(index);
        spec.insert(CPU.to_owned(), metric["resource"]["target"]["averageUtilization"].clone());
    }
    let mut annotate = |name: &str, text: String| {
        let annotations = object::metadata(object).entry("annotations").or_insert(json!({}));
        annotations[name] = text.into();
    };
    if !metrics.is_empty() {
        let older: Vec<Value> = metrics.into_iter().map(older_metric).collect();
        annotate(METRICS, Value::from(older).to_string());
    }
    if let Some(behavior) = behavior {
        annotate(BEHAVIOR, recased(&behavior, upper).to_string());
    }
    if let Some(status) = object.get_mut("status") {
        object::fields(status).remove("currentMetrics");
        fill(status, "currentReplicas", 0.into());
    }
}

/// The target of a resource metric was spread over its source once.
fn older_metric(mut metric: Value) -> Value {
    for source in ["resource", "containerResource"] {
        let Some(source) = metric.get_mut(source) else { continue };
        let target = object::fields(source).remove("target").unwrap_or_default();
        for (new, old) in [
            ("averageValue", "targetAverageValue"),
            ("averageUtilization", "targetAverageUtilization"),
        ] {
            if !target[new].is_null() {
                source[old] = target[new].clone();
            }
        }
    }
    metric
}

fn newer_metric(mut metric: Value) -> Value {
    for source in ["resource", "containerResource"] {
        let Some(source) = metric.get_mut(source) else { continue };
        let fields = object::fields(source);
        if let Some(value) = fields.remove("targetAverageValue") {
            source["target"] = json!({"type": "AverageValue", "averageValue": value});
        } else if let Some(value) = fields.remove("targetAverageUtilization") {
            source["target"] = json!({"type": "Utilization", "averageUtilization": value});
        }
    }
    metric
}

/// The same with its keys as Go or as JSON writes them.
fn recased(value: &Value, case: fn(char) -> char) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
                let mut letters = key.chars();
                let first = letters.next().map(case);
                (first.into_iter().chain(letters).collect(), recased(value, case))
            });
            Value::Object(entries.collect::<Map<String, Value>>())
        }
        Value::Array(list) => list.iter().map(|it| recased(it, case)).collect(),
        other => other.clone(),
    }
}

fn lower(letter: char) -> char {
    letter.to_ascii_lowercase()
}

fn upper(letter: char) -> char {
    letter.to_ascii_uppercase()
}
