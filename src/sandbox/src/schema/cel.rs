//! The CEL rules of a schema: compiled once, run on the values that they stand at.
//!
//! Each node's rules are compiled apart, so that this walk and not the library's decides what a
//! value was before (`oldSelf`) and whether a fault was there already.

use std::collections::{BTreeMap, BTreeSet};

use kube_cel::{CompiledSchema, ErrorKind, Rule, ValidationError};
use serde_json::{Map, Value};

use crate::{
    refusal::Cause,
    schema::{Merge, compile::merge_of, expression, expression::reads::Reads, lists::counterpart},
};

const RULES: &str = "x-kubernetes-validations";
const SELF: &str = "self";
const OLD: &str = "oldSelf";

/// The rules at and below one node of a schema.
#[derive(Debug)]
pub(crate) struct Rulebook {
    own: Option<Own>,
    properties: BTreeMap<String, Self>,
    additional: Option<Box<Self>>,
    items: Option<Box<Self>>,
    merge: Merge,
}

#[derive(Debug)]
struct Own {
    schema: CompiledSchema,
    /// The rules that speak of `oldSelf`: they judge a change, so they hold always.
    of_changes: BTreeSet<String>,
    /// Rules that run in other words than they were written in, and those.
    written: BTreeMap<String, String>,
    /// What all of them together read of a value, and of what it was: the rest is not converted for them.
    reads: Reads,
    reads_old: Reads,
}

/// Where a value is, and what it was.
struct Site<'a> {
    path: String,
    past: Past<'a>,
    when: Judged,
}

/// Whether the same rules have judged what an object was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    Before,
    NotYet,
}

/// What a value was before an update.
#[derive(Clone, Copy)]
enum Past<'a> {
    Was(&'a Value),
    New,
    /// Nobody can say what this one was, but the list that it is in did not change.
    Kept,
}

impl Rulebook {
    /// The rules of a schema, or nothing when it has none.
    pub(crate) fn compile(schema: &Value) -> Option<Self> {
        let below = |key: &str| {
            schema.get(key).filter(|it| it.is_object()).and_then(Self::compile).map(Box::new)
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        let book = Self {
            own: schema.get(RULES).is_some().then(|| Own::compile(schema)),
            properties: properties
                .into_iter()
                .flatten()
                .filter_map(|(name, it)| Some((name.clone(), Self::compile(it)?)))
                .collect(),
            additional: below("additionalProperties"),
            items: below("items"),
            merge: merge_of(schema),
        };
        let is_empty = book.own.is_none()
            && book.properties.is_empty()
            && book.additional.is_none()
            && book.items.is_none();
        (!is_empty).then_some(book)
    }

    /// What the rules have against an object. A rule that does not speak of `oldSelf` lets a
    /// value pass that an update leaves as it was.
    pub(crate) fn judge(&self, object: &Value, old: Option<&Value>, when: Judged) -> Vec<Cause> {
        let mut faults = Vec::new();
        let past = old.map_or(Past::New, Past::Was);
        self.walk(object, &Site { path: String::new(), past, when }, &mut faults);
        faults
    }

    /// The same of an object that is another in one field alone; nothing when a rule about the whole of it asks
    /// what that was.
    pub(crate) fn judge_field(
        &self,
        object: &Value,
        (field, old): (&str, Option<&Value>),
        when: Judged,
    ) -> Option<Vec<Cause>> {
        let own = self.own.as_ref();
        let is_apart = own.is_none_or(|it| it.of_changes.is_empty()) && self.additional.is_none();
        let map = object.as_object().filter(|_| is_apart)?;
        let mut faults = Vec::new();
        if let Some(own) = own {
            let whole = Site { path: String::new(), past: Past::New, when: Judged::NotYet };
            own.judge(object, &whole, &mut faults);
        }
        for (key, child) in &self.properties {
            let Some(value) = map.get(key) else { continue };
            let before = if key == field { old } else { Some(value) };
            let past = before.map_or(Past::New, Past::Was);
            child.walk(value, &Site { path: format!(".{key}"), past, when }, &mut faults);
        }
        Some(faults)
    }

    fn walk(&self, value: &Value, site: &Site<'_>, faults: &mut Vec<Cause>) {
        if value.is_null() {
            return;
        }
        if let Some(own) = &self.own {
            own.judge(value, site, faults);
        }
        match value {
            Value::Object(map) => self.fields(map, site, faults),
            Value::Array(list) => self.list((value, list), site, faults),
            _ => {}
        }
    }

    fn fields(&self, map: &Map<String, Value>, site: &Site<'_>, faults: &mut Vec<Cause>) {
        for (key, item) in map {
            let (child, step) = match (self.properties.get(key), &self.additional) {
                (Some(child), _) => (child, format!(".{key}")),
                (None, Some(child)) => (child.as_ref(), format!("[{key}]")),
                (None, None) => continue,
            };
            let past = match site.past {
                Past::Was(old) => old.get(key).map_or(Past::New, Past::Was),
                past @ (Past::New | Past::Kept) => past,
            };
            child.walk(item, &site.below(&step, past), faults);
        }
    }

    fn list(&self, (value, list): (&Value, &[Value]), site: &Site<'_>, faults: &mut Vec<Cause>) {
        let Some(child) = &self.items else { return };
        let unknown = if site.is_unchanged(value) { Past::Kept } else { Past::New };
        for (index, item) in list.iter().enumerate() {
            let past = counterpart(&self.merge, item, site.old()).map_or(unknown, Past::Was);
            child.walk(item, &site.below(&format!("[{index}]"), past), faults);
        }
    }
}

impl<'a> Site<'a> {
    fn below(&self, step: &str, past: Past<'a>) -> Self {
        Self { path: format!("{}{step}", self.path), past, when: self.when }
    }

    fn old(&self) -> Option<&'a Value> {
        match self.past {
            Past::Was(old) if !old.is_null() => Some(old),
            Past::Was(_) | Past::New | Past::Kept => None,
        }
    }

    fn is_unchanged(&self, value: &Value) -> bool {
        match self.past {
            Past::Was(old) => old == value,
            Past::New => false,
            Past::Kept => true,
        }
    }
}

impl Own {
    fn compile(schema: &Value) -> Self {
        let mut schema = schema.clone();
        for (keyword, part) in schema.as_object_mut().into_iter().flatten() {
            if keyword != RULES {
                strip(part);
            }
        }
        let written = open_old(&mut schema);
        let schema = kube_cel::compile_schema(&schema);
        let of_changes = schema
            .validations
            .iter()
            .filter_map(|it| it.as_ref().ok())
            .filter(|it| it.is_transition_rule)
            .map(|it| it.rule.rule.clone())
            .collect();
        let compiled = schema.validations.iter().filter_map(|it| it.as_ref().ok());
        let rules: Vec<&Rule> = compiled.map(|it| &it.rule).collect();
        let (reads, reads_old) = (reads(&rules, SELF), reads(&rules, OLD));
        Self { schema, of_changes, written, reads, reads_old }
    }

    fn judge(&self, value: &Value, site: &Site<'_>, faults: &mut Vec<Cause>) {
        // They would say the same as they did then, and it would not count.
        if site.when == Judged::Before && self.of_changes.is_empty() && site.is_unchanged(value) {
            return;
        }
        let (part, old) = (self.reads.part(value), site.old().map(|it| self.reads_old.part(it)));
        let Err(errors) = kube_cel::validate_compiled(&self.schema, &part, old.as_ref()) else {
            return;
        };
        for error in errors.into_vec() {
            let may_stay = error.kind == ErrorKind::ValidationFailure
                && !self.of_changes.contains(&error.rule);
            if !(may_stay && site.is_unchanged(value)) {
                let rule = self.written.get(&error.rule).unwrap_or(&error.rule);
                faults.push(fault(&error, rule, value, &site.path));
            }
        }
    }
}

/// What rules and their messages read of what they call by this name.
fn reads(rules: &[&Rule], name: &str) -> Reads {
    let sources = rules.iter().flat_map(|it| [Some(&it.rule), it.message_expression.as_ref()]);
    let all = sources.flatten().map(|it| Reads::of(it, name));
    all.reduce(Reads::and).unwrap_or_default()
}

/// Where an old value may be missing, rules see it as an optional one: they are told so in words that
/// the evaluator has. Answers the new words with the old.
fn open_old(schema: &mut Value) -> BTreeMap<String, String> {
    let mut written = BTreeMap::new();
    let rules = schema.get_mut(RULES).and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter(|it| it["optionalOldSelf"] == true) {
        let source = rule["rule"].as_str().unwrap_or_default().to_owned();
        let optional = "(oldSelf == null ? optional.none() : optional.of(oldSelf))";
        let mut opened = String::new();
        let mut rest = 0;
        for at in expression::places(&source, OLD) {
            opened.push_str(&source[rest..at]);
            opened.push_str(optional);
            rest = at + OLD.len();
        }
        opened.push_str(&source[rest..]);
        rule["rule"] = opened.clone().into();
        written.insert(opened, source);
    }
    written
}

/// Why a rule could not be worked out, as Kubernetes says it.
fn breakdown(error: &ValidationError) -> Option<String> {
    if error.kind != ErrorKind::EvaluationError {
        return None;
    }
    let text = error.message.rsplit_once("rule evaluation error: ").map_or("", |it| it.1);
    let number =
        || -> String { text.chars().filter(|it| it.is_ascii_digit() || *it == '-').collect() };
    Some(if text.starts_with("Index out of bounds") {
        format!("index out of bounds: {}", number())
    } else if text.starts_with("Division by zero") {
        "division by zero".to_owned()
    } else if text.starts_with("Remainder by zero") {
        "modulus by zero".to_owned()
    } else if text.starts_with("Overflow") {
        "integer overflow".to_owned()
    } else if let Some(key) = text.strip_prefix("No such key: ") {
        format!("no such key: {key}")
    } else {
        text.to_owned()
    })
}

fn type_name(value: &Value) -> Value {
    match value {
        Value::Object(_) => "object".into(),
        Value::Array(_) => "array".into(),
        other => other.clone(),
    }
}

/// Takes the rules of parts away: they are compiled on their own.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove(RULES);
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

fn fault(error: &ValidationError, rule: &str, value: &Value, path: &str) -> Cause {
    let text = &error.message.replace(&error.rule, rule);
    let (reason, message) = match (breakdown(error), error.reason.as_deref()) {
        (Some(why), _) => {
            let shown = type_name(value);
            ("FieldValueInvalid", format!("Invalid value: {shown}: {why} evaluating rule: {rule}"))
        }
        (None, Some("FieldValueForbidden")) => {
            ("FieldValueForbidden", format!("Forbidden: {text}"))
        }
        (None, Some("FieldValueRequired")) => {
            ("FieldValueRequired", format!("Required value: {text}"))
        }
        (None, Some("FieldValueDuplicate")) if value.is_object() || value.is_array() => {
            ("FieldValueDuplicate", "Duplicate value".to_owned())
        }
        (None, Some("FieldValueDuplicate")) => {
            ("FieldValueDuplicate", format!("Duplicate value: {value}"))
        }
        _ if value.is_object() || value.is_array() => {
            ("FieldValueInvalid", format!("Invalid value: {text}"))
        }
        _ => ("FieldValueInvalid", format!("Invalid value: {value}: {text}")),
    };
    let part = match error.field_path.as_str() {
        part if part.is_empty() || part.starts_with(['.', '[']) => part.to_owned(),
        part => format!(".{part}"),
    };
    let path = format!("{path}{part}");
    let path = path.trim_start_matches('.');
    Cause::new(reason, if path.is_empty() { "<nil>" } else { path }, message)
}
