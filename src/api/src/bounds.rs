//! Limits and shapes that an attribute at a field cannot express.

use schemars::transform::transform_subschemas;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The longest `message` that a condition may have; nothing in a core type that we embed is longer.
const CORE_TEXT: u64 = 32_768;

/// More terms, keys or values than that in one list of a Pod's scheduling rules are a mistake.
const CORE_ITEMS: u64 = 256;

/// What a thing of a core type is called: short enough for a rule to compare many.
const CORE_NAME: u64 = 253;
/// A place in a container.
const CORE_PATH: u64 = 1024;

/// Gives limits to the strings, lists and maps of a core type, which comes without, and leaves of its
/// descriptions what fits on a line: a definition with all of them is too large for `kubectl apply`.
pub(crate) fn fill(schema: &mut Schema) {
    transform_subschemas(&mut fill, schema);
    for (name, longest) in [("name", CORE_NAME), ("mountPath", CORE_PATH)] {
        let named = schema.get_mut("properties").and_then(|it| it.get_mut(name)?.as_object_mut());
        if let Some(named) = named.filter(|it| it.get("type").is_some_and(is_text)) {
            named.insert("maxLength".to_owned(), longest.into());
        }
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = first_sentence(text).to_owned();
    }
    let Some(kind) = schema.get("type") else { return };
    // An optional field has a list of types here, of which one is null.
    let is =
        |name: &str| kind == name || kind.as_array().is_some_and(|it| it.contains(&name.into()));
    let has = |keyword: &str| schema.get(keyword).is_some();
    let (keyword, value) = if is("string") && !has("format") && !has("enum") {
        ("maxLength", CORE_TEXT)
    } else if is("array") {
        ("maxItems", CORE_ITEMS)
    } else if is("object") && has("additionalProperties") {
        ("maxProperties", CORE_ITEMS)
    } else {
        return;
    };
    if !has(keyword) {
        schema.insert(keyword.to_owned(), value.into());
    }
}

fn is_text(kind: &Value) -> bool {
    kind == "string" || kind.as_array().is_some_and(|it| it.contains(&"string".into()))
}

fn first_sentence(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.find(". ").map_or(line, |end| &line[..=end])
}

/// Limits the length of a map's values.
pub(crate) fn map_values<const MAX: u64>(schema: &mut Schema) {
    if let Some(values) = schema.get_mut("additionalProperties").and_then(|it| it.as_object_mut()) {
        values.insert("maxLength".to_owned(), MAX.into());
    }
}

/// A list of strings, or a string alone.
///
/// A structural schema cannot say "one of two types", so the field has none: the API server then
/// accepts any value, checks strings and lists against the limits, and leaves the rest to us.
pub(crate) fn string_or_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-preserve-unknown-fields": true,
        "maxLength": 131_072,
        "maxItems": 1024,
        "items": {"type": "string", "maxLength": 131_072},
    })
}
