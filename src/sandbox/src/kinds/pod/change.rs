//! What of a Pod's spec may change only in one direction, or not at all.

use serde_json::Value;

use crate::{object, refusal::Cause};

/// Containers stay the same ones.
pub(super) fn containers(pod: &Value, old: &Value) -> Vec<Cause> {
    let lists = ["containers", "initContainers"].into_iter();
    let count = |pod: &Value, list: &str| object::items(&pod["spec"], &format!("/{list}")).count();
    let changed = lists.filter(|it| count(pod, it) != count(old, it));
    let detail = "pod updates may not add or remove containers";
    changed.map(|it| Cause::forbidden(format!("spec.{it}"), detail)).collect()
}

/// A deadline comes only nearer.
pub(super) fn deadline(pod: &Value, old: &Value) -> Option<Cause> {
    let field = "spec.activeDeadlineSeconds";
    let (new, old) = (&pod["spec"]["activeDeadlineSeconds"], &old["spec"]["activeDeadlineSeconds"]);
    let before = old.as_i64()?;
    let detail = match new.as_i64() {
        Some(after) if after > before => "must be less than or equal to previous value",
        Some(_) => return None,
        None => "must not update from a positive integer to nil value",
    };
    Some(Cause::invalid(field, new, detail))
}
