//! All groups with all their resources in one document.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use crate::{
    http::{
        Exchange,
        discovery::{groups, names, subresources, tag, tagged, verbs},
        route::Route,
    },
    registry::{Registry, Resource, Version},
};

const MEDIA: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn is_wanted(accept: &str) -> bool {
    accept.split(',').any(|clause| {
        let has = |wanted: &str| clause.split(';').any(|it| it.trim() == wanted);
        has("as=APIGroupDiscoveryList")
            && has("g=apidiscovery.k8s.io")
            && has("v=v2")
            && (has("application/json") || has("application/yaml") || has("*/*"))
    })
}

pub(super) fn document(exchange: &Exchange, registry: &Registry) -> Response<Body> {
    let items: Vec<Value> = if exchange.route == Route::Core {
        vec![discovered(registry, "", &["v1"])]
    } else {
        let groups = groups(registry);
        groups.iter().map(|(name, versions)| discovered(registry, name, versions)).collect()
    };
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items,
    });
    let list = list.to_string();
    let mut response = tagged(exchange, &tag(list.as_bytes()), list);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA));
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
    // Of built-in kinds only that is said which is not plain from where it is said.
    let kind = if resource.is_custom() {
        json!({"group": resource.group, "version": version.name, "kind": resource.kind})
    } else {
        json!({"group": "", "version": "", "kind": resource.kind})
    };
    let mut entry = json!({
        "resource": resource.plural, "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": verbs(resource),
    });
    names(resource, &mut entry);
    let subresources: Vec<Value> = subresources::of(resource, version)
        .map(|it| {
            let kind = match it.kind {
                Some(("", _, kind)) => json!({"group": "", "version": "", "kind": kind}),
                Some((group, version, kind)) => {
                    json!({"group": group, "version": version, "kind": kind})
                }
                None => kind.clone(),
            };
            json!({"subresource": it.name, "responseKind": kind, "verbs": it.verbs})
        })
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}
