//! OpenAPI v3: an index and a document a group version, as much as kubectl reads of it.

use std::collections::BTreeMap;

use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};

use crate::{
    http::{Exchange, json_response},
    patch::Format,
    refusal::{Refusal, Result},
    registry::{Registry, Resource, Version, builtin},
    schema::Source,
};

const REFERENCE: &str = "#/components/schemas/";

pub(super) fn document(exchange: &Exchange, path: &str) -> Result<Response<Body>> {
    let state = exchange.cluster.lock();
    let registry = &state.registry;
    let document = match path {
        "v3" => index(registry, state.revision),
        _ => {
            match path.strip_prefix("v3/").map(|it| it.split('/').collect::<Vec<_>>()).as_deref() {
                Some(["api", version]) => of(registry, "", version)?,
                Some(["apis", group, version]) => of(registry, group, version)?,
                _ => return Err(Refusal::no_such_path()),
            }
        }
    };
    Ok(json_response(200, document.to_string()))
}

fn index(registry: &Registry, revision: u64) -> Value {
    let mut paths = Map::new();
    let mut add = |path: String| {
        // The hash only has to change when the document may have.
        let url = format!("/openapi/v3/{path}?hash={revision:X}");
        paths.insert(path, json!({"serverRelativeURL": url}));
    };
    add("api/v1".to_owned());
    for (group, versions) in registry.groups() {
        for version in versions {
            add(format!("apis/{group}/{version}"));
        }
    }
    json!({"paths": paths})
}

fn of(registry: &Registry, group: &str, version: &str) -> Result<Value> {
    let mut paths = Map::new();
    let mut schemas = BTreeMap::new();
    for (resource, served) in registry.within(group, version) {
        let name = schema_name(resource, served);
        let mut schema = schema(resource, served, &mut schemas);
        schema["x-kubernetes-group-version-kind"] = json!([kind(resource, served)]);
        schemas.insert(name.clone(), schema);
        add_paths(&mut paths, (resource, served), &name);
    }
    if paths.is_empty() {
        return Err(Refusal::no_such_path());
    }
    Ok(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.33.0"},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

fn kind(resource: &Resource, version: &Version) -> Value {
    json!({"group": resource.group, "version": version.name, "kind": resource.kind})
}

fn schema_name(resource: &Resource, version: &Version) -> String {
    if let Source::BuiltIn { api_version, kind } = version.schema.source()
        && let Some(reference) = builtin::definition(api_version, kind)
        && let Some(name) = reference["$ref"].as_str().and_then(|it| it.strip_prefix(REFERENCE))
    {
        return name.to_owned();
    }
    let mut parts: Vec<&str> = resource.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{}", parts.join("."), version.name, resource.kind)
}

/// The schema of a kind; what it refers to is added to the others.
fn schema(resource: &Resource, version: &Version, all: &mut BTreeMap<String, Value>) -> Value {
    let definitions = builtin::definitions();
    match version.schema.source() {
        Source::BuiltIn { .. } => {
            let mut schema = definitions[&schema_name(resource, version)].clone();
            gather(&mut schema, &definitions, all);
            schema
        }
        Source::Custom(schema) => {
            let mut schema = schema.clone();
            let meta = format!("{REFERENCE}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
            schema["properties"]["apiVersion"] = json!({"type": "string"});
            schema["properties"]["kind"] = json!({"type": "string"});
            schema["properties"]["metadata"] = json!({"$ref": meta});
            gather(&mut schema, &definitions, all);
            schema
        }
    }
}

/// Adds what a schema refers to, and turns references with siblings into the form that OpenAPI has
/// for them.
fn gather(schema: &mut Value, definitions: &Value, all: &mut BTreeMap<String, Value>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let reference = reference.clone();
                let name = reference.strip_prefix(REFERENCE).unwrap_or(&reference).to_owned();
                if map.len() > 1 {
                    map.remove("$ref");
                    map.insert("allOf".to_owned(), json!([{"$ref": reference}]));
                }
                if !all.contains_key(&name) {
                    let mut definition = definitions[&name].clone();
                    all.insert(name.clone(), Value::Null);
                    gather(&mut definition, definitions, all);
                    all.insert(name, definition);
                }
                return;
            }
            map.values_mut().for_each(|it| gather(it, definitions, all));
        }
        Value::Array(list) => list.iter_mut().for_each(|it| gather(it, definitions, all)),
        _ => {}
    }
}

fn add_paths(paths: &mut Map<String, Value>, of: (&Resource, &Version), schema: &str) {
    let (resource, version) = of;
    let api = resource.api_version(&version.name);
    let root = if resource.group.is_empty() { "/api" } else { "/apis" };
    let place = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let list = format!("{root}/{api}{place}/{}", resource.plural);
    let content = json!({"application/json": {"schema": {"$ref": format!("{REFERENCE}{schema}")}}});
    let kind = kind(resource, version);
    let operation = |action: &str, parameters: &[&str]| {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|name| {
                json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
            })
            .collect();
        json!({
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": content}},
        })
    };
    let writing = ["dryRun", "fieldManager", "fieldValidation"];
    let mut patch = operation("patch", &[&writing[..], &["force"]].concat());
    let media = Format::ACCEPTED.split(", ").filter(|it| !it.contains("strategic"));
    let media: Map<String, Value> =
        media.map(|it| (it.to_owned(), json!({"schema": {"type": "object"}}))).collect();
    patch["requestBody"] = json!({"content": media, "required": true});
    paths.insert(
        list.clone(),
        json!({"get": operation("list", &[]), "post": operation("post", &writing)}),
    );
    paths.insert(
        format!("{list}/{{name}}"),
        json!({
            "get": operation("get", &[]), "put": operation("put", &writing), "patch": patch,
            "delete": operation("delete", &["dryRun", "propagationPolicy"]),
        }),
    );
}
