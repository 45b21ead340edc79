//! What is left of an object without a set of its fields.

use serde_json::{Map, Value, json};

use super::{Form, form, item_name};
use crate::{patch::fields::FieldSet, schema::Node};

/// The value without what a set names. What loses all that it holds stays, as an empty one.
pub(crate) fn remove(value: &Value, gone: &FieldSet, node: Option<&Node>) -> Value {
    match form(value, node) {
        Form::Map(map) => {
            let mut left = Map::new();
            for (key, item) in map {
                let child = gone.children.get(&format!("f:{key}"));
                if let Some(item) = part(item, child, node.and_then(|it| it.field(key))) {
                    left.insert(key.clone(), item);
                }
            }
            Value::Object(left)
        }
        Form::List(list) => {
            let mut left = Vec::new();
            for item in list {
                let name = node.and_then(|it| item_name(item, it).ok()).unwrap_or_default();
                let child = gone.children.get(&name);
                left.extend(part(item, child, node.and_then(Node::item)));
            }
            Value::Array(left)
        }
        Form::Leaf | Form::Nothing => match value {
            Value::Object(_) => json!({}),
            Value::Array(_) => json!([]),
            other => other.clone(),
        },
    }
}

fn part(item: &Value, gone: Option<&FieldSet>, node: Option<&Node>) -> Option<Value> {
    match gone {
        None => Some(item.clone()),
        Some(set) if set.here => None,
        Some(set) if set.is_empty() => Some(item.clone()),
        Some(set) => Some(remove(item, set, node)),
    }
}
