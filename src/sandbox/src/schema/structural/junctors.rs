//! What `allOf`, `anyOf`, `oneOf` and `not` may say: more about fields that the schema has named,
//! never what they are.

use serde_json::{Value, json};

use crate::{
    refusal::Cause,
    schema::structural::{Check, JUNCTORS},
};

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

/// A part of a schema, once where it says what fields are and once where it says more.
struct Nested<'a> {
    part: &'a Value,
    path: String,
    /// The part that says what the value is, unless that is missing and reported.
    outside: Option<&'a Value>,
    outside_path: String,
}

impl Check {
    pub(super) fn junctors(&mut self, schema: &Value, path: &str) {
        for (part, step) in branches(schema) {
            let path = path.to_owned();
            self.nested(&Nested {
                part,
                path: format!("{path}.{step}"),
                outside: Some(schema),
                outside_path: path,
            });
        }
    }

    fn nested(&mut self, nested: &Nested<'_>) {
        let Nested { part, path, .. } = nested;
        self.keywords(part, path);
        for (keyword, why) in OUTSIDE {
            if part.get(keyword).is_some_and(|it| *it != false) {
                self.forbid(format!("{path}.{keyword}"), why);
            }
        }
        if part.get(RULES).is_some() {
            self.forbid(format!("{path}.{RULES}"), "must be empty to be structural");
        }
        if part["properties"].get("metadata").is_some() {
            let why = "must not be specified in a nested context";
            self.forbid(format!("{path}.properties[metadata]"), why);
        }
        for (part, step) in branches(part) {
            self.nested(&Nested {
                part,
                path: format!("{path}.{step}"),
                outside: nested.outside,
                outside_path: nested.outside_path.clone(),
            });
        }
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            let outside = nested.outside.and_then(|it| it["properties"].get(name));
            self.inside(nested, (property, outside), &format!("properties[{name}]"));
        }
        if let Some(items) = part.get("items").filter(|it| it.is_object()) {
            let outside = nested.outside.and_then(|it| it.get("items"));
            self.inside(nested, (items, outside), "items");
        }
    }

    fn inside<'a>(
        &mut self,
        nested: &Nested<'a>,
        (part, outside): (&'a Value, Option<&'a Value>),
        step: &str,
    ) {
        let path = format!("{}.{step}", nested.path);
        let outside_path = format!("{}.{step}", nested.outside_path);
        if nested.outside.is_some() && outside.is_none() {
            let why = format!("because it is defined in {path}");
            self.faults.push(Cause::required(outside_path.clone(), &why));
        }
        self.nested(&Nested { part, path, outside, outside_path });
    }
}

/// The branches of a schema, but for the one way to write "an integer or a string".
fn branches(schema: &Value) -> Vec<(&Value, String)> {
    let exception = json!([{"type": "integer"}, {"type": "string"}]);
    let mut branches = Vec::new();
    for junctor in JUNCTORS {
        match &schema[junctor] {
            it if junctor == "anyOf" && *it == exception => {}
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
