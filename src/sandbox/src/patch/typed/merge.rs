//! What comes of laying one object over another, as its schema says that they mix.

use serde_json::{Map, Value};

use super::{Form, form, item_name};
use crate::schema::Node;

/// Lays what is wanted over what is there. An item that is in both lists stands where the wanted
/// list has it, among its neighbours of before.
pub(crate) fn merge(live: &Value, wanted: &Value, node: Option<&Node>) -> Value {
    match (form(live, node), form(wanted, node)) {
        (Form::Map(there), Form::Map(map)) if !(there.is_empty() && map.is_empty()) => {
            Value::Object(maps(there, map, node))
        }
        (Form::List(there), Form::List(list)) if !(there.is_empty() && list.is_empty()) => {
            node.map_or_else(|| wanted.clone(), |node| Value::Array(lists(there, list, node)))
        }
        (Form::Map(there), Form::Nothing) if !there.is_empty() => live.clone(),
        (Form::List(there), Form::Nothing) if !there.is_empty() => live.clone(),
        _ => wanted.clone(),
    }
}

fn maps(
    live: &Map<String, Value>,
    wanted: &Map<String, Value>,
    node: Option<&Node>,
) -> Map<String, Value> {
    let mut out = live.clone();
    for (key, value) in wanted {
        let merged = match live.get(key) {
            Some(there) => merge(there, value, node.and_then(|it| it.field(key))),
            None => value.clone(),
        };
        out.insert(key.clone(), merged);
    }
    out
}

/// Walks both lists at once: those that only one has keep their place between those that both have,
/// and those that both have come in the order that is wanted.
fn lists(live: &[Value], wanted: &[Value], node: &Node) -> Vec<Value> {
    let name = |item: &Value| item_name(item, node).unwrap_or_default();
    let theirs: Vec<String> = live.iter().map(name).collect();
    let ours: Vec<String> = wanted.iter().map(name).collect();
    let mut shared = ours.iter().filter(|it| theirs.contains(it)).peekable();

    let mut out = Vec::with_capacity(live.len().max(wanted.len()));
    let mut done: Vec<&String> = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < wanted.len() {
        if left < live.len() {
            let name = &theirs[left];
            let is_next = right < wanted.len() && *name == ours[right];
            if !ours.contains(name) {
                out.push(live[left].clone());
                left += 1;
                continue;
            }
            // It stands where the wanted list has it, now or already.
            let waits = shared.peek().is_some_and(|it| *it != name);
            if is_next || waits || done.contains(&name) || right >= wanted.len() {
                left += 1;
            }
            if !is_next && waits && right < wanted.len() {
                continue;
            }
        }
        if right < wanted.len() {
            let name = &ours[right];
            out.push(item(name, (live, &theirs), &wanted[right], node));
            done.push(name);
            shared.next_if(|it| *it == name);
            right += 1;
        }
    }
    out
}

/// An item laid over the one of its name. One that was there several times is replaced.
fn item(name: &str, (live, theirs): (&[Value], &[String]), wanted: &Value, node: &Node) -> Value {
    let mut same = theirs.iter().zip(live).filter(|(it, _)| *it == name).map(|(_, it)| it);
    match (same.next(), same.next()) {
        (Some(there), None) => merge(there, wanted, node.item()),
        _ => wanted.clone(),
    }
}
