//! Does a write change only what its writer owns already, and nobody else? Then its time is all that changes
//! among the owners. Most writes are so: a Lease that is renewed, a status that is kept.

use serde_json::Value;

use super::{UPDATE, difference, strip};
use crate::{
    api::Call,
    clock, object,
    patch::{fields::FieldSet, typed::Difference},
    refusal::Result,
};

/// What such a write changes of the owners.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Claim {
    Nothing,
    /// Of that one.
    Time(usize),
}

/// Whether it was such a write; the owners are settled then.
pub(super) fn updated(call: &Call, old: &Value, object: &mut Value) -> Result<bool> {
    let is_same = owners(old) == owners(object);
    let Some(known) = known(call, old).filter(|_| is_same || !states(call, object)) else {
        return Ok(false);
    };
    let difference = difference(call, Some(old), object)?;
    let Some(claim) = claim_of(call, known, difference) else { return Ok(false) };
    if !is_same {
        object::set_meta(object, "managedFields", Some(known.clone().into()));
    }
    settle(call, object, claim);
    Ok(true)
}

/// What a write changes of the owners that an object has, when it is such a write.
pub(crate) fn claim(call: &Call, object: &Value, difference: Difference) -> Option<Claim> {
    claim_of(call, known(call, object)?, difference)
}

fn claim_of(call: &Call, known: &[Value], difference: Difference) -> Option<Claim> {
    let Difference { mut changed, removed } = difference;
    if !removed.is_empty() {
        return None;
    }
    let mine = known.iter().position(|it| is_mine(it, call));
    let is_others = |at: usize, it: &Value| Some(at) != mine && touches(&it["fieldsV1"], &changed);
    if known.iter().enumerate().any(|(at, it)| is_others(at, it)) {
        return None;
    }
    strip(&mut changed);
    if changed.is_empty() {
        return Some(Claim::Nothing);
    }
    let mine = mine.filter(|it| known.get(*it).is_some_and(|it| holds(&it["fieldsV1"], &changed)));
    mine.map(Claim::Time)
}

/// Changes the owners so.
pub(crate) fn settle(call: &Call, object: &mut Value, claim: Claim) {
    let Claim::Time(mine) = claim else { return };
    let owners = object::metadata(object).get_mut("managedFields").and_then(Value::as_array_mut);
    let Some(owners) = owners else { return };
    if let Some(mine) = owners.get_mut(mine) {
        object::put(object::fields(mine), "time", clock::seconds(call.now).into());
    }
    owners.sort_by(|one, other| rank(one).cmp(&rank(other)));
}

fn owners(object: &Value) -> &Value {
    object::of_metadata(object, "managedFields")
}

/// Whether a write says who owns what.
fn states(call: &Call, object: &Value) -> bool {
    call.target.subresource.is_empty() && !owners(object).is_null()
}

/// The owners that there were, when all are of today's version.
fn known<'a>(call: &Call, old: &'a Value) -> Option<&'a Vec<Value>> {
    let owners = owners(old).as_array().filter(|it| !it.is_empty())?;
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
