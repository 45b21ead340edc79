//! What definitions are taken, and what their schemas make of nulls, statuses, old faults and
//! changes.

use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::{Value, json};

use crate::support::{cluster, definitions, dynamic, from, refusal};

/// A definition of gadgets whose schema has these properties.
fn gadgets(properties: &Value) -> Value {
    let schema = json!({"type": "object", "properties": properties});
    let version = json!({
        "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "versions": [version],
            "names": {"plural": "gadgets", "kind": "Gadget"},
        },
    })
}

async fn with_gadgets(properties: &Value) -> (Client, Api<DynamicObject>) {
    let (_sandbox, client) = cluster();
    definitions(&client).create(&PostParams::default(), &from(gadgets(properties))).await.unwrap();
    let api = dynamic(&client, "example.com/v1", "Gadget");
    (client, api)
}

/// Makes the schema of gadgets another one.
async fn change_schema(client: &Client, properties: &Value) {
    let patch = json!([{
        "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties",
        "value": properties,
    }]);
    let patch: Patch<()> = Patch::Json(from(patch));
    let params = PatchParams::default();
    definitions(client).patch("gadgets.example.com", &params, &patch).await.unwrap();
}

fn gadget(content: &Value) -> DynamicObject {
    let mut object = json!({
        "apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "a"},
    });
    for (key, value) in content.as_object().unwrap() {
        object[key] = value.clone();
    }
    from(object)
}

async fn create(api: &Api<DynamicObject>, content: &Value) -> kube::Result<DynamicObject> {
    api.create(&PostParams::default(), &gadget(content)).await
}

async fn merge(api: &Api<DynamicObject>, patch: &Value) -> kube::Result<DynamicObject> {
    api.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await
}

async fn merge_status(api: &Api<DynamicObject>, patch: &Value) -> kube::Result<DynamicObject> {
    api.patch_status("a", &PatchParams::default(), &Patch::Merge(patch)).await
}

fn with_nulls() -> Value {
    json!({"spec": {"type": "object", "required": ["must"], "properties": {
        "must": {"type": "string"},
        "plain": {"type": "object", "properties": {"inner": {"type": "string"}}},
        "known": {"type": "string", "nullable": true},
        "filled": {"type": "object", "default": {"on": true}, "properties": {
            "on": {"type": "boolean", "default": true}, "off": {"type": "boolean"},
        }},
        "kept": {"type": "string", "nullable": true, "default": "x"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "any": {"type": "object", "additionalProperties": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "list": {"type": "array", "items": {"type": "object", "properties": {
            "n": {"type": "integer"},
        }}},
    }}})
}

#[tokio::test]
async fn a_null_is_a_field_left_out_unless_the_schema_knows_it() {
    let (_client, api) = with_gadgets(&with_nulls()).await;
    let spec = json!({
        "must": "x", "plain": null, "known": null, "filled": null, "kept": null,
        "map": {"a": null, "b": "c"}, "any": {"a": null}, "free": {"a": null},
        "list": [{"n": null}],
    });

    let created = create(&api, &json!({"spec": spec})).await.unwrap();

    let wanted = json!({
        "must": "x", "known": null, "filled": {"on": true}, "kept": null,
        "map": {"b": "c"}, "any": {"a": null}, "free": {"a": null}, "list": [{}],
    });
    assert_eq!(created.data["spec"], wanted);
}

#[tokio::test]
async fn an_apply_refuses_a_null_unless_there_is_a_default() {
    let (_client, api) = with_gadgets(&with_nulls()).await;
    let params = PatchParams::apply("me");
    let apply = async |spec: Value| {
        api.patch("a", &params, &Patch::Apply(gadget(&json!({"spec": spec})))).await
    };

    let (code, _, message) = refusal(apply(json!({"must": "x", "plain": null})).await);
    let filled = apply(json!({"must": "x", "filled": {"on": null}})).await.unwrap();

    assert_eq!(code, 422);
    let wanted = "spec.plain: Invalid value: \"null\": spec.plain in body must be of type object";
    assert!(message.contains(wanted), "{message}");
    assert_eq!(filled.data["spec"]["filled"], json!({"on": true}));
}

/// Whatever the client thinks of unknown fields.
#[tokio::test(start_paused = true)]
async fn an_apply_refuses_what_the_schema_does_not_know() {
    let (_client, api) = with_gadgets(&with_nulls()).await;
    let wanted = gadget(&json!({"spec": {"must": "x", "nope": 1}}));

    let (code, _, message) =
        refusal(api.patch("a", &PatchParams::apply("me"), &Patch::Apply(wanted)).await);

    assert_eq!(code, 500);
    assert!(message.ends_with(".spec.nope: field not declared in schema"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_null_is_left_out_of_updates_too() {
    let (_client, api) = with_gadgets(&with_nulls()).await;
    create(&api, &json!({"spec": {"must": "x", "filled": {}}})).await.unwrap();

    let add = json!([{"op": "add", "path": "/spec/plain", "value": {"inner": null}}]);
    let add: Patch<()> = Patch::Json(from(add));
    let updated = api.patch("a", &PatchParams::default(), &add).await.unwrap();

    let spec = json!({"must": "x", "plain": {}, "filled": {"on": true}, "kept": "x"});
    assert_eq!(updated.data["spec"], spec);
}

#[tokio::test]
async fn a_null_is_no_way_around_a_required_field() {
    let (_client, api) = with_gadgets(&with_nulls()).await;

    let (code, _, message) = refusal(create(&api, &json!({"spec": {"must": null}})).await);

    assert_eq!(code, 422);
    assert!(message.contains("spec.must: Required value"), "{message}");
}

/// A status that a schema and two rules have something to say about.
fn with_status() -> Value {
    json!({
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
        "status": {
            "type": "object", "default": {"phase": "New"}, "required": ["phase"],
            "properties": {"phase": {"type": "string"}, "count": {"type": "integer"}},
            "x-kubernetes-validations": [
                {"rule": "self.phase != 'Broken'", "message": "never broken"},
                {"rule": "self.phase == oldSelf.phase || oldSelf.phase != 'Done'",
                 "message": "done is done"},
            ],
        },
    })
}

#[tokio::test]
async fn a_status_is_dropped_before_anything_judges_it() {
    let (_client, api) = with_gadgets(&with_status()).await;

    for status in [json!({"phase": "Broken"}), json!({"phase": 1}), json!({"count": "x"})] {
        let content = json!({"spec": {"size": 1}, "status": status});
        let created = create(&api, &content).await.unwrap();
        assert_eq!(created.data["status"], json!({"phase": "New"}), "{status}");
        api.delete("a", &kube::api::DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn an_update_of_the_object_is_judged_with_the_old_status() {
    let (_client, api) = with_gadgets(&with_status()).await;
    create(&api, &json!({"spec": {"size": 1}})).await.unwrap();
    merge_status(&api, &json!({"status": {"phase": "Done"}})).await.unwrap();

    let content = json!({"spec": {"size": 2}, "status": {"phase": "Broken"}});
    let updated = merge(&api, &content).await.unwrap();
    let (code, _, message) =
        refusal(merge_status(&api, &json!({"status": {"phase": "Open"}})).await);

    assert_eq!(updated.data["spec"], json!({"size": 2}));
    assert_eq!(updated.data["status"], json!({"phase": "Done"}));
    assert_eq!(code, 422);
    assert!(message.contains("status: Invalid value: done is done"), "{message}");
}

/// Names may be anything at first, then at most three letters and never `bad`.
fn loose() -> Value {
    json!({"spec": {"type": "object", "properties": {
        "name": {"type": "string"},
        "other": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "parts": parts(&json!({"type": "string"})),
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
    }}, "status": {"type": "object", "properties": {"phase": {"type": "string"}}}})
}

fn strict() -> Value {
    let name = json!({
        "type": "string", "maxLength": 3,
        "x-kubernetes-validations": [{"rule": "self != 'bad'", "message": "not a good name"}],
    });
    json!({"spec": {"type": "object", "required": ["later"], "properties": {
        "name": name,
        "other": {"type": "string"},
        "later": {"type": "string", "default": "today"},
        "tags": {"type": "array", "items": name},
        "parts": parts(&name),
        "map": {"type": "object", "additionalProperties": name},
    }}, "status": {"type": "object", "properties": {"phase": {"type": "string"}}}})
}

fn parts(name: &Value) -> Value {
    json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
        "items": {"type": "object", "required": ["id"], "properties": {
            "id": {"type": "string"}, "name": name, "count": {"type": "integer"},
        }},
    })
}

/// An object full of faults that came into being when nobody minded.
async fn with_old_faults() -> Api<DynamicObject> {
    let (client, api) = with_gadgets(&loose()).await;
    let spec = json!({
        "name": "far too long", "tags": ["bad", "far too long"], "map": {"a": "bad", "b": "b"},
        "parts": [{"id": "1", "name": "bad"}, {"id": "2", "name": "far too long"}],
    });
    create(&api, &json!({"spec": spec})).await.unwrap();
    change_schema(&client, &strict()).await;
    api
}

#[tokio::test]
async fn what_an_update_leaves_alone_may_stay_invalid() {
    let api = with_old_faults().await;

    let updated = merge(&api, &json!({"spec": {"other": "x", "map": {"b": "c"}}})).await.unwrap();
    let moved = json!({"spec": {"parts": [
        {"id": "2", "name": "far too long", "count": 1}, {"id": "3"}, {"id": "1", "name": "bad"},
    ]}});
    merge(&api, &moved).await.unwrap();
    let touched = merge_status(&api, &json!({"status": {"phase": "x"}})).await.unwrap();

    assert_eq!(updated.data["spec"]["later"], "today");
    assert_eq!(touched.data["spec"]["name"], "far too long");
    assert_eq!(touched.data["spec"]["parts"][0]["count"], 1);
}

#[tokio::test]
async fn what_an_update_changes_must_be_valid() {
    let api = with_old_faults().await;
    let cases = [
        (json!({"name": "also too long"}), "spec.name: Too long"),
        (json!({"name": "bad"}), "spec.name: Invalid value: \"bad\": not a good name"),
        // Nobody can tell which item of such a list is new.
        (json!({"tags": ["bad", "far too long", "x"]}), "spec.tags[1]: Too long"),
        (json!({"parts": [{"id": "1", "name": "longer"}]}), "spec.parts[0].name: Too long"),
        (json!({"parts": [{"id": "9", "name": "bad"}]}), "spec.parts[0].name: Invalid value"),
        (json!({"map": {"new": "bad"}}), "spec.map[new]: Invalid value: \"bad\""),
    ];

    for (spec, wanted) in cases {
        let (code, _, message) = refusal(merge(&api, &json!({"spec": spec})).await);
        assert_eq!(code, 422, "{spec}: {message}");
        assert!(message.contains(wanted), "{spec}: {message}");
    }
}

#[tokio::test]
async fn a_rule_about_a_change_judges_every_update_and_no_creation() {
    let grows = json!([{"rule": "self.n >= oldSelf.n", "message": "n never shrinks"}]);
    let counter = json!({
        "type": "object", "required": ["id", "n"], "x-kubernetes-validations": grows,
        "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
    });
    let never = json!([{"rule": "self != oldSelf", "message": "always another"}]);
    let (_client, api) = with_gadgets(&json!({"spec": {"type": "object", "properties": {
        "one": counter,
        "turn": {"type": "integer", "x-kubernetes-validations": never},
        "list": {
            "type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"], "items": counter,
        },
    }}}))
    .await;
    let list = json!([{"id": "a", "n": 1}, {"id": "b", "n": 5}]);
    create(&api, &json!({"spec": {"one": {"id": "", "n": 1}, "list": list}})).await.unwrap();

    // The items change places: each is compared with itself.
    let turned = json!([{"id": "b", "n": 5}, {"id": "c", "n": 0}, {"id": "a", "n": 1}]);
    merge(&api, &json!({"spec": {"list": turned, "turn": 1}})).await.unwrap();
    let same = refusal(merge(&api, &json!({"spec": {"one": {"n": 2}}})).await).2;
    let less = refusal(merge(&api, &json!({"spec": {"turn": 2, "one": {"n": 0}}})).await).2;

    assert!(same.contains("spec.turn: Invalid value: 1: always another"), "{same}");
    assert!(less.contains("spec.one: Invalid value: n never shrinks"), "{less}");
}

#[tokio::test]
async fn rules_wait_until_the_rest_is_right() {
    let (_client, api) = with_gadgets(&strict()).await;

    let spec = json!({"name": "far too long", "other": 1});
    let (_, _, message) = refusal(create(&api, &json!({"spec": spec})).await);

    assert!(message.contains("spec.name: Too long"), "{message}");
    assert!(message.contains("some validation rules were not checked"), "{message}");
}

/// An object or a list with more keywords.
fn object_with(more: Value) -> Value {
    extended(json!({"type": "object", "properties": {"a": {"type": "string"}}}), more)
}

fn list_with(more: Value) -> Value {
    let item = json!({"type": "object", "properties": {"k": {"type": "string"}}});
    extended(json!({"type": "array", "items": item}), more)
}

fn extended(mut schema: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("keywords come as an object: {more}") };
    schema.as_object_mut().unwrap().extend(more);
    schema
}

/// Schemas of a `spec` that Kubernetes does not take, and the path of their fault.
fn broken_schemas() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"properties": {}}), "[spec].type: Required value: must not be empty for"),
        (json!({"type": "array"}), "[spec].items: Required value"),
        (json!({"type": "array", "items": {}}), "[spec].items.type: Required value"),
        (json!({"type": "text"}), "[spec].type: Unsupported value: \"text\""),
        (json!({"type": "null"}), "[spec].type: Forbidden: type cannot be set to null"),
        (object_with(json!({"$ref": "#/x"})), "[spec].$ref: Forbidden"),
        (object_with(json!({"definitions": {"a": {}}})), "[spec].definitions: Forbidden"),
        (
            object_with(json!({"additionalProperties": {"type": "string"}})),
            "[spec].additionalProperties: Forbidden: additionalProperties and properties are",
        ),
        (list_with(json!({"uniqueItems": true})), "[spec].uniqueItems: Forbidden"),
        (json!({"type": "string", "pattern": "("}), "[spec].pattern: Invalid value: \"(\""),
        (
            json!({"type": "string", "x-kubernetes-preserve-unknown-fields": false}),
            "[spec].x-kubernetes-preserve-unknown-fields: Invalid value: false",
        ),
        (
            json!({"type": "string", "x-kubernetes-list-type": "set"}),
            "[spec].type: Invalid value: \"string\": must be array",
        ),
        (
            list_with(json!({"x-kubernetes-list-type": "map"})),
            "[spec].x-kubernetes-list-map-keys: Required value",
        ),
        (
            list_with(json!({
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            })),
            "[spec].items.properties[k].default: Required value",
        ),
        (json!({"type": "integer", "default": "x"}), "[spec].default: Invalid value: \"string\""),
        (object_with(json!({"default": {"b": 1}})), "[spec].default: Invalid value: {\"b\":1}"),
        (
            object_with(json!({"x-kubernetes-validations": [{"rule": "self.a =="}]})),
            "[spec].x-kubernetes-validations[0].rule: Invalid value: ",
        ),
        (
            json!({"type": "array", "items": {
                "type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}],
            }}),
            "[spec].items.x-kubernetes-validations[0].rule: Invalid value",
        ),
    ]
}

/// The same of what belongs outside `allOf` and its kin.
fn broken_junctors() -> Vec<(Value, &'static str)> {
    vec![
        (
            object_with(json!({"oneOf": [{"properties": {"a": {"type": "string"}}}]})),
            "[spec].oneOf[0].properties[a].type: Forbidden: must be empty to be structural",
        ),
        (
            object_with(json!({"allOf": [{"not": {"description": "no"}}]})),
            "[spec].allOf[0].not.description: Forbidden",
        ),
        (
            object_with(json!({"allOf": [{"x-kubernetes-validations": [{"rule": "true"}]}]})),
            "[spec].allOf[0].x-kubernetes-validations: Forbidden",
        ),
        (
            object_with(json!({"not": {"additionalProperties": {"minLength": 1}}})),
            "[spec].not.additionalProperties: Forbidden",
        ),
    ]
}

#[tokio::test]
async fn a_schema_that_is_not_structural_is_refused() {
    let (_sandbox, client) = cluster();
    let api = definitions(&client);

    for (spec, wanted) in broken_schemas().into_iter().chain(broken_junctors()) {
        let definition: DynamicObject = from(gadgets(&json!({"spec": spec})));
        let (code, reason, message) =
            refusal(api.create(&PostParams::default(), &definition).await);
        assert_eq!((code, reason.as_str()), (422, "Invalid"), "{spec}");
        let wanted = format!("spec.validation.openAPIV3Schema.properties{wanted}");
        assert!(message.contains(&wanted), "{spec}: {message}");
    }
}

#[tokio::test]
async fn what_a_structural_schema_may_say_is_taken() {
    let (_sandbox, client) = cluster();
    let int_or_string = json!({
        "x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}],
    });
    let deep = json!({
        "x-kubernetes-int-or-string": true,
        "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "^[0-9]+$"}],
    });
    let spec = json!({
        "type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        "not": {"properties": {"a": {"enum": [1]}}},
        "properties": {
            "a": int_or_string, "b": deep,
            "free": {"x-kubernetes-preserve-unknown-fields": true, "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": {"type": "object"}},
            "pod": {
                "type": "object", "x-kubernetes-embedded-resource": true,
                "x-kubernetes-preserve-unknown-fields": true,
            },
        },
    });
    let identity = json!({
        "apiVersion": {"type": "string"}, "kind": {"type": "string"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}},
        "spec": spec,
    });

    let definition: DynamicObject = from(gadgets(&identity));

    definitions(&client).create(&PostParams::default(), &definition).await.unwrap();
}

#[tokio::test]
async fn a_definition_cannot_become_one_that_is_not_structural() {
    let (client, api) = with_gadgets(&loose()).await;
    let patch = json!([{
        "op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/type",
    }]);
    let patch: Patch<()> = Patch::Json(from(patch));

    let (code, _, _) = refusal(
        definitions(&client).patch("gadgets.example.com", &PatchParams::default(), &patch).await,
    );

    assert_eq!(code, 422);
    create(&api, &json!({"spec": {"name": "x"}})).await.unwrap();
}

#[tokio::test]
async fn a_status_of_its_own_forbids_junctors_at_the_root() {
    let (_sandbox, client) = cluster();
    let mut definition = gadgets(&loose());
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["anyOf"] = json!([{"required": ["spec"]}]);

    let definition: DynamicObject = from(definition);
    let (code, _, message) =
        refusal(definitions(&client).create(&PostParams::default(), &definition).await);

    assert_eq!(code, 422);
    assert!(message.contains("at the root of the schema"), "{message}");
}
