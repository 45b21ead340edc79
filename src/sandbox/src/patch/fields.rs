//! Sets of fields, as `managedFields` write them, and what distinguishes two objects.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::schema::{Merge, Node};

/// What the API itself writes has no owner.
const SYSTEM: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// A tree of fields, each under the name that `fieldsV1` gives it: `f:spec`, `k:{"name":"x"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    /// The field itself, not only some of what it holds.
    pub(crate) here: bool,
    pub(crate) children: BTreeMap<String, Self>,
}

/// A part of a value: its name, its value and its node.
pub(crate) struct Part<'a> {
    pub(crate) name: String,
    pub(crate) value: &'a Value,
    pub(crate) node: Option<&'a Node>,
    /// The entry of a map or a list, which is owned besides what it holds.
    pub(crate) entry: bool,
}

/// What one object has and another has not.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Added or changed.
    pub(crate) changed: FieldSet,
    pub(crate) removed: FieldSet,
}

impl FieldSet {
    pub(crate) fn parse(json: &Value) -> Self {
        let mut set = Self::default();
        for (name, child) in json.as_object().into_iter().flatten() {
            if name == "." {
                set.here = true;
                continue;
            }
            let mut parsed = Self::parse(child);
            parsed.here |= child.as_object().is_none_or(Map::is_empty);
            set.children.insert(name.clone(), parsed);
        }
        set
    }

    pub(crate) fn json(&self) -> Value {
        let mut map = Map::new();
        if self.here && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        for (name, child) in &self.children {
            map.insert(name.clone(), child.json());
        }
        Value::Object(map)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.here && self.children.values().all(Self::is_empty)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.here |= other.here;
        for (name, child) in &other.children {
            self.children.entry(name.clone()).or_default().add(child);
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.here &= !other.here;
        for (name, child) in &other.children {
            if let Some(mine) = self.children.get_mut(name) {
                mine.subtract(child);
            }
        }
        self.children.retain(|_, it| !it.is_empty());
    }

    pub(crate) fn shared(&self, other: &Self) -> Self {
        let mut set = Self { here: self.here && other.here, children: BTreeMap::new() };
        for (name, child) in &self.children {
            let Some(theirs) = other.children.get(name) else { continue };
            let shared = child.shared(theirs);
            if !shared.is_empty() {
                set.children.insert(name.clone(), shared);
            }
        }
        set
    }

    /// Takes a branch out, as `spec` for the status subresource.
    pub(crate) fn drop_branch(&mut self, name: &str) {
        self.children.remove(name);
    }

    /// The paths as people read them: `.spec.containers[name="x"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk("", &mut paths);
        paths
    }

    fn walk(&self, prefix: &str, paths: &mut Vec<String>) {
        if self.here {
            paths.push(prefix.to_owned());
        }
        for (name, child) in &self.children {
            child.walk(&format!("{prefix}{}", readable(name)), paths);
        }
    }

    /// The fields of an object, as one who applies it owns them.
    pub(crate) fn of(object: &Value, node: &Node) -> Self {
        let mut set = Self::default();
        for part in top(object, node) {
            set.children.insert(part.name.clone(), Self::of_part(&part));
        }
        if let Some(metadata) = set.children.get_mut("f:metadata") {
            metadata.here = false;
        }
        set.children.retain(|_, it| !it.is_empty());
        set
    }

    fn of_part(part: &Part<'_>) -> Self {
        match parts(part.value, part.node) {
            Some(inner) if !inner.is_empty() => Self {
                here: part.entry,
                children: inner.iter().map(|it| (it.name.clone(), Self::of_part(it))).collect(),
            },
            _ => Self { here: true, children: BTreeMap::new() },
        }
    }
}

fn readable(name: &str) -> String {
    if let Some(field) = name.strip_prefix("f:") {
        return format!(".{field}");
    }
    if let Some(keys) = name.strip_prefix("k:") {
        let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
        let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
        return format!("[{}]", keys.join(","));
    }
    format!("[={}]", name.strip_prefix("v:").unwrap_or(name))
}

/// The parts of an object that somebody can own.
fn top<'a>(object: &'a Value, node: &'a Node) -> Vec<Part<'a>> {
    let parts = parts(object, Some(node)).unwrap_or_default();
    parts.into_iter().filter(|it| !matches!(it.name.as_str(), "f:apiVersion" | "f:kind")).collect()
}

/// The parts of a value that are owned one by one, or nothing when it has one owner as a whole.
pub(crate) fn parts<'a>(value: &'a Value, node: Option<&'a Node>) -> Option<Vec<Part<'a>>> {
    match value {
        Value::Object(_) if node.is_some_and(|it| it.merge == Merge::Whole) => None,
        Value::Object(map) => {
            let parts = map.iter().map(|(key, value)| Part {
                name: format!("f:{key}"),
                value,
                node: node.and_then(|it| it.field(key)),
                entry: node.is_some_and(|it| !it.names(key)),
            });
            Some(parts.collect())
        }
        Value::Array(list) => {
            let node = node?;
            let part = |value: &'a Value| {
                Some(Part { name: item_name(value, node)?, value, node: node.item(), entry: true })
            };
            list.iter().map(part).collect()
        }
        _ => None,
    }
}

/// The name of a list's item, when its list has any.
pub(crate) fn item_name(item: &Value, node: &Node) -> Option<String> {
    match &node.merge {
        Merge::Usual | Merge::Whole => None,
        Merge::Set => Some(format!("v:{item}")),
        Merge::Keyed(keys) => {
            let mut identity = BTreeMap::new();
            for key in keys {
                let default =
                    || node.item().and_then(|it| it.field(key)).and_then(|it| it.default.clone());
                let value = item.get(key).cloned().or_else(default);
                let protocol = || (key == "protocol").then(|| json!("TCP"));
                if let Some(value) = value.or_else(protocol) {
                    identity.insert(key, value);
                }
            }
            Some(format!("k:{}", json!(identity)))
        }
    }
}

/// What distinguishes two objects, or all of the second when there was none.
pub(crate) fn difference(old: Option<&Value>, new: &Value, node: &Node) -> Difference {
    let mut out = Difference::default();
    let old = old.map(|it| top(it, node)).unwrap_or_default();
    pairs(&old, &top(new, node), &mut out);
    for set in [&mut out.changed, &mut out.removed] {
        if let Some(metadata) = set.children.get_mut("f:metadata") {
            metadata.here = false;
            for field in SYSTEM {
                metadata.children.remove(&format!("f:{field}"));
            }
        }
        set.children.retain(|_, it| !it.is_empty());
    }
    out
}

fn pairs(old: &[Part<'_>], new: &[Part<'_>], out: &mut Difference) {
    let before: BTreeMap<&str, &Part<'_>> = old.iter().map(|it| (it.name.as_str(), it)).collect();
    let after: BTreeMap<&str, &Part<'_>> = new.iter().map(|it| (it.name.as_str(), it)).collect();
    for (name, part) in &after {
        let was = before.get(name);
        if was.is_some_and(|it| it.value == part.value) {
            continue;
        }
        let mut inner = Difference::default();
        compare(was.copied(), Some(part), &mut inner);
        out.insert(name, inner);
    }
    for (name, part) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        let mut inner = Difference::default();
        compare(Some(part), None, &mut inner);
        out.insert(name, inner);
    }
}

impl Difference {
    fn insert(&mut self, name: &str, inner: Self) {
        for (set, child) in [(&mut self.changed, inner.changed), (&mut self.removed, inner.removed)]
        {
            if !child.is_empty() {
                set.children.insert(name.to_owned(), child);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

fn compare(old: Option<&Part<'_>>, new: Option<&Part<'_>>, out: &mut Difference) {
    let before = old.and_then(|it| parts(it.value, it.node));
    let after = new.and_then(|it| parts(it.value, it.node));
    match (old, new) {
        (None, Some(_)) => out.changed.here = true,
        (Some(_), None) => out.removed.here = true,
        // Of two that are both owned part by part, only the parts differ.
        _ => out.changed.here = before.is_none() || after.is_none(),
    }
    pairs(&before.unwrap_or_default(), &after.unwrap_or_default(), out);
}

/// What the API writes itself, taken out of a set.
pub(crate) fn without_system(mut set: FieldSet) -> FieldSet {
    if let Some(metadata) = set.children.get_mut("f:metadata") {
        for field in SYSTEM {
            metadata.children.remove(&format!("f:{field}"));
        }
    }
    set.children.retain(|_, it| !it.is_empty());
    set
}
