//! Which schemas do definitions have? Structural ones: what every field is, then what its values are.

use serde_json::json;

use crate::custom::{definition, faults_of, faults_of_schema};
use crate::ground::Ground;

/// A structural schema says what every field and every item is.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn a_schema_says_what_every_field_is() {
    let ground = Ground::new().await;
    let schema = json!({
        "type": "object", "properties": {
            "bare": {}, "list": { "type": "array" }, "items": { "type": "array", "items": {} },
        },
    });

    let faults = faults_of_schema(&ground, schema).await;

    assert_eq!(
        faults,
        [
            "FieldValueRequired .properties[bare].type: Required value: must not be empty for specified object fields",
            "FieldValueRequired .properties[items].items.type: Required value: must not be empty for specified array items",
            "FieldValueRequired .properties[list].items: Required value: must be specified",
        ]
    );
}

/// There are six types, and none of them is null.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn there_are_six_types() {
    let ground = Ground::new().await;

    let faults = faults_of_schema(&ground, json!({ "type": "null" })).await;

    let known = r#""array", "boolean", "integer", "number", "object", "string""#;
    assert_eq!(
        faults,
        [
            "FieldValueForbidden .type: Forbidden: type cannot be set to null, use nullable as an alternative".to_owned(),
            format!(r#"FieldValueNotSupported .type: Unsupported value: "null": supported values: {known}"#),
        ]
    );
}

/// A schema refers to no other, defines none, and asks for nothing that takes too long to check.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn some_keywords_are_forbidden() {
    let ground = Ground::new().await;
    let text = json!({ "type": "string" });
    let schema = json!({
        "type": "object", "properties": {
            "ref": { "type": "string", "$ref": "#/other" },
            "all": { "type": "array", "items": text, "uniqueItems": true },
            "both": {
                "type": "object", "properties": { "a": text }, "additionalProperties": text,
            },
        },
    });

    let faults = faults_of_schema(&ground, schema).await;

    assert_eq!(
        faults,
        [
            "FieldValueForbidden .properties[all].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            "FieldValueForbidden .properties[both].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
            "FieldValueForbidden .properties[ref].$ref: Forbidden: $ref is not supported",
        ]
    );
}

/// What `allOf` and its kin say is about values alone: not their types, defaults or descriptions.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn a_branch_says_no_type() {
    let ground = Ground::new().await;
    let schema = json!({
        "type": "string", "anyOf": [{ "type": "string" }, { "default": "a", "description": "b" }],
    });

    let faults = faults_of_schema(&ground, schema).await;

    assert_eq!(
        faults,
        [
            "FieldValueForbidden .anyOf[0].type: Forbidden: must be empty to be structural",
            "FieldValueForbidden .anyOf[1].default: Forbidden: must be undefined to be structural",
            "FieldValueForbidden .anyOf[1].description: Forbidden: must be empty to be structural",
        ]
    );
}

/// A pattern is an expression that Go understands.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn a_pattern_is_an_expression() {
    let ground = Ground::new().await;

    let faults = faults_of_schema(&ground, json!({ "type": "string", "pattern": "^(?!a)" })).await;

    let why = "must be a valid regular expression, but isn't: error parsing regexp: invalid or unsupported Perl syntax: `(?!`";
    assert_eq!(faults, [format!(r#"FieldValueInvalid .pattern: Invalid value: "^(?!a)": {why}"#)]);
}

/// Keys of a list tell its items apart, so they are required or have defaults.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>
#[tokio::test]
async fn the_keys_of_a_list_are_there() {
    let ground = Ground::new().await;
    let item = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let schema = json!({
        "type": "array", "items": item, "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name", "kind"],
    });

    let faults = faults_of_schema(&ground, schema).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid .x-kubernetes-list-map-keys: Invalid value: ["name","kind"]: entries must all be names of item properties"#,
            "FieldValueRequired .items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ]
    );
}

/// An object in a set is one value.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>
#[tokio::test]
async fn an_object_in_a_set_is_atomic() {
    let ground = Ground::new().await;
    let item = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let schema = json!({ "type": "array", "items": item, "x-kubernetes-list-type": "set" });

    let faults = faults_of_schema(&ground, schema).await;

    let why =
        "Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set";
    assert_eq!(faults, [format!("FieldValueInvalid .items.x-kubernetes-map-type: {why}")]);
}

/// An embedded object is an object, and its fields are described or kept.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#rawextension>
#[tokio::test]
async fn an_embedded_object_is_described_or_kept() {
    let ground = Ground::new().await;
    let schema = json!({ "type": "object", "x-kubernetes-embedded-resource": true });

    let faults = faults_of_schema(&ground, schema).await;

    let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
    assert_eq!(faults, [format!("FieldValueRequired .properties: Required value: {why}")]);
}

/// A default is what the schema asks for, and has no other fields.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting>
#[tokio::test]
async fn a_default_fits_its_schema() {
    let ground = Ground::new().await;
    let schema = json!({
        "type": "object", "properties": {
            "count": { "type": "integer", "minimum": 5, "default": 1 },
            "mode": { "type": "string", "enum": ["On"], "default": "Off" },
            "part": { "type": "object", "default": { "a": 1 }, "properties": {} },
            "text": { "type": "string", "default": 1 },
        },
    });

    let faults = faults_of_schema(&ground, schema).await;

    assert_eq!(
        faults,
        [
            "FieldValueInvalid .properties[count].default: Invalid value: 1:  in body should be greater than or equal to 5",
            r#"FieldValueInvalid .properties[part].default: Invalid value: {"a":1}: must not have unknown fields"#,
            r#"FieldValueNotSupported .properties[mode].default: Unsupported value: "Off": supported values: "On""#,
            r#"FieldValueTypeInvalid .properties[text].default: Invalid value: "integer":  in body must be of type string: "integer""#,
        ]
    );
}

/// What every object has may be described, but only its name may be restricted.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn metadata_are_restricted_by_name_alone() {
    let ground = Ground::new().await;
    let labels = json!({ "labels": { "type": "object" } });
    let schema = json!({
        "type": "object", "properties": { "metadata": { "type": "object", "properties": labels } },
    });

    let faults = faults_of(&ground, &definition(&ground, schema)).await;

    let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
    let path = "spec.validation.openAPIV3Schema.properties[metadata]";
    assert_eq!(faults, [format!("FieldValueForbidden {path}: Forbidden: {why}")]);
}
