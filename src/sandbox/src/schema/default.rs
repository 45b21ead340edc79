//! What a schema's defaults fill in.

use serde_json::Value;

use crate::schema::Node;

/// Fills defaults in, top down: a default may itself hold objects that have defaults.
pub(crate) fn default(value: &mut Value, node: &Node) {
    match value {
        Value::Object(map) => {
            for (key, child) in &node.properties {
                let Some(default) = &child.default else { continue };
                let slot = map.get(key);
                // A null is taken for nothing, except where the schema says that null is a value.
                if slot.is_none_or(|it| it.is_null() && !child.nullable) {
                    map.insert(key.clone(), default.clone());
                }
            }
            for (key, slot) in map.iter_mut() {
                if let Some(child) = node.field(key) {
                    default(slot, child);
                }
            }
        }
        Value::Array(list) => {
            if let Some(child) = node.item() {
                for item in list {
                    default(item, child);
                }
            }
        }
        _ => {}
    }
}
