//! Which fields does a path not write, whatever a body says? Nobody comes to own them through it.

use crate::{api::Target, patch::fields::FieldSet, refusal::Result};

/// A field by the names that `fieldsV1` gives it and what it is in.
type Place = &'static [&'static str];

/// Takes out the fields that a write through this path leaves as they are.
pub(crate) fn cut(target: &Target, sets: &mut [&mut FieldSet]) -> Result<()> {
    let version = target.version()?;
    let (first, more): (&[Place], &[Place]) = match target.subresource.as_str() {
        "" if version.status => (&[&["f:status"]], &[]),
        "status" => (&[&["f:spec"]], of_status(target)),
        _ => (&[], &[]),
    };
    for place in first.iter().chain(more) {
        for set in &mut *sets {
            set.cut(place);
        }
    }
    Ok(())
}

/// What kinds keep beyond their spec when their status is written.
fn of_status(target: &Target) -> &'static [Place] {
    match target.resource.table.as_str() {
        _ if target.resource.is_custom() => &[&["f:metadata"]],
        "deployments.apps" => &[&["f:metadata", "f:labels"]],
        "pods" => &[&["f:metadata", "f:deletionTimestamp"], &["f:metadata", "f:ownerReferences"]],
        _ => &[],
    }
}
