//! Which parts of a value does an expression read? What it does not read need not be shown to it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Access, Call, Expr, Kind, parse};

/// What is read of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::schema) enum Reads {
    /// Whether it is there.
    Presence,
    /// These fields of it; without one, nothing.
    Fields(BTreeMap<String, Self>),
    /// All of it.
    Whole,
}

impl Default for Reads {
    fn default() -> Self {
        Self::Fields(BTreeMap::new())
    }
}

impl Reads {
    /// What an expression reads of what it calls by this name.
    pub(in crate::schema) fn of(source: &str, name: &str) -> Self {
        let mut reads = Self::default();
        match parse::parse(source) {
            Some(expression) => reads.gather(&expression, name),
            None => reads = Self::Whole,
        }
        reads
    }

    /// What is read by either.
    pub(in crate::schema) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole, _) | (_, Self::Whole) => Self::Whole,
            (Self::Presence, other) | (other, Self::Presence) => other,
            (Self::Fields(mut all), Self::Fields(more)) => {
                for (field, reads) in more {
                    let both = match all.remove(&field) {
                        Some(known) => known.and(reads),
                        None => reads,
                    };
                    all.insert(field, both);
                }
                Self::Fields(all)
            }
        }
    }

    /// As much of a value as is read.
    pub(in crate::schema) fn part(&self, value: &Value) -> Value {
        match (self, value) {
            (Self::Presence, Value::Object(_)) => Value::Object(Map::new()),
            (Self::Presence, Value::Array(_)) => Value::Array(Vec::new()),
            (Self::Fields(fields), Value::Object(map)) => {
                let read = fields.iter().filter_map(|(field, reads)| {
                    Some((field.clone(), reads.part(map.get(field)?)))
                });
                Value::Object(read.collect())
            }
            _ => value.clone(),
        }
    }

    fn gather(&mut self, expression: &Expr, name: &str) {
        if let Some(read) = path(expression, name, Self::Whole) {
            *self = std::mem::take(self).and(read);
            return;
        }
        for part in parts(expression) {
            self.gather(part, name);
        }
    }
}

/// What `name.field.other` reads, if that is what an expression is; of its end, `reads`.
fn path(expression: &Expr, name: &str, reads: Reads) -> Option<Reads> {
    match &expression.kind {
        Kind::Ident(it) => (it == name).then_some(reads),
        Kind::Select(value, field, access) => path(value, name, above(field, *access, reads)),
        _ => None,
    }
}

/// What is read of a value of which a field is read.
fn above(field: &str, access: Access, reads: Reads) -> Reads {
    match access {
        // Fields that are words of the language are escaped.
        Access::Value | Access::Presence if field.starts_with("__") => Reads::Whole,
        Access::Value => Reads::Fields(BTreeMap::from([(field.to_owned(), reads)])),
        Access::Presence => Reads::Fields(BTreeMap::from([(field.to_owned(), Reads::Presence)])),
        Access::Optional => Reads::Whole,
    }
}

fn parts(expression: &Expr) -> Vec<&Expr> {
    match &expression.kind {
        Kind::Literal(..) | Kind::Ident(_) => Vec::new(),
        Kind::Select(value, _, _) => vec![value],
        Kind::Call(Call { target, arguments, .. }) => {
            target.iter().map(AsRef::as_ref).chain(arguments).collect()
        }
        Kind::List(items) | Kind::Message(items) => items.iter().collect(),
        Kind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        Kind::Loop(it) => vec![&it.range, &it.first, &it.goes_on, &it.step, &it.last],
        Kind::Bind(it) => vec![&it.value, &it.body],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(source: &str) -> Value {
        let value = json!({
            "spec": { "times": { "every": "5m", "at": "never" }, "names": ["a"] },
            "status": { "runs": [1, 2, 3] },
        });
        Reads::of(source, "self").part(&value)
    }

    #[test]
    fn fields_that_are_named_are_shown_and_no_others() {
        let every = json!({ "spec": { "times": { "every": "5m" } } });
        assert_eq!(shown("self.spec.times.every == '5m'"), every);
        assert_eq!(
            shown(
                "has(self.status) || !has(self.spec.times) || self.spec.times.every.matches('m$')"
            ),
            json!({ "spec": { "times": { "every": "5m" } }, "status": {} }),
        );
        assert_eq!(
            shown("self.spec.names.all(name, name != 'b')"),
            json!({ "spec": { "names": ["a"] } })
        );
        assert_eq!(shown("has(self.status.runs)"), json!({ "status": { "runs": [] } }));
        assert_eq!(shown("true"), json!({}));
    }

    #[test]
    fn a_value_that_is_used_otherwise_is_shown_whole() {
        let all = shown("self == oldSelf || has(self.status)");
        assert_eq!(all["status"]["runs"], json!([1, 2, 3]));
        for source in
            ["size(self) > 1", "self['spec'] != 1", "self.?spec.hasValue()", "self.__if__"]
        {
            assert_eq!(shown(source)["status"]["runs"], json!([1, 2, 3]), "{source}");
        }
        assert_eq!(shown("not an (expression")["status"]["runs"], json!([1, 2, 3]));
    }

    #[test]
    fn what_is_read_by_a_value_from_before_is_not_read_of_this_one() {
        assert_eq!(shown("oldSelf.spec.names == []"), json!({}));
    }
}
