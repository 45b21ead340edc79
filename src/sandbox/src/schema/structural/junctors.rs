//! What `allOf`, `anyOf`, `oneOf` and `not` may say: more about fields that the schema has named,
//! never what they are.

use serde_json::Value;

use crate::schema::structural::{Check, is_int_or_string};

const JUNCTORS: [&str; 4] = ["not", "allOf", "anyOf", "oneOf"];

/// Keywords that belong outside, and what their absence is called.
const OUTSIDE: [(&str, &str); 12] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
];

const RULES: &str = "x-kubernetes-validations";

/// A branch of a schema that stands beside what says what the values are, if that is there.
struct Beside<'a> {
    part: &'a Value,
    path: String,
    outside: Option<&'a Value>,
    outside_path: String,
}

impl Check {
    pub(super) fn junctors(&mut self, schema: &Value, path: &str) {
        for (part, step) in branches(schema) {
            self.nested(part, &format!("{path}.{step}"));
        }
    }

    fn nested(&mut self, part: &Value, path: &str) {
        self.pattern(part, path);
        self.junctors(part, path);
        for (keyword, why) in OUTSIDE {
            if part.get(keyword).is_some_and(|it| *it != false && !it.is_null() && *it != "") {
                self.forbid(format!("{path}.{keyword}"), why);
            }
        }
        if part[RULES].as_array().is_some_and(|it| !it.is_empty()) {
            self.forbid(format!("{path}.{RULES}"), "must be empty to be structural");
        }
        if part["properties"].get("metadata").is_some() {
            let why = "must not be specified in a nested context";
            self.forbid(format!("{path}.properties[metadata]"), why);
        }
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            self.nested(property, &format!("{path}.properties[{name}]"));
        }
        if part["items"].is_object() {
            self.nested(&part["items"], &format!("{path}.items"));
        }
    }

    /// Whether all that branches at the root speak of is named outside of them.
    pub(super) fn complete(&mut self, schema: &Value, path: &str) {
        self.beside(&Beside {
            part: schema,
            path: path.to_owned(),
            outside: Some(schema),
            outside_path: path.to_owned(),
        });
    }

    fn beside(&mut self, beside: &Beside<'_>) {
        let Beside { part, path, outside, outside_path } = beside;
        for (part, step) in branches(part) {
            let (path, outside_path) = (format!("{path}.{step}"), outside_path.clone());
            let branch = Beside { part, path, outside: *outside, outside_path };
            self.beside(&branch);
            self.inside(&branch);
        }
    }

    /// The fields and items of a branch.
    fn inside(&mut self, branch: &Beside<'_>) {
        let properties = branch.part["properties"].as_object();
        let mut parts: Vec<(&Value, Option<&Value>, String)> = Vec::new();
        for (name, part) in properties.into_iter().flatten() {
            let outside = branch.outside.and_then(|it| it["properties"].get(name));
            parts.push((part, outside, format!("properties[{name}]")));
        }
        if branch.part["items"].is_object() {
            let outside = branch.outside.and_then(|it| it.get("items"));
            parts.push((&branch.part["items"], outside, "items".to_owned()));
        }
        for (part, outside, step) in parts {
            let path = format!("{}.{step}", branch.path);
            let outside_path = format!("{}.{step}", branch.outside_path);
            if outside.is_none() {
                self.require(outside_path, &format!("because it is defined in {path}"));
                continue;
            }
            let below = Beside { part, path, outside, outside_path };
            self.beside(&below);
            self.inside(&below);
        }
    }
}

/// The branches of a schema, but for the one way to write "an integer or a string".
fn branches(schema: &Value) -> Vec<(&Value, String)> {
    let mut branches = Vec::new();
    for junctor in JUNCTORS {
        match &schema[junctor] {
            it if junctor == "anyOf" && is_int_or_string(it) => {}
            Value::Array(list) => {
                let list = list.iter().enumerate();
                branches.extend(list.map(|(index, it)| (it, format!("{junctor}[{index}]"))));
            }
            it @ Value::Object(_) => branches.push((it, junctor.to_owned())),
            _ => {}
        }
    }
    branches
}
