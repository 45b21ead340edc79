//! Whether a definition's schema is one that Kubernetes takes: a structural one, which says what
//! every field is before it says anything else about it.

mod junctors;

use serde_json::{Value, json};

use crate::{
    object,
    refusal::Cause,
    schema::{Mode, Type, compile, patterns, prune, validate},
};

const TYPES: &str = r#""array", "boolean", "integer", "number", "object", "string""#;

/// Keywords of JSON Schema that definitions may not use anywhere.
const UNSUPPORTED: [&str; 6] =
    ["$ref", "additionalItems", "definitions", "dependencies", "id", "patternProperties"];

const JUNCTORS: [&str; 4] = ["allOf", "anyOf", "oneOf", "not"];

/// The faults of an `openAPIV3Schema` that stands at a path.
pub(crate) fn check(schema: &Value, path: &str) -> Vec<Cause> {
    let mut check = Check { faults: Vec::new() };
    check.node(schema, &Place { path: path.to_owned(), level: Level::Root, has_past: true });
    check.faults
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
    /// Whether it is known of a value here what it was before an update.
    has_past: bool,
}

impl Place {
    fn below(&self, step: &str, level: Level) -> Self {
        Self { path: format!("{}.{step}", self.path), level, has_past: self.has_past }
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

    fn node(&mut self, schema: &Value, place: &Place) {
        let path = &place.path;
        self.keywords(schema, path);
        self.kind(schema, place);
        self.extensions(schema, path);
        self.list(schema, path);
        self.rules(schema, place);
        self.default(schema, path);
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
            let mut place = place.below("items", Level::Item);
            place.has_past &= schema["x-kubernetes-list-type"] == "map";
            self.node(&schema["items"], &place);
        }
    }

    /// What is wrong wherever it stands.
    fn keywords(&mut self, schema: &Value, path: &str) {
        for keyword in UNSUPPORTED.iter().filter(|it| schema.get(it).is_some()) {
            self.forbid(format!("{path}.{keyword}"), &format!("{keyword} is not supported"));
        }
        if schema["items"].is_array() {
            let why = "items must be a schema object and not an array";
            self.forbid(format!("{path}.items"), why);
        }
        if schema["uniqueItems"] == true {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes \
                       quadratic";
            self.forbid(format!("{path}.uniqueItems"), why);
        }
        let additional = schema.get("additionalProperties");
        if additional.is_some_and(|it| *it != true) && has_fields(&schema["properties"]) {
            let why = "additionalProperties and properties are mutual exclusive";
            self.forbid(format!("{path}.additionalProperties"), why);
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && let Err(error) = patterns::compile(pattern)
        {
            let why = format!("must be a valid regular expression, but isn't: {error}");
            self.invalid(format!("{path}.pattern"), &schema["pattern"], &why);
        }
    }

    fn kind(&mut self, schema: &Value, place: &Place) {
        let path = format!("{}.type", place.path);
        let name = schema["type"].as_str().unwrap_or_default();
        let flag = |keyword: &str| schema[keyword] == true;
        let is_untyped =
            flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields");
        match (name, place.level) {
            ("", _) if flag("x-kubernetes-embedded-resource") => {
                let why = "must be object if x-kubernetes-embedded-resource is true";
                self.faults.push(Cause::required(path, why));
            }
            ("", _) if is_untyped => {}
            ("", Level::Root) => {
                self.faults.push(Cause::required(path, "must not be empty at the root"));
            }
            ("", Level::Item) => {
                let why = "must not be empty for specified array items";
                self.faults.push(Cause::required(path, why));
            }
            ("", Level::Field) => {
                let why = "must not be empty for specified object fields";
                self.faults.push(Cause::required(path, why));
            }
            ("null", _) => {
                self.forbid(path, "type cannot be set to null, use nullable as an alternative");
            }
            (name, _) if Type::parse(name).is_none() => {
                let message = format!("Unsupported value: \"{name}\": supported values: {TYPES}");
                self.faults.push(Cause::new("FieldValueNotSupported", path, message));
            }
            (name, Level::Root) if name != "object" => {
                self.invalid(path, &name.into(), "must be object at the root");
            }
            (name, _) if name != "object" && flag("x-kubernetes-embedded-resource") => {
                let why = "must be object if x-kubernetes-embedded-resource is true";
                self.invalid(path, &name.into(), why);
            }
            ("array", _) if schema.get("items").is_none() => {
                let path = format!("{}.items", place.path);
                self.faults.push(Cause::required(path, "must be specified"));
            }
            _ => {}
        }
        if place.level == Level::Root && schema.get("additionalProperties").is_some() {
            let path = format!("{}.additionalProperties", place.path);
            self.forbid(path, "must not be used at the root");
        }
    }

    fn extensions(&mut self, schema: &Value, path: &str) {
        let preserve = "x-kubernetes-preserve-unknown-fields";
        if schema.get(preserve).is_some_and(|it| *it != true) {
            let why = "must be true or undefined";
            self.invalid(format!("{path}.{preserve}"), &schema[preserve], why);
        }
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
                self.faults.push(Cause::required(format!("{path}.properties"), why));
            }
        }
    }

    /// How a list or a map says that it merges.
    fn list(&mut self, schema: &Value, path: &str) {
        for (keyword, kind, known) in [
            ("x-kubernetes-list-type", "array", ["atomic", "set", "map"].as_slice()),
            ("x-kubernetes-map-type", "object", &["atomic", "granular"]),
        ] {
            let Some(stated) = schema[keyword].as_str() else { continue };
            if schema["type"] != kind {
                let why = format!("must be {kind} if {keyword} is specified");
                self.invalid(format!("{path}.type"), &schema["type"], &why);
            }
            if !known.contains(&stated) {
                let known: Vec<String> = known.iter().map(|it| format!("\"{it}\"")).collect();
                let known = known.join(", ");
                let message = format!("Unsupported value: \"{stated}\": supported values: {known}");
                let path = format!("{path}.{keyword}");
                self.faults.push(Cause::new("FieldValueNotSupported", path, message));
            }
        }
        let keys = object::strings(&schema["x-kubernetes-list-map-keys"]);
        let path_of_keys = format!("{path}.x-kubernetes-list-map-keys");
        match (schema["x-kubernetes-list-type"] == "map", keys.is_empty()) {
            (true, true) => {
                let why = "must not be empty if x-kubernetes-list-type is map";
                self.faults.push(Cause::required(path_of_keys, why));
            }
            (false, false) => {
                let why = "must be map if x-kubernetes-list-map-keys is non-empty";
                let path = format!("{path}.x-kubernetes-list-type");
                self.invalid(path, &schema["x-kubernetes-list-type"], why);
            }
            _ => self.keys(&schema["items"], &keys, path),
        }
    }

    /// A key that may be missing tells no items apart.
    fn keys(&mut self, items: &Value, keys: &[&str], path: &str) {
        let required = object::strings(&items["required"]);
        for (index, key) in keys.iter().enumerate() {
            let Some(property) = items["properties"].get(key) else {
                let path = format!("{path}.x-kubernetes-list-map-keys[{index}]");
                self.invalid(path, &(*key).into(), "entries must all be names of item properties");
                continue;
            };
            if !required.contains(key) && property.get("default").is_none() {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a \
                           default or be a required property";
                let path = format!("{path}.items.properties[{key}].default");
                self.faults.push(Cause::required(path, why));
            }
        }
    }

    /// Whether the CEL rules can be compiled, and can know what they ask for.
    fn rules(&mut self, schema: &Value, place: &Place) {
        let rules = schema["x-kubernetes-validations"].as_array();
        for (index, rule) in rules.into_iter().flatten().enumerate() {
            let path = format!("{}.x-kubernetes-validations[{index}].rule", place.path);
            if object::text(rule, "/rule").trim().is_empty() {
                self.faults.push(Cause::required(path, "rule is not specified"));
                continue;
            }
            let compiled = kube_cel::compile_schema(&json!({"x-kubernetes-validations": [rule]}));
            for error in compiled.compilation_errors() {
                let why = format!("compilation failed: {error}");
                self.invalid(path.clone(), &rule["rule"], &why);
            }
            let mut rules = compiled.validations.iter().filter_map(|it| it.as_ref().ok());
            if !place.has_past && rules.any(|it| it.is_transition_rule) {
                let why = "oldSelf cannot be used on the uncorrelatable portion of the schema";
                self.invalid(path, &rule["rule"], why);
            }
        }
    }

    /// A default must itself be what the schema asks for.
    fn default(&mut self, schema: &Value, path: &str) {
        let Some(default) = schema.get("default") else { return };
        let node = compile::part(schema);
        let path = format!("{path}.default");
        let mut known = default.clone();
        match prune(&mut known, &node, Mode::Prune) {
            Ok(unknown) if unknown.is_empty() => {
                self.faults.extend(validate(default, None, &node, &path));
            }
            _ => self.invalid(path, default, "must not have unknown fields"),
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
                self.invalid(path, &property["type"], &format!("must be {kind}"));
            }
        }
        let mut fields = properties["metadata"]["properties"].as_object().into_iter().flatten();
        let is_ours = |name: &str| matches!(name, "name" | "generateName");
        if place.level == Level::Root && fields.any(|(name, _)| !is_ours(name)) {
            let why = "must not specify anything other than name and generateName, but metadata \
                       is implicitly specified";
            self.forbid(format!("{}.properties[metadata]", place.path), why);
        }
    }
}

fn has_fields(properties: &Value) -> bool {
    properties.as_object().is_some_and(|it| !it.is_empty())
}
