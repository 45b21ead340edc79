//! Roles and bindings: what they must say.

use serde_json::{Value, json};

use crate::{auth::RBAC, object, refusal::Cause, registry::Resource, validate};

pub(super) fn fill_in_binding(object: &mut Value) {
    if let Some(role) = object.get_mut("roleRef") {
        fill_in_group(role);
    }
    for subject in object::items_mut(object, "/subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            fill_in_group(subject);
        }
    }
}

/// An empty group is none: typed clients write it.
fn fill_in_group(reference: &mut Value) {
    if object::text(reference, "/apiGroup").is_empty() {
        object::fields(reference).insert("apiGroup".to_owned(), RBAC.into());
    }
}

pub(super) fn validate_role(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (index, rule) in object::items(object, "/rules").enumerate() {
        faults.extend(validate_rule(resource, rule, &format!("rules[{index}]")));
    }
    faults
}

fn validate_rule(resource: &Resource, rule: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let is_empty = |field: &str| rule[field].as_array().is_none_or(Vec::is_empty);
    if is_empty("verbs") {
        let detail = "verbs must contain at least one value";
        faults.push(Cause::required(format!("{path}.verbs"), detail));
    }
    if !is_empty("nonResourceURLs") {
        let field = format!("{path}.nonResourceURLs");
        let mixed = ["apiGroups", "resources", "resourceNames"].iter().any(|it| !is_empty(it));
        let urls = &rule["nonResourceURLs"];
        if resource.namespaced {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            faults.push(Cause::invalid(field, urls, detail));
        } else if mixed {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            faults.push(Cause::invalid(field, urls, detail));
        }
        return faults;
    }
    for (field, what) in [("apiGroups", "api group"), ("resources", "resource")] {
        if is_empty(field) {
            let detail = format!("resource rules must supply at least one {what}");
            faults.push(Cause::required(format!("{path}.{field}"), &detail));
        }
    }
    faults
}

pub(super) fn validate_binding(
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
) -> Vec<Cause> {
    let role = &object["roleRef"];
    let text = |field: &str| role[field].as_str().unwrap_or_default();
    let mut faults = Vec::new();
    if text("apiGroup") != RBAC {
        faults.push(unsupported("roleRef.apiGroup", text("apiGroup"), &[RBAC]));
    }
    let kinds: &[&str] =
        if resource.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text("kind")) {
        faults.push(unsupported("roleRef.kind", text("kind"), kinds));
    }
    let name = text("name");
    if name.is_empty() {
        faults.push(Cause::required("roleRef.name", ""));
    } else if matches!(name, "." | "..") {
        let detail = format!("may not be '{name}'");
        faults.push(Cause::invalid("roleRef.name", &name.into(), &detail));
    } else if let Some(character) = ["/", "%"].iter().find(|it| name.contains(**it)) {
        let detail = format!("may not contain '{character}'");
        faults.push(Cause::invalid("roleRef.name", &name.into(), &detail));
    }
    for (index, subject) in object::items(object, "/subjects").enumerate() {
        validate_subject(resource, subject, (&format!("subjects[{index}]"), &mut faults));
    }
    if old.is_some_and(|it| it["roleRef"] != *role) {
        let shown =
            json!({ "APIGroup": text("apiGroup"), "Kind": text("kind"), "Name": text("name") });
        faults.push(Cause::invalid("roleRef", &shown, "cannot change roleRef"));
    }
    faults
}

fn validate_subject(resource: &Resource, subject: &Value, (path, faults): (&str, &mut Vec<Cause>)) {
    let text = |field: &str| subject[field].as_str().unwrap_or_default();
    let name = text("name");
    if name.is_empty() {
        faults.push(Cause::required(format!("{path}.name"), ""));
    }
    match text("kind") {
        "ServiceAccount" => {
            if !name.is_empty() && !validate::is_subdomain(name) {
                let field = format!("{path}.name");
                faults.push(Cause::invalid(field, &name.into(), validate::SUBDOMAIN));
            }
            if !text("apiGroup").is_empty() {
                let field = format!("{path}.apiGroup");
                faults.push(unsupported(&field, text("apiGroup"), &[""]));
            }
            if !resource.namespaced && text("namespace").is_empty() {
                faults.push(Cause::required(format!("{path}.namespace"), ""));
            }
        }
        "User" | "Group" => {
            if text("apiGroup") != RBAC {
                let field = format!("{path}.apiGroup");
                faults.push(unsupported(&field, text("apiGroup"), &[RBAC]));
            }
        }
        kind => {
            let known = ["ServiceAccount", "User", "Group"];
            faults.push(unsupported(&format!("{path}.kind"), kind, &known));
        }
    }
}

fn unsupported(field: &str, found: &str, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|it| format!("{it:?}")).collect();
    let message = format!("Unsupported value: {found:?}: supported values: {}", known.join(", "));
    Cause::new("FieldValueNotSupported", field, message)
}
