//! OpenAPI v2: the definitions of all kinds in one document, for clients that are content with no
//! newer one. It names no paths: who asks for those reads version 3.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use crate::{
    http::{
        discovery::MINOR,
        openapi::{self, REFERENCE},
    },
    registry::Resource,
};

/// The definitions of these kinds, and of all that they refer to.
pub(super) fn document(resources: &[Arc<Resource>]) -> Value {
    let mut schemas = BTreeMap::new();
    for resource in resources {
        for version in &resource.versions {
            openapi::add_schema(resource, version, &mut schemas);
        }
    }
    let definitions: Map<String, Value> =
        schemas.into_iter().map(|(name, it)| (name, swagger(&it))).collect();
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": format!("1.{MINOR}")},
        "paths": {}, "definitions": definitions,
    })
}

/// A schema with what version 2 has words for.
fn swagger(schema: &Value) -> Value {
    let mut out = Map::new();
    let referred = schema["$ref"].as_str().or_else(|| schema.pointer("/allOf/0/$ref")?.as_str());
    if let Some(name) = referred.and_then(|it| it.strip_prefix(REFERENCE)) {
        out.insert("$ref".to_owned(), format!("#/definitions/{name}").into());
    }
    for (key, value) in schema.as_object().into_iter().flatten() {
        let value = match key.as_str() {
            "description" | "format" | "required" => value.clone(),
            "type" => kind(value),
            "items" => swagger(value),
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                fields.map(|(name, it)| (name.clone(), swagger(it))).collect()
            }
            "additionalProperties" if value.is_object() => swagger(value),
            key if key.starts_with("x-kubernetes-") => value.clone(),
            _ => continue,
        };
        out.insert(key.clone(), value);
    }
    if out.get("type").is_some_and(|it| *it == "array") && !out.contains_key("items") {
        out.insert("items".to_owned(), json!({}));
    }
    // What may hold anything must not be held against the fields that are known.
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        out.retain(|key, _| !matches!(key.as_str(), "properties" | "type" | "required" | "items"));
    }
    Value::Object(out)
}

/// The one type of a value that may be null as well.
fn kind(kind: &Value) -> Value {
    match kind {
        Value::Array(all) => all.iter().find(|it| *it != "null").cloned().unwrap_or(Value::Null),
        one => one.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::swagger;

    #[test]
    fn a_schema_keeps_what_version_2_knows() {
        let schema = json!({
            "type": "object", "description": "One.", "nullable": true,
            "properties": {
                "a": {"allOf": [{"$ref": "#/components/schemas/A"}], "description": "Two."},
                "b": {"type": ["string", "null"], "pattern": "^x"},
                "c": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "d": {"type": "array"},
            },
        });

        let wanted = json!({
            "type": "object", "description": "One.",
            "properties": {
                "a": {"$ref": "#/definitions/A", "description": "Two."},
                "b": {"type": "string"},
                "c": {"x-kubernetes-preserve-unknown-fields": true},
                "d": {"type": "array", "items": {}},
            },
        });
        assert_eq!(swagger(&schema), wanted);
    }
}
