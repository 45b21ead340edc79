//! How may a list or a map say that it merges?

use serde_json::Value;

use crate::{object, refusal::Cause};

const LIST: &str = "x-kubernetes-list-type";
const MAP: &str = "x-kubernetes-map-type";
const KEYS: &str = "x-kubernetes-list-map-keys";

pub(super) fn check(schema: &Value, path: &str, faults: &mut Vec<Cause>) {
    stated(schema, path, (MAP, "object", &["atomic", "granular"]), faults);
    stated(schema, path, (LIST, "array", &["atomic", "set", "map"]), faults);
    if schema[LIST] == "set" && schema["type"] == "array" {
        set(&schema["items"], path, faults);
    }
    let keys = object::strings(&schema[KEYS]);
    if !keys.is_empty() && schema[LIST] != "map" {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        let path = format!("{path}.{LIST}");
        faults.push(match &schema[LIST] {
            Value::Null => Cause::required(path, why),
            other => Cause::invalid(path, other, why),
        });
    }
    if schema[LIST] == "map" {
        map(schema, &keys, path, faults);
    }
    if schema[LIST] == "map" || schema[LIST] == "set" {
        present(schema, &keys, path, faults);
    }
}

fn stated(
    schema: &Value,
    path: &str,
    (keyword, kind, known): (&str, &str, &[&str]),
    faults: &mut Vec<Cause>,
) {
    let Some(stated) = schema[keyword].as_str() else { return };
    if schema["type"] != kind {
        let why = format!("must be {kind} if {keyword} is specified");
        let path = format!("{path}.type");
        faults.push(match schema["type"].as_str().unwrap_or_default() {
            "" => Cause::required(path, &why),
            other => Cause::invalid(path, &other.into(), &why),
        });
    }
    if !known.contains(&stated) {
        faults.push(Cause::unsupported(format!("{path}.{keyword}"), stated, known));
    }
}

/// What is one item of a set must be one value.
fn set(items: &Value, path: &str, faults: &mut Vec<Cause>) {
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    if items["type"] == "array" && !items[LIST].is_null() && items[LIST] != "atomic" {
        faults.push(Cause::invalid(format!("{path}.items.{LIST}"), &items[LIST], why));
    }
    if items["type"] == "object" && items[MAP] != "atomic" {
        // That the list's word is shown, not the map's, is how it is.
        faults.push(Cause::invalid(format!("{path}.items.{MAP}"), &items[LIST], why));
    }
}

fn map(schema: &Value, keys: &[&str], path: &str, faults: &mut Vec<Cause>) {
    let of_keys = format!("{path}.{KEYS}");
    if keys.is_empty() {
        let why = "must not be empty if x-kubernetes-list-type is map";
        faults.push(Cause::required(of_keys.clone(), why));
    }
    let items = &schema["items"];
    if items.is_null() {
        let why = "must have a schema if x-kubernetes-list-type is map";
        faults.push(Cause::required(format!("{path}.items"), why));
        return;
    }
    if items["type"] != "object" {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        let kind = items["type"].as_str().unwrap_or_default();
        faults.push(Cause::invalid(format!("{path}.items.type"), &kind.into(), why));
        return;
    }
    for (index, key) in keys.iter().enumerate() {
        match &items["properties"][*key] {
            Value::Null => {
                let why = "entries must all be names of item properties";
                faults.push(Cause::invalid(of_keys.clone(), &schema[KEYS], why));
            }
            it if it["type"] == "array" || it["type"] == "object" => {
                let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                let path = format!("{path}.items.properties[{key}].type");
                faults.push(Cause::invalid(path, &items["type"], why));
            }
            _ => {}
        }
        if keys.iter().take(index).any(|it| it == key) {
            let why = "must not contain duplicate entries";
            faults.push(Cause::invalid(of_keys.clone(), &schema[KEYS], why));
        }
    }
}

/// A key that may be missing tells no items apart.
fn present(schema: &Value, keys: &[&str], path: &str, faults: &mut Vec<Cause>) {
    let (items, stated) = (&schema["items"], object::text(schema, "/x-kubernetes-list-type"));
    if items["nullable"] == true {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {stated}");
        faults.push(Cause::forbidden(format!("{path}.items.nullable"), &why));
    }
    let required = object::strings(&items["required"]);
    for key in keys.iter().filter(|_| stated == "map") {
        let Some(property) = items["properties"].get(key) else { continue };
        let path = format!("{path}.items.properties[{key}]");
        if !required.contains(key) && property["default"].is_null() {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a \
                       default or be a required property";
            faults.push(Cause::required(format!("{path}.default"), why));
        }
        if property["nullable"] == true {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            faults.push(Cause::forbidden(format!("{path}.nullable"), why));
        }
    }
}
