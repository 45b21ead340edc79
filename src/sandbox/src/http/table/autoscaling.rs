//! The columns of autoscalers: what they measure, and against what.

use serde_json::Value;

use crate::{
    http::table::{
        Cell,
        text::{NONE, amount, count},
    },
    object,
};

pub(super) const COLUMNS: &[Cell] = &[
    Cell::text("Reference", |it, _| {
        let reference = &it["spec"]["scaleTargetRef"];
        format!("{}/{}", object::text(reference, "/kind"), object::text(reference, "/name")).into()
    }),
    Cell::text("Targets", |it, _| targets(it).into()),
    Cell::text("MinPods", |it, _| amount(&it["spec"]["minReplicas"], "<unset>")),
    Cell::text("MaxPods", |it, _| count(it, "/spec/maxReplicas")),
    Cell::text("Replicas", |it, _| count(it, "/status/currentReplicas")),
];

fn targets(autoscaler: &Value) -> String {
    let now: Vec<&Value> = object::items(autoscaler, "/status/currentMetrics").collect();
    let all: Vec<String> = object::items(autoscaler, "/spec/metrics")
        .enumerate()
        .map(|(index, it)| metric(it, now.get(index).copied().unwrap_or(&Value::Null)))
        .collect();
    let shown = all.iter().take(2).cloned().collect::<Vec<_>>().join(", ");
    match all.len() {
        0 => NONE.to_owned(),
        1 | 2 => shown,
        more => format!("{shown} + {} more...", more - 2),
    }
}

fn metric(spec: &Value, now: &Value) -> String {
    let unknown = |value: &Value| match amount(value, "<unknown>") {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let (field, named) = match object::text(spec, "/type") {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&spec[field]["target"], &now[field]["current"]);
    let name =
        if named { format!("{}: ", object::text(&spec[field], "/name")) } else { String::new() };
    let average = &target["averageValue"];
    if !average.is_null() {
        let mark = if matches!(field, "object" | "external") { " (avg)" } else { "" };
        return format!("{name}{}/{}{mark}", unknown(&current["averageValue"]), unknown(average));
    }
    if named {
        let percent = |value: &Value, other: &str| {
            value.as_i64().map_or_else(|| other.to_owned(), |it| format!("{it}%"))
        };
        let is = percent(&current["averageUtilization"], "<unknown>");
        return format!("{name}{is}/{}", percent(&target["averageUtilization"], "<auto>"));
    }
    format!("{}/{}", unknown(&current["value"]), unknown(&target["value"]))
}
