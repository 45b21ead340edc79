//! Which resources the API serves: the built-in ones and those that definitions add.

pub(crate) mod builtin;
pub(crate) mod custom;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    api::scale::Paths,
    kinds::{Rules, Shape},
    refusal::Subject,
    schema::{Rulebook, Schema, Source},
};

/// A column of `kubectl get`.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// One served version of a resource.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    /// `v1` or `group/version`, as objects say it.
    pub(crate) full_name: String,
    pub(crate) schema: Schema,
    /// Whether `status` is a subresource of its own.
    pub(crate) status: bool,
    /// Where `scale` finds its numbers, if it is served.
    pub(crate) scale: Option<Paths>,
    pub(crate) columns: Vec<Column>,
    /// CEL rules of the schema, compiled.
    pub(crate) rules: Option<Rulebook>,
    /// How what is stored is shown, if not as it is.
    pub(crate) shape: Option<&'static Shape>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    BuiltIn,
    Custom,
}

/// A resource as the API serves it, in all its versions.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) origin: Origin,
    /// Where its objects are kept; both groups of events name one table.
    pub(crate) table: String,
    /// Field selectors beyond the name and the namespace: label and JSON pointer.
    pub(crate) selectable: Vec<(String, String)>,
    /// The version that objects are kept in.
    pub(crate) storage: String,
    /// Whether what is stored may look otherwise in the versions of today.
    pub(crate) reshapes: bool,
    /// The preferred version first.
    pub(crate) versions: Vec<Version>,
    /// The kind's own defaults and rules.
    pub(crate) rules: &'static Rules,
}

impl Resource {
    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|it| it.name == name)
    }

    /// `v1` or `group/version`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        api_version(&self.group, version)
    }

    pub(crate) fn subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject { group: &self.group, kind: &self.plural, name }
    }

    /// The subject of an invalid object, which is named by its kind.
    pub(crate) fn kind_subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        // Events of both groups are judged as those of the core.
        let group = if self.table == "events" { "" } else { &self.group };
        Subject { group, kind: &self.kind, name }
    }

    /// What the definition says of each version.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = (&str, &serde_json::Value)> {
        self.versions.iter().filter_map(|it| match it.schema.source() {
            Source::Custom(schema) => Some((it.name.as_str(), schema)),
            Source::BuiltIn { .. } => None,
        })
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.origin == Origin::Custom
    }
}

/// `v1` or `group/version`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The resources by group and plural.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    resources: BTreeMap<String, BTreeMap<String, Arc<Resource>>>,
}

impl Registry {
    pub(crate) fn built_in() -> Self {
        let mut registry = Self::default();
        for resource in builtin::resources() {
            registry.insert(resource);
        }
        registry
    }

    pub(crate) fn insert(&mut self, resource: Arc<Resource>) {
        let group = self.resources.entry(resource.group.clone()).or_default();
        group.insert(resource.plural.clone(), resource);
    }

    pub(crate) fn remove(&mut self, group: &str, plural: &str) {
        if let Some(within) = self.resources.get_mut(group) {
            within.remove(plural);
        }
    }

    pub(crate) fn find(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        self.resources.get(group)?.get(plural).cloned()
    }

    /// Whether a group is there without any definition.
    pub(crate) fn is_built_in(&self, group: &str) -> bool {
        self.all().any(|it| it.group == group && it.origin == Origin::BuiltIn)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values().flat_map(BTreeMap::values)
    }

    /// Groups with their versions, the core left out.
    pub(crate) fn groups(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for resource in self.all().filter(|it| !it.group.is_empty()) {
            let versions = groups.entry(&resource.group).or_default();
            versions.extend(resource.versions.iter().map(|it| it.name.as_str()));
        }
        groups
    }

    /// What one version of a group serves.
    pub(crate) fn within<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<Resource>, &'a Version)> {
        self.all()
            .filter(move |it| it.group == group)
            .filter_map(move |it| Some((it, it.version(version)?)))
    }
}
