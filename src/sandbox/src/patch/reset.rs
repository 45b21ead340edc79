//! Which fields does a path not write, whatever a body says? Nobody comes to own them through it.

use crate::{api::Target, patch::fields::FieldSet, refusal::Result};

/// The fields that a write through this path leaves as they are.
pub(crate) fn fields(target: &Target) -> Result<FieldSet> {
    let version = target.version()?;
    let mut set = FieldSet::default();
    match target.subresource.as_str() {
        "" if version.status => set.add(&FieldSet::of_path(&["status"])),
        "status" => {
            set.add(&FieldSet::of_path(&["spec"]));
            for path in of_status(target) {
                set.add(&FieldSet::of_path(path));
            }
        }
        _ => {}
    }
    Ok(set)
}

/// What kinds keep beyond their spec when their status is written.
fn of_status(target: &Target) -> &'static [&'static [&'static str]] {
    match target.resource.table.as_str() {
        _ if target.resource.is_custom() => &[&["metadata"]],
        "deployments.apps" => &[&["metadata", "labels"]],
        "pods" => &[&["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]],
        _ => &[],
    }
}
