//! Kubernetes' own merge for built-in kinds: lists whose items have a key merge item by item.

mod order;

use serde_json::{Map, Value, json};

use crate::{
    object,
    refusal::{Refusal, Result},
    schema::{Node, Strategy},
};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

pub(crate) fn merge(target: &mut Value, patch: &Value, node: Option<&Node>) -> Result<()> {
    let Value::Object(fields) = patch else {
        if !patch.is_null() {
            *target = patch.clone();
        }
        return Ok(());
    };
    match fields.get(DIRECTIVE) {
        None => {}
        Some(it) if it == "replace" => {
            *target = patch.clone();
            strip(target);
            return Ok(());
        }
        Some(it) if it == "delete" => {
            *target = json!({});
            return Ok(());
        }
        Some(other) => return Err(unknown_directive(other, patch)),
    }
    let target = object::fields(target);
    retain(target, fields)?;
    for (key, value) in fields.iter().filter(|(key, _)| !key.starts_with('$')) {
        field(target, (key, value, fields.get(&format!("{ORDER}{key}"))), node)?;
    }
    for (key, value) in fields {
        let value = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            if let Some(Value::Array(items)) = target.get_mut(list) {
                items.retain(|it| !value.contains(it));
            }
        } else if let Some(list) = key.strip_prefix(ORDER).filter(|it| !fields.contains_key(*it))
            && let Some(Value::Array(items)) = target.get_mut(list)
        {
            let before = items.clone();
            order::settle(items, value, &before, merge_key(strategy(node, list)));
        }
    }
    Ok(())
}

fn strategy(node: Option<&Node>, field: &str) -> Option<Strategy> {
    node.and_then(|it| it.strategies.get(field)).copied()
}

/// The key that tells the items of a list apart, if it merges by one.
fn merge_key(strategy: Option<Strategy>) -> Option<&'static str> {
    match strategy? {
        Strategy::Merge { key } => key,
        Strategy::MergeRetaining { key } => Some(key),
        Strategy::Retain | Strategy::Replace => None,
    }
}

/// Drops the fields that a patch does not say stay.
fn retain(target: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<()> {
    let Some(retained) = patch.get(RETAIN) else { return Ok(()) };
    let kept = object::strings(retained);
    let is_listed = |(key, value): (&String, &Value)| {
        key.starts_with('$') || value.is_null() || kept.contains(&key.as_str())
    };
    if !retained.is_array() || !patch.iter().all(is_listed) {
        return Err(Refusal::bad_request("invalid patch format of retainKeys"));
    }
    target.retain(|key, _| kept.contains(&key.as_str()));
    Ok(())
}

fn field(
    target: &mut Map<String, Value>,
    (key, value, order): (&str, &Value, Option<&Value>),
    node: Option<&Node>,
) -> Result<()> {
    if value.is_null() {
        target.remove(key);
        return Ok(());
    }
    let child = node.and_then(|it| it.field(key));
    let strategy = strategy(node, key);
    match value {
        Value::Array(items) => {
            let order = order.and_then(Value::as_array).unwrap_or(items);
            check_order(items, order, merge_key(strategy))?;
            lists(target, (key, items, order), (strategy, child))
        }
        Value::Object(_) if strategy == Some(Strategy::Replace) => {
            target.insert(key.to_owned(), value.clone());
            Ok(())
        }
        other => {
            let slot = target.entry(key).or_insert(Value::Null);
            // Another type is no partner to merge with.
            if slot.is_object() != other.is_object() {
                *slot = if other.is_object() { json!({}) } else { Value::Null };
            }
            merge(slot, other, child)
        }
    }
}

fn unknown_directive(found: &Value, patch: &Value) -> Refusal {
    let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    let message = format!("unknown patch type: {found} in map: {}", printed(patch));
    Refusal::new(500, "", message)
}

/// An order, when one is given, has the items of the patch as the patch has them.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<()> {
    let mut places = order.iter();
    let named = |it: &&Value| it.get(DIRECTIVE).is_none();
    let is_next = |item: &Value| places.any(|it| order::is_same(it, item, key));
    if order.is_empty() || patch.iter().filter(named).all(is_next) {
        return Ok(());
    }
    let list = |it: &[Value]| printed(&it.to_vec().into());
    let message = format!(
        "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
        list(patch),
        list(order)
    );
    Err(Refusal::new(500, "", message))
}

fn lists(
    target: &mut Map<String, Value>,
    (key, patch, order): (&str, &[Value], &[Value]),
    (strategy, node): (Option<Strategy>, Option<&Node>),
) -> Result<()> {
    let plain = || {
        let mut list: Value =
            patch.iter().filter(|it| it.get(DIRECTIVE).is_none()).cloned().collect();
        strip(&mut list);
        list
    };
    let merge_key = merge_key(strategy);
    let merges = merge_key.is_some() || strategy == Some(Strategy::Merge { key: None });
    let replaces = merge_key.is_some() && patch.iter().any(|it| it[DIRECTIVE] == "replace");
    let Some(Value::Array(items)) = target.get_mut(key).filter(|_| merges && !replaces) else {
        if let (Some(merge_key), true) = (merge_key, target.contains_key(key)) {
            patch.iter().try_for_each(|it| check_key(it, merge_key))?;
        }
        target.insert(key.to_owned(), plain());
        return Ok(());
    };
    let before = items.clone();
    for item in patch {
        match merge_key {
            Some(merge_key) => keyed(items, item, (merge_key, node.and_then(Node::item)))?,
            None if item.is_object() => {
                let lists = printed(&json!([before, patch]));
                let message = format!("list element types are not identical: {lists}");
                return Err(Refusal::new(500, "", message));
            }
            None if items.contains(item) => {}
            None => items.push(item.clone()),
        }
    }
    order::settle(items, order, &before, merge_key);
    Ok(())
}

fn check_key(item: &Value, key: &str) -> Result<()> {
    if item.get(key).is_some() || item[DIRECTIVE] == "replace" {
        return Ok(());
    }
    let message = format!("map: {} does not contain declared merge key: {key}", printed(item));
    Err(Refusal::new(500, "", message))
}

fn keyed(items: &mut Vec<Value>, patch: &Value, (key, node): (&str, Option<&Node>)) -> Result<()> {
    check_key(patch, key)?;
    match patch.get(DIRECTIVE) {
        Some(it) if it == "delete" => {
            items.retain(|it| it[key] != patch[key]);
            return Ok(());
        }
        Some(other) if other != "replace" => return Err(unknown_directive(other, patch)),
        _ => {}
    }
    if let Some(found) = items.iter_mut().find(|it| it[key] == patch[key]) {
        return merge(found, patch, node);
    }
    let mut item = json!({});
    merge(&mut item, patch, node)?;
    items.push(item);
    Ok(())
}

/// A patch as the server prints one that it has decoded.
pub(crate) fn printed(patch: &Value) -> String {
    match patch {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(printed).collect::<Vec<_>>().join(" "))
        }
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| format!("{key}:{}", printed(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
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
