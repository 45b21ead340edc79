//! Whether an object keeps to its schema; every fault with its path, in Kubernetes' words.

use serde_json::Value;

use crate::{
    refusal::Cause,
    schema::{Bound, Node, Rules, lists::counterpart},
};

/// The faults of the value at a path. What an update leaves as it was may stay so: a schema that
/// became stricter does not forbid to change the rest of an object.
pub(crate) fn validate(value: &Value, old: Option<&Value>, node: &Node, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    check(value, old, node, path, &mut faults);
    faults
}

fn check(value: &Value, old: Option<&Value>, node: &Node, path: &str, faults: &mut Vec<Cause>) {
    if old == Some(value) || value.is_null() && node.nullable {
        return;
    }
    if let Some(wanted) = mistyped(value, node) {
        let found = kind_of(value);
        let detail = format!(
            "Invalid value: \"{found}\": {} must be of type {wanted}: \"{found}\"",
            in_body(path)
        );
        faults.push(Cause::new("FieldValueTypeInvalid", path, detail));
        return;
    }
    match value {
        Value::Object(map) => {
            for name in node.rules.required.iter().filter(|it| !map.contains_key(*it)) {
                faults.push(Cause::required(join(path, name), ""));
            }
            for (key, item) in map {
                if let Some(child) = node.field(key) {
                    let old = old.and_then(|it| it.get(key));
                    check(item, old, child, &join(path, key), faults);
                }
            }
            bounds(map.len(), node.rules.keys, ["properties", path], faults);
        }
        Value::Array(list) => items((list, old), node, path, faults),
        Value::String(text) => text_rules(text, node, path, faults),
        Value::Number(_) => number_rules(value, &node.rules, path, faults),
        Value::Bool(_) | Value::Null => {}
    }
    enumeration(value, &node.rules, path, faults);
    combinations(value, &node.rules, path, faults);
}

fn mistyped(value: &Value, node: &Node) -> Option<&'static str> {
    let kind = node.kind?;
    (!kind.takes(value)).then(|| kind.name())
}

fn items(
    (list, old): (&[Value], Option<&Value>),
    node: &Node,
    path: &str,
    faults: &mut Vec<Cause>,
) {
    bounds(list.len(), node.rules.count, ["items", path], faults);
    let Some(child) = node.item() else { return };
    for (index, item) in list.iter().enumerate() {
        let old = counterpart(&node.merge, item, old);
        check(item, old, child, &format!("{path}[{index}]"), faults);
    }
}

fn bounds(
    count: usize,
    range: crate::schema::Range,
    [what, path]: [&str; 2],
    faults: &mut Vec<Cause>,
) {
    let count = count as u64;
    if let Some(most) = range.most.filter(|it| count > *it) {
        let message = format!("Too many: {count}: must have at most {most} {what}");
        faults.push(Cause::new("FieldValueTooMany", path, message));
    }
    if let Some(least) = range.least.filter(|it| count < *it) {
        let detail = format!("{} should have at least {least} {what}", in_body(path));
        faults.push(Cause::invalid(path, &count.into(), &detail));
    }
}

fn text_rules(text: &str, node: &Node, path: &str, faults: &mut Vec<Cause>) {
    let rules = &node.rules;
    let value = Value::from(text);
    let length = text.chars().count() as u64;
    if let Some(most) = rules.length.most.filter(|it| length > *it) {
        let message = format!("Too long: may not be more than {most} bytes");
        faults.push(Cause::new("FieldValueTooLong", path, message));
    }
    if let Some(least) = rules.length.least.filter(|it| length < *it) {
        let detail = format!("{} should be at least {least} chars long", in_body(path));
        faults.push(Cause::invalid(path, &value, &detail));
    }
    if let Some(pattern) = rules.pattern.as_ref().filter(|it| !it.is_match(text)) {
        let detail = format!("{} should match '{}'", in_body(path), pattern.as_str());
        faults.push(Cause::invalid(path, &value, &detail));
    }
    if node.format.as_deref() == Some("date-time") && text.parse::<jiff::Timestamp>().is_err() {
        let detail = format!("{} must be of type date-time: {value}", in_body(path));
        faults.push(Cause::invalid(path, &value, &detail));
    }
}

fn number_rules(value: &Value, rules: &Rules, path: &str, faults: &mut Vec<Cause>) {
    let Some(number) = value.as_f64() else { return };
    let mut refuse = |what: &str, limit: f64| {
        let detail = format!("{} should be {what} {limit}", in_body(path));
        faults.push(Cause::invalid(path, value, &detail));
    };
    match rules.minimum {
        Some(Bound { value: least, exclusive: true }) if number <= least => {
            refuse("greater than", least);
        }
        Some(Bound { value: least, exclusive: false }) if number < least => {
            refuse("greater than or equal to", least);
        }
        _ => {}
    }
    match rules.maximum {
        Some(Bound { value: most, exclusive: true }) if number >= most => {
            refuse("less than", most);
        }
        Some(Bound { value: most, exclusive: false }) if number > most => {
            refuse("less than or equal to", most);
        }
        _ => {}
    }
    if let Some(step) = rules.multiple_of.filter(|it| (number / it).fract().abs() > f64::EPSILON) {
        refuse("a multiple of", step);
    }
}

fn enumeration(value: &Value, rules: &Rules, path: &str, faults: &mut Vec<Cause>) {
    let Some(values) = rules.values.as_ref().filter(|it| !it.contains(value)) else { return };
    let known: Vec<String> = values.iter().map(Value::to_string).collect();
    let message = format!("Unsupported value: {value}: supported values: {}", known.join(", "));
    faults.push(Cause::new("FieldValueNotSupported", path, message));
}

fn combinations(value: &Value, rules: &Rules, path: &str, faults: &mut Vec<Cause>) {
    let holds = |node: &Node| {
        let mut faults = Vec::new();
        check(value, None, node, path, &mut faults);
        faults.is_empty()
    };
    let quoted = if path.is_empty() { "\"\"".to_owned() } else { format!("\"{path}\"") };
    let mut refuse = |detail: String| faults.push(Cause::invalid(path, value, &detail));

    if !rules.any_of.is_empty() && !rules.any_of.iter().any(|it| holds(it)) {
        refuse(format!("{quoted} must validate at least one schema (anyOf)"));
    }
    if !rules.one_of.is_empty() {
        match rules.one_of.iter().filter(|it| holds(it)).count() {
            1 => {}
            0 => refuse(format!(
                "{quoted} must validate one and only one schema (oneOf). Found none valid"
            )),
            many => refuse(format!(
                "{quoted} must validate one and only one schema (oneOf). Found {many} valid \
                 alternatives"
            )),
        }
    }
    if rules.not.as_ref().is_some_and(|it| holds(it)) {
        refuse(format!("{quoted} must not validate the schema (not)"));
    }
    for part in &rules.all_of {
        check(value, None, part, path, faults);
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(it) if it.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn in_body(path: &str) -> String {
    format!("{path} in body")
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
