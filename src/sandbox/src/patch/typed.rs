//! Objects as their schemas see them: what in them can have an owner of its own.

mod check;
mod compare;
mod merge;
mod remove;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(crate) use self::{
    check::check,
    compare::{Difference, compare, differ, differ_but},
    merge::merge,
    remove::remove,
};
use crate::{
    patch::fields::FieldSet,
    schema::{Merge, Node, Type},
};

/// How a value is owned.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form<'a> {
    /// By one owner, whatever is in it.
    Leaf,
    Map(&'a Map<String, Value>),
    List(&'a [Value]),
    /// A null where the schema has a map or a list: it is like an empty one.
    Nothing,
}

impl Form<'_> {
    fn is_empty(self) -> bool {
        match self {
            Self::Leaf => false,
            Self::Map(map) => map.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Nothing => true,
        }
    }
}

fn form<'a>(value: &'a Value, node: Option<&Node>) -> Form<'a> {
    match value {
        Value::Object(_) if node.is_some_and(|it| it.merge == Merge::Whole) => Form::Leaf,
        Value::Object(map) => Form::Map(map),
        Value::Array(list) if has_parts(node) => Form::List(list),
        Value::Null => match node {
            Some(it) if it.merge == Merge::Whole => Form::Leaf,
            Some(it) if it.kind == Some(Type::Object) || has_parts(node) => Form::Nothing,
            _ => Form::Leaf,
        },
        _ => Form::Leaf,
    }
}

/// Whether the items of a list have owners of their own.
fn has_parts(node: Option<&Node>) -> bool {
    node.is_some_and(|it| matches!(it.merge, Merge::Set | Merge::Keyed(_)))
}

/// The name of a list's item, when its list has any, or what keeps it from having one.
pub(crate) fn item_name(item: &Value, node: &Node) -> Result<String, String> {
    match &node.merge {
        Merge::Usual | Merge::Whole => Err("invalid indexing of non-associative list".to_owned()),
        Merge::Set => match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => {
                Err("not supported: associative list with lists as elements".to_owned())
            }
            Value::Null => {
                Err("associative list without keys has an element that's an explicit null"
                    .to_owned())
            }
            _ => Ok(format!("v:{item}")),
        },
        Merge::Keyed(keys) => keyed_name(item, keys, node),
    }
}

fn keyed_name(item: &Value, keys: &[String], node: &Node) -> Result<String, String> {
    let Value::Object(map) = item else {
        let found = if item.is_null() { "a null element" } else { "non-map elements" };
        return Err(format!("associative list with keys may not have {found}"));
    };
    let default = |key: &str| node.item().and_then(|it| it.field(key))?.default.as_ref();
    let found = keys.iter().filter_map(|key| Some((key, map.get(key).or_else(|| default(key))?)));
    let identity: BTreeMap<&String, &Value> = found.collect();
    if identity.is_empty() {
        return Err(format!(
            "associative list with keys has an element that omits all key fields {} (and doesn't \
             have default values for any key fields)",
            json!(keys).to_string().replace(',', " ")
        ));
    }
    Ok(format!("k:{}", json!(identity)))
}

/// The fields of an object, as one who applies it owns them.
pub(crate) fn field_set(value: &Value, node: Option<&Node>) -> FieldSet {
    match form(value, node) {
        Form::Leaf => FieldSet::leaf(),
        Form::Nothing => FieldSet::default(),
        Form::Map(map) => fields_of_map(map, node),
        Form::List(list) => fields_of_list(list, node),
    }
}

fn fields_of_map(map: &Map<String, Value>, node: Option<&Node>) -> FieldSet {
    let mut set = FieldSet::default();
    for (key, value) in map {
        let mut child = field_set(value, node.and_then(|it| it.field(key)));
        let is_bare = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        // Of a map, each entry is owned besides what it holds; a structure's fields are not.
        child.here |= is_bare || !node.is_some_and(|it| it.names(key));
        set.insert(&format!("f:{key}"), child);
    }
    set
}

fn fields_of_list(list: &[Value], node: Option<&Node>) -> FieldSet {
    let mut set = FieldSet::default();
    for (name, items) in by_name(list, node) {
        let mut child = match items.as_slice() {
            [one] => field_set(one, node.and_then(Node::item)),
            _ => FieldSet::default(),
        };
        child.here = true;
        set.insert(&name, child);
    }
    set
}

/// A list's items by their names; an object that was stored may hold some twice.
fn by_name<'a>(list: &'a [Value], node: Option<&Node>) -> BTreeMap<String, Vec<&'a Value>> {
    let mut named: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    let Some(node) = node else { return named };
    for item in list {
        if let Ok(name) = item_name(item, node) {
            named.entry(name).or_default().push(item);
        }
    }
    named
}
