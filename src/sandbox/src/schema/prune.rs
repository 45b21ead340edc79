//! Which fields of an object the schema does not know, and, for built-in kinds, which values
//! cannot be decoded at all.

use std::fmt;

use serde_json::{Map, Value};

use crate::schema::{Node, Type};

/// How far to look: a built-in kind is decoded into its type, a custom one only loses fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Decode,
    Prune,
}

/// Drops what the schema does not know and answers its paths, or the first value that a built-in
/// kind cannot hold.
pub(crate) fn prune(value: &mut Value, node: &Node, mode: Mode) -> Result<Vec<String>, String> {
    let mut walk = Walk { mode, unknown: Vec::new() };
    walk.value(value, node, &Place::Root)?;
    Ok(walk.unknown)
}

struct Walk {
    mode: Mode,
    unknown: Vec<String>,
}

/// Where a value is, put into words only when somebody must be told.
enum Place<'a> {
    Root,
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, key) => to.write_str(key),
            Self::Field(outside, key) => write!(to, "{outside}.{key}"),
            Self::Item(list, index) => write!(to, "{list}[{index}]"),
        }
    }
}

impl Walk {
    fn value(&mut self, value: &mut Value, node: &Node, place: &Place<'_>) -> Result<(), String> {
        if self.mode == Mode::Decode {
            decodes(value, node, place)?;
        }
        match value {
            Value::Object(map) if !is_opaque(node) => self.fields(map, node, place)?,
            Value::Array(list) => {
                let Some(child) = node.item() else { return Ok(()) };
                for (index, item) in list.iter_mut().enumerate() {
                    self.value(item, child, &Place::Item(place, index))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fields(
        &mut self,
        map: &mut Map<String, Value>,
        node: &Node,
        place: &Place<'_>,
    ) -> Result<(), String> {
        // A null field of a typed object is a field left out.
        map.retain(|key, value| {
            let known = node.field(key).is_some();
            if !known && !node.preserve {
                self.unknown.push(Place::Field(place, key).to_string());
            }
            let left_out = self.mode == Mode::Decode && known && is_left_out(key, value, node);
            !left_out && (known || node.preserve)
        });
        for (key, value) in map.iter_mut() {
            if let Some(child) = node.field(key) {
                self.value(value, child, &Place::Field(place, key))?;
            }
        }
        Ok(())
    }
}

/// Whether a typed object keeps nothing of a field: of nulls, and of maps and lists without entries.
fn is_left_out(key: &str, value: &mut Value, node: &Node) -> bool {
    let child = node.field(key);
    match value {
        // An entry of a map is there all the same, and empty.
        Value::Null if !node.names(key) && child.is_some_and(|it| it.kind == Some(Type::Text)) => {
            *value = "".into();
            false
        }
        Value::Null => true,
        Value::Object(map) => {
            map.is_empty()
                && node.names(key)
                && child.is_some_and(|it| it.properties.is_empty() && it.additional.is_some())
        }
        // The rules of a role are written even when there are none; no owners are a wish to have none.
        Value::Array(list) => {
            let is_required = matches!(key, "rules" | "managedFields")
                || node.rules.required.iter().any(|it| it == key);
            list.is_empty() && node.names(key) && !is_required
        }
        _ => false,
    }
}

/// A node that says nothing about what is inside: it prunes nothing.
fn is_opaque(node: &Node) -> bool {
    node.properties.is_empty()
        && node.additional.is_none()
        && (node.preserve || node.kind.is_none())
}

fn decodes(value: &Value, node: &Node, place: &Place<'_>) -> Result<(), String> {
    let fits = match node.kind {
        _ if value.is_null() => true,
        // Quantities may come as bare numbers.
        Some(Type::Text) => value.is_string() || is_quantity(node, value, place),
        Some(kind) => kind.takes(value),
        None => true,
    };
    if fits {
        return Ok(());
    }
    let wanted = match node.kind {
        Some(Type::Text) => "string",
        Some(Type::Integer | Type::IntOrString) => "int64",
        Some(Type::Boolean) => "bool",
        Some(Type::Number) => "float64",
        Some(Type::Array) => "slice",
        Some(Type::Object) | None => "struct",
    };
    Err(format!(
        "json: cannot unmarshal {} into Go struct field {place} of type {wanted}",
        name(value)
    ))
}

fn is_quantity(node: &Node, value: &Value, place: &Place<'_>) -> bool {
    let Place::Field(Place::Field(_, parent), _) = place else { return false };
    node.format.is_none() && value.is_number() && matches!(*parent, "limits" | "requests" | "hard")
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
