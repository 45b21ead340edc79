//! A custom kind in several versions, and one whose schema changes while its objects live.

use serde_json::{Value, json};

use crate::custom::{Kind, causes, definition};
use crate::ground::Ground;

/// A version with these properties of `spec`, served, not stored.
fn version(name: &str, properties: &Value) -> Value {
    let spec = json!({ "type": "object", "properties": properties });
    let schema = json!({ "type": "object", "properties": { "spec": spec } });
    json!({
        "name": name, "served": true, "storage": false, "schema": { "openAPIV3Schema": schema },
    })
}

/// `v1` with `a`, and `v2`, which is stored, with `a` and `b`.
async fn two_versions(ground: &Ground) -> Kind<'_> {
    let text = json!({ "type": "string" });
    let mut second =
        version("v2", &json!({ "a": text, "b": { "type": "string", "default": "B" } }));
    second["storage"] = json!(true);
    let mut definition = definition(ground, json!({}));
    definition["spec"]["versions"] = json!([version("v1", &json!({ "a": text })), second]);
    Kind::defined(ground, definition).await
}

/// An object is served in every version, under the name of that version, with what that version knows.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/>
#[tokio::test]
async fn an_object_is_served_in_every_version() {
    let ground = Ground::new().await;
    let kind = two_versions(&ground).await;
    let second = kind.objects.replace("/v1/", "/v2/");
    let mut body = kind.object("one", &json!({ "spec": { "a": "x", "b": "y" } }));
    body["apiVersion"] = json!(format!("{}/v2", kind.group));
    let made = ground.post(&second, &body).await;
    assert_eq!(made.code, 201, "{}", made.text);

    let first = kind.read("one").await;

    assert_eq!(first["apiVersion"], format!("{}/v1", kind.group));
    assert_eq!(first["spec"], json!({ "a": "x" }));
    assert_eq!(first["metadata"]["uid"], made.json()["metadata"]["uid"]);
    let kept = ground.get(&format!("{second}/one")).await.json();
    assert_eq!(kept["spec"], json!({ "a": "x", "b": "y" }));
}

/// What one version does not know is lost by a write through it, and has its default in the other.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion>
#[tokio::test]
async fn a_write_through_one_version_has_defaults_in_the_other() {
    let ground = Ground::new().await;
    let kind = two_versions(&ground).await;
    assert_eq!(kind.create("one", &json!({ "spec": { "a": "x" } })).await.code, 201);

    let second = kind.objects.replace("/v1/", "/v2/");
    let read = ground.get(&format!("{second}/one")).await.json();

    assert_eq!(read["spec"], json!({ "a": "x", "b": "B" }));
}

/// A body of one version is not taken at the path of another.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/>
#[tokio::test]
async fn a_body_is_of_the_version_of_its_path() {
    let ground = Ground::new().await;
    let kind = two_versions(&ground).await;
    let second = kind.objects.replace("/v1/", "/v2/");

    let refused = ground.post(&second, &kind.object("one", &json!({}))).await;

    assert_eq!(refused.code, 400, "{}", refused.text);
    let (group, why) = (&kind.group, "does not match the expected API version");
    let message = format!("the API version in the data ({group}/v1) {why} ({group}/v2)");
    assert_eq!(refused.json()["message"], message);
}

/// A version that is not served is not there.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/>
#[tokio::test]
async fn a_version_that_is_not_served_is_not_there() {
    let ground = Ground::new().await;
    let kind = two_versions(&ground).await;

    let patch = json!([{ "op": "replace", "path": "/spec/versions/0/served", "value": false }]);
    let is_gone = async || (ground.get(&kind.objects).await.code == 404).then_some(());
    kind.redefine(&patch, is_gone).await;

    let second = kind.objects.replace("/v1/", "/v2/");
    assert_eq!(ground.get(&second).await.code, 200);
}

/// A version that was ever stored is remembered, and stays until somebody says that nothing is left in it.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#upgrade-existing-objects-to-a-new-stored-version>
#[tokio::test]
async fn a_version_that_was_stored_is_remembered() {
    let ground = Ground::new().await;
    let kind = two_versions(&ground).await;

    let patch = json!([
        { "op": "replace", "path": "/spec/versions/0/storage", "value": true },
        { "op": "replace", "path": "/spec/versions/1/storage", "value": false },
    ]);
    let patched = ground.patch(&kind.definition, "json", &patch).await;
    let remove = json!([{ "op": "remove", "path": "/spec/versions/1" }]);
    let refused = ground.patch(&kind.definition, "json", &remove).await;

    assert_eq!(patched.json()["status"]["storedVersions"], json!(["v2", "v1"]));
    let faults = causes(&refused);
    let path = "FieldValueInvalid status.storedVersions[0]: Invalid value: \"v2\": ";
    let why = "missing from spec.versions; v2 was previously a storage version";
    assert!(faults[0].starts_with(&format!("{path}{why}")), "{faults:?}");
}

/// Objects that are there have the defaults of a schema that came after them.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting>
#[tokio::test]
async fn new_defaults_are_read_of_old_objects() {
    let ground = Ground::new().await;
    let kind = Kind::with(&ground, json!({ "a": { "type": "string" } })).await;
    assert_eq!(kind.create("one", &json!({ "spec": { "a": "x" } })).await.code, 201);

    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/b";
    let b = json!({ "type": "integer", "default": 7 });
    let patch = json!([{ "op": "add", "path": path, "value": b }]);
    let has_it = async || (kind.read("one").await["spec"]["b"] == 7).then_some(());
    kind.redefine(&patch, has_it).await;

    assert_eq!(kind.read("one").await["spec"], json!({ "a": "x", "b": 7 }));
}

/// A field that a schema lost is not read any more.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning>
#[tokio::test]
async fn a_field_that_a_schema_lost_is_not_read() {
    let ground = Ground::new().await;
    let text = json!({ "type": "string" });
    let kind = Kind::with(&ground, json!({ "a": text, "b": text })).await;
    assert_eq!(kind.create("one", &json!({ "spec": { "a": "x", "b": "y" } })).await.code, 201);

    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/b";
    let patch = json!([{ "op": "remove", "path": path }]);
    let lost_it = async || kind.read("one").await["spec"]["b"].is_null().then_some(());
    kind.redefine(&patch, lost_it).await;

    assert_eq!(kind.read("one").await["spec"], json!({ "a": "x" }));
}

/// What was taken before a schema became stricter may stay, as long as it is not changed.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-ratcheting>
#[tokio::test]
async fn what_was_taken_may_stay() {
    let ground = Ground::new().await;
    let text = json!({ "type": "string" });
    let kind = Kind::with(&ground, json!({ "a": text, "b": text })).await;
    assert_eq!(kind.create("one", &json!({ "spec": { "a": "long", "b": "y" } })).await.code, 201);

    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/a/maxLength";
    let patch = json!([{ "op": "add", "path": path, "value": 2 }]);
    let probe = kind.object("probe", &json!({ "spec": { "a": "long" } }));
    let is_strict = async || {
        let path = format!("{}?dryRun=All", kind.objects);
        (ground.post(&path, &probe).await.code == 422).then_some(())
    };
    kind.redefine(&patch, is_strict).await;

    let other = kind.merge("one", &json!({ "spec": { "b": "z" } })).await;
    assert_eq!(other.code, 200, "{}", other.text);
    let changed = kind.merge("one", &json!({ "spec": { "a": "longer" } })).await;
    let why = "Too long: may not be more than 2 bytes";
    assert_eq!(causes(&changed), [format!("FieldValueTooLong spec.a: {why}")]);
}

/// With a status of its own, neither path writes what is the other's, and the generation counts the spec.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#status-subresource>
#[tokio::test]
async fn spec_and_status_are_written_apart() {
    let ground = Ground::new().await;
    let part = |field: &str| json!({ "type": "object", "properties": { field: { "type": "integer", "minimum": 1 } } });
    let schema =
        json!({ "type": "object", "properties": { "spec": part("a"), "status": part("b") } });
    let mut definition = definition(&ground, schema);
    definition["spec"]["versions"][0]["subresources"] = json!({ "status": {} });
    let kind = Kind::defined(&ground, definition).await;

    let made =
        kind.create("one", &json!({ "spec": { "a": 1 }, "status": { "b": 1 } })).await.json();
    assert!(made["status"].is_null(), "{made}");
    let status = format!("{}/one/status", kind.objects);
    let patch = json!({ "spec": { "a": 2 }, "status": { "b": 2 } });
    let written = ground.patch(&status, "merge", &patch).await.json();
    let refused = ground.patch(&status, "merge", &json!({ "status": { "b": 0 } })).await;
    let spec = kind.merge("one", &json!({ "spec": { "a": 3 }, "status": { "b": 3 } })).await.json();

    assert_eq!((&written["spec"], &written["status"]), (&json!({ "a": 1 }), &json!({ "b": 2 })));
    assert_eq!(written["metadata"]["generation"], 1);
    let why = "Invalid value: 0: b in body should be greater than or equal to 1";
    assert_eq!(causes(&refused), [format!("FieldValueInvalid status.b: {why}")]);
    assert_eq!((&spec["spec"], &spec["status"]), (&json!({ "a": 3 }), &json!({ "b": 2 })));
    assert_eq!(spec["metadata"]["generation"], 2);
}

/// Without a status of its own there is no path for it, and its changes count.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#status-subresource>
#[tokio::test]
async fn without_a_path_of_its_own_a_status_counts() {
    let ground = Ground::new().await;
    let status = json!({ "type": "object", "properties": { "b": { "type": "integer" } } });
    let kind =
        Kind::of(&ground, json!({ "type": "object", "properties": { "status": status } })).await;
    let made = kind.create("one", &json!({ "status": { "b": 1 } })).await.json();

    let changed = kind.merge("one", &json!({ "status": { "b": 2 } })).await.json();
    let none = ground.get(&format!("{}/one/status", kind.objects)).await;

    assert_eq!(made["status"], json!({ "b": 1 }));
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_eq!(none.code, 404);
}

/// Lists are narrowed by fields that the definition names.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/#custom-resources-fields>
#[tokio::test]
async fn lists_are_narrowed_by_fields_of_the_kind() {
    let ground = Ground::new().await;
    let spec = json!({ "type": "object", "properties": { "size": { "type": "integer" } } });
    let mut definition =
        definition(&ground, json!({ "type": "object", "properties": { "spec": spec } }));
    definition["spec"]["versions"][0]["selectableFields"] = json!([{ "jsonPath": ".spec.size" }]);
    let kind = Kind::defined(&ground, definition).await;
    for (name, size) in [("small", 1), ("large", 9)] {
        assert_eq!(kind.create(name, &json!({ "spec": { "size": size } })).await.code, 201);
    }

    let found = ground.get(&format!("{}?fieldSelector=spec.size=9", kind.objects)).await.json();
    let refused = ground.get(&format!("{}?fieldSelector=spec.none=9", kind.objects)).await;

    let names: Vec<&Value> =
        found["items"].as_array().unwrap().iter().map(|it| &it["metadata"]["name"]).collect();
    assert_eq!(names, ["large"]);
    assert_eq!(refused.code, 400, "{}", refused.text);
}
