//! RFC 6902, as the API server reads it: a list of operations, all of which succeed or none does.

use serde_json::{Map, Value};

/// The server takes no more operations at once.
pub(crate) const LIMIT: usize = 10_000;

/// An operation that does not apply. Clients are told no more than that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inapplicable;

/// Applies operations in their order.
pub(crate) fn apply(object: &mut Value, operations: &[Value]) -> Result<(), Inapplicable> {
    operations.iter().try_for_each(|it| operate(object, it))
}

fn operate(object: &mut Value, operation: &Value) -> Result<(), Inapplicable> {
    let text = |field: &str| operation[field].as_str().ok_or(Inapplicable);
    let path = text("path")?;
    // A value that is not there is a null.
    let value = || operation["value"].clone();
    match text("op")? {
        "add" => add(object, path, value()),
        "remove" => take(object, path).map(drop),
        "replace" if path.is_empty() => {
            *object = value();
            (object.is_object() || object.is_array()).then_some(()).ok_or(Inapplicable)
        }
        "replace" => replace(object, path, value()),
        "move" => {
            let moved = take(object, text("from")?)?;
            add(object, path, moved)
        }
        "copy" => {
            let copied = look(object, text("from")?)?.cloned().unwrap_or_default();
            add(object, path, copied)
        }
        "test" => {
            let found = look(object, path)?.unwrap_or(&Value::Null);
            (*found == operation["value"]).then_some(()).ok_or(Inapplicable)
        }
        _ => Err(Inapplicable),
    }
}

/// What a path's last step is taken in, and the step.
enum Place<'a> {
    Map(&'a mut Map<String, Value>, String),
    List(&'a mut Vec<Value>, String),
}

fn place<'a>(object: &'a mut Value, path: &str) -> Result<Place<'a>, Inapplicable> {
    let (parent, last) = path.rsplit_once('/').ok_or(Inapplicable)?;
    let last = step(last);
    let mut here = object;
    for part in parent.split('/').skip(1) {
        let part = step(part);
        here = match here {
            Value::Object(map) => map.get_mut(&part).ok_or(Inapplicable)?,
            Value::Array(list) => {
                let index = index(&part, list.len())?;
                list.get_mut(index).ok_or(Inapplicable)?
            }
            _ => return Err(Inapplicable),
        };
    }
    match here {
        Value::Object(map) => Ok(Place::Map(map, last)),
        Value::Array(list) => Ok(Place::List(list, last)),
        _ => Err(Inapplicable),
    }
}

fn step(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// A place in a list. Negative ones count from its end.
fn index(step: &str, length: usize) -> Result<usize, Inapplicable> {
    let index: i64 = step.parse().map_err(|_| Inapplicable)?;
    let length = i64::try_from(length).map_err(|_| Inapplicable)?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).map_err(|_| Inapplicable)
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), Inapplicable> {
    match place(object, path)? {
        Place::Map(map, key) => {
            map.insert(key, value);
        }
        Place::List(list, step) if step == "-" => list.push(value),
        Place::List(list, step) => {
            let index = index(&step, list.len() + 1)?;
            if index > list.len() {
                return Err(Inapplicable);
            }
            list.insert(index, value);
        }
    }
    Ok(())
}

fn take(object: &mut Value, path: &str) -> Result<Value, Inapplicable> {
    match place(object, path)? {
        Place::Map(map, key) => map.remove(&key).ok_or(Inapplicable),
        Place::List(list, step) => {
            let index = index(&step, list.len())?;
            if index < list.len() { Ok(list.remove(index)) } else { Err(Inapplicable) }
        }
    }
}

/// A field that is not there is made, although the RFC would have it refused.
fn replace(object: &mut Value, path: &str, value: Value) -> Result<(), Inapplicable> {
    match place(object, path)? {
        Place::Map(map, key) => {
            map.insert(key, value);
        }
        Place::List(list, step) => {
            let index = index(&step, list.len())?;
            *list.get_mut(index).ok_or(Inapplicable)? = value;
        }
    }
    Ok(())
}

/// What is at a path. A field that is not there is none; a place in a list must be.
fn look<'a>(object: &'a mut Value, path: &str) -> Result<Option<&'a Value>, Inapplicable> {
    if path.is_empty() {
        return Ok(Some(object));
    }
    match place(object, path)? {
        Place::Map(map, key) => Ok(map.get(&key)),
        Place::List(list, step) => {
            let index = index(&step, list.len())?;
            list.get(index).map(Some).ok_or(Inapplicable)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(mut object: Value, operations: &Value) -> Result<Value, Inapplicable> {
        apply(&mut object, operations.as_array().unwrap())?;
        Ok(object)
    }

    #[test]
    fn lists_take_indices_from_both_ends() {
        let operations = json!([
            {"op": "add", "path": "/l/-", "value": 3},
            {"op": "add", "path": "/l/0", "value": 0},
            {"op": "remove", "path": "/l/-2"},
        ]);

        let after = patched(json!({"l": [1, 2]}), &operations);

        assert_eq!(after, Ok(json!({"l": [0, 1, 3]})));
    }

    #[test]
    fn a_replaced_field_need_not_be_there_but_a_removed_one_must() {
        let replaced = json!([{"op": "replace", "path": "/a~1b", "value": 1}]);
        let removed = json!([{"op": "remove", "path": "/a~1b"}]);

        assert_eq!(patched(json!({}), &replaced), Ok(json!({"a/b": 1})));
        assert_eq!(patched(json!({}), &removed), Err(Inapplicable));
    }

    #[test]
    fn what_is_not_there_tests_as_null() {
        let tested = |value: Value| json!([{"op": "test", "path": "/a", "value": value}]);

        assert_eq!(patched(json!({}), &tested(json!(null))), Ok(json!({})));
        assert_eq!(patched(json!({}), &tested(json!(1))), Err(Inapplicable));
    }
}
