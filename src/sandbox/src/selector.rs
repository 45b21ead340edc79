//! Which objects a label or field selector takes.

use serde_json::Value;

use crate::{
    refusal::{Refusal, Result},
    registry::Resource,
};

/// Both selectors of a request, parsed once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Present,
    Absent,
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone)]
struct Field {
    pointer: String,
    value: String,
    equal: bool,
}

impl Selector {
    pub(crate) fn parse(labels: &str, fields: &str, resource: &Resource) -> Result<Self> {
        let labels = split(labels).into_iter().map(Requirement::parse).collect::<Result<_>>()?;
        let fields = fields.split(',').filter(|it| !it.is_empty());
        let fields = fields.map(|it| Field::parse(it, resource)).collect::<Result<_>>()?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn takes_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|it| it.matches(object))
            && self.fields.iter().all(|it| it.matches(object))
    }
}

/// Parts between commas that are not inside parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let separator = |character: char| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    };
    text.split(separator).map(str::trim).filter(|it| !it.is_empty()).collect()
}

impl Requirement {
    fn parse(text: &str) -> Result<Self> {
        let broken =
            || Refusal::bad_request(format!("unable to parse requirement: found '{text}'"));
        let of = |key: &str, test: Test| {
            let key = key.trim().to_owned();
            if key.is_empty() || key.contains(char::is_whitespace) {
                return Err(broken());
            }
            Ok(Self { key, test })
        };
        let one = |value: &str| vec![value.trim().to_owned()];

        if let Some(list) = text.strip_suffix(')') {
            let (head, list) = list.split_once('(').ok_or_else(broken)?;
            let values = list.split(',').map(|it| it.trim().to_owned()).collect();
            return match head.trim().rsplit_once(char::is_whitespace) {
                Some((key, "in")) => of(key, Test::In(values)),
                Some((key, "notin")) => of(key, Test::NotIn(values)),
                _ => Err(broken()),
            };
        }
        if let Some((key, value)) = text.split_once("!=") {
            return of(key, Test::NotIn(one(value)));
        }
        if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return of(key, Test::In(one(value)));
        }
        if let Some((key, value)) = text.split_once('>') {
            return of(key, Test::Above(value.trim().parse().map_err(|_| broken())?));
        }
        if let Some((key, value)) = text.split_once('<') {
            return of(key, Test::Below(value.trim().parse().map_err(|_| broken())?));
        }
        match text.strip_prefix('!') {
            Some(key) => of(key, Test::Absent),
            None => of(text, Test::Present),
        }
    }

    fn matches(&self, object: &Value) -> bool {
        let value = object["metadata"]["labels"][&self.key].as_str();
        let number = || value.and_then(|it| it.parse::<i64>().ok());
        match &self.test {
            Test::In(values) => value.is_some_and(|it| values.iter().any(|one| one == it)),
            Test::NotIn(values) => value.is_none_or(|it| values.iter().all(|one| one != it)),
            Test::Present => value.is_some(),
            Test::Absent => value.is_none(),
            Test::Above(limit) => number().is_some_and(|it| it > *limit),
            Test::Below(limit) => number().is_some_and(|it| it < *limit),
        }
    }
}

impl Field {
    fn parse(text: &str, resource: &Resource) -> Result<Self> {
        let (label, value, equal) = if let Some((label, value)) = text.split_once("!=") {
            (label, value, false)
        } else {
            let (label, value) =
                text.split_once("==").or_else(|| text.split_once('=')).ok_or_else(|| {
                    Refusal::bad_request(format!(
                        "invalid selector: '{text}'; can't understand '{text}'"
                    ))
                })?;
            (label, value, true)
        };
        let pointer = match label {
            "metadata.name" => "/metadata/name",
            "metadata.namespace" => "/metadata/namespace",
            other => {
                let known = resource.selectable.iter().find(|(label, _)| label == other);
                known.map(|(_, pointer)| pointer.as_str()).ok_or_else(|| {
                    Refusal::bad_request(format!(
                        "Unable to find {:?} that match label selector \"\", field selector \
                         {text:?}: field label not supported: {other}",
                        resource.api_version(&resource.versions[0].name)
                    ))
                })?
            }
        };
        Ok(Self { pointer: pointer.to_owned(), value: value.to_owned(), equal })
    }

    fn matches(&self, object: &Value) -> bool {
        let found = match object.pointer(&self.pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let found = match found.as_str() {
            // A number or a flag that is not set is its zero, as the typed API sees it.
            "" if self.pointer == "/status/succeeded" => "0",
            "" if self.pointer == "/spec/unschedulable" => "false",
            other => other,
        };
        (found == self.value) == self.equal
    }
}
