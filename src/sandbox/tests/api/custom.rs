//! Custom kinds: served at once, defaulted, pruned, validated.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};

use crate::support::{refusal, widget, with_widgets};

#[tokio::test]
async fn a_definition_is_established_and_served_at_once() {
    let (_sandbox, client, api) = with_widgets().await;

    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let status = definitions.get("widgets.example.com").await.unwrap().status.unwrap();
    let kinds: Vec<String> = status.conditions.unwrap().into_iter().map(|it| it.type_).collect();

    assert_eq!(kinds, ["NamesAccepted", "Established"]);
    assert!(api.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn defaults_come_in_and_unknown_fields_go() {
    let (_sandbox, _client, api) = with_widgets().await;
    let spec = json!({
        "size": 3, "unknown": 1, "port": "http", "free": {"any": {"thing": 1}},
        "limits": {"cpu": "1"}, "parts": [{"name": "x", "what": 1}],
    });

    let created = api.create(&PostParams::default(), &widget("a", &spec)).await.unwrap();

    assert_eq!(
        created.data["spec"],
        json!({
            "size": 3, "color": "red", "port": "http", "free": {"any": {"thing": 1}},
            "limits": {"cpu": "1"}, "parts": [{"name": "x"}],
        })
    );
    assert_eq!(created.metadata.generation, Some(1));
}

#[tokio::test]
async fn what_breaks_the_schema_is_refused_with_its_path() {
    let (_sandbox, _client, api) = with_widgets().await;
    let cases: [(Value, &str); 8] = [
        (json!({}), "spec.size: Required value"),
        (json!({"size": "1"}), "spec.size in body must be of type integer: \"string\""),
        (json!({"size": 0}), "spec.size in body should be greater than or equal to 1"),
        (json!({"size": 1, "color": "green"}), "Unsupported value: \"green\""),
        (json!({"size": 1, "tags": ["a", "b", "c"]}), "spec.tags: Too many: 3"),
        (
            json!({"size": 1, "parts": [{"name": "x"}, {"name": "x"}]}),
            "spec.parts[1]: Duplicate value",
        ),
        (
            json!({"size": 1, "limits": {"cpu": 1}}),
            "spec.limits.cpu in body must be of type string",
        ),
        (json!({"size": 100}), "spec: Invalid value: size must be below 100"),
    ];

    for (spec, wanted) in cases {
        let (code, reason, message) =
            refusal(api.create(&PostParams::default(), &widget("a", &spec)).await);
        assert_eq!((code, reason.as_str()), (422, "Invalid"));
        assert!(message.starts_with("Widget.example.com \"a\" is invalid: "), "{message}");
        assert!(message.contains(wanted), "{message}");
    }
}

#[tokio::test]
async fn strict_clients_hear_of_unknown_fields() {
    let (_sandbox, _client, api) = with_widgets().await;
    api.create(&PostParams::default(), &widget("a", &json!({"size": 1}))).await.unwrap();
    let params = PatchParams {
        field_validation: Some(kube::api::ValidationDirective::Strict),
        ..PatchParams::default()
    };

    let patch = Patch::Merge(json!({"spec": {"unknown": 1}}));
    let (code, _, message) = refusal(api.patch("a", &params, &patch).await);

    assert_eq!(code, 422);
    assert!(message.contains("unknown field \"spec.unknown\""), "{message}");
}

#[tokio::test]
async fn a_new_schema_judges_new_writes() {
    let (_sandbox, client, api) = with_widgets().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let spec = json!({"size": 1, "later": "x"});
    let before = api.create(&PostParams::default(), &widget("a", &spec)).await.unwrap();

    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/later";
    let patch = json!([{"op": "add", "path": path, "value": {"type": "string"}}]);
    let patch: Patch<()> = Patch::Json(crate::support::from(patch));
    definitions.patch("widgets.example.com", &PatchParams::default(), &patch).await.unwrap();
    let after = api.create(&PostParams::default(), &widget("b", &spec)).await.unwrap();

    assert_eq!(before.data["spec"]["later"], Value::Null);
    assert_eq!(after.data["spec"]["later"], "x");
}

#[tokio::test]
async fn a_watch_tells_the_end_of_the_last_object_and_then_its_own() {
    let (_sandbox, client, api) = with_widgets().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    api.create(&PostParams::default(), &widget("a", &json!({"size": 1}))).await.unwrap();
    let events = api.watch(&WatchParams::default(), "0").await.unwrap();

    definitions.delete("widgets.example.com", &DeleteParams::default()).await.unwrap();

    let mut events: Vec<_> = events.boxed().try_collect().await.unwrap();
    events.retain(|it| !matches!(it, WatchEvent::Bookmark(_)));
    assert!(matches!(events.as_slice(), [WatchEvent::Added(_), WatchEvent::Deleted(_)]));
}

#[tokio::test]
async fn a_definition_takes_its_objects_along() {
    let (_sandbox, client, api) = with_widgets().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let mut held = widget("a", &json!({"size": 1}));
    held.finalizers_mut().push("example.com/wait".into());
    api.create(&PostParams::default(), &held).await.unwrap();
    api.create(&PostParams::default(), &widget("b", &json!({"size": 1}))).await.unwrap();

    definitions.delete("widgets.example.com", &DeleteParams::default()).await.unwrap();
    let left = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["a"]);
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();

    assert_eq!(refusal(definitions.get("widgets.example.com").await).0, 404);
    assert_eq!(refusal(api.list(&ListParams::default()).await).0, 404);
}
