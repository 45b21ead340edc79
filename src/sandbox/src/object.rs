//! Where things are in an object: its metadata, owners, finalizers.

use serde_json::{Map, Value, json};

/// The text at a JSON pointer, or nothing at all.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What is at a JSON pointer. The library's own makes a text of each part, for what may be escaped in it.
fn at<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.contains('~') {
        return object.pointer(pointer);
    }
    pointer.split('/').skip(1).try_fold(object, |inside, part| match inside {
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        other => get(other, part),
    })
}

pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    of_metadata(object, field).as_str().unwrap_or_default()
}

/// A field of the metadata; null where there is none.
pub(crate) fn of_metadata<'a>(object: &'a Value, field: &str) -> &'a Value {
    const NOTHING: &Value = &Value::Null;
    get(object, "metadata").and_then(|it| get(it, field)).unwrap_or(NOTHING)
}

/// What a map has under a key. Most are small, and most keys are of unlike lengths: comparing those first is
/// quicker than to search as in a large one.
fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    const SMALL: usize = 12;
    let map = value.as_object()?;
    if map.len() > SMALL {
        return map.get(key);
    }
    map.iter().find(|(it, _)| it.as_str() == key).map(|(_, value)| value)
}

pub(crate) fn name(object: &Value) -> &str {
    meta(object, "name")
}

pub(crate) fn uid(object: &Value) -> &str {
    meta(object, "uid")
}

/// The object's own map. Bodies are checked to be objects where they enter.
pub(crate) fn fields(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    object.as_object_mut().expect("made an object above")
}

/// The map under `key`, made when it is not there.
pub(crate) fn section<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    // It nearly always is: no name is made for it then.
    if get(object, key).is_none() {
        fields(object).insert(key.to_owned(), json!({}));
    }
    let map = fields(object);
    fields(map.get_mut(key).expect("put there above"))
}

pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    section(object, "metadata")
}

/// Sets a field of the metadata, or takes it away when there is nothing to say.
pub(crate) fn set_meta(object: &mut Value, field: &str, value: Option<Value>) {
    match value {
        Some(value) => put(metadata(object), field, value),
        None => drop(metadata(object).remove(field)),
    }
}

/// Sets a field. Mostly it is there: no name is made for it then.
pub(crate) fn put(fields: &mut Map<String, Value>, field: &str, value: Value) {
    match fields.get_mut(field) {
        Some(slot) => *slot = value,
        None => drop(fields.insert(field.to_owned(), value)),
    }
}

pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    strings(of_metadata(object, "finalizers"))
}

/// Whether deletion was asked for.
pub(crate) fn is_deleting(object: &Value) -> bool {
    of_metadata(object, "deletionTimestamp").is_string()
}

pub(crate) fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    at(object, pointer).and_then(Value::as_array).into_iter().flatten()
}

pub(crate) fn generation(object: &Value) -> i64 {
    of_metadata(object, "generation").as_i64().unwrap_or_default()
}

/// Fills a field that was left out, as defaulting does: a null counts as left out.
pub(crate) fn fill(object: &mut Value, field: &str, value: Value) {
    match fields(object).get_mut(field) {
        Some(slot) if slot.is_null() => *slot = value,
        Some(_) => {}
        None => drop(fields(object).insert(field.to_owned(), value)),
    }
}

/// The items of a list to change, if there is such a list.
pub(crate) fn items_mut<'a>(
    object: &'a mut Value,
    pointer: &str,
) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}
