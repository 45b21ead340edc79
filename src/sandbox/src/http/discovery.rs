//! What the API says about itself: groups, versions, resources, health.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use crate::{
    http::{Exchange, json_response, route::Route, text_response},
    refusal::{Refusal, Result},
    registry::{Registry, Resource, Version, custom},
};

/// The minor version whose behaviour this is.
const MINOR: &str = "33";

const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Reviews are answered; everything else is kept.
fn verbs(resource: &Resource) -> &'static [&'static str] {
    match resource.group.as_str() {
        "authentication.k8s.io" | "authorization.k8s.io" => &VERBS[..1],
        _ => &VERBS,
    }
}

pub(super) fn document(exchange: &Exchange) -> Result<Response<Body>> {
    let state = exchange.cluster.lock();
    let registry = &state.registry;
    let aggregated = aggregated(&exchange.accept);
    let document = match &exchange.route {
        Route::Health => return Ok(text_response("ok")),
        Route::Version => version(),
        Route::Core if aggregated.is_some() => {
            return Ok(aggregate(registry, aggregated, ""));
        }
        Route::Groups if aggregated.is_some() => {
            return Ok(aggregate(registry, aggregated, "groups"));
        }
        Route::Core => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        }),
        Route::Groups => {
            let groups: Vec<Value> = groups(registry).map(|(name, it)| group(name, &it)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        Route::Group(name) => {
            let (name, versions) =
                groups(registry).find(|(it, _)| it == name).ok_or_else(Refusal::no_such_path)?;
            let mut group = group(name, &versions);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        Route::GroupVersion(group, version) => resources(registry, group, version)?,
        Route::Root | Route::OpenApi(_) | Route::Resource(_) => paths(registry),
    };
    Ok(json_response(200, document.to_string()))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR, "gitVersion": format!("v1.{MINOR}.0"),
        "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

fn paths(registry: &Registry) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for (group, versions) in groups(registry) {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|it| format!("/apis/{group}/{it}")));
    }
    for path in ["/healthz", "/livez", "/openapi/v3", "/readyz", "/version"] {
        paths.push(path.to_owned());
    }
    json!({"paths": paths})
}

/// The groups, each with its versions, the preferred one first.
fn groups(registry: &Registry) -> impl Iterator<Item = (&str, Vec<&str>)> {
    registry.groups().into_iter().map(|(group, versions)| {
        let mut versions: Vec<&str> = versions.into_iter().collect();
        versions.sort_by_key(|it| std::cmp::Reverse(custom::priority(it)));
        (group, versions)
    })
}

fn group(name: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|it| json!({"groupVersion": format!("{name}/{it}"), "version": it}))
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn resources(registry: &Registry, group: &str, version: &str) -> Result<Value> {
    let mut list = Vec::new();
    for (resource, served) in registry.within(group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular,
            "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs(resource),
        });
        for (field, names) in
            [("shortNames", &resource.short_names), ("categories", &resource.categories)]
        {
            if !names.is_empty() {
                entry[field] = json!(names);
            }
        }
        list.push(entry);
        for (name, verbs) in subresources(resource, served) {
            list.push(json!({
                "name": format!("{}/{name}", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs,
            }));
        }
    }
    if list.is_empty() {
        return Err(Refusal::no_such_path());
    }
    let group_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": list,
    }))
}

fn subresources(resource: &Resource, version: &Version) -> Vec<(&'static str, Value)> {
    let mut list = Vec::new();
    if version.status {
        list.push(("status", json!(["get", "patch", "update"])));
    }
    match resource.table.as_str() {
        "pods" => {
            list.push(("log", json!(["get"])));
            list.push(("eviction", json!(["create"])));
        }
        "namespaces" => list.push(("finalize", json!(["update"]))),
        _ => {}
    }
    list
}

/// The version of aggregated discovery that a client takes, if any.
fn aggregated(accept: &str) -> Option<&'static str> {
    let takes = |version: &str| {
        accept.split(',').any(|it| {
            it.contains("as=APIGroupDiscoveryList") && it.contains(&format!("v={version};"))
                || it.contains("as=APIGroupDiscoveryList") && it.ends_with(&format!("v={version}"))
        })
    };
    if takes("v2") {
        Some("v2")
    } else if takes("v2beta1") {
        Some("v2beta1")
    } else {
        None
    }
}

fn aggregate(registry: &Registry, version: Option<&str>, which: &str) -> Response<Body> {
    let version = version.unwrap_or("v2");
    let items: Vec<Value> = if which.is_empty() {
        vec![discovered(registry, "", &["v1"])]
    } else {
        groups(registry).map(|(name, versions)| discovered(registry, name, &versions)).collect()
    };
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    let mut response = json_response(200, list.to_string());
    let media =
        format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    if let Ok(media) = http::HeaderValue::from_str(&media) {
        response.headers_mut().insert(http::header::CONTENT_TYPE, media);
    }
    response
}

fn discovered(registry: &Registry, group: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let resources: Vec<Value> = registry
                .within(group, version)
                .map(|(resource, served)| discovered_resource(resource, served))
                .collect();
            json!({"version": version, "freshness": "Current", "resources": resources})
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions})
}

fn discovered_resource(resource: &Resource, version: &Version) -> Value {
    let kind = json!({"group": resource.group, "version": version.name, "kind": resource.kind});
    let mut entry = json!({
        "resource": resource.plural, "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": verbs(resource),
    });
    for (field, names) in
        [("shortNames", &resource.short_names), ("categories", &resource.categories)]
    {
        if !names.is_empty() {
            entry[field] = json!(names);
        }
    }
    let subresources: Vec<Value> = subresources(resource, version)
        .into_iter()
        .map(|(name, verbs)| json!({"subresource": name, "responseKind": kind, "verbs": verbs}))
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}
