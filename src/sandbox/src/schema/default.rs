//! What a schema makes of fields that were left out, and of nulls, which mostly mean the same.

use serde_json::Value;

use crate::schema::Node;

/// Takes away nulls that the schema does not know as a value, and fills defaults in.
pub(crate) fn default(value: &mut Value, node: &Node) {
    drop_nulls(value, node);
    fill(value, node);
}

/// Takes away nulls that have neither a default nor a meaning of their own.
fn drop_nulls(value: &mut Value, node: &Node) {
    match value {
        Value::Object(map) => {
            map.retain(|key, item| {
                let child = node.field(key);
                !item.is_null() || child.is_none_or(|it| it.nullable || it.default.is_some())
            });
            for (key, item) in map {
                if let Some(child) = node.field(key) {
                    drop_nulls(item, child);
                }
            }
        }
        // A null in a list keeps its place: only its default could stand there.
        Value::Array(list) => {
            if let Some(child) = node.item() {
                for item in list {
                    drop_nulls(item, child);
                }
            }
        }
        _ => {}
    }
}

/// Fills defaults in, top down: a default may itself hold objects that have defaults.
pub(crate) fn fill(value: &mut Value, node: &Node) {
    match value {
        Value::Object(map) => {
            for (key, child) in &node.properties {
                if let Some(default) = &child.default {
                    let slot = map.entry(key.clone()).or_insert_with(|| default.clone());
                    replace_null(slot, child);
                }
            }
            for (key, slot) in map.iter_mut() {
                if let Some(child) = node.field(key) {
                    replace_null(slot, child);
                    fill(slot, child);
                }
            }
        }
        Value::Array(list) => {
            if let Some(child) = node.item() {
                for item in list {
                    replace_null(item, child);
                    fill(item, child);
                }
            }
        }
        _ => {}
    }
}

fn replace_null(slot: &mut Value, node: &Node) {
    if let Some(default) = node.default.as_ref().filter(|_| slot.is_null() && !node.nullable) {
        slot.clone_from(default);
    }
}
