//! Events have two groups and one store: how one form becomes the other, and what each demands.

use serde_json::{Value, json};

use crate::{
    kinds::{
        PLAIN, Rules, Shape, Trait,
        check::{Faults, Field},
    },
    object::{self, fill},
    refusal::Cause,
    validate,
};

/// The field of `events.k8s.io` and that of the core.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// What an event of the newer form never changes.
const FIXED: [&str; 11] = [
    "involvedObject",
    "reason",
    "reason",
    "message",
    "type",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "reportingComponent",
    "reportingInstance",
];

pub(super) const RULES: Rules = Rules {
    traits: &[Trait::CreatedByUpdate],
    fill_in: fill_in_core,
    validate,
    name: validate::segment_fault,
    ..PLAIN
};

/// How `events.k8s.io` shows what the core stores.
pub(crate) const SHAPE: Shape = Shape { to_storage: to_core, from_storage: from_core };

fn to_core(object: &mut Value) {
    rename(object, |(new, core)| (new, core));
}

fn from_core(object: &mut Value) {
    rename(object, |(new, core)| (core, new));
    // Only the core shows these when they say nothing.
    object::fields(object).retain(|key, value| {
        !(matches!(key.as_str(), "reportingController" | "reportingInstance") && *value == "")
    });
}

fn rename(
    object: &mut Value,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let fields = object::fields(object);
    for (from, to) in NAMES.map(direction) {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

fn fill_in_core(object: &mut Value) {
    for field in ["reportingComponent", "reportingInstance"] {
        fill(object, field, "".into());
    }
    for field in ["eventTime", "firstTimestamp", "lastTimestamp"] {
        fill(object, field, Value::Null);
    }
    fill(object, "source", json!({}));
    fill(object, "involvedObject", json!({}));
    if object["series"].is_object() {
        fill(&mut object["series"], "lastObservedTime", Value::Null);
    }
}

/// The group whose events say all that they have to.
const NEWER: &str = "events.k8s.io/v1";

/// The core has always taken nearly anything, unless an event has an `eventTime`.
fn validate(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let (has_time, is_newer) = (!object["eventTime"].is_null(), object["apiVersion"] == NEWER);
    let namespace = object::meta(object, "namespace");
    let involved = object::text(object, "/involvedObject/namespace");
    // What has no namespace tells of itself in `default`.
    let fits = match involved {
        "" => namespace == "default",
        _ => has_time || involved == namespace,
    };
    if !fits {
        let detail = "does not match event.namespace";
        faults.push(Cause::invalid("involvedObject.namespace", &involved.into(), detail));
    }
    if has_time {
        timed(
            object,
            if is_newer { "reportingController" } else { "reportingComponent" },
            &mut faults,
        );
    }
    if !is_newer {
        return faults;
    }
    series(&Field::of(object, "series"), &mut faults);
    match old {
        None => newer(object, &mut faults),
        Some(old) => {
            for field in FIXED.iter().filter(|it| old[**it] != object[**it]) {
                faults.push(Cause::invalid(*field, &object[*field], "field is immutable"));
            }
        }
    }
    faults
}

fn timed(object: &Value, controller: &str, faults: &mut Faults) {
    let field = Field { value: &object["reportingComponent"], path: controller.to_owned() };
    field.needed(faults);
    field.qualified(faults);
    for (name, most) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        let field = Field::of(object, name);
        field.needed(faults);
        no_longer_than(&field, most, faults);
    }
    no_longer_than(&Field::of(object, "message"), 1024, faults);
}

fn no_longer_than(field: &Field<'_>, most: usize, faults: &mut Faults) {
    if field.text().len() > most {
        faults.push(field.invalid_blank(&format!("can have at most {most} characters")));
    }
}

fn series(series: &Field<'_>, faults: &mut Faults) {
    if !series.is_set() {
        return;
    }
    if series.value["count"].as_i64().unwrap_or_default() < 2 {
        faults.push(series.at("count").invalid_blank("should be at least 2"));
    }
    if !series.at("lastObservedTime").is_set() {
        faults.push(series.at("lastObservedTime").required(""));
    }
}

fn newer(object: &Value, faults: &mut Faults) {
    let field = |name: &str| Field::of(object, name);
    if !field("eventTime").is_set() {
        faults.push(field("eventTime").required(""));
    }
    let kind = field("type");
    if !matches!(kind.text(), "Normal" | "Warning") {
        faults.push(kind.invalid_blank(&format!("has invalid value: {}", kind.text())));
    }
    for name in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let value = field(name).value;
        let is_set = value.as_object().map_or_else(|| !value.is_null(), |it| !it.is_empty());
        if is_set && *value != json!(0) {
            faults.push(field(name).invalid_blank("needs to be unset"));
        }
    }
}
