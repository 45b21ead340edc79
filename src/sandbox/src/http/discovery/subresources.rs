//! Which subresources a kind has, and what they speak of.

use crate::{
    http::route,
    registry::{Resource, Version},
};

/// A part of an object with verbs of its own.
pub(super) struct Subresource {
    pub(super) name: &'static str,
    pub(super) verbs: &'static [&'static str],
    /// Group, version and kind of what is sent, where that is not the object.
    pub(super) kind: Option<(&'static str, &'static str, &'static str)>,
}

impl Subresource {
    pub(super) fn kind<'a>(&self, resource: &'a Resource) -> &'a str
    where
        'static: 'a,
    {
        self.kind.map_or(resource.kind.as_str(), |(_, _, kind)| kind)
    }
}

const CREATE: &[&str] = &["create"];
const CHANGE: &[&str] = &["get", "patch", "update"];

/// All there are, in the order in which they are listed; kinds have those that their paths know.
const ALL: [Subresource; 9] = [
    Subresource { name: "binding", verbs: CREATE, kind: Some(("", "v1", "Binding")) },
    Subresource { name: "ephemeralcontainers", verbs: CHANGE, kind: None },
    Subresource { name: "eviction", verbs: CREATE, kind: Some(("policy", "v1", "Eviction")) },
    Subresource { name: "finalize", verbs: &["update"], kind: None },
    Subresource { name: "log", verbs: &["get"], kind: None },
    Subresource { name: "resize", verbs: CHANGE, kind: None },
    Subresource { name: "scale", verbs: CHANGE, kind: Some(("autoscaling", "v1", "Scale")) },
    Subresource { name: "status", verbs: CHANGE, kind: None },
    Subresource {
        name: "token",
        verbs: CREATE,
        kind: Some(("authentication.k8s.io", "v1", "TokenRequest")),
    },
];

pub(super) fn of(
    resource: &Resource,
    version: &Version,
) -> impl Iterator<Item = &'static Subresource> {
    let mut all: Vec<&'static Subresource> =
        ALL.iter().filter(|it| route::has_subresource(resource, version, it.name)).collect();
    if resource.is_custom() {
        // The server of custom resources lists the status first.
        all.sort_by_key(|it| it.name != "status");
    }
    all.into_iter()
}
