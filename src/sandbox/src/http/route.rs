//! What a path means.

use std::borrow::Cow;

use crate::{
    api::Target,
    refusal::{Refusal, Result},
    registry::{Registry, Resource, Version},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz` and its like: which of them, and which check.
    Health(String, String),
    Version,
    Root,
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/{group}`
    Group(String),
    /// `/api/v1` or `/apis/{group}/{version}`
    GroupVersion(String, String),
    /// `/.well-known/openid-configuration`
    Issuer,
    /// `/openid/v1/jwks`
    Keys,
    /// `/openapi/...`
    OpenApi(String),
    Resource(Path),
    /// No part of the API.
    Unknown,
}

/// The path of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    group: String,
    version: String,
    namespace: Option<String>,
    plural: String,
    name: String,
    subresource: String,
    /// Whether it begins as old clients ask for a watch.
    pub(super) is_watched: bool,
}

/// Few paths have more.
const USUAL_PARTS: usize = 9;

impl Route {
    pub(super) fn parse(path: &str) -> Self {
        let parts = path.split('/').filter(|it| !it.is_empty());
        if !path.contains('%') {
            let mut all = Vec::with_capacity(USUAL_PARTS);
            all.extend(parts);
            return Self::of(&all);
        }
        let parts: Vec<Cow<'_, str>> = parts.map(decoded).collect();
        Self::of(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())
    }

    fn of(parts: &[&str]) -> Self {
        match parts {
            [] => Self::Root,
            [question @ ("healthz" | "readyz" | "livez"), check @ ..] => {
                Self::Health((*question).to_owned(), check.join("/"))
            }
            [".well-known", "openid-configuration"] => Self::Issuer,
            ["openid", "v1", "jwks"] => Self::Keys,
            ["version"] => Self::Version,
            ["openapi", rest @ ..] => Self::OpenApi(rest.join("/")),
            ["api"] => Self::Core,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group((*group).to_owned()),
            ["api", version] => Self::GroupVersion(String::new(), (*version).to_owned()),
            ["apis", group, version] => {
                Self::GroupVersion((*group).to_owned(), (*version).to_owned())
            }
            ["api", version, rest @ ..] => Self::Resource(Path::parse("", version, rest)),
            ["apis", group, version, rest @ ..] => {
                Self::Resource(Path::parse(group, version, rest))
            }
            _ => Self::Unknown,
        }
    }
}

impl Path {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Self {
        let (is_watched, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            _ => (false, rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => {
                (Some((*namespace).to_owned()), rest)
            }
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, "", ""),
            [plural, name] => (plural, *name, ""),
            [plural, name, subresource] => (plural, *name, *subresource),
            // No kind has an empty name.
            _ => (&"", "", ""),
        };
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace,
            plural: (*plural).to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            is_watched,
        }
    }

    pub(super) fn target(self, registry: &Registry) -> Result<Target> {
        // Of a group that nobody serves there are no pages at all.
        let unknown = || {
            if self.group.is_empty() || registry.is_built_in(&self.group) {
                Refusal::no_such_path()
            } else {
                Refusal::no_such_page()
            }
        };
        let resource = registry.find(&self.group, &self.plural).ok_or_else(unknown)?;
        let version = resource.version(&self.version).ok_or_else(Refusal::no_such_path)?;
        if self.subresource == "status" && resource.is_custom() && !version.status {
            return Err(Refusal::not_found(&resource.subject(&self.name)));
        }
        let known =
            self.subresource.is_empty() || has_subresource(&resource, version, &self.subresource);
        // Cluster-scoped kinds have no namespace, and one object of others has one.
        let misplaced = self.namespace.is_some() && !resource.namespaced
            || self.namespace.is_none() && resource.namespaced && !self.name.is_empty();
        let unwatched = self.is_watched && !self.subresource.is_empty();
        if !known || misplaced || unwatched {
            return Err(Refusal::no_such_path());
        }
        let Self { version, namespace, name, subresource, .. } = self;
        Ok(Target { resource, version, namespace, name, subresource })
    }
}

/// Whether a kind has a subresource of a name.
pub(super) fn has_subresource(resource: &Resource, version: &Version, name: &str) -> bool {
    match name {
        "status" => version.status,
        "token" => resource.table == "serviceaccounts",
        "scale" => version.scale.is_some(),
        "log" | "eviction" | "binding" => resource.table == "pods",
        "finalize" => resource.table == "namespaces",
        _ => false,
    }
}

/// A path or a part of it without its percent signs.
pub(crate) fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|it| std::str::from_utf8(it).ok())
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}
