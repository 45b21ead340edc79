//! Limits and shapes that an attribute at a field cannot express.

use schemars::transform::transform_subschemas;
use schemars::{Schema, SchemaGenerator, json_schema};

/// The longest `message` that a condition may have; nothing in a core type that we embed is longer.
const CORE_TEXT: u64 = 32_768;

/// More terms, keys or values than that in one list of a Pod's scheduling rules are a mistake.
const CORE_ITEMS: u64 = 256;

/// Gives limits to the strings, lists and maps of a core type, which comes without.
pub(crate) fn fill(schema: &mut Schema) {
    transform_subschemas(&mut fill, schema);
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
