//! Kinds that users define.

use serde_json::json;

use crate::ground::{Ground, by_post, from};

/// A definition is served once it is established, and objects of it come and are read like all others.
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>
#[tokio::test]
async fn a_defined_kind_is_served() {
    let ground = Ground::new().await;
    let group = format!("{}.example.com", ground.unique("served"));
    let schema = json!({ "type": "object", "properties": {
        "spec": { "type": "object", "properties": { "size": { "type": "integer", "default": 3 } } },
    } });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("widgets.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(ground.post(definitions, &definition).await.code, 201);
    let widgets = format!("/apis/{group}/v1/namespaces/{}/widgets", ground.namespace());
    let is_served = async || (ground.get(&widgets).await.code == 200).then_some(());
    ground.eventually("an answer for the kind", is_served).await;

    let api = ground.dynamic(&format!("{group}/v1"), "Widget", "widgets");
    let body = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": { "name": "one" },
        "spec": {},
    });
    let made = api.create(&by_post(), &from(body)).await.unwrap();

    assert_eq!(made.data["spec"], json!({ "size": 3 }));
}
