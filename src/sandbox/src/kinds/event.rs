//! Events have two groups and one store: how one form becomes the other.

use serde_json::Value;

use crate::object;

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

pub(super) fn to_core(object: &mut Value) {
    rename(object, |(new, core)| (new, core));
    object["apiVersion"] = "v1".into();
}

pub(super) fn from_core(object: &mut Value) {
    rename(object, |(new, core)| (core, new));
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
