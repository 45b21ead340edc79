//! Sets of fields, as `managedFields` write them: a tree of the parts of an object.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::schema::Node;

/// A tree of fields, each under the name that `fieldsV1` gives it: `f:spec`, `k:{"name":"x"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    /// The field itself, not only some of what it holds.
    pub(crate) here: bool,
    pub(crate) children: BTreeMap<String, Self>,
}

impl FieldSet {
    /// The field itself and nothing in it.
    pub(crate) fn leaf() -> Self {
        Self { here: true, children: BTreeMap::new() }
    }

    /// Reads `fieldsV1`, or nothing when it is none.
    pub(crate) fn parse(json: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (name, child) in json.as_object()? {
            if name == "." {
                set.here = true;
                continue;
            }
            if !is_name(name) {
                return None;
            }
            let mut parsed = Self::parse(child)?;
            parsed.here |= child.as_object().is_some_and(Map::is_empty);
            set.children.insert(name.clone(), parsed);
        }
        Some(set)
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

    /// Takes the fields of another set out, and no others: what those hold stays.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.here &= !other.here;
        for (name, child) in &other.children {
            let Some(mine) = self.children.get_mut(name) else { continue };
            mine.subtract(child);
            if mine.is_empty() {
                self.children.remove(name);
            }
        }
    }

    /// Takes a field out with all that it holds; the path is of names as `fieldsV1` gives them.
    pub(crate) fn cut(&mut self, path: &[&str]) {
        let Some((name, rest)) = path.split_first() else { return };
        let Some(mine) = self.children.get_mut(*name) else { return };
        mine.cut(rest);
        if rest.is_empty() || mine.is_empty() {
            self.children.remove(*name);
        }
    }

    pub(crate) fn shared(&self, other: &Self) -> Self {
        let mut set = Self { here: self.here && other.here, children: BTreeMap::new() };
        for (name, child) in &self.children {
            let Some(theirs) = other.children.get(name) else { continue };
            set.insert(name, child.shared(theirs));
        }
        set
    }

    /// Puts a part in its place, if it is any.
    pub(crate) fn insert(&mut self, name: &str, child: Self) {
        if !child.is_empty() {
            self.children.insert(name.to_owned(), child);
        }
    }

    /// The set with the fields of structures that hold some of it: they come and go with that.
    pub(crate) fn with_named(&self, node: Option<&Node>) -> Self {
        let mut set = Self { here: self.here, children: BTreeMap::new() };
        for (name, child) in &self.children {
            let (inner, is_named) = below(name, node);
            let mut child = child.with_named(inner);
            child.here |= is_named && !child.children.is_empty();
            set.children.insert(name.clone(), child);
        }
        set
    }

    /// The paths as people read them: `.spec.containers[name="x"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk("", &mut paths);
        paths
    }

    /// What is here comes before what is deeper.
    fn walk(&self, prefix: &str, paths: &mut Vec<String>) {
        let own = self.children.iter().filter(|(_, it)| it.here);
        paths.extend(own.map(|(name, _)| format!("{prefix}{}", readable(name))));
        for (name, child) in &self.children {
            child.walk(&format!("{prefix}{}", readable(name)), paths);
        }
    }
}

/// The node under a name, and whether its schema names it.
fn below<'a>(name: &str, node: Option<&'a Node>) -> (Option<&'a Node>, bool) {
    let Some(node) = node else { return (None, false) };
    match name.strip_prefix("f:") {
        Some(key) => (node.field(key), node.names(key)),
        None => (node.item(), false),
    }
}

fn is_name(name: &str) -> bool {
    match name.split_once(':') {
        Some(("f", _)) => true,
        Some(("k", keys)) => serde_json::from_str::<Map<String, Value>>(keys).is_ok(),
        Some(("v", value)) => serde_json::from_str::<Value>(value).is_ok(),
        Some(("i", index)) => index.parse::<u32>().is_ok(),
        _ => false,
    }
}

pub(crate) fn readable(name: &str) -> String {
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
