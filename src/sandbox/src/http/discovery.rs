//! What the API says about itself: groups, versions, resources.

mod aggregated;
mod subresources;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    http::{Exchange, health, json_response, media, route::Route},
    refusal::{Refusal, Result},
    registry::{Registry, Resource, custom},
};

/// The minor version whose behaviour this is.
pub(super) const MINOR: u32 = 36;

const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The same verbs as the server of custom resources lists them.
const CUSTOM_VERBS: [&str; 8] =
    ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

pub(super) fn document(exchange: &Exchange) -> Result<Response<Body>> {
    let state = exchange.cluster.lock();
    let registry = &state.registry;
    if let Route::Core | Route::Groups = exchange.route
        && aggregated::is_wanted(&exchange.accept)
    {
        return Ok(aggregated::document(exchange, registry));
    }
    let document = match &exchange.route {
        Route::Unknown => return Ok(health::not_found()),
        Route::Health(question, path) => {
            return Ok(health::answer(question, path, &exchange.query));
        }
        Route::Version => version(),
        Route::Core => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        }),
        Route::Groups => {
            let groups: Vec<Value> =
                groups(registry).into_iter().map(|(name, it)| group(name, &it)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        Route::Group(name) => {
            let groups = groups(registry);
            let Some((name, versions)) = groups.into_iter().find(|(it, _)| it == name) else {
                return Ok(health::not_found());
            };
            let mut group = group(name, &versions);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        Route::GroupVersion(group, version) => resources(registry, group, version)?,
        Route::Root | Route::Issuer | Route::Keys | Route::OpenApi(_) | Route::Resource(_) => {
            paths(registry)
        }
    };
    media::check_plain(&exchange.accept)?;
    Ok(json_response(200, document.to_string()))
}

fn version() -> Value {
    let minor = MINOR.to_string();
    json!({
        "major": "1", "minor": minor, "emulationMajor": "1", "emulationMinor": minor,
        "minCompatibilityMajor": "1", "minCompatibilityMinor": (MINOR - 1).to_string(),
        "gitVersion": format!("v1.{MINOR}.0"),
        "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

fn paths(registry: &Registry) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for (group, versions) in registry.groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|it| format!("/apis/{group}/{it}")));
    }
    for path in ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"] {
        paths.push(path.to_owned());
    }
    json!({"paths": paths})
}

/// The groups, each with its versions: as real servers rank them, a preferred version first.
fn groups(registry: &Registry) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = registry
        .groups()
        .into_iter()
        .map(|(group, versions)| {
            let mut versions: Vec<&str> = versions.into_iter().collect();
            versions.sort_by_key(|it| std::cmp::Reverse(custom::priority(it)));
            (group, versions)
        })
        .collect();
    groups.sort_by_key(|(name, _)| RANKS.iter().position(|it| it == name).unwrap_or(RANKS.len()));
    groups
}

/// What a short name or a kind means when several groups have it: the first of these.
const RANKS: [&str; 14] = [
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "coordination.k8s.io",
];

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
        names(resource, &mut entry);
        list.push(entry);
        for it in subresources::of(resource, served) {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, it.name), "singularName": "",
                "namespaced": resource.namespaced, "kind": it.kind(resource), "verbs": it.verbs,
            });
            if let Some((group, version, _)) = it.kind {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            list.push(entry);
        }
    }
    if list.is_empty() {
        let known = group.is_empty() || registry.is_built_in(group);
        return Err(if known { Refusal::no_such_path() } else { Refusal::no_such_page() });
    }
    let group_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut document = json!({
        "kind": "APIResourceList", "groupVersion": group_version, "resources": list,
    });
    // An oddity of the core's document alone.
    if !group.is_empty() {
        document["apiVersion"] = "v1".into();
    }
    Ok(document)
}

/// The names of a kind beyond its plural.
fn names(resource: &Resource, entry: &mut Value) {
    for (field, names) in
        [("shortNames", &resource.short_names), ("categories", &resource.categories)]
    {
        if !names.is_empty() {
            entry[field] = json!(names);
        }
    }
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    if resource.is_custom() {
        return CUSTOM_VERBS.to_vec();
    }
    if let "authentication.k8s.io" | "authorization.k8s.io" = resource.group.as_str() {
        // Reviews are answered; everything else is kept.
        return vec!["create"];
    }
    let mut verbs = VERBS.to_vec();
    if resource.table == "namespaces" {
        verbs.retain(|it| *it != "deletecollection");
    }
    verbs
}

/// A tag for a document: other bytes, another tag.
pub(super) fn tag(document: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hasher as _};

    // The keys of this hasher are the same in all processes.
    let mut hasher = DefaultHasher::new();
    hasher.write(document);
    format!("{:016X}", hasher.finish())
}

/// A document that clients keep: those that have it already only hear so.
pub(super) fn tagged(exchange: &Exchange, tag: &str, body: impl Into<Body>) -> Response<Body> {
    let quoted = format!("\"{tag}\"");
    let known = exchange.known.split(',').any(|it| it.trim().trim_start_matches("W/") == quoted);
    let mut response = if known { Response::new(Body::empty()) } else { json_response(200, body) };
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    if let Ok(quoted) = HeaderValue::from_str(&quoted) {
        response.headers_mut().insert(header::ETAG, quoted);
    }
    response
}
