//! Which keywords may a schema use, and where? What is wrong with one says nothing of the others; a
//! rule is looked at once all at and below it is right.

use serde_json::Value;

use crate::{
    object,
    refusal::Cause,
    schema::structural::{IDENTITY, Level, has_fields, lists, names_a_type, paths, rules},
};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

const RULES: &str = "x-kubernetes-validations";

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// Keywords of JSON Schema that definitions may not use anywhere.
const UNSUPPORTED: [&str; 6] =
    ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

/// Where a part of a schema is, and what that means for it.
#[derive(Clone)]
struct Place<'a> {
    path: String,
    /// Why there may be no default here.
    no_default: Option<&'static str>,
    in_metadata: bool,
    /// What keeps it from being known what a value was before.
    no_past: Option<String>,
    /// How often values are here in one object at most, if there is a limit.
    often: Option<u64>,
    /// The part as rules see it: branches have none.
    rules: Option<&'a Value>,
}

impl<'a> Place<'a> {
    fn below(&self, step: &str) -> Self {
        Self { path: format!("{}.{step}", self.path), ..self.clone() }
    }

    fn branch(&self, step: &str) -> Self {
        Self { rules: None, ..self.below(step) }
    }

    /// Of each item or entry of the part that is here.
    fn each(self, schema: &Value) -> Self {
        let limit = if schema["type"] == "array" { "maxItems" } else { "maxProperties" };
        let most = schema[limit].as_i64().map(|it| u64::try_from(it).unwrap_or_default());
        let often = self.often.zip(most).map(|(often, most)| often.saturating_mul(most));
        Self { often, ..self }
    }

    fn beneath(&self, step: &str, part: &'a Value) -> Self {
        Self { rules: self.rules.map(|_| part), ..self.below(step) }
    }
}

#[derive(Default)]
struct Found {
    faults: Vec<Cause>,
    of_rules: Vec<Cause>,
    costs: rules::Costs,
}

impl Found {
    fn merge(&mut self, other: Self) {
        self.faults.extend(other.faults);
        self.of_rules.extend(other.of_rules);
        self.costs.extend(other.costs);
    }
}

/// The faults of a schema's keywords, then, if rules are to be looked at, those of the rules.
pub(super) fn check(schema: &Value, path: &str, rules: Option<&Value>) -> Vec<Cause> {
    let place = Place {
        path: path.to_owned(),
        no_default: None,
        in_metadata: false,
        no_past: None,
        often: Some(1),
        rules,
    };
    let mut found = node(schema, &place, Level::Root);
    found.faults.append(&mut found.of_rules);
    found.faults.extend(rules::check_costs(found.costs, path));
    found.faults
}

/// Why a schema cannot be looked at as a structure at all.
pub(super) fn unreadable(schema: &Value) -> Option<&'static str> {
    let own = [
        ("id", "OpenAPIV3Schema 'id' is not supported"),
        ("$schema", "OpenAPIV3Schema 'schema' is not supported"),
        ("$ref", "OpenAPIV3Schema '$ref' is not supported"),
        ("patternProperties", "OpenAPIV3Schema 'patternProperties' is not supported"),
        ("dependencies", "OpenAPIV3Schema 'dependencies' is not supported"),
        ("additionalItems", "OpenAPIV3Schema 'additionalItems' is not supported"),
        ("definitions", "OpenAPIV3Schema 'definitions' is not supported"),
    ];
    if let Some((_, why)) = own.iter().find(|(keyword, _)| !schema[*keyword].is_null()) {
        return Some(why);
    }
    if schema["items"].is_array() {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array");
    }
    if schema[PRESERVE] == false {
        return Some(
            "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined",
        );
    }
    let fields = schema["properties"].as_object().into_iter().flatten().map(|(_, it)| it);
    let lists = ["allOf", "anyOf", "oneOf"].into_iter();
    let branches = lists.flat_map(|it| schema[it].as_array().into_iter().flatten());
    let single = ["items", "additionalProperties", "not"].into_iter().map(|it| &schema[it]);
    fields.chain(branches).chain(single).filter(|it| it.is_object()).find_map(unreadable)
}

fn node(schema: &Value, place: &Place<'_>, level: Level) -> Found {
    let path = &place.path;
    let mut found = Found::default();
    keywords(schema, place, &mut found.faults);
    parts(schema, place, level, &mut found);
    if schema[PRESERVE] == false {
        let fault = Cause::invalid(
            format!("{path}.{PRESERVE}"),
            &schema[PRESERVE],
            "must be true or undefined",
        );
        found.faults.push(fault);
    }
    lists::check(schema, path, &mut found.faults);
    for (index, rule) in object::items(schema, "/x-kubernetes-validations").enumerate() {
        stated(schema, rule, &format!("{path}.{RULES}[{index}]"), &mut found.faults);
    }
    if found.faults.is_empty()
        && let Some(part) = place.rules
    {
        let site = rules::Site { path, no_past: place.no_past.as_deref(), often: place.often };
        found.of_rules.extend(rules::check(part, &site, &mut found.costs));
    }
    found
}

/// Everything inside a schema.
fn parts(schema: &Value, place: &Place<'_>, level: Level, found: &mut Found) {
    if schema["additionalProperties"].is_object() {
        let part = &schema["additionalProperties"];
        let mut place = match place.rules {
            Some(rules) => place.beneath("additionalProperties", &rules["additionalProperties"]),
            None => place.below("additionalProperties"),
        };
        place = place.each(schema);
        if place.in_metadata {
            place.no_default = Some(" inside additionalProperties applying to object metadata");
        }
        found.merge(node(part, &place, Level::Field));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let step = format!("properties[{name}]");
        let mut below = match place.rules {
            Some(rules) => place.beneath(&step, &rules["properties"][name]),
            None => place.below(&step),
        };
        if schema["x-kubernetes-map-type"] == "atomic" && below.no_past.is_none() {
            below.no_past = Some(place.path.clone());
        }
        let embeds = level == Level::Root || schema["x-kubernetes-embedded-resource"] == true;
        if embeds && let Some(at) = IDENTITY.iter().position(|it| it == name) {
            below.in_metadata = true;
            if level == Level::Root {
                below.no_default = Some(TOP_LEVEL[at]);
            }
        }
        found.merge(node(property, &below, Level::Field));
    }
    if schema["not"].is_object() {
        found.merge(node(&schema["not"], &place.branch("not"), Level::Field));
    }
    for junctor in ["allOf", "oneOf", "anyOf"] {
        for (index, part) in schema[junctor].as_array().into_iter().flatten().enumerate() {
            found.merge(node(part, &place.branch(&format!("{junctor}[{index}]")), Level::Field));
        }
    }
    if schema["items"].is_object() {
        let mut below = match place.rules {
            Some(rules) => place.beneath("items", &rules["items"]),
            None => place.below("items"),
        };
        below = below.each(schema);
        if schema["x-kubernetes-list-type"] != "map" && below.no_past.is_none() {
            below.no_past = Some(place.path.clone());
        }
        found.merge(node(&schema["items"], &below, Level::Field));
    }
}

const TOP_LEVEL: [&str; 3] =
    [" in top-level apiVersion", " in top-level kind", " in top-level metadata"];

fn keywords(schema: &Value, place: &Place<'_>, faults: &mut Vec<Cause>) {
    let path = &place.path;
    let mut forbid = |keyword: &str, why: &str| {
        faults.push(Cause::forbidden(format!("{path}.{keyword}"), why));
    };
    if let Some(reason) = place.no_default.filter(|_| !schema["default"].is_null()) {
        forbid("default", &format!("must not be set{reason}"));
    }
    for keyword in UNSUPPORTED.iter().filter(|it| !schema[**it].is_null()) {
        forbid(keyword, &format!("{keyword} is not supported"));
    }
    if schema["type"] == "null" {
        forbid("type", "type cannot be set to null, use nullable as an alternative");
    }
    if schema["items"].is_array() {
        forbid("items", "items must be a schema object and not an array");
    }
    if place.in_metadata && schema["x-kubernetes-embedded-resource"] == true {
        forbid("x-kubernetes-embedded-resource", "must not be used inside of resource meta");
    }
    if schema["uniqueItems"] == true {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes \
                   quadratic";
        forbid("uniqueItems", why);
    }
    let additional = &schema["additionalProperties"];
    if !additional.is_null() && *additional != true && has_fields(&schema["properties"]) {
        let why = "additionalProperties and properties are mutual exclusive";
        forbid("additionalProperties", why);
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    if !kind.is_empty() && !names_a_type(kind) {
        faults.push(Cause::unsupported(format!("{path}.type"), kind, &TYPES));
    }
}

/// What a rule says besides what it rules.
fn stated(schema: &Value, rule: &Value, path: &str, faults: &mut Vec<Cause>) {
    let text = |field: &str| rule[field].as_str().unwrap_or_default();
    let is_broken = |text: &str| text.contains(['\n', '\r']);
    let at = |field: &str| format!("{path}.{field}");
    let (message, source) = (text("message"), text("rule").trim());
    let (blank, lines) = ("must be non-empty if specified", "must not contain line breaks");
    if source.is_empty() {
        faults.push(Cause::required(at("rule"), "rule is not specified"));
    } else if !message.is_empty() && message.trim().is_empty() {
        faults.push(Cause::invalid(at("message"), &rule["message"], blank));
    } else if is_broken(message.trim()) {
        faults.push(Cause::invalid(at("message"), &rule["message"], lines));
    } else if is_broken(source) && message.is_empty() {
        let why = "message must be specified if rule contains line breaks";
        faults.push(Cause::required(at("message"), why));
    }
    let expression = text("messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        faults.push(Cause::required(at("messageExpression"), why));
    }
    if let Some(reason) = rule["reason"].as_str().filter(|it| !REASONS.contains(it)) {
        faults.push(Cause::unsupported(at("reason"), reason, &REASONS));
    }
    let field = text("fieldPath");
    if field.is_empty() {
        return;
    }
    if field.trim().is_empty() {
        faults.push(Cause::invalid(at("fieldPath"), &rule["fieldPath"], blank));
    }
    if is_broken(field) {
        faults.push(Cause::invalid(at("fieldPath"), &rule["fieldPath"], lines));
    }
    if paths::find(field, schema).is_err() {
        let why = "must be a valid path";
        faults.push(Cause::invalid(at("fieldPath"), &rule["fieldPath"], why));
    }
}
