//! Whether the server is well, in the words that probes know.

use axum::body::Body;
use http::{HeaderValue, Response, header};

use crate::http::query::Query;

/// What is checked for every question, in the order of the answer. A sandbox that answers is well:
/// there is nothing beside it that could fail.
const CHECKS: [&str; 9] = [
    "ping",
    "log",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/bootstrap-controller",
];

/// What readiness asks for besides, and what all others do.
const READINESS: [&str; 2] = ["informer-sync", "shutdown"];
const LIVENESS: &str = "etcd";

/// `path` is what follows the question: nothing, or the name of one check.
pub(super) fn answer(question: &str, path: &str, query: &Query) -> Response<Body> {
    let mut checks = CHECKS.to_vec();
    if question == "readyz" {
        checks.extend(READINESS);
    } else {
        checks.insert(2, LIVENESS);
    }
    if !path.is_empty() {
        return if checks.contains(&path) { plain(200, "ok".to_owned()) } else { not_found() };
    }
    if !query.has("verbose") {
        return plain(200, "ok".to_owned());
    }
    let mut excluded = query.all("exclude");
    let mut text = String::new();
    for check in checks {
        let before = excluded.len();
        excluded.retain(|it| *it != check);
        let state = if excluded.len() < before { "excluded: ok" } else { "ok" };
        text.extend(["[+]", check, " ", state, "\n"]);
    }
    if !excluded.is_empty() {
        excluded.sort_unstable();
        let names: Vec<String> = excluded.iter().map(|it| format!("{it:?}")).collect();
        let warning = "warn: some health checks cannot be excluded: no matches for ";
        text.extend([warning, &names.join(","), "\n"]);
    }
    text.extend([question, " check passed\n"]);
    plain(200, text)
}

/// The answer to a path outside of the API.
pub(super) fn not_found() -> Response<Body> {
    plain(404, "404 page not found\n".to_owned())
}

fn plain(code: u16, text: String) -> Response<Body> {
    let mut response = super::json_response(code, text);
    let media = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
