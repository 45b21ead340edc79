//! Whether an applied body is of its schema's types, and knows no field that its schema does not.

use serde_json::Value;

use super::item_name;
use crate::{
    patch::fields::readable,
    schema::{Merge, Node, Type},
};

/// What is wrong with an applied body, each with its path.
pub(crate) fn check(body: &Value, node: Option<&Node>) -> Vec<String> {
    let mut faults = Vec::new();
    walk(body, node, ("", &mut faults));
    faults
}

fn walk(value: &Value, node: Option<&Node>, (path, faults): (&str, &mut Vec<String>)) {
    let Some(node) = node else { return };
    if let Some(wanted) = misfit(value, node) {
        faults.push(format!("{}: {wanted}", if path.is_empty() { "." } else { path }));
        return;
    }
    match value {
        Value::Object(map) => {
            let takes_any = node.preserve || node.kind.is_none() && node.properties.is_empty();
            for (key, item) in map {
                let path = format!("{path}.{key}");
                match node.field(key) {
                    Some(child) => walk(item, Some(child), (&path, faults)),
                    None if takes_any => {}
                    None => {
                        faults.push(format!("{path}: field not declared in schema"));
                        // The rest of this map is not looked at.
                        break;
                    }
                }
            }
        }
        Value::Array(list) => items(list, node, (path, faults)),
        _ => {}
    }
}

fn items(list: &[Value], node: &Node, (path, faults): (&str, &mut Vec<String>)) {
    let is_named = matches!(node.merge, Merge::Set | Merge::Keyed(_));
    let mut seen = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let step = if is_named {
            match item_name(item, node) {
                Ok(name) => name,
                Err(why) => {
                    faults.push(format!("{path}: element {index}: {why}"));
                    return;
                }
            }
        } else {
            format!("v:{index}")
        };
        let shown = if is_named { readable(&step) } else { format!("[{index}]") };
        if is_named && seen.contains(&step) {
            faults.push(format!("{path}: duplicate entries for key {shown}"));
        }
        seen.push(step);
        walk(item, node.item(), (&format!("{path}{shown}"), faults));
    }
}

/// What a value should have been, when it is not.
fn misfit(value: &Value, node: &Node) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let kind = node.kind?;
    let fits = match kind {
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::Text => value.is_string(),
        Type::Integer | Type::Number => value.is_number(),
        Type::Boolean => value.is_boolean(),
        // Its own rules say more of it than this check could.
        Type::IntOrString => true,
    };
    if fits {
        return None;
    }
    Some(match kind {
        Type::Object => format!("expected map, got &{{{}}}", printed(value)),
        Type::Array => format!("expected list, got &{{{}}}", printed(value)),
        Type::Text => {
            format!("expected string, got &value.valueUnstructured{{Value:{}}}", literal(value))
        }
        Type::Integer | Type::Number => {
            format!("expected numeric (int or float), got {}", type_of(value))
        }
        Type::Boolean | Type::IntOrString => {
            format!("expected boolean, got &{{{}}}", printed(value))
        }
    })
}

/// A value as the server's own language prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(printed).collect();
            format!("[{}]", list.join(" "))
        }
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| format!("{key}:{}", printed(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

/// A value as the server's own language would write it down.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(literal).collect();
            format!("[]interface {{}}{{{}}}", list.join(", "))
        }
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| format!("\"{key}\":{}", literal(value)));
            let fields = fields.collect::<Vec<_>>().join(", ");
            format!("map[string]interface {{}}{{{fields}}}")
        }
        other => other.to_string(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(it) if it.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
