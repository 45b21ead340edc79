//! What a write may not change of an object's metadata.

use serde_json::Value;

use crate::{object, refusal::Cause};

/// What is at fault with metadata that take the place of others.
///
/// Some of it goes without saying: what a write leaves out stays, and so do the birthday and the
/// generation whatever the write says.
pub(super) fn metadata(old: &Value, object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    faults.extend(finalizers(old, object));
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (before, after) = (object::of_metadata(old, field), object::of_metadata(object, field));
        let silent = after.is_null() || *after == *"";
        if !silent && before != after {
            let path = format!("metadata.{field}");
            faults.push(Cause::invalid(path, after, "field is immutable"));
        }
    }
    faults
}

/// Who is to go takes on no more that holds it.
fn finalizers(old: &Value, object: &Value) -> Option<Cause> {
    if !object::is_deleting(old) {
        return None;
    }
    let known = object::finalizers(old);
    let added = object::finalizers(object).into_iter().filter(|it| !known.contains(it));
    let added: Vec<String> = added.map(|it| format!("{it:?}")).collect();
    if added.is_empty() {
        return None;
    }
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers \
         []string{{{}}}",
        added.join(", ")
    );
    Some(Cause::forbidden("metadata.finalizers", &detail))
}
