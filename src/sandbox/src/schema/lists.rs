//! Lists whose items are told apart: which item is which, and which is there twice.

use serde_json::Value;

use crate::{
    refusal::Cause,
    schema::{Merge, Node, validate::join},
};

/// What an item of a list was before, if its list says how to tell.
pub(super) fn counterpart<'a>(
    merge: &Merge,
    item: &Value,
    old: Option<&'a Value>,
) -> Option<&'a Value> {
    let Merge::Keyed(keys) = merge else { return None };
    old?.as_array()?.iter().find(|it| keys.iter().all(|key| it.get(key) == item.get(key)))
}

/// The items of sets and keyed lists that are there twice.
pub(crate) fn duplicates(value: &Value, node: &Node) -> Vec<Cause> {
    let mut faults = Vec::new();
    if has_repeated(value, node) {
        walk(value, node, "", &mut faults);
    }
    faults
}

/// Whether there are any. Most objects have none, and then nobody needs to know where.
fn has_repeated(value: &Value, node: &Node) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(key, item)| node.field(key).is_some_and(|child| has_repeated(item, child))),
        Value::Array(list) => {
            let repeated = |(index, item)| is_repeated(&list[..index], item, &node.merge);
            list.iter().enumerate().any(repeated)
                || node
                    .item()
                    .is_some_and(|child| list.iter().any(|item| has_repeated(item, child)))
        }
        _ => false,
    }
}

fn walk(value: &Value, node: &Node, path: &str, faults: &mut Vec<Cause>) {
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                if let Some(child) = node.field(key) {
                    walk(item, child, &join(path, key), faults);
                }
            }
        }
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if is_repeated(&list[..index], item, &node.merge) {
                    let message = format!("Duplicate value: {}", identity(item, &node.merge));
                    faults.push(Cause::new("FieldValueDuplicate", path.clone(), message));
                }
                if let Some(child) = node.item() {
                    walk(item, child, &path, faults);
                }
            }
        }
        _ => {}
    }
}

fn is_repeated(before: &[Value], item: &Value, merge: &Merge) -> bool {
    match merge {
        Merge::Usual | Merge::Whole => false,
        // However often it is there, it is told once.
        Merge::Set => before.iter().filter(|it| *it == item).count() == 1,
        Merge::Keyed(keys) => before.iter().any(|it| keys.iter().all(|key| it[key] == item[key])),
    }
}

fn identity(item: &Value, merge: &Merge) -> Value {
    match merge {
        Merge::Keyed(keys) => keys.iter().map(|key| (key.clone(), item[key].clone())).collect(),
        _ => item.clone(),
    }
}
