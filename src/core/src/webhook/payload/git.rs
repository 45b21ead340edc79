//! What do GitHub, Gitea, GitLab and plain callers say of a push? `ref`, and `after` it.

use serde::Deserialize;

use super::{Forge, Read, RefChange, RefName};

/// A push as these forges describe it.
#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    deleted: Option<bool>,
    /// GitHub's and Gitea's, where `ref` is short.
    #[serde(default)]
    ref_type: Option<String>,
    /// GitLab's: the commit, where `after` is the object of an annotated tag.
    #[serde(default)]
    checkout_sha: Option<String>,
}

/// The references of a push; none if it is not one.
pub(super) fn push(body: &[u8]) -> Option<(Vec<RefChange>, bool)> {
    let push: Push = serde_json::from_slice(body).ok()?;
    if push.reference.is_empty() {
        return Some((Vec::new(), false));
    }
    let name = match (RefName::of(&push.reference), push.ref_type.as_deref()) {
        (RefName::Either(name), Some("branch")) => RefName::Branch(name),
        (RefName::Either(name), Some("tag")) => RefName::Tag(name),
        (name, _) => name,
    };
    let change = if push.deleted == Some(true) {
        RefChange::deleted(name)
    } else {
        let after = RefChange::of(name.clone(), push.after.as_deref());
        match push.checkout_sha {
            Some(commit) if after.after.is_some() => RefChange::of(name, Some(&commit)),
            Some(_) | None => after,
        }
    };
    Some((vec![change], false))
}

/// What a caller says of whom nothing is known, if it is JSON with a `ref`.
pub(super) fn generic(body: &[u8]) -> Option<Read> {
    let (refs, is_cut) = push(body)?;
    Some(Read { forge: Some(Forge::Generic), refs, is_cut, ..Read::default() })
}
