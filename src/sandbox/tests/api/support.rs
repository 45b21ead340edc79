//! A cluster, its clients, and the objects that the tests write.

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::{
    Api, Client,
    api::PostParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use kube_sandbox::Sandbox;
use serde_json::{Value, json};

/// A cluster and a client of it.
pub(crate) fn cluster() -> (Sandbox, Client) {
    let sandbox = Sandbox::new("test");
    let client = Client::new(sandbox.router(), "default");
    (sandbox, client)
}

pub(crate) fn config_map(name: &str, value: &str) -> ConfigMap {
    from(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value},
    }))
}

pub(crate) fn job(name: &str) -> Job {
    from(json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "busybox:1"}],
        }}},
    }))
}

/// An object of any type from its JSON.
pub(crate) fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The kind and short shape of a `Status` that was answered instead of an object.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String, String) {
    match result {
        Err(kube::Error::Api(status)) => {
            (status.code, status.reason.clone(), status.message.clone())
        }
        other => panic!("this was to be refused: {other:?}"),
    }
}

/// A definition with defaults, rules, a status and three columns.
pub(crate) fn widgets() -> Value {
    let columns = json!([
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Limit", "type": "string", "jsonPath": ".spec.limits.*"},
        {"name": "Ready", "type": "string",
         "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
    ]);
    let schema = json!({"type": "object", "properties": {"spec": spec(), "status": status()}});
    let version = json!({
        "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
        "additionalPrinterColumns": columns, "schema": {"openAPIV3Schema": schema},
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "versions": [version],
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget",
                      "shortNames": ["wd"]},
        },
    })
}

fn spec() -> Value {
    let part = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "count": {"type": "integer"},
    }});
    json!({
        "type": "object", "required": ["size"],
        "x-kubernetes-validations": [
            {"rule": "self.size < 100", "message": "size must be below 100"},
        ],
        "properties": {
            "size": {"type": "integer", "minimum": 1},
            "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "port": {"x-kubernetes-int-or-string": true},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "parts": keyed(&part, "name"),
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "limits": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    })
}

fn status() -> Value {
    let condition = json!({"type": "object", "required": ["type"], "properties": {
        "type": {"type": "string"}, "status": {"type": "string"},
    }});
    json!({"type": "object", "properties": {
        "phase": {"type": "string"}, "conditions": keyed(&condition, "type"),
    }})
}

fn keyed(items: &Value, key: &str) -> Value {
    json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key],
        "items": items,
    })
}

/// A cluster that serves widgets, and the API of them.
pub(crate) async fn with_widgets() -> (Sandbox, Client, Api<DynamicObject>) {
    let (sandbox, client) = cluster();
    definitions(&client).create(&PostParams::default(), &from(widgets())).await.unwrap();
    let api = dynamic(&client, "example.com/v1", "Widget");
    (sandbox, client, api)
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

pub(crate) fn dynamic(client: &Client, api_version: &str, kind: &str) -> Api<DynamicObject> {
    Api::default_namespaced_with(client.clone(), &resource(api_version, kind))
}

/// The API of definitions.
pub(crate) fn definitions(client: &Client) -> Api<DynamicObject> {
    let resource = resource("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    Api::all_with(client.clone(), &resource)
}

pub(crate) fn widget(name: &str, spec: &Value) -> DynamicObject {
    from(json!({
        "apiVersion": "example.com/v1", "kind": "Widget",
        "metadata": {"name": name}, "spec": spec,
    }))
}
