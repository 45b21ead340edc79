//! ConfigMaps and Secrets: text folded into data, keys that are files, and what is immutable stays.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    kinds::{
        PLAIN, Rules,
        check::{Faults, Field},
    },
    object::{self, fill},
    refusal::Cause,
};

/// All data of an object together.
const LIMIT: usize = 1024 * 1024;

const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
    (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
    '[-._a-zA-Z0-9]+')";

/// Secret types whose data must have all of some keys.
const KEYS: [(&str, &[&str]); 4] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

pub(super) const CONFIG_MAP: Rules = Rules {
    fill_in: |object| drop_empty(object, &["data", "binaryData"]),
    validate: validate_config_map,
    ..PLAIN
};

pub(super) const SECRET: Rules =
    Rules { fill_in: fill_in_secret, validate: validate_secret, ..PLAIN };

fn drop_empty(object: &mut Value, fields: &[&str]) {
    object::fields(object).retain(|key, value| {
        let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        !(is_empty && fields.contains(&key.as_str()))
    });
}

fn fill_in_secret(object: &mut Value) {
    fill(object, "type", "Opaque".into());
    if let Some(Value::Object(texts)) = object::fields(object).remove("stringData") {
        let data = object::section(object, "data");
        for (key, text) in texts {
            data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
        }
    }
    drop_empty(object, &["data"]);
}

fn validate_config_map(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let mut size = 0;
    for (key, field) in Field::of(object, "data").entries() {
        faults.extend(key_fault(key, &field.path));
        if object["binaryData"].get(key).is_some() {
            let detail = "duplicate of key present in binaryData";
            faults.push(Cause::invalid(field.path.as_str(), &key.into(), detail));
        }
        size += field.text().len();
    }
    for (key, field) in Field::of(object, "binaryData").entries() {
        faults.extend(key_fault(key, &field.path));
        size += decoded_length(field.text());
    }
    if size > LIMIT {
        faults.push(too_long("[]"));
    }
    keep_immutable(object, old, &["immutable", "data", "binaryData"], &mut faults);
    faults
}

fn validate_secret(object: &Value, old: Option<&Value>) -> Faults {
    let mut faults = Vec::new();
    let data = Field::of(object, "data");
    let mut size = 0;
    for (key, field) in data.entries() {
        faults.extend(key_fault(key, &field.path));
        size += decoded_length(field.text());
    }
    if size > LIMIT {
        faults.push(too_long("data"));
    }
    let kind = object::text(object, "/type");
    validate_type(kind, &data, &mut faults);
    if kind == "kubernetes.io/service-account-token"
        && object::text(object, "/metadata/annotations/kubernetes.io~1service-account.name")
            .is_empty()
    {
        let path = "metadata.annotations[kubernetes.io/service-account.name]";
        faults.push(Cause::required(path, ""));
    }
    if old.is_some_and(|it| it["type"] != object["type"]) {
        faults.push(Cause::invalid("type", &object["type"], "field is immutable"));
    }
    keep_immutable(object, old, &["immutable", "data"], &mut faults);
    faults
}

fn validate_type(kind: &str, data: &Field<'_>, faults: &mut Faults) {
    let lacks = |key: &str| data.value.get(key).is_none();
    let required = |key: &str| Cause::required(format!("data[{key}]"), "");
    if kind == "kubernetes.io/basic-auth" && lacks("username") && lacks("password") {
        faults.extend(["username", "password"].map(required));
    }
    let Some((_, keys)) = KEYS.iter().find(|(it, _)| *it == kind) else { return };
    faults.extend(keys.iter().filter(|it| lacks(it)).map(|it| required(it)));
    for key in keys.iter().filter(|it| it.starts_with('.')) {
        let Ok(bytes) = STANDARD.decode(object::text(data.value, &format!("/{key}"))) else {
            continue;
        };
        if !lacks(key) && serde_json::from_slice::<Value>(&bytes).is_err() {
            let detail = match bytes.first() {
                None => "unexpected end of JSON input".to_owned(),
                Some(byte) => {
                    let found = char::from(*byte);
                    format!("invalid character '{found}' looking for beginning of value")
                }
            };
            let path = format!("data[{key}]");
            faults.push(Cause::invalid(path, &"<secret contents redacted>".into(), &detail));
        }
    }
}

fn key_fault(key: &str, path: &str) -> Option<Cause> {
    let named = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    let detail = if key.len() > 253 {
        "must be no more than 253 characters"
    } else if key.is_empty() || !key.chars().all(named) {
        KEY
    } else if key == "." {
        "must not be '.'"
    } else if key == ".." {
        "must not be '..'"
    } else if key.starts_with("..") {
        "must not start with '..'"
    } else {
        return None;
    };
    Some(Cause::invalid(path, &key.into(), detail))
}

/// What is wrong with a key that something else refers to.
pub(super) fn key_rule(key: &str) -> Option<String> {
    key_fault(key, "").and_then(|it| it.message.split_once("\": ").map(|(_, it)| it.to_owned()))
}

fn decoded_length(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|it| *it == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

fn too_long(path: &str) -> Cause {
    let message = format!("Too long: may not be more than {LIMIT} bytes");
    Cause::new("FieldValueTooLong", path, message)
}

fn keep_immutable(object: &Value, old: Option<&Value>, fields: &[&str], faults: &mut Faults) {
    let Some(old) = old.filter(|it| it["immutable"] == true) else { return };
    for field in fields {
        if old[*field] != object[*field] {
            let detail = "field is immutable when `immutable` is set";
            faults.push(Cause::forbidden(*field, detail));
        }
    }
}
