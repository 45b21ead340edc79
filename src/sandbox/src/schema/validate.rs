//! Whether an object keeps to its schema; every fault with its path, in Kubernetes' words.

mod numbers;

pub(super) use self::numbers::is_whole;
use serde_json::{Map, Value};

use crate::{
    refusal::Cause,
    schema::{Holds, Merge, Node, Range, Rules, Type, formats::Format, lists::counterpart},
};

/// The faults of the value at a path. What an update leaves as it was may stay so: a schema that
/// became stricter does not forbid to change the rest of an object.
pub(crate) fn validate(value: &Value, old: Option<&Value>, node: &Node, path: &str) -> Vec<Cause> {
    check(value, old, node, path).faults
}

/// What a value was found to be at fault in, and how many checks it passed: of several ways to be
/// right, that which was missed by least is told.
#[derive(Default)]
struct Findings {
    faults: Vec<Cause>,
    passed: usize,
}

impl Findings {
    fn add(&mut self, fault: Cause) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// A fault that stands at no field.
    fn add_general(&mut self, detail: &str) {
        self.add(Cause::invalid("<nil>", &"".into(), detail));
    }

    fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        for fault in other.faults {
            self.add(fault);
        }
    }
}

fn check(value: &Value, old: Option<&Value>, node: &Node, path: &str) -> Findings {
    if old == Some(value) {
        return Findings::default();
    }
    inspect(value, old, node, path)
}

/// The same for a branch of a schema, which what was there before does not excuse by itself.
fn inspect(value: &Value, old: Option<&Value>, node: &Node, path: &str) -> Findings {
    let mut found = Findings::default();
    if node.kind.is_some() || node.rules.format.is_some() {
        match mistyped(value, node, path) {
            Some(fault) => found.add(fault),
            None => found.passed += 1,
        }
        found.passed += 1;
    }
    if value.is_null() {
        enumeration(value, &node.rules, path, &mut found);
        return found;
    }
    found.merge(combinations(value, old, &node.rules, path));
    match value {
        Value::Object(map) => fields((map, old), node, path, &mut found),
        Value::Array(list) => items((list, old), node, path, &mut found),
        Value::String(text) => text_rules(text, &node.rules, path, &mut found),
        Value::Number(_) => numbers::check(value, node, path, &mut found),
        Value::Bool(_) | Value::Null => {}
    }
    enumeration(value, &node.rules, path, &mut found);
    found.passed += 3;
    found
}

fn mistyped(value: &Value, node: &Node, path: &str) -> Option<Cause> {
    let format = node.rules.format.as_ref();
    let numeric = matches!(node.kind, Some(Type::Integer | Type::Number | Type::IntOrString));
    // The format says more than the type, and is held against it apart.
    let lenient = format.is_some() && !numeric && (value.is_string() || value.is_array());
    let fits = match (value, node.kind) {
        (Value::Null, kind) => kind.is_none() || node.nullable,
        _ if lenient => true,
        (_, None) => format.is_none(),
        (_, Some(kind)) => kind.takes(value),
    };
    if fits {
        return None;
    }
    let named = format.filter(|_| !value.is_string() && !value.is_array() && !value.is_null());
    let (wanted, found) = match (named, node.kind) {
        (Some(format), _) => (format.name(), format_of(value)),
        (None, kind) => (kind.map_or("", Type::name), kind_of(value)),
    };
    let detail = format!("{} must be of type {wanted}: \"{found}\"", in_body(path));
    Some(mistake(path, found, &detail))
}

fn mistake(path: &str, found: &str, detail: &str) -> Cause {
    let path = if path.is_empty() { "<nil>" } else { path };
    let message = format!("Invalid value: {}: {detail}", Value::from(found));
    Cause::new("FieldValueTypeInvalid", path, message)
}

fn fields(
    (map, old): (&Map<String, Value>, Option<&Value>),
    node: &Node,
    path: &str,
    found: &mut Findings,
) {
    let count = map.len() as u64;
    bounds(count, node.rules.keys, ["properties", path], found);
    // Keys of a map that is one value are not told apart from before.
    let old = old.filter(|_| node.merge != Merge::Whole);
    for (key, item) in map {
        if let Some(child) = node.field(key) {
            let names_kind = path.is_empty() && matches!(key.as_str(), "apiVersion" | "kind");
            let old = old.filter(|_| !names_kind).and_then(|it| it.get(key));
            found.merge(check(item, old, child, &join(path, key)));
        }
    }
    if node.holds == Holds::Resource {
        identity(map, path, found);
    }
    for name in node.rules.required.iter().filter(|it| !map.contains_key(*it)) {
        found.add(Cause::required(join(path, name), ""));
    }
}

/// An object in an object says what it is.
fn identity(map: &Map<String, Value>, path: &str, found: &mut Findings) {
    for field in ["apiVersion", "kind"] {
        match map.get(field) {
            None => found.add(Cause::required(join(path, field), "")),
            Some(it) if *it == "" => {
                found.add(Cause::invalid(join(path, field), it, "must not be empty"));
            }
            Some(_) => {}
        }
    }
}

fn items((list, old): (&[Value], Option<&Value>), node: &Node, path: &str, found: &mut Findings) {
    if let Some(child) = node.item() {
        for (index, item) in list.iter().enumerate() {
            let old = counterpart(&node.merge, item, old);
            found.merge(check(item, old, child, &format!("{path}[{index}]")));
        }
    }
    bounds(list.len() as u64, node.rules.count, ["items", path], found);
    found.passed += 1;
}

fn bounds(count: u64, range: Range, [what, path]: [&str; 2], found: &mut Findings) {
    if let Some(most) = range.most.filter(|it| count > *it) {
        let message = format!("Too many: {count}: must have at most {most} item{}", plural(most));
        found.add(Cause::new("FieldValueTooMany", path, message));
    }
    if let Some(least) = range.least.filter(|it| count < *it) {
        let detail = format!("{} should have at least {least} {what}", in_body(path));
        found.add(Cause::invalid(path, &count.into(), &detail));
    }
}

fn text_rules(text: &str, rules: &Rules, path: &str, found: &mut Findings) {
    if let Some(fault) = text_fault(text, rules, path) {
        found.add(fault);
    }
    found.passed += 1;
    let Some(Format::Text { name, takes }) = &rules.format else { return };
    if !takes(text) {
        let detail = format!("{} must be of type {name}: {}", in_body(path), Value::from(text));
        found.add(mistake(path, text, &detail));
    }
    found.passed += 1;
}

/// The first fault alone: the length is looked at before the pattern.
fn text_fault(text: &str, rules: &Rules, path: &str) -> Option<Cause> {
    let value = Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(most) = rules.length.most.filter(|it| length > *it) {
        let message = format!("Too long: may not be more than {most} byte{}", plural(most));
        return Some(Cause::new("FieldValueTooLong", path, message));
    }
    if let Some(least) = rules.length.least.filter(|it| length < *it) {
        let detail = format!("{} should be at least {least} chars long", in_body(path));
        return Some(Cause::invalid(path, &value, &detail));
    }
    let (stated, pattern) = rules.pattern.as_ref()?;
    let detail = format!("{} should match '{stated}'", in_body(path));
    (!pattern.is_match(text)).then(|| Cause::invalid(path, &value, &detail))
}

fn enumeration(value: &Value, rules: &Rules, path: &str, found: &mut Findings) {
    let Some(values) = &rules.values else { return };
    if values.is_empty() || values.iter().any(|it| is_one_of(value, it)) {
        return;
    }
    let known: Vec<String> = values
        .iter()
        .map(|it| if it.is_string() { it.to_string() } else { format!("\"{it}\"") })
        .collect();
    let message = format!("Unsupported value: {value}: supported values: {}", known.join(", "));
    found.add(Cause::new("FieldValueNotSupported", path, message));
}

/// Numbers are compared as what the schema wrote; a null is never one of the values.
fn is_one_of(value: &Value, stated: &Value) -> bool {
    match (value, stated) {
        (Value::Null, _) => false,
        (Value::Number(_), Value::Number(stated)) if stated.is_f64() => {
            value.as_f64() == stated.as_f64()
        }
        (Value::Number(_), Value::Number(stated)) => numbers::truncated(value) == stated.as_i64(),
        _ => value == stated,
    }
}

fn combinations(value: &Value, old: Option<&Value>, rules: &Rules, path: &str) -> Findings {
    let mut all = Findings { passed: 1, ..Findings::default() };
    let try_each = |nodes: &[std::sync::Arc<Node>]| -> Vec<Findings> {
        nodes.iter().map(|it| inspect(value, old, it, path)).collect()
    };
    let quoted = Value::from(path);

    if !rules.any_of.is_empty() {
        let tried = try_each(&rules.any_of);
        if !tried.iter().any(|it| it.faults.is_empty()) {
            all.add_general(&format!("{quoted} must validate at least one schema (anyOf)"));
            all.merge(nearest(tried));
        }
    }
    if !rules.one_of.is_empty() {
        let tried = try_each(&rules.one_of);
        let one = format!("{quoted} must validate one and only one schema (oneOf).");
        match tried.iter().filter(|it| it.faults.is_empty()).count() {
            1 => {}
            0 => {
                all.add_general(&format!("{one} Found none valid"));
                all.merge(nearest(tried));
            }
            many => all.add_general(&format!("{one} Found {many} valid alternatives")),
        }
    }
    if !rules.all_of.is_empty() {
        let tried = try_each(&rules.all_of);
        let right = tried.iter().filter(|it| it.faults.is_empty()).count();
        let is_wrong = right < tried.len();
        for it in tried {
            all.merge(it);
        }
        if is_wrong {
            let none = if right == 0 { ". None validated" } else { "" };
            all.add_general(&format!("{quoted} must validate all the schemas (allOf){none}"));
        }
    }
    let is_barred = |it: &Node| inspect(value, old, it, path).faults.is_empty();
    if rules.not.as_deref().is_some_and(is_barred) {
        all.add_general(&format!("{quoted} must not validate the schema (not)"));
    }
    all
}

/// What was missed by least, the first of equals.
fn nearest(tried: Vec<Findings>) -> Findings {
    let better = |best: Findings, it: Findings| if it.passed > best.passed { it } else { best };
    tried.into_iter().reduce(better).unwrap_or_default()
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(it) if it.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What a value is when a format was asked for.
fn format_of(value: &Value) -> &'static str {
    match value {
        Value::Number(it) if it.is_i64() => "int64",
        Value::Number(_) => "float64",
        _ => "",
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn in_body(path: &str) -> String {
    format!("{path} in body")
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
