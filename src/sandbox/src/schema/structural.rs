//! Whether a definition's schema is one that Kubernetes takes: a structural one, which says what
//! every field is before it says anything else about it.
//!
//! Three looks follow each other: at the structure, at the defaults, at each keyword. The rules are
//! looked at by the third, if the first two found nothing.

mod junctors;
mod keywords;
mod lists;
pub(crate) mod paths;
mod rules;
pub(crate) mod shown;

use serde_json::{Value, json};

use crate::{
    refusal::Cause,
    schema::{Judged, Mode, Rulebook, Type, compile, patterns, prune, validate},
};

/// What stands at the root of all objects and is described for all of them at once.
const IDENTITY: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The faults of an `openAPIV3Schema` that stands at a path.
pub(crate) fn check(schema: &Value, path: &str) -> Vec<Cause> {
    let unreadable = keywords::unreadable(schema);
    let mut faults = Vec::new();
    if unreadable.is_none() {
        let mut check = Check { faults: Vec::new() };
        check.node(schema, &Place { path: path.to_owned(), level: Level::Root });
        check.complete(schema, path);
        faults = check.faults;
        faults.sort_by_key(Cause::line);
        if faults.is_empty() {
            defaults(schema, path, Level::Root, &mut faults);
        }
    }
    let judges_rules = unreadable.is_none() && faults.is_empty();
    faults.extend(keywords::check(schema, path, judges_rules.then_some(schema)));
    if let Some(why) = unreadable.filter(|_| faults.is_empty()) {
        faults.push(Cause::invalid(path, &"".into(), why));
    }
    faults
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Where in a schema something is.
struct Place {
    path: String,
    level: Level,
}

impl Place {
    fn below(&self, step: &str, level: Level) -> Self {
        Self { path: format!("{}.{step}", self.path), level }
    }
}

struct Check {
    faults: Vec<Cause>,
}

impl Check {
    fn forbid(&mut self, path: String, why: &str) {
        self.faults.push(Cause::forbidden(path, why));
    }

    fn invalid(&mut self, path: String, value: &Value, why: &str) {
        self.faults.push(Cause::invalid(path, value, why));
    }

    fn require(&mut self, path: String, why: &str) {
        self.faults.push(Cause::required(path, why));
    }

    fn node(&mut self, schema: &Value, place: &Place) {
        let path = &place.path;
        self.kind(schema, place);
        self.extensions(schema, path);
        self.pattern(schema, path);
        if place.level == Level::Root || schema["x-kubernetes-embedded-resource"] == true {
            self.identity(schema, place);
        }
        self.junctors(schema, path);

        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            self.node(property, &place.below(&format!("properties[{name}]"), Level::Field));
        }
        if schema["additionalProperties"].is_object() {
            let place = place.below("additionalProperties", Level::Field);
            self.node(&schema["additionalProperties"], &place);
        }
        if schema["items"].is_object() {
            self.node(&schema["items"], &place.below("items", Level::Item));
        }
    }

    fn pattern(&mut self, schema: &Value, path: &str) {
        if let Some(pattern) = schema["pattern"].as_str()
            && let Err(why) = patterns::compile(pattern)
        {
            let why = format!("must be a valid regular expression, but isn't: {why}");
            self.invalid(format!("{path}.pattern"), &schema["pattern"], &why);
        }
    }

    fn kind(&mut self, schema: &Value, place: &Place) {
        let path = format!("{}.type", place.path);
        let name = schema["type"].as_str().unwrap_or_default();
        let flag = |keyword: &str| schema[keyword] == true;
        let is_untyped =
            flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields");
        let embeds = "must be object if x-kubernetes-embedded-resource is true";
        match (name, place.level) {
            ("object", _) => {}
            ("", _) if flag("x-kubernetes-embedded-resource") => self.require(path, embeds),
            (name, _) if flag("x-kubernetes-embedded-resource") => {
                self.invalid(path, &name.into(), embeds);
            }
            ("", _) if is_untyped => {}
            ("", Level::Root) => self.require(path, "must not be empty at the root"),
            ("", Level::Item) => {
                self.require(path, "must not be empty for specified array items");
            }
            ("", Level::Field) => {
                self.require(path, "must not be empty for specified object fields");
            }
            (name, Level::Root) => self.invalid(path, &name.into(), "must be object at the root"),
            _ => {}
        }
        if name == "array" && !schema["items"].is_object() {
            self.require(format!("{}.items", place.path), "must be specified");
        }
        if place.level == Level::Root && schema.get("additionalProperties").is_some() {
            let path = format!("{}.additionalProperties", place.path);
            self.forbid(path, "must not be used at the root");
        }
    }

    fn extensions(&mut self, schema: &Value, path: &str) {
        let preserve = "x-kubernetes-preserve-unknown-fields";
        let is_either = schema["x-kubernetes-int-or-string"] == true;
        for keyword in [preserve, "x-kubernetes-embedded-resource"] {
            if is_either && schema[keyword] == true {
                let why = "must be false if x-kubernetes-int-or-string is true";
                self.invalid(format!("{path}.{keyword}"), &schema[keyword], why);
            }
        }
        if schema["x-kubernetes-embedded-resource"] == true {
            if schema.get("additionalProperties").is_some() {
                let why = "must not be used if x-kubernetes-embedded-resource is set";
                self.forbid(format!("{path}.additionalProperties"), why);
            }
            if schema[preserve] != true && !has_fields(&schema["properties"]) {
                let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                           x-kubernetes-preserve-unknown-fields";
                self.require(format!("{path}.properties"), why);
            }
        }
    }

    /// What every object has is not for a definition to describe.
    fn identity(&mut self, schema: &Value, place: &Place) {
        let properties = &schema["properties"];
        for (name, kind) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
            if let Some(property) = properties.get(name)
                && property["type"] != kind
            {
                let path = format!("{}.properties[{name}].type", place.path);
                let found = property["type"].as_str().unwrap_or_default();
                self.invalid(path, &found.into(), &format!("must be {kind}"));
            }
        }
        let says_more = |metadata: &Value| {
            let keyword = |it: &str| match it {
                "type" | "default" | "format" | "pattern" | "required" => false,
                "properties" => !has_only_names(&metadata["properties"]),
                _ => true,
            };
            metadata.as_object().is_some_and(|it| it.keys().any(|it| keyword(it)))
        };
        if place.level == Level::Root && says_more(&properties["metadata"]) {
            let why = "must not specify anything other than name and generateName, but metadata \
                       is implicitly specified";
            self.forbid(format!("{}.properties[metadata]", place.path), why);
        }
    }
}

fn has_fields(properties: &Value) -> bool {
    properties.as_object().is_some_and(|it| !it.is_empty())
}

fn has_only_names(properties: &Value) -> bool {
    let is_ours = |name: &String| matches!(name.as_str(), "name" | "generateName");
    properties.as_object().is_none_or(|it| it.keys().all(is_ours))
}

/// A default must itself be what the schema asks for.
fn defaults(schema: &Value, path: &str, level: Level, faults: &mut Vec<Cause>) {
    if !schema["default"].is_null() {
        default(schema, &format!("{path}.default"), level, faults);
    }
    if schema["items"].is_object() {
        defaults(&schema["items"], &format!("{path}.items"), Level::Item, faults);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        defaults(property, &format!("{path}.properties[{name}]"), Level::Field, faults);
    }
}

fn default(schema: &Value, path: &str, level: Level, faults: &mut Vec<Cause>) {
    let default = &schema["default"];
    let embeds = level == Level::Root;
    let mut said = schema.clone();
    if said["x-kubernetes-int-or-string"] == true {
        // The type of a default is looked at, and this is none.
        said["x-kubernetes-int-or-string"] = false.into();
    }
    let node = compile::part(&said);
    let mut known = default.clone();
    if !prune(&mut known, &node, Mode::Prune).is_ok_and(|it| it.is_empty()) {
        faults.push(Cause::invalid(path, default, "must not have unknown fields"));
    }
    if embeds && default.is_object() {
        let missing: Vec<Cause> = ["apiVersion", "kind"]
            .iter()
            .filter(|it| default[**it].as_str().is_none_or(str::is_empty))
            .map(|it| Cause::required(format!("{path}.{it}"), ""))
            .collect();
        if !missing.is_empty() {
            faults.extend(missing);
            return;
        }
    }
    let mut found = validate(default, None, &node, "");
    if found.is_empty()
        && let Some(rules) = Rulebook::compile(&said)
    {
        found = rules.judge(default, Some(default), Judged::NotYet);
    }
    faults.extend(found.into_iter().map(|mut fault| {
        fault.field = match fault.field.as_str() {
            "" | "<nil>" => path.to_owned(),
            field => format!("{path}.{field}"),
        };
        fault
    }));
}

/// The one way to write "an integer or a string".
fn is_int_or_string(branches: &Value) -> bool {
    *branches == json!([{"type": "integer"}, {"type": "string"}])
}

fn names_a_type(name: &str) -> bool {
    Type::parse(name).is_some()
}
