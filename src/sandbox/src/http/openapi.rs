//! OpenAPI: an index and a document a group version, and one of all kinds in the older version, as
//! much as kubectl reads of them.

mod gnostic;
mod v2;

use std::{collections::BTreeMap, sync::Arc};

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::{
    http::{
        Exchange,
        discovery::{self, MINOR},
        health, json_response,
    },
    patch::Format,
    refusal::{Refusal, Result},
    registry::{Registry, Resource, Version, builtin},
    schema::Source,
};

const REFERENCE: &str = "#/components/schemas/";

/// What Go's clients call the older version in protobuf, with an `@` in it or without.
const GNOSTIC: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

pub(super) fn document(exchange: &Exchange, path: &str) -> Result<Response<Body>> {
    let state = exchange.cluster.lock();
    let registry = &state.registry;
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["v2"] => {
            let resources: Vec<Arc<Resource>> = registry.all().cloned().collect();
            drop(state);
            older(exchange, &resources)
        }
        ["v3"] => {
            let mut response = json_response(200, index(registry).to_string());
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            if !exchange.accept.contains("json") {
                response.headers_mut().insert(header::CONTENT_TYPE, text);
            }
            Ok(response)
        }
        ["v3", "api", version] => part(exchange, registry, ("", version)),
        ["v3", "apis", group, version] => part(exchange, registry, (group, version)),
        _ => Ok(health::not_found()),
    }
}

fn older(exchange: &Exchange, resources: &[Arc<Resource>]) -> Result<Response<Body>> {
    let mut wanted = exchange.accept.split(',').map(|it| it.split(';').next().unwrap_or_default());
    let wanted = wanted.find_map(|it| match it.trim().replace('@', ".").as_str() {
        GNOSTIC => Some(GNOSTIC),
        "application/json" | "*/*" | "" => Some("application/json"),
        _ => None,
    });
    let Some(media) = wanted else {
        return Err(Refusal::new(406, "NotAcceptable", "Not Acceptable"));
    };
    let document = v2::document(resources);
    let body =
        if media == GNOSTIC { gnostic::encode(&document) } else { document.to_string().into() };
    let mut response = discovery::tagged(exchange, &discovery::tag(&body), body);
    if response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    Ok(response)
}

/// One document of version 3, which clients that name its hash may keep for ever.
fn part(
    exchange: &Exchange,
    registry: &Registry,
    (group, version): (&str, &str),
) -> Result<Response<Body>> {
    let document = of(registry, group, version)?;
    let hash = hash(registry, group, version);
    let asked = exchange.query.text("hash");
    if !asked.is_empty() && asked != hash {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        if let Ok(place) = HeaderValue::from_str(&address(group, version, &hash)) {
            response.headers_mut().insert(header::LOCATION, place);
        }
        return Ok(response);
    }
    let mut response = discovery::tagged(exchange, &hash, document.to_string());
    if !asked.is_empty() {
        let kept = HeaderValue::from_static("public, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, kept);
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    let mut add = |group: &str, version: &str| {
        let url = address(group, version, &hash(registry, group, version));
        paths.insert(place(group, version), json!({"serverRelativeURL": url}));
    };
    add("", "v1");
    for (group, versions) in registry.groups() {
        for version in versions {
            add(group, version);
        }
    }
    json!({"paths": paths})
}

fn place(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn address(group: &str, version: &str, hash: &str) -> String {
    format!("/openapi/v3/{}?hash={hash}", place(group, version))
}

/// Changes when the document may: that of built-in kinds never does while the process lives.
fn hash(registry: &Registry, group: &str, version: &str) -> String {
    let mut made_of = format!("{}/{MINOR}", place(group, version));
    for (resource, served) in registry.within(group, version) {
        made_of.push_str(&resource.kind);
        if let Source::Custom(schema) = served.schema.source() {
            let shape = format!("{} {} {schema}", resource.plural, resource.namespaced);
            made_of.push_str(&shape);
        }
    }
    discovery::tag(made_of.as_bytes())
}

fn of(registry: &Registry, group: &str, version: &str) -> Result<Value> {
    let mut paths = Map::new();
    let mut schemas = BTreeMap::new();
    for (resource, served) in registry.within(group, version) {
        let name = add_schema(resource, served, &mut schemas);
        add_paths(&mut paths, (resource, served), &name);
    }
    if paths.is_empty() {
        return Err(Refusal::no_such_path());
    }
    Ok(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": format!("v1.{MINOR}.0")},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

/// Adds the schema of a kind under its name, with all that it refers to.
fn add_schema(resource: &Resource, version: &Version, all: &mut BTreeMap<String, Value>) -> String {
    let name = schema_name(resource, version);
    let mut schema = schema(resource, version, all);
    schema["x-kubernetes-group-version-kind"] = json!([kind(resource, version)]);
    all.insert(name.clone(), schema);
    name
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
