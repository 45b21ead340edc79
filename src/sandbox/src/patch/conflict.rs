//! What an apply says that wants what others own.

use crate::{
    patch::{fields::FieldSet, ownership::Owner},
    refusal::{Cause, Refusal},
};

/// Fields that another owns and an apply would change.
#[derive(Debug)]
pub(super) struct Conflict {
    title: String,
    pub(super) fields: FieldSet,
}

impl Conflict {
    pub(super) fn with(owner: &Owner, fields: FieldSet) -> Self {
        Self { title: owner.title(), fields }
    }
}

/// The refusal that names every conflict with its owner.
pub(super) fn refusal(mut conflicts: Vec<Conflict>) -> Refusal {
    conflicts.sort_by(|one, other| one.title.cmp(&other.title));
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for Conflict { title, fields } in &conflicts {
        lines.push(format!("conflicts with {title}:"));
        for path in fields.paths() {
            lines.push(format!("- {path}"));
            causes.push(Cause::new("FieldManagerConflict", path, format!("conflict with {title}")));
        }
    }
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n")),
    };
    Refusal::new(409, "Conflict", message).causes(&causes)
}
