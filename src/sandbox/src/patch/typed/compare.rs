//! What distinguishes two objects, field by field.

use std::{cmp::Ordering, collections::BTreeSet};

use serde_json::{Map, Value};

use super::{Form, by_name, form};
use crate::{patch::fields::FieldSet, schema::Node};

/// What one object has and another has not.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Added or changed.
    pub(crate) changed: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Difference {
    fn leaf(old: Option<&Value>, new: Option<&Value>) -> Self {
        let mut difference = Self::default();
        difference.mark(old, new);
        difference.changed.here |= old.is_some() && new.is_some() && old != new;
        difference
    }

    /// Notes that the whole has come or gone.
    fn mark(&mut self, old: Option<&Value>, new: Option<&Value>) {
        self.changed.here |= old.is_none();
        self.removed.here |= new.is_none();
    }

    fn insert(&mut self, name: &str, inner: Self) {
        self.changed.insert(name, inner.changed);
        self.removed.insert(name, inner.removed);
    }

    /// Notes what distinguishes a field.
    pub(crate) fn insert_field(&mut self, key: &str, inner: Self) {
        if !inner.changed.is_empty() || !inner.removed.is_empty() {
            self.insert(&["f:", key].concat(), inner);
        }
    }

    fn add(&mut self, other: &Self) {
        self.changed.add(&other.changed);
        self.removed.add(&other.removed);
    }
}

/// What distinguishes a value from what it was; nothing at all stands for what is not there.
pub(crate) fn compare(old: Option<&Value>, new: Option<&Value>, node: Option<&Node>) -> Difference {
    if old == new { Difference::default() } else { differ(old, new, node) }
}

/// The same of values that are not equal, as far as the caller knows: comparing is not repeated level by level.
pub(crate) fn differ(old: Option<&Value>, new: Option<&Value>, node: Option<&Node>) -> Difference {
    let before = old.map(|it| form(it, node));
    let after = new.map(|it| form(it, node));
    let is_empty = |form: Option<Form<'_>>| form.is_none_or(Form::is_empty);
    let mut difference = match (before, after) {
        (None | Some(Form::Nothing), None | Some(Form::Nothing)) => {
            return Difference::leaf(old, new);
        }
        (Some(Form::Leaf), _) | (_, Some(Form::Leaf)) => {
            return with_parts_of((before, after), Difference::leaf(old, new), node);
        }
        _ if is_empty(before) && is_empty(after) => return Difference::leaf(old, new),
        (Some(Form::List(_)), Some(Form::Map(_))) | (Some(Form::Map(_)), Some(Form::List(_))) => {
            let mut both = Difference::leaf(old, new);
            both.add(&inside(before, None, node));
            both.add(&inside(None, after, node));
            return both;
        }
        _ => inside(before, after, node),
    };
    difference.mark(old, new);
    difference
}

/// A leaf that took the place of a map, or gave it to one, differs in all that is in that map too.
fn with_parts_of(
    (before, after): (Option<Form<'_>>, Option<Form<'_>>),
    mut leaf: Difference,
    node: Option<&Node>,
) -> Difference {
    let has_parts = |form: &Form<'_>| *form != Form::Leaf;
    if before.as_ref().is_some_and(has_parts) {
        leaf.add(&inside(before, None, node));
    }
    if after.as_ref().is_some_and(has_parts) {
        leaf.add(&inside(None, after, node));
    }
    leaf
}

/// The differences between the parts of two values.
fn inside(before: Option<Form<'_>>, after: Option<Form<'_>>, node: Option<&Node>) -> Difference {
    let mut difference = Difference::default();
    let none = Map::new();
    if let (Some(Form::Map(_)), _) | (_, Some(Form::Map(_))) = (before, after) {
        let old = if let Some(Form::Map(map)) = before { map } else { &none };
        let new = if let Some(Form::Map(map)) = after { map } else { &none };
        maps((old, new), node, None, &mut difference);
    } else {
        let old = if let Some(Form::List(list)) = before { list } else { &[] };
        let new = if let Some(Form::List(list)) = after { list } else { &[] };
        lists(old, new, node, &mut difference);
    }
    difference
}

/// The difference of two objects, one field of one of their fields apart: that is long, and is not compared.
pub(crate) fn differ_but(
    (old, new): (&Value, &Value),
    node: &Node,
    [outer, inner]: [&str; 2],
) -> Difference {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return differ(Some(old), Some(new), Some(node));
    };
    let mut difference = Difference::default();
    maps((before, after), Some(node), Some(outer), &mut difference);
    let mut apart = Difference::default();
    match (before.get(outer), after.get(outer)) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            maps((old, new), node.field(outer), Some(inner), &mut apart);
        }
        (old, new) => apart = compare(old, new, node.field(outer)),
    }
    difference.insert_field(outer, apart);
    difference
}

fn maps(
    (old, new): (&Map<String, Value>, &Map<String, Value>),
    node: Option<&Node>,
    but: Option<&str>,
    difference: &mut Difference,
) {
    for (key, before, after) in pairs(old, new).filter(|(key, ..)| but != Some(*key)) {
        if before != after {
            let inner = differ(before, after, node.and_then(|it| it.field(key)));
            difference.insert_field(key, inner);
        }
    }
}

/// All keys that one of two maps has, each with what it has in both. Both maps are in order.
fn pairs<'a>(
    old: &'a Map<String, Value>,
    new: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a str, Option<&'a Value>, Option<&'a Value>)> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (Some((one, _)), Some((two, _))) => one.cmp(two),
            (_, None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let before = if order == Ordering::Greater { None } else { old.next() };
        let after = if order == Ordering::Less { None } else { new.next() };
        let (key, _) = before.or(after)?;
        Some((key.as_str(), before.map(|(_, it)| it), after.map(|(_, it)| it)))
    })
}

fn lists(old: &[Value], new: &[Value], node: Option<&Node>, difference: &mut Difference) {
    let (old, new) = (by_name(old, node), by_name(new, node));
    let node = node.and_then(Node::item);
    let none = Vec::new();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name).unwrap_or(&none), new.get(name).unwrap_or(&none));
        difference.insert(name, items(before, after, node));
    }
}

/// The difference of an item. One that is there several times is owned as a whole.
fn items(before: &[&Value], after: &[&Value], node: Option<&Node>) -> Difference {
    match (before, after) {
        ([_, _, ..], [_, _, ..]) => {
            let mut difference = Difference::default();
            difference.changed.here = before != after;
            difference
        }
        ([_, _, ..], _) => {
            let mut difference = Difference::default();
            if let Some(new) = after.first() {
                difference = compare(None, Some(new), node);
            }
            difference.removed.here = true;
            difference
        }
        (_, [_, _, ..]) => {
            let mut difference = Difference::default();
            if let Some(old) = before.first() {
                difference = compare(Some(old), None, node);
            }
            difference.changed.here = true;
            difference
        }
        _ => compare(before.first().copied(), after.first().copied(), node),
    }
}
