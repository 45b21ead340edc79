//! Does a write change only what its writer owns already, and nobody else? Then its time is all that changes
//! among the owners. Most writes are so: a Lease that is renewed, a status that is kept.

use serde_json::Value;

use super::{UPDATE, difference, strip};
use crate::{api::Call, clock, object, patch::fields::FieldSet, refusal::Result};

/// Whether it was such a write; the owners are settled then.
pub(super) fn updated(call: &Call, old: &Value, object: &mut Value) -> Result<bool> {
    let is_same = old["metadata"]["managedFields"] == object["metadata"]["managedFields"];
    let Some(known) = known(call, old).filter(|_| is_same || !states(call, object)) else {
        return Ok(false);
    };
    let difference = difference(call, Some(old), object)?;
    if !difference.removed.is_empty() {
        return Ok(false);
    }
    let mut taken = difference.changed.clone();
    strip(&mut taken);
    let mine = known.iter().position(|it| is_mine(it, call));
    let is_others =
        |at: usize, it: &Value| Some(at) != mine && touches(&it["fieldsV1"], &difference.changed);
    if known.iter().enumerate().any(|(at, it)| is_others(at, it)) {
        return Ok(false);
    }
    let is_owned = match mine.and_then(|it| known.get(it)) {
        Some(mine) => holds(&mine["fieldsV1"], &taken),
        None => taken.is_empty(),
    };
    if !is_owned {
        return Ok(false);
    }
    if !is_same {
        object::set_meta(object, "managedFields", Some(known.clone().into()));
    }
    let owners = object::metadata(object).get_mut("managedFields").and_then(Value::as_array_mut);
    if let Some(owners) = owners.filter(|_| !taken.is_empty())
        && let Some(mine) = mine.and_then(|it| owners.get_mut(it))
    {
        mine["time"] = clock::seconds(call.now).into();
        owners.sort_by(|one, other| rank(one).cmp(&rank(other)));
    }
    Ok(true)
}

/// Whether a write says who owns what.
fn states(call: &Call, object: &Value) -> bool {
    call.target.subresource.is_empty() && !object["metadata"]["managedFields"].is_null()
}

/// The owners that there were, when all are of today's version.
fn known<'a>(call: &Call, old: &'a Value) -> Option<&'a Vec<Value>> {
    let owners = old["metadata"]["managedFields"].as_array().filter(|it| !it.is_empty())?;
    let api_version = call.target.api_version();
    let is_plain = |it: &Value| {
        let fields = it["fieldsV1"].as_object().is_some_and(|it| !it.is_empty());
        fields && it["apiVersion"] == *api_version && it["fieldsType"] == "FieldsV1"
    };
    owners.iter().all(is_plain).then_some(owners)
}

fn is_mine(entry: &Value, call: &Call) -> bool {
    let subresource = entry["subresource"].as_str().unwrap_or_default();
    entry["operation"] == UPDATE
        && entry["manager"] == *call.options.manager
        && subresource == call.target.subresource
}

/// The order in which owners are written.
fn rank(entry: &Value) -> [Option<&str>; 4] {
    ["operation", "time", "manager", "subresource"].map(|it| entry[it].as_str())
}

/// Whether `fieldsV1` has the field itself, not only some of what it holds.
fn is_here(fields: &Value) -> bool {
    fields.as_object().is_some_and(|it| it.is_empty() || it.contains_key("."))
}

/// Whether all fields of a set are among those.
fn holds(fields: &Value, set: &FieldSet) -> bool {
    (!set.here || is_here(fields))
        && set
            .children
            .iter()
            .all(|(name, child)| fields.get(name).is_some_and(|it| holds(it, child)))
}

/// Whether some field of a set is among those.
fn touches(fields: &Value, set: &FieldSet) -> bool {
    set.here && is_here(fields)
        || set
            .children
            .iter()
            .any(|(name, child)| fields.get(name).is_some_and(|it| touches(it, child)))
}
