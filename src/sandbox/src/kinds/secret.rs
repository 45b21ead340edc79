//! Secrets and ConfigMaps: text folded into data, and what is immutable stays.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    object::{self, fill},
    refusal::Cause,
};

/// Whose token a Secret holds.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) fn fill_in(object: &mut Value) {
    fill(object, "type", "Opaque".into());
    let Some(Value::Object(texts)) = object::fields(object).remove("stringData") else { return };
    let data = object::section(object, "data");
    for (key, text) in texts {
        data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
    }
}

pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = validate_immutable(object, old);
    if old.is_some_and(|it| it["type"] != object["type"]) {
        faults.push(Cause::invalid("type", &object["type"], "field is immutable"));
    }
    let account = &object["metadata"]["annotations"][ACCOUNT];
    if object["type"] == "kubernetes.io/service-account-token"
        && account.as_str().is_none_or(str::is_empty)
    {
        faults.push(Cause::required(format!("metadata.annotations[{ACCOUNT}]"), ""));
    }
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        if STANDARD.decode(text).is_err() {
            let path = format!("data[{key}]");
            faults.push(Cause::invalid(
                path,
                &"<secret contents redacted>".into(),
                "illegal base64 data",
            ));
        }
    }
    faults
}

/// Keys are file names; and an immutable object keeps its data.
pub(super) fn validate_immutable(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut faults = Vec::new();
    for field in ["data", "binaryData"] {
        for key in object[field].as_object().into_iter().flatten().map(|(key, _)| key) {
            let named = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
            if key.is_empty() || key.len() > 253 || !key.chars().all(named) {
                let detail = "a valid config key must consist of alphanumeric characters, '-', '_' \
                    or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for \
                    validation is '[-._a-zA-Z0-9]+')";
                faults.push(Cause::invalid(
                    format!("{field}[{key}]"),
                    &key.as_str().into(),
                    detail,
                ));
            }
        }
    }
    let Some(old) = old.filter(|it| it["immutable"] == true) else { return faults };
    for field in ["immutable", "data", "binaryData"] {
        if old[field] != object[field] {
            let detail = "field is immutable when `immutable` is set";
            faults.push(Cause::forbidden(field, detail));
        }
    }
    faults
}
