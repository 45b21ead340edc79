//! Which objects a label or field selector takes.

mod labels;

use serde_json::Value;

use self::labels::Requirement;
use crate::{
    breakage::{Breakage, Broken},
    refusal::{Refusal, Result},
    registry::Resource,
    store::Labels,
};

/// Both selectors of a request, parsed once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Field {
    pointer: String,
    value: String,
    equal: bool,
}

impl Selector {
    pub(crate) fn parse(labels: &str, fields: &str, resource: &Resource) -> Result<Self> {
        let labels = labels::parse(labels).map_err(Refusal::bad_request)?;
        let fields = split(fields).into_iter().filter(|it| !it.is_empty());
        let fields = fields.map(|it| Field::parse(&it, resource)).collect::<Result<_>>()?;
        Ok(Self { labels, fields })
    }

    /// The same for a cluster that does not look at all of it.
    pub(crate) fn seen_by(mut self, broken: Broken) -> Self {
        if broken.has(Breakage::DeafLabels) {
            self.labels.clear();
        }
        if broken.has(Breakage::DeafFields) {
            self.fields.clear();
        }
        self
    }

    pub(crate) fn takes_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn takes_labels(&self, labels: &Labels) -> bool {
        self.labels.iter().all(|it| it.matches(labels))
    }

    pub(crate) fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    pub(crate) fn takes_fields(&self, object: &Value) -> bool {
        self.fields.iter().all(|it| it.matches(object))
    }
}

/// Parts between commas that no backslash escapes.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for character in text.chars() {
        if character == ',' && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
        escaped = character == '\\' && !escaped;
    }
    parts
}

/// The value that was meant, or nothing when a backslash escapes what needs none.
fn unescaped(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => value.push(characters.next().filter(|it| matches!(it, '\\' | ',' | '='))?),
            ',' | '=' => return None,
            other => value.push(other),
        }
    }
    Some(value)
}

impl Field {
    fn parse(text: &str, resource: &Resource) -> Result<Self> {
        let broken = || {
            Refusal::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'"))
        };
        let (label, rest) = text.split_at(text.find(['=', '!']).ok_or_else(broken)?);
        let (rest, equal) = match rest.strip_prefix("!=") {
            Some(rest) => (rest, false),
            None => (
                rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).ok_or_else(broken)?,
                true,
            ),
        };
        let value = unescaped(rest).ok_or_else(broken)?;
        let pointer = match label {
            "metadata.name" => "/metadata/name",
            "metadata.namespace" if resource.namespaced || resource.selectable.is_empty() => {
                "/metadata/namespace"
            }
            other => {
                let known = resource.selectable.iter().find(|(label, _)| label == other);
                known
                    .map(|(_, pointer)| pointer.as_str())
                    .ok_or_else(|| unknown(other, resource))?
            }
        };
        Ok(Self { pointer: pointer.to_owned(), value, equal })
    }

    fn matches(&self, object: &Value) -> bool {
        let found = match object.pointer(&self.pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let found = match found.as_str() {
            // A number or a flag that is not set is its zero, as the typed API sees it.
            "" if matches!(self.pointer.as_str(), "/status/succeeded" | "/status/replicas") => "0",
            "" if matches!(self.pointer.as_str(), "/spec/unschedulable" | "/spec/hostNetwork") => {
                "false"
            }
            other => other,
        };
        (found == self.value) == self.equal
    }
}

/// Kinds that know more fields than the two of all say it in words of their own.
fn unknown(label: &str, resource: &Resource) -> Refusal {
    let message = if resource.is_custom() && !resource.selectable.is_empty() {
        format!("field label not supported: {label}")
    } else if resource.selectable.is_empty() {
        format!(
            "{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else if resource.table == "jobs.batch" {
        format!("field label {label:?} not supported for Job")
    } else {
        format!("field label not supported: {label}")
    };
    Refusal::bad_request(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_that_is_escaped_parts_nothing() {
        let parts = split(r"a=b\,c,d=e");

        assert_eq!(parts, [r"a=b\,c", "d=e"]);
        assert_eq!(unescaped(r"b\,c").as_deref(), Some("b,c"));
        assert_eq!(unescaped(r"b\c"), None);
    }
}
