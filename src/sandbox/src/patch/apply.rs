//! Server-side apply: one says what it wants, and owns that; what it no longer says, it gives up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    api::Call,
    object,
    patch::{
        fields::{self, FieldSet},
        ownership::{self, APPLY, Owner},
    },
    refusal::{Cause, Refusal, Result},
    schema::{Merge, Node},
};

/// The object after somebody applied what it wants, with the owners of its fields.
pub(crate) fn apply(call: &Call, live: Option<&Value>, wanted: &Value) -> Result<Value> {
    let node = call.target.version()?.schema.root();
    let mut wanted_fields = fields::without_system(FieldSet::of(wanted, node));
    reset(call, &mut wanted_fields)?;

    let empty = json!({"apiVersion": wanted["apiVersion"], "kind": wanted["kind"]});
    let live = live.unwrap_or(&empty);
    let mut object = live.clone();
    let mut wanted = wanted.clone();
    forget_reset(call, &mut wanted)?;
    merge(&mut object, &wanted, Some(node));

    let mut mine = Owner::of(call, APPLY);
    let mut owners = ownership::parse(live);
    let changed = fields::difference(Some(live), &object, node).changed;
    contest(call, &mut owners, &mine, &changed)?;

    let last = owners.iter().find(|it| it.is_same(&mine)).cloned();
    owners.retain(|it| !it.is_same(&mine));
    if let Some(last) = &last {
        let mut given_up = last.fields.clone();
        name_fields(&mut given_up);
        let mut kept = wanted_fields.clone();
        for owner in &owners {
            kept.add(&owner.fields);
        }
        remove(&mut object, (&given_up, &kept), Some(node));
    }
    mine.fields = wanted_fields;
    let same = last.as_ref().is_some_and(|it| it.fields == mine.fields);
    if same && fields::difference(Some(live), &object, node).is_empty() {
        mine.time = last.map(|it| it.time).unwrap_or_default();
    }
    owners.push(mine);
    ownership::write(&mut object, owners);
    Ok(object)
}

/// What a path cannot write is not owned through it either.
fn reset(call: &Call, set: &mut FieldSet) -> Result<()> {
    if call.target.subresource == "status" {
        set.children.retain(|name, _| name == "f:status");
    } else if call.target.version()?.status {
        set.drop_branch("f:status");
    }
    Ok(())
}

fn forget_reset(call: &Call, wanted: &mut Value) -> Result<()> {
    if call.target.subresource == "status" {
        object::fields(wanted)
            .retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "status"));
    } else if call.target.version()?.status {
        object::fields(wanted).remove("status");
    }
    Ok(())
}

/// Refuses to take what others own, unless told to.
fn contest(call: &Call, owners: &mut [Owner], mine: &Owner, changed: &FieldSet) -> Result<()> {
    let mut conflicts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for owner in owners.iter_mut().filter(|it| !it.is_same(mine)) {
        let shared = owner.fields.shared(changed);
        if shared.is_empty() {
            continue;
        }
        if call.options.force {
            owner.fields.subtract(&shared);
        } else {
            conflicts.entry(owner.title()).or_default().extend(shared.paths());
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    let count: usize = conflicts.values().map(Vec::len).sum();
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (title, paths) in &conflicts {
        for path in paths {
            let message = format!("conflict with {title}");
            causes.push(Cause::new("FieldManagerConflict", path, message));
        }
        lines.push(match paths.as_slice() {
            [one] => format!("conflict with {title}: {one}"),
            many => format!("conflicts with {title}:\n- {}", many.join("\n- ")),
        });
    }
    let noun = if count == 1 { "conflict" } else { "conflicts" };
    let message = format!("Apply failed with {count} {noun}: {}", lines.join("\n"));
    Err(Refusal::new(409, "Conflict", message).causes(&causes))
}

/// Lays what is wanted over what is there.
fn merge(target: &mut Value, wanted: &Value, node: Option<&Node>) {
    match wanted {
        Value::Object(map) if node.is_none_or(|it| it.merge != Merge::Whole) => {
            if !target.is_object() {
                *target = json!({});
            }
            let fields = object::fields(target);
            for (key, value) in map {
                let slot = fields.entry(key).or_insert(Value::Null);
                merge(slot, value, node.and_then(|it| it.field(key)));
            }
        }
        Value::Array(list) => {
            let granular = node.filter(|it| !matches!(it.merge, Merge::Usual | Merge::Whole));
            match (granular, target.as_array_mut()) {
                (Some(node), Some(items)) => merge_list(items, list, node),
                _ => *target = wanted.clone(),
            }
        }
        other => *target = other.clone(),
    }
}

fn merge_list(items: &mut Vec<Value>, wanted: &[Value], node: &Node) {
    for item in wanted {
        let name = fields::item_name(item, node);
        let found = items.iter_mut().find(|it| fields::item_name(it, node) == name);
        match found {
            Some(slot) => merge(slot, item, node.item()),
            None => items.push(item.clone()),
        }
    }
}

/// Fields of structures count as owned when anything in them is: they go with the last of it.
fn name_fields(set: &mut FieldSet) {
    for (name, child) in &mut set.children {
        child.here |= name.starts_with("f:");
        name_fields(child);
    }
}

/// Takes out what was given up and nobody keeps.
fn remove(value: &mut Value, (gone, kept): (&FieldSet, &FieldSet), node: Option<&Node>) {
    for (name, inner) in &gone.children {
        let Some(kept) = kept.children.get(name) else {
            if inner.here {
                take_out(value, name, node);
            }
            continue;
        };
        if let Some((part, node)) = part_mut(value, name, node) {
            remove(part, (inner, kept), node);
        }
    }
}

fn take_out(value: &mut Value, name: &str, node: Option<&Node>) {
    match (value, node) {
        (Value::Object(map), _) => {
            map.remove(name.strip_prefix("f:").unwrap_or(name));
        }
        (Value::Array(items), Some(node)) => {
            items.retain(|it| fields::item_name(it, node).as_deref() != Some(name));
        }
        _ => {}
    }
}

/// The part of a value that a name in a set of fields means, with its node.
fn part_mut<'a>(
    value: &'a mut Value,
    name: &str,
    node: Option<&'a Node>,
) -> Option<(&'a mut Value, Option<&'a Node>)> {
    match value {
        Value::Object(map) => {
            let key = name.strip_prefix("f:")?;
            Some((map.get_mut(key)?, node.and_then(|it| it.field(key))))
        }
        Value::Array(items) => {
            let node = node?;
            let is_it = |it: &&mut Value| fields::item_name(it, node).as_deref() == Some(name);
            Some((items.iter_mut().find(is_it)?, node.item()))
        }
        _ => None,
    }
}
