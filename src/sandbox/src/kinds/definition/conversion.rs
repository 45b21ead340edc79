//! Whether a definition says how to convert its versions as Kubernetes understands it.

use serde_json::Value;

use crate::{object, refusal::Cause};

const PATH: &str = "spec.conversion";

const FORM: &str = "; desired format: https://host[/path]";

pub(super) fn validate(conversion: &Value, faults: &mut Vec<Cause>) {
    let strategy = object::text(conversion, "/strategy");
    let at = |field: &str| format!("{PATH}.{field}");
    let webhook = &conversion["webhook"];
    let (client, versions) = (&webhook["clientConfig"], &webhook["conversionReviewVersions"]);
    match strategy {
        "" => faults.push(Cause::required(at("strategy"), "")),
        "None" | "Webhook" => {}
        other => faults.push(Cause::unsupported(at("strategy"), other, &["None", "Webhook"])),
    }
    if strategy != "Webhook" {
        let why = "should not be set when strategy is not set to Webhook";
        if client.is_object() {
            faults.push(Cause::forbidden(at("webhookClientConfig"), why));
        }
        if !object::strings(versions).is_empty() {
            faults.push(Cause::forbidden(at("conversionReviewVersions"), why));
        }
        return;
    }
    if client.is_object() {
        self::client(client, faults);
    } else {
        let why = "required when strategy is set to Webhook";
        faults.push(Cause::required(at("webhookClientConfig"), why));
    }
    review_versions(versions, faults);
}

fn client(client: &Value, faults: &mut Vec<Cause>) {
    let path = format!("{PATH}.webhookClientConfig");
    match (client["url"].as_str(), client["service"].is_object()) {
        (Some(url), false) => self::url(url, &format!("{path}.url"), faults),
        (None, true) => {
            for field in ["name", "namespace"] {
                if object::text(&client["service"], &format!("/{field}")).is_empty() {
                    faults.push(Cause::required(format!("{path}.service.{field}"), ""));
                }
            }
        }
        _ => faults.push(Cause::required(path, "exactly one of url or service is required")),
    }
}

fn url(url: &str, path: &str, faults: &mut Vec<Cause>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if scheme != "https" {
        let why = format!("'https' is the only allowed URL scheme{FORM}");
        faults.push(Cause::invalid(path, &scheme.into(), &why));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || scheme.is_empty() {
        let why = format!("host must be specified{FORM}");
        faults.push(Cause::invalid(path, &"".into(), &why));
    }
    if let Some((user, _)) = host.split_once('@') {
        let why = "user information is not permitted in the URL";
        faults.push(Cause::invalid(path, &user.into(), why));
    }
    let (before, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    if !fragment.is_empty() {
        let why = "fragments are not permitted in the URL";
        faults.push(Cause::invalid(path, &fragment.into(), why));
    }
    if let Some((_, query)) = before.split_once('?').filter(|it| !it.1.is_empty()) {
        let why = "query parameters are not permitted in the URL";
        faults.push(Cause::invalid(path, &query.into(), why));
    }
}

fn review_versions(stated: &Value, faults: &mut Vec<Cause>) {
    let path = format!("{PATH}.conversionReviewVersions");
    let versions = object::strings(stated);
    if versions.is_empty() {
        faults.push(Cause::required(path, ""));
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if versions.iter().take(index).any(|it| it == version) {
            faults.push(Cause::invalid(path, &(*version).into(), "duplicate version"));
        } else if let Some(why) = super::validate::label(version) {
            faults.push(Cause::invalid(path, &(*version).into(), &why));
        }
    }
    if !versions.iter().any(|it| matches!(*it, "v1" | "v1beta1")) {
        let why = "must include at least one of v1, v1beta1";
        faults.push(Cause::invalid(path, stated, why));
    }
}
