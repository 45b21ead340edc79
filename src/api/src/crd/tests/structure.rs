//! Is each schema structural, bounded and explained?

use serde_json::Value;

use super::SCHEMAS;

/// What apiextensions/v1 forbids anywhere in a schema.
const FORBIDDEN: [&str; 8] = [
    "$ref",
    "$schema",
    "definitions",
    "dependencies",
    "deprecated",
    "id",
    "patternProperties",
    "uniqueItems",
];

/// What a schema under `oneOf` and its like may not say, since it must be said outside of it.
const STRUCTURE: [&str; 6] =
    ["type", "default", "description", "title", "nullable", "additionalProperties"];

#[test]
fn schemas_are_structural() {
    each(|path, schema| {
        let typed = schema.get("type").is_some();
        let exempt = schema.get("x-kubernetes-preserve-unknown-fields").is_some()
            || schema.get("x-kubernetes-int-or-string").is_some();
        assert!(typed || exempt, "{path} has no type");
        assert!(schema["type"] != "array" || schema["items"].is_object(), "{path} has no items");
        assert!(
            schema.get("properties").is_none() || schema.get("additionalProperties").is_none(),
            "{path} has both properties and additionalProperties"
        );
        for keyword in FORBIDDEN {
            assert!(schema.get(keyword).is_none(), "{path} has {keyword}");
        }
        for branch in ["oneOf", "anyOf", "allOf"].iter().filter_map(|it| schema[it].as_array()) {
            let misplaced = |it: &Value| STRUCTURE.iter().any(|word| it.get(word).is_some());
            assert!(!branch.iter().any(misplaced), "{path} has structure in a branch");
        }
        if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
            let required = schema["items"]["required"].as_array().unwrap();
            assert!(keys.iter().all(|it| required.contains(it)), "{path}: a key is not required");
        }
    });
}

#[test]
fn formats_are_those_that_the_api_server_knows() {
    each(|path, schema| {
        let Some(format) = schema["format"].as_str() else { return };

        assert!(["int32", "int64", "date-time"].contains(&format), "{path} has format {format}");
    });
}

#[test]
fn null_is_no_value_anywhere() {
    each(|path, schema| {
        assert!(schema.get("nullable").is_none(), "{path} is nullable");
        assert!(schema.get("default") != Some(&Value::Null), "{path} has the default null");
    });
}

#[test]
fn strings_lists_and_maps_have_limits() {
    each(|path, schema| {
        let bounded = match schema["type"].as_str() {
            Some("string") => ["maxLength", "enum", "format"].as_slice(),
            Some("array") => &["maxItems"],
            Some("object") if schema.get("additionalProperties").is_some() => &["maxProperties"],
            _ => return,
        };

        assert!(bounded.iter().any(|it| schema.get(it).is_some()), "{path} has no limit");
    });
}

#[test]
fn every_property_is_explained() {
    each(|path, schema| {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let text = property["description"].as_str().unwrap_or_default();
            assert!(!text.trim().is_empty(), "{path}.{name} has no description");
        }
    });
}

#[test]
fn defaults_are_valid_in_their_schema() {
    let mut seen = 0;
    each(|path, schema| {
        let Some(default) = schema.get("default") else { return };
        seen += 1;

        assert_eq!(problems(schema, default), Vec::<String>::new(), "{path}");
    });
    assert!(seen > 20, "only {seen} defaults");
}

#[test]
fn exactly_one_reference_and_exactly_one_schedule() {
    let trigger = &SCHEMAS["ScheduleTrigger"];
    let spec = &trigger["properties"]["spec"]["properties"];
    let reference = &spec["sources"]["properties"]["watchOn"]["properties"]["reference"];
    let json = |text| serde_json::from_str::<Value>(text).unwrap();

    for (node, one, two) in [
        (reference, r#"{"tag":"v1"}"#, r#"{"tag":"v1","branch":"main"}"#),
        (reference, r#"{"semver":">=1.2 <2"}"#, r#"{"tag":"v1","semver":"1.x"}"#),
        (&spec["schedule"], r#"{"cron":"@daily"}"#, r#"{"cron":"@daily","interval":"5m"}"#),
    ] {
        assert!(problems(node, &json(one)).is_empty());
        assert!(!problems(node, &json(two)).is_empty());
        assert!(!problems(node, &json("{}")).is_empty());
    }
}

/// What is wrong with a value, as far as our schemas can say.
pub(super) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = own_problems(schema, value);
    for (name, child) in value.as_object().into_iter().flatten() {
        let inner = &schema["properties"][name];
        let inner = if inner.is_null() { &schema["additionalProperties"] } else { inner };
        if inner.is_object() {
            found.extend(problems(inner, child).into_iter().map(|it| format!("{name}.{it}")));
        }
    }
    for child in value.as_array().into_iter().flatten() {
        found.extend(problems(&schema["items"], child).into_iter().map(|it| format!("[]{it}")));
    }
    found
}

fn own_problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if schema["type"].as_str().is_some_and(|it| it != kind) {
        found.push(format!("is {kind}"));
    }
    if schema["enum"].as_array().is_some_and(|it| !it.contains(value)) {
        found.push(format!("is {value}"));
    }
    let absent = |from: &Value| {
        let names = from["required"].as_array().cloned().unwrap_or_default();
        names.iter().any(|it| value.get(it.as_str().unwrap()).is_none())
    };
    if value.is_object() && absent(schema) {
        found.push("lacks what is required".to_owned());
    }
    if let Some(branches) = schema["oneOf"].as_array()
        && branches.iter().filter(|it| !absent(it)).count() != 1
    {
        found.push("is not exactly one".to_owned());
    }
    let size = value.as_str().map_or(0, |it| it.chars().count());
    if schema["maxLength"].as_u64().is_some_and(|it| size as u64 > it) {
        found.push("is too long".to_owned());
    }
    found
}

/// Visits every node of every schema.
fn each(mut visit: impl FnMut(&str, &Value)) {
    for (kind, schema) in SCHEMAS.iter() {
        walk(kind, schema, &mut visit);
    }
}

fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            walk(&format!("{path}.{keyword}"), &schema[keyword], visit);
        }
    }
}
