//! Which fields of an object the schema does not know, and, for built-in kinds, which values
//! cannot be decoded at all.

use std::fmt;

use serde_json::{Map, Value};

use crate::schema::{Leaf, Node, Type};

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
    walk.value(value, node, &Place::Root).map_err(Misfit::say)?;
    Ok(walk.unknown)
}

/// A value that cannot be held, told from the inside out.
enum Misfit {
    /// Another type than its field's.
    Type { found: String, wanted: String, owner: Option<String>, path: String },
    /// The right type, but it means nothing.
    Text(String),
}

impl Misfit {
    /// The same as seen from the object that the value is in.
    fn within(self, node: &Node, key: &str) -> Self {
        let Self::Type { found, wanted, owner, path } = self else { return self };
        // Keys of maps are no fields.
        if !node.names(key) {
            return Self::Type { found, wanted, owner, path };
        }
        let name = node.name.as_ref().map(|it| it.short.clone());
        let part = embedded(name.as_deref().unwrap_or_default(), key)
            .map_or_else(|| key.to_owned(), |it| format!("{it}.{key}"));
        let path = join(&part, &path);
        Self::Type { found, wanted, owner: owner.or(name), path }
    }

    fn say(self) -> String {
        match self {
            Self::Text(why) => why,
            Self::Type { found, wanted, owner, path } => {
                let field = join(owner.as_deref().unwrap_or_default(), path.trim_end_matches('.'));
                if field.is_empty() {
                    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
                } else {
                    format!(
                        "json: cannot unmarshal {found} into Go struct field {field} of type {wanted}"
                    )
                }
            }
        }
    }
}

/// The part of a Go type that holds a field, where that part has a name of its own.
fn embedded(owner: &str, field: &str) -> Option<&'static str> {
    let is_metadata = matches!(field, "name" | "metadata");
    match (owner, field) {
        ("Probe", "exec" | "httpGet" | "tcpSocket" | "grpc") => Some("ProbeHandler"),
        ("Volume", _) if !is_metadata => Some("VolumeSource"),
        ("EphemeralContainer", _) if field != "targetContainerName" => {
            Some("EphemeralContainerCommon")
        }
        _ => None,
    }
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
    fn value(&mut self, value: &mut Value, node: &Node, place: &Place<'_>) -> Result<(), Misfit> {
        if self.mode == Mode::Decode {
            decodes(value, node)?;
            node.leaf.settle(value).map_err(Misfit::Text)?;
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
    ) -> Result<(), Misfit> {
        // A null field of a typed object is a field left out; a null entry of a map is empty.
        let mut gone = Vec::new();
        for (key, value) in map.iter_mut() {
            let Some(child) = node.field(key) else {
                let unknown = (!node.preserve).then(|| Place::Field(place, key).to_string());
                gone.extend(unknown.as_ref().map(|_| key.clone()));
                self.unknown.extend(unknown);
                continue;
            };
            if self.mode == Mode::Decode && is_left_out(key, value, (node, child)) {
                gone.push(key.clone());
                continue;
            }
            let place = Place::Field(place, key);
            self.value(value, child, &place).map_err(|it| it.within(node, key))?;
        }
        for key in &gone {
            map.remove(key);
        }
        Ok(())
    }
}

/// Whether a typed object keeps nothing of a field: of nulls, and of maps and lists without entries.
fn is_left_out(key: &str, value: &mut Value, (node, child): (&Node, &Node)) -> bool {
    match value {
        // An entry of a map is there all the same, and empty.
        Value::Null if !node.names(key) && child.kind == Some(Type::Text) => {
            *value = "".into();
            false
        }
        Value::Null => true,
        Value::Object(map) => {
            map.is_empty()
                && node.names(key)
                && child.properties.is_empty()
                && child.additional.is_some()
        }
        // The rules of a role are written even when there are none; no owners are a wish to have none.
        Value::Array(list) => {
            let is_required = matches!(key, "rules" | "managedFields")
                || node.rules.required.iter().any(|it| it == key);
            list.is_empty() && node.names(key) && child.kind == Some(Type::Array) && !is_required
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

fn decodes(value: &Value, node: &Node) -> Result<(), Misfit> {
    let fits = match node.kind {
        _ if value.is_null() || node.leaf == Leaf::Quantity => true,
        Some(Type::Integer) => is_held(value, node),
        Some(Type::IntOrString) => value.is_string() || value.is_i64() || value.is_u64(),
        Some(kind) => kind.takes(value),
        None => true,
    };
    if fits {
        return Ok(());
    }
    let found = match value {
        // A number that would do, were it another.
        Value::Number(it) if matches!(node.kind, Some(Type::Integer | Type::IntOrString)) => {
            format!("number {it}")
        }
        other => name(other).to_owned(),
    };
    let (owner, path) = (None, String::new());
    Err(Misfit::Type { found, wanted: go_type(node), owner, path })
}

/// Whether an integer is one as it is written, and has the room that it needs.
fn is_held(value: &Value, node: &Node) -> bool {
    match node.format.as_deref() {
        Some("int32") => value.as_i64().is_some_and(|it| i32::try_from(it).is_ok()),
        _ => value.is_i64() || value.is_u64(),
    }
}

fn go_type(node: &Node) -> String {
    if node.leaf == Leaf::Bytes {
        return "[]uint8".to_owned();
    }
    let inner = |node: Option<&Node>| node.map_or_else(|| "string".to_owned(), go_type);
    match node.kind {
        Some(Type::Text) => "string".to_owned(),
        Some(Type::Integer) => node.format.clone().unwrap_or_else(|| "int64".to_owned()),
        Some(Type::IntOrString) => "int32".to_owned(),
        Some(Type::Boolean) => "bool".to_owned(),
        Some(Type::Number) => "float64".to_owned(),
        Some(Type::Array) => format!("[]{}", inner(node.item())),
        Some(Type::Object) | None => match (&node.name, &node.additional) {
            (Some(name), _) => format!("{}.{}", name.package, name.short),
            (None, Some(entry)) => format!("map[string]{}", inner(Some(entry))),
            (None, None) => "struct".to_owned(),
        },
    }
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

fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}
