//! How is a status written that changes alone? The rest of its object is neither copied, nor decoded, nor
//! compared.
//!
//! What is odd about such a write is not told here: nothing has happened then, and the way that all
//! others take finds out, and says so.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Call, Draft, Effect, Owners, Written};
use crate::{
    kinds, object,
    patch::{
        Format, merge, ownership, strategic,
        typed::{self, Difference},
    },
    schema::{self, Mode},
    store::{State, Stored},
};

const STATUS: &str = "status";

/// Whether a patch is of nothing but the status.
pub(super) fn is_patched(
    call: &Call,
    existing: &Stored,
    (format, patch): (Format, &Value),
) -> bool {
    is_apart(call, existing)
        && matches!(format, Format::Merge | Format::Strategic)
        && patch.as_object().is_some_and(|it| it.keys().eq([STATUS]))
        && patch[STATUS].is_object()
}

/// Whether a PUT is of nothing but the status: the metadata are those that it has read. What it says of
/// owners is not heard here.
pub(super) fn is_put(call: &Call, existing: &Stored, draft: &Draft) -> bool {
    is_apart(call, existing)
        && draft.warnings.is_empty()
        && draft.object[STATUS].is_object()
        && stated(&draft.object).eq(stated(&existing.value))
}

fn stated(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let metadata = object["metadata"].as_object().into_iter().flatten();
    metadata.filter(|(field, _)| *field != "managedFields")
}

/// Whether all else of the object is as it would be written anew.
fn is_apart(call: &Call, existing: &Stored) -> bool {
    let options = &call.options;
    call.target.subresource == STATUS
        && kinds::has_status_apart(call.resource())
        && options.effect == Effect::Real
        && options.broken.is_none()
        && options.repeated.is_empty()
        && call.is_settled(existing)
        && !existing.facts.is_deleting
}

/// Patches it, or leaves all as it is.
pub(super) fn patch(
    state: &mut State,
    call: &Call,
    (format, patch): (Format, &Value),
) -> Option<Written> {
    let lent = state.lend(&call.resource().table, &call.target.key())?;
    let status = patched(call, &lent.1, (format, patch));
    write(state, call, (lent, status))
}

/// Puts it in the place of the old one, or leaves all as it is.
pub(super) fn put(state: &mut State, call: &Call, status: &Value) -> Option<Written> {
    let lent = state.lend(&call.resource().table, &call.target.key())?;
    let mut status = status.clone();
    fill_in(call, &mut status);
    write(state, call, (lent, Some(status)))
}

fn write(
    state: &mut State,
    call: &Call,
    ((existing, mut object), status): ((Arc<Stored>, Value), Option<Value>),
) -> Option<Written> {
    match status.and_then(|it| replace(call, &mut object, it)) {
        Some(Change::Status) => {
            let schema = call.settles(Owners::OfUpdate);
            Some(Written::kept(call.commit_as(state, object, schema), 200, Vec::new()))
        }
        Some(Change::Nothing) => {
            existing.keep(object);
            Some(Written::kept(existing, 200, Vec::new()))
        }
        None => {
            existing.keep(object);
            None
        }
    }
}

/// The status as it is to be, decoded.
fn patched(call: &Call, object: &Value, (format, patch): (Format, &Value)) -> Option<Value> {
    let root = call.target.version().ok()?.schema.root();
    let known = object.get(STATUS).map(|it| (STATUS.to_owned(), it.clone()));
    let mut part = Value::Object(Map::from_iter(known));
    match format {
        Format::Strategic => strategic::merge(&mut part, patch, Some(root)).ok()?,
        _ => merge::merge(&mut part, patch),
    }
    let mode = if call.resource().is_custom() { Mode::Prune } else { Mode::Decode };
    if !schema::prune(&mut part, root, mode).ok()?.is_empty() {
        return None;
    }
    let mut status = part.get_mut(STATUS).map(Value::take).filter(Value::is_object)?;
    fill_in(call, &mut status);
    Some(status)
}

fn fill_in(call: &Call, status: &mut Value) {
    let version = call.target.version().ok().filter(|_| call.resource().is_custom());
    if let Some(node) = version.and_then(|it| it.schema.root().field(STATUS)) {
        schema::default(status, node);
    }
}

/// What a write comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    Status,
}

/// Puts another status into an object. It stays as it was when something is wrong with that.
fn replace(call: &Call, object: &mut Value, status: Value) -> Option<Change> {
    let node = call.target.version().ok()?.schema.root().field(STATUS);
    let known = object.get(STATUS);
    let change = if known == Some(&status) { Change::Nothing } else { Change::Status };
    let claim = if change == Change::Status {
        let parts = typed::differ(known, Some(&status), node);
        let mut difference = Difference::default();
        difference.insert_field(STATUS, parts);
        Some(ownership::claim(call, object, difference)?)
    } else {
        None
    };
    let before = object::fields(object).insert(STATUS.to_owned(), status);
    let old = Value::Object(before.map(|it| (STATUS.to_owned(), it)).into_iter().collect());
    if call.is_sound(object, &old) {
        if let Some(claim) = claim {
            ownership::settle(call, object, claim);
        }
        return Some(change);
    }
    object::fields(object).remove(STATUS);
    if let Value::Object(old) = old {
        object::fields(object).extend(old);
    }
    None
}
