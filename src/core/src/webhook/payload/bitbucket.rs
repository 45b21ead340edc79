//! What does Bitbucket say of a push? Cloud and Data Center in different words, both as a list.

use serde::Deserialize;

use super::few::Few;
use super::{RefChange, RefName};

/// Cloud has `push.changes`, Data Center has `changes`.
#[derive(Deserialize)]
struct Pushed {
    #[serde(default)]
    push: Option<CloudPush>,
    #[serde(default)]
    changes: Option<Few<ServerChange>>,
}

#[derive(Deserialize)]
struct CloudPush {
    changes: Few<CloudChange>,
}

/// One of the two is null where a reference is created or deleted.
#[derive(Deserialize)]
struct CloudChange {
    #[serde(default)]
    new: Option<CloudRef>,
    #[serde(default)]
    old: Option<CloudRef>,
}

#[derive(Deserialize)]
struct CloudRef {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    name: String,
    #[serde(default)]
    target: Option<CloudTarget>,
}

#[derive(Deserialize)]
struct CloudTarget {
    #[serde(default)]
    hash: Option<String>,
}

#[derive(Deserialize)]
struct ServerChange {
    #[serde(rename = "ref")]
    reference: ServerRef,
    #[serde(rename = "toHash", default)]
    to: Option<String>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct ServerRef {
    id: String,
}

/// The references of a push; none if it is not one.
pub(super) fn push(body: &[u8]) -> Option<(Vec<RefChange>, bool)> {
    let pushed: Pushed = serde_json::from_slice(body).ok()?;
    match (pushed.push, pushed.changes) {
        (Some(CloudPush { changes }), _) => {
            Some((changes.items.into_iter().filter_map(of_cloud).collect(), changes.is_cut))
        }
        (None, Some(changes)) => {
            Some((changes.items.iter().map(of_server).collect(), changes.is_cut))
        }
        (None, None) => None,
    }
}

fn of_cloud(change: CloudChange) -> Option<RefChange> {
    let name = |it: &CloudRef| match it.kind.as_deref() {
        Some("tag" | "annotated_tag") => RefName::Tag(it.name.clone()),
        Some("branch" | "named_branch") => RefName::Branch(it.name.clone()),
        Some(_) | None => RefName::Either(it.name.clone()),
    };
    match (change.new, change.old) {
        (Some(new), _) => {
            let commit = new.target.as_ref().and_then(|it| it.hash.as_deref());
            Some(RefChange::of(name(&new), commit))
        }
        (None, Some(old)) => Some(RefChange::deleted(name(&old))),
        (None, None) => None,
    }
}

fn of_server(change: &ServerChange) -> RefChange {
    let name = RefName::of(&change.reference.id);
    if change.kind.as_deref() == Some("DELETE") {
        RefChange::deleted(name)
    } else {
        RefChange::of(name, change.to.as_deref())
    }
}
