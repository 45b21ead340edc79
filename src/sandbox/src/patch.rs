//! How the patch formats change an object.

pub(crate) mod apply;
mod blank;
mod conflict;
pub(crate) mod document;
pub(crate) mod fields;
pub(crate) mod json;
mod last_applied;
pub(crate) mod merge;
pub(crate) mod ownership;
mod reset;
pub(crate) mod strategic;
pub(crate) mod typed;

/// The media type of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Format {
    pub(crate) const ACCEPTED: &str = "application/json-patch+json, \
        application/merge-patch+json, application/strategic-merge-patch+json, \
        application/apply-patch+yaml";

    /// Custom kinds have no types by which a strategic patch could know how lists merge.
    pub(crate) const ACCEPTED_BY_CUSTOM: &str = "application/json-patch+json, \
        application/merge-patch+json, application/apply-patch+yaml";

    pub(crate) fn of_media(media: &str) -> Option<Self> {
        Some(match media {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" => Self::Strategic,
            "application/apply-patch+yaml" => Self::Apply,
            _ => return None,
        })
    }
}
