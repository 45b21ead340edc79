//! What the schema of a custom kind takes and refuses, and in which words.

use serde_json::json;

use crate::custom::Kind;
use crate::ground::Ground;

/// A value of another type is refused, each at its field.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn a_value_has_the_type_that_its_schema_says() {
    let ground = Ground::new().await;
    let kind = Kind::with(
        &ground,
        json!({
            "text": { "type": "string" }, "count": { "type": "integer" },
            "share": { "type": "number" }, "list": { "type": "array", "items": { "type": "string" } },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "text": 1, "count": "a", "share": true, "list": {} })).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueTypeInvalid spec.count: Invalid value: "string": spec.count in body must be of type integer: "string""#,
            r#"FieldValueTypeInvalid spec.list: Invalid value: "object": spec.list in body must be of type array: "object""#,
            r#"FieldValueTypeInvalid spec.share: Invalid value: "boolean": spec.share in body must be of type number: "boolean""#,
            r#"FieldValueTypeInvalid spec.text: Invalid value: "integer": spec.text in body must be of type string: "integer""#,
        ]
    );
}

/// The message of the refusal names the kind, the object, and all causes.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn a_refusal_names_the_object_and_all_causes() {
    let ground = Ground::new().await;
    let kind = Kind::with(&ground, json!({ "count": { "type": "integer", "minimum": 1 } })).await;

    let refused = kind.create("one", &json!({ "spec": { "count": 0 } })).await;

    let status = refused.json();
    let cause =
        "spec.count: Invalid value: 0: spec.count in body should be greater than or equal to 1";
    let message = format!("Widget.{} \"one\" is invalid: {cause}", kind.group);
    assert_eq!(status["message"], message);
    assert_eq!(status["details"]["name"], "one");
    assert_eq!(status["details"]["kind"], "Widget");
    assert_eq!(status["details"]["group"], kind.group);
}

/// A number without a fraction is an integer, and one with a fraction is not.
/// <https://kubernetes.io/docs/reference/using-api/cel/#type-mapping>
#[tokio::test]
async fn a_number_without_a_fraction_is_an_integer() {
    let ground = Ground::new().await;
    let kind = Kind::with(&ground, json!({ "count": { "type": "integer" } })).await;

    assert_eq!(kind.stored(json!({ "count": 2 })).await["count"].as_f64(), Some(2.0));
    let faults = kind.faults(json!({ "count": 1.5 })).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid <nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.count"#,
            r#"FieldValueTypeInvalid spec.count: Invalid value: "number": spec.count in body must be of type integer: "number""#,
        ]
    );
}

/// A field that is required must be there, in the objects of lists and maps too; an empty value is one.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn a_required_field_must_be_there() {
    let ground = Ground::new().await;
    let part = json!({
        "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } },
    });
    let kind = Kind::with(
        &ground,
        json!({
            "list": { "type": "array", "items": part },
            "map": { "type": "object", "additionalProperties": part },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "list": [{ "name": "" }, {}], "map": { "a": {} } })).await;

    assert_eq!(
        faults,
        [
            "FieldValueRequired spec.list[1].name: Required value",
            "FieldValueRequired spec.map.a.name: Required value",
        ]
    );
}

/// A value that is not one of those that an enum lists is refused with the list.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn an_enum_lists_its_values() {
    let ground = Ground::new().await;
    let kind = Kind::with(
        &ground,
        json!({
            "mode": { "type": "string", "enum": ["On", "Off"] },
            "level": { "type": "integer", "enum": [1, 2] },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "mode": "on", "level": 3 })).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueNotSupported spec.level: Unsupported value: 3: supported values: "1", "2""#,
            r#"FieldValueNotSupported spec.mode: Unsupported value: "on": supported values: "On", "Off""#,
        ]
    );
}

/// A null is not one of the values of an enum, even where the field is nullable.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable>
#[tokio::test]
async fn a_null_is_no_value_of_an_enum() {
    let ground = Ground::new().await;
    let mode = json!({ "type": "string", "nullable": true, "enum": ["On", "Off"] });
    let kind = Kind::with(&ground, json!({ "mode": mode })).await;

    let faults = kind.faults(json!({ "mode": null })).await;

    let fault = r#"Unsupported value: null: supported values: "On", "Off""#;
    assert_eq!(faults, [format!("FieldValueNotSupported spec.mode: {fault}")]);
}

/// A text is held against its lengths, counted in characters, and against its pattern.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn a_text_has_a_length_and_a_pattern() {
    let ground = Ground::new().await;
    let kind = Kind::with(
        &ground,
        json!({
            "short": { "type": "string", "maxLength": 3 }, "long": { "type": "string", "minLength": 2 },
            "lower": { "type": "string", "pattern": "^[a-z]+$" },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "short": "äöüß", "long": "ß", "lower": "A" })).await;
    let none = kind.faults(json!({ "short": "äöü", "long": "ßß", "lower": "a" })).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid spec.long: Invalid value: "ß": spec.long in body should be at least 2 chars long"#,
            r#"FieldValueInvalid spec.lower: Invalid value: "A": spec.lower in body should match '^[a-z]+$'"#,
            "FieldValueTooLong spec.short: Too long: may not be more than 3 bytes",
        ]
    );
    assert!(none.is_empty(), "{none:?}");
}

/// A text that is too long is not held against its pattern as well.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn a_text_that_is_too_long_is_told_once() {
    let ground = Ground::new().await;
    let name = json!({ "type": "string", "maxLength": 1, "pattern": "^[a-z]+$" });
    let kind = Kind::with(&ground, json!({ "name": name })).await;

    let faults = kind.faults(json!({ "name": "AB" })).await;

    assert_eq!(faults, ["FieldValueTooLong spec.name: Too long: may not be more than 1 byte"]);
}

/// A number is held against its bounds, which may be part of what is allowed or not.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn a_number_has_bounds() {
    let ground = Ground::new().await;
    let kind = Kind::with(
        &ground,
        json!({
            "low": { "type": "integer", "minimum": 1 },
            "high": { "type": "integer", "maximum": 9, "exclusiveMaximum": true },
            "share": { "type": "number", "minimum": 0, "exclusiveMinimum": true },
            "step": { "type": "integer", "multipleOf": 5 },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "low": 0, "high": 9, "share": 0, "step": 7 })).await;
    let none = kind.faults(json!({ "low": 1, "high": 8, "share": 0.1, "step": 10 })).await;

    assert_eq!(
        faults,
        [
            "FieldValueInvalid spec.high: Invalid value: 9: spec.high in body should be less than 9",
            "FieldValueInvalid spec.low: Invalid value: 0: spec.low in body should be greater than or equal to 1",
            "FieldValueInvalid spec.share: Invalid value: 0: spec.share in body should be greater than 0",
            "FieldValueInvalid spec.step: Invalid value: 7: spec.step in body should be a multiple of 5",
        ]
    );
    assert!(none.is_empty(), "{none:?}");
}

/// `int32` and `float` say how much a number may be.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn a_format_bounds_a_number() {
    let ground = Ground::new().await;
    let kind = Kind::with(
        &ground,
        json!({
            "small": { "type": "integer", "format": "int32" },
            "share": { "type": "number", "format": "float" },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "small": 2_147_483_648_u32, "share": 1e39 })).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid <nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.small"#,
            r#"FieldValueInvalid <nil>: Invalid value: "": Checked value must be of type number with format float in spec.share"#,
        ]
    );
}

/// Lists and maps are held against how many items and keys they may have.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn lists_and_maps_have_bounds() {
    let ground = Ground::new().await;
    let text = json!({ "type": "string" });
    let kind = Kind::with(
        &ground,
        json!({
            "few": { "type": "array", "maxItems": 1, "items": text },
            "some": { "type": "array", "minItems": 1, "items": text },
            "small": { "type": "object", "maxProperties": 1, "additionalProperties": text },
            "full": { "type": "object", "minProperties": 1, "additionalProperties": text },
        }),
    )
    .await;

    let spec = json!({ "few": ["a", "b"], "some": [], "small": { "a": "", "b": "" }, "full": {} });
    let faults = kind.faults(spec).await;

    assert_eq!(
        faults,
        [
            "FieldValueInvalid spec.full: Invalid value: 0: spec.full in body should have at least 1 properties",
            "FieldValueInvalid spec.some: Invalid value: 0: spec.some in body should have at least 1 items",
            "FieldValueTooMany spec.few: Too many: 2: must have at most 1 item",
            "FieldValueTooMany spec.small: Too many: 2: must have at most 1 item",
        ]
    );
}

/// An item of a set that is there again is a duplicate, which is told once.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>
#[tokio::test]
async fn a_set_holds_an_item_once() {
    let ground = Ground::new().await;
    let tags = json!({
        "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set",
    });
    let kind = Kind::with(&ground, json!({ "tags": tags })).await;

    let faults = kind.faults(json!({ "tags": ["a", "b", "a", "a"] })).await;

    assert_eq!(faults, [r#"FieldValueDuplicate spec.tags[2]: Duplicate value: "a""#]);
}

/// Two items of a keyed list with the same keys are duplicates; a key that is left out has its default.
/// <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>
#[tokio::test]
async fn a_keyed_list_holds_a_key_once() {
    let ground = Ground::new().await;
    let port = json!({
        "type": "object", "required": ["port"], "properties": {
            "port": { "type": "integer" }, "protocol": { "type": "string", "default": "TCP" },
        },
    });
    let ports = json!({
        "type": "array", "items": port, "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
    });
    let kind = Kind::with(&ground, json!({ "ports": ports })).await;

    let differ = json!([{ "port": 1 }, { "port": 1, "protocol": "UDP" }]);
    let none = kind.faults(json!({ "ports": differ })).await;
    let faults =
        kind.faults(json!({ "ports": [{ "port": 1 }, { "port": 1, "protocol": "TCP" }] })).await;

    assert!(none.is_empty(), "{none:?}");
    let fault = r#"Duplicate value: {"port":1,"protocol":"TCP"}"#;
    assert_eq!(faults, [format!("FieldValueDuplicate spec.ports[1]: {fault}")]);
}

/// Formats of texts are held against them; one that is not known means nothing.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[tokio::test]
async fn a_text_has_a_format() {
    let ground = Ground::new().await;
    let text = |format: &str| json!({ "type": "string", "format": format });
    let kind = Kind::with(
        &ground,
        json!({
            "at": text("date-time"), "bytes": text("byte"), "after": text("duration"),
            "from": text("cidr"), "any": text("mood"),
        }),
    )
    .await;

    let good = json!({
        "at": "2024-01-01T00:00:00Z", "bytes": "aGk=", "after": "1h30m", "from": "10.0.0.0/8",
        "any": "good",
    });
    let none = kind.faults(good).await;
    let bad = json!({ "at": "2024-01-01", "bytes": "aGk", "after": "soon", "from": "10.0.0.0" });
    let faults = kind.faults(bad).await;

    assert!(none.is_empty(), "{none:?}");
    assert_eq!(
        faults,
        [
            r#"FieldValueTypeInvalid spec.after: Invalid value: "soon": spec.after in body must be of type duration: "soon""#,
            r#"FieldValueTypeInvalid spec.at: Invalid value: "2024-01-01": spec.at in body must be of type date-time: "2024-01-01""#,
            r#"FieldValueTypeInvalid spec.bytes: Invalid value: "aGk": spec.bytes in body must be of type byte: "aGk""#,
            r#"FieldValueTypeInvalid spec.from: Invalid value: "10.0.0.0": spec.from in body must be of type cidr: "10.0.0.0""#,
        ]
    );
}

/// Of several ways to be right one must hold, with `oneOf` no more than one.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn one_of_several_ways_must_hold() {
    let ground = Ground::new().await;
    let number = json!({ "type": "integer" });
    let either = json!({
        "type": "object", "properties": { "x": number, "y": number },
        "oneOf": [{ "required": ["x"] }, { "required": ["y"] }],
    });
    let kind = Kind::with(&ground, json!({ "either": either })).await;

    let neither = kind.faults(json!({ "either": {} })).await;
    let both = kind.faults(json!({ "either": { "x": 1, "y": 1 } })).await;
    let one = kind.faults(json!({ "either": { "y": 1 } })).await;

    let must = r#"Invalid value: "": "spec.either" must validate one and only one schema (oneOf)."#;
    assert_eq!(
        neither,
        [
            format!("FieldValueInvalid <nil>: {must} Found none valid"),
            "FieldValueRequired spec.either.x: Required value".to_owned(),
        ]
    );
    assert_eq!(both, [format!("FieldValueInvalid <nil>: {must} Found 2 valid alternatives")]);
    assert!(one.is_empty(), "{one:?}");
}

/// All of `allOf` hold, one of `anyOf` does, and what `not` says does not.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation>
#[tokio::test]
async fn all_any_and_not_are_held_against() {
    let ground = Ground::new().await;
    let kind = Kind::with(
        &ground,
        json!({
            "all": { "type": "integer", "allOf": [{ "minimum": 1 }, { "maximum": 5 }] },
            "any": { "type": "integer", "anyOf": [{ "minimum": 9 }, { "maximum": 5 }] },
            "not": { "type": "string", "not": { "enum": ["bad"] } },
        }),
    )
    .await;

    let faults = kind.faults(json!({ "all": 6, "any": 7, "not": "bad" })).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid <nil>: Invalid value: "": "spec.all" must validate all the schemas (allOf)"#,
            r#"FieldValueInvalid <nil>: Invalid value: "": "spec.any" must validate at least one schema (anyOf)"#,
            r#"FieldValueInvalid <nil>: Invalid value: "": "spec.not" must not validate the schema (not)"#,
            "FieldValueInvalid spec.all: Invalid value: 6: spec.all in body should be less than or equal to 5",
            "FieldValueInvalid spec.any: Invalid value: 7: spec.any in body should be greater than or equal to 9",
        ]
    );
}

/// An integer or a string is either, and nothing else.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#intorstring>
#[tokio::test]
async fn an_int_or_string_is_either() {
    let ground = Ground::new().await;
    let kind = Kind::with(&ground, json!({ "port": { "x-kubernetes-int-or-string": true } })).await;

    assert_eq!(kind.stored(json!({ "port": 80 })).await["port"], 80);
    assert_eq!(kind.stored(json!({ "port": "http" })).await["port"], "http");
    let faults = kind.faults(json!({ "port": true })).await;

    let why =
        r#"Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean""#;
    assert_eq!(faults, [format!("FieldValueTypeInvalid spec.port: {why}")]);
}
