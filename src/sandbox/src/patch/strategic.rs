//! Kubernetes' own merge for built-in kinds: lists whose items have a key merge item by item.

use serde_json::{Value, json};

use crate::{
    object,
    refusal::{Refusal, Result},
    schema::{Merge, Node},
};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

pub(crate) fn merge(target: &mut Value, patch: &Value, node: Option<&Node>) -> Result<()> {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match fields.get(DIRECTIVE).and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => {
            *target = patch.clone();
            strip(target);
            return Ok(());
        }
        Some("delete") => {
            *target = json!({});
            return Ok(());
        }
        Some(other) => return Err(unknown_directive(other)),
    }
    if !target.is_object() {
        *target = json!({});
    }
    let target = object::fields(target);
    if let Some(retained) = fields.get(RETAIN) {
        let retained = object::strings(retained);
        target.retain(|key, _| retained.contains(&key.as_str()));
    }
    for (key, value) in fields {
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(items)) = target.get_mut(list) {
                items.retain(|it| !gone.contains(it));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        if value.is_null() {
            target.remove(key);
            continue;
        }
        let child = node.and_then(|it| it.field(key));
        let slot = target.entry(key).or_insert(Value::Null);
        match value {
            Value::Array(items) => lists(slot, items, child)?,
            other => merge(slot, other, child)?,
        }
    }
    for (key, order) in fields.iter().filter_map(|(key, it)| Some((key.strip_prefix(ORDER)?, it))) {
        if let Some(Value::Array(items)) = target.get_mut(key) {
            reorder(items, order, node.and_then(|it| it.field(key)));
        }
    }
    Ok(())
}

fn unknown_directive(found: &str) -> Refusal {
    Refusal::bad_request(format!("unknown patch type found in patch: [map[$patch:{found}]]"))
}

fn lists(slot: &mut Value, patch: &[Value], node: Option<&Node>) -> Result<()> {
    let replaces = patch.iter().any(|it| it[DIRECTIVE] == "replace" && is_only_directive(it));
    let plain = || patch.iter().filter(|it| !is_only_directive(it)).cloned().collect::<Value>();
    let how = node.map_or(&Merge::Usual, |it| &it.merge);
    let whole = matches!(how, Merge::Usual | Merge::Whole);
    if replaces || whole || !slot.is_array() && *how == Merge::Set {
        *slot = plain();
        strip(slot);
        return Ok(());
    }
    if !slot.is_array() {
        *slot = json!([]);
    }
    let Some(items) = slot.as_array_mut() else { return Ok(()) };
    let before = items.clone();
    match how {
        Merge::Usual | Merge::Whole => {}
        Merge::Set => {
            for item in patch {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
        }
        Merge::Keyed(keys) => {
            let Some(key) = keys.first() else { return Ok(()) };
            let item_node = node.and_then(Node::item);
            for item in patch {
                keyed(items, item, (key, item_node))?;
            }
        }
    }
    settle_order(items, patch, &before, how);
    Ok(())
}

/// Puts what is new before what was there, in the order of the patch.
fn settle_order(items: &mut [Value], patch: &[Value], before: &[Value], how: &Merge) {
    let place = |item: &Value, list: &[Value]| {
        let same = |it: &Value| match how {
            Merge::Keyed(keys) => keys.first().is_some_and(|key| it[key] == item[key]),
            _ => it == item,
        };
        list.iter().position(same)
    };
    items.sort_by_key(|it| match place(it, before) {
        None => (0, place(it, patch)),
        known => (1, known),
    });
}

fn is_only_directive(item: &Value) -> bool {
    item.as_object().is_some_and(|it| it.len() == 1 && it.contains_key(DIRECTIVE))
}

fn keyed(items: &mut Vec<Value>, patch: &Value, (key, node): (&str, Option<&Node>)) -> Result<()> {
    let identity = &patch[key];
    if identity.is_null() {
        return Err(Refusal::bad_request(format!(
            "map: {patch} does not contain declared merge key: {key}"
        )));
    }
    let found = items.iter().position(|it| it[key] == *identity);
    if patch[DIRECTIVE] == "delete" {
        items.retain(|it| it[key] != *identity);
        return Ok(());
    }
    if let Some(index) = found {
        return merge(&mut items[index], patch, node);
    }
    let mut item = json!({});
    merge(&mut item, patch, node)?;
    items.push(item);
    Ok(())
}

/// Puts items in the order that the patch lists; those it does not list stay behind.
fn reorder(items: &mut [Value], order: &Value, node: Option<&Node>) {
    let Some(order) = order.as_array() else { return };
    let key = match node.map(|it| &it.merge) {
        Some(Merge::Keyed(keys)) => keys.first(),
        _ => None,
    };
    let place = |item: &Value| {
        let same = |it: &Value| match key {
            Some(key) => it[key] == item[key],
            None => it == item,
        };
        order.iter().position(same).unwrap_or(usize::MAX)
    };
    items.sort_by_key(place);
}

/// Takes directives out of what is stored.
fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !key.starts_with('$') && !value.is_null());
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}
