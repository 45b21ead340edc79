//! What is stored of an object: its fields that the schema knows, and its defaults.

use serde_json::json;

use crate::custom::Kind;
use crate::ground::Ground;

/// Fields that the schema does not know are dropped, but where it says that they are kept.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning>
#[tokio::test]
async fn unknown_fields_are_dropped_or_kept() {
    let ground = Ground::new().await;
    let known = json!({ "type": "object", "properties": { "x": { "type": "integer" } } });
    let open = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": { "known": known },
    });
    let kind =
        Kind::with(&ground, json!({ "list": { "type": "array", "items": known }, "open": open }))
            .await;

    let stored = kind
        .stored(json!({
            "list": [{ "x": 1, "y": 2 }], "none": 1,
            "open": { "any": { "thing": 1 }, "known": { "x": 1, "y": 2 } },
        }))
        .await;

    let open = json!({ "any": { "thing": 1 }, "known": { "x": 1 } });
    assert_eq!(stored, json!({ "list": [{ "x": 1 }], "open": open }));
}

/// With strict validation unknown fields are refused, with warnings they are dropped and told.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>
#[tokio::test]
async fn unknown_fields_are_refused_or_told() {
    let ground = Ground::new().await;
    let kind = Kind::with(&ground, json!({ "x": { "type": "integer" } })).await;
    let body = kind.object("one", &json!({ "spec": { "z": 1, "x": 1 }, "other": 1 }));

    let strict = ground.post(&format!("{}?fieldValidation=Strict", kind.objects), &body).await;
    let warned = ground.post(&format!("{}?fieldValidation=Warn", kind.objects), &body).await;

    assert_eq!(strict.code, 400, "{}", strict.text);
    let why = r#"strict decoding error: unknown field "other", unknown field "spec.z""#;
    let message = format!("Widget in version \"v1\" cannot be handled as a Widget: {why}");
    assert_eq!(strict.json()["message"], message);
    assert_eq!(warned.code, 201, "{}", warned.text);
    let told: Vec<&str> =
        warned.headers.get_all("warning").iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!(told, [r#"299 - "unknown field \"other\"""#, r#"299 - "unknown field \"spec.z\"""#]);
}

/// What is left out has its default, in objects that are there, also when they are defaults themselves.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting>
#[tokio::test]
async fn what_is_left_out_has_its_default() {
    let ground = Ground::new().await;
    let part =
        json!({ "type": "object", "properties": { "x": { "type": "integer", "default": 3 } } });
    let mut filled = part.clone();
    filled["default"] = json!({});
    let kind = Kind::with(
        &ground,
        json!({
            "part": part, "filled": filled, "list": { "type": "array", "items": part },
            "map": { "type": "object", "additionalProperties": part },
        }),
    )
    .await;

    let bare = kind.stored(json!({})).await;
    let some = kind.stored(json!({ "list": [{}], "map": { "a": {} }, "part": {} })).await;

    let three = json!({ "x": 3 });
    assert_eq!(bare, json!({ "filled": three }));
    let all = json!({ "filled": three, "list": [three], "map": { "a": three }, "part": three });
    assert_eq!(some, all);
}

/// A null is a default's place, or dropped, unless the field is nullable.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable>
#[tokio::test]
async fn a_null_is_replaced_dropped_or_kept() {
    let ground = Ground::new().await;
    let kind = Kind::with(
        &ground,
        json!({
            "replaced": { "type": "string", "default": "a" }, "dropped": { "type": "string" },
            "kept": { "type": "string", "nullable": true, "default": "a" },
        }),
    )
    .await;

    let stored = kind.stored(json!({ "replaced": null, "dropped": null, "kept": null })).await;

    assert_eq!(stored, json!({ "replaced": "a", "kept": null }));
}

/// An object in an object says what it is, and its metadata are those of objects.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#rawextension>
#[tokio::test]
async fn an_embedded_object_says_what_it_is() {
    let ground = Ground::new().await;
    let template = json!({
        "type": "object", "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true,
    });
    let kind = Kind::with(&ground, json!({ "template": template })).await;

    let faults = kind.faults(json!({ "template": { "kind": "" } })).await;
    let body = json!({
        "apiVersion": "v1", "kind": "Part", "metadata": { "name": "a", "none": 1 }, "data": 1,
    });
    let stored = kind.stored(json!({ "template": body })).await;

    assert_eq!(
        faults,
        [
            r#"FieldValueInvalid spec.template.kind: Invalid value: "": must not be empty"#,
            "FieldValueRequired spec.template.apiVersion: Required value",
        ]
    );
    assert_eq!(stored["template"]["metadata"], json!({ "name": "a" }));
    assert_eq!(stored["template"]["data"], 1);
}
