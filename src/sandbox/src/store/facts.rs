//! What is known of an object without reading it: its labels, whether it has owners, whether it is to go.

use std::sync::Arc;

use serde_json::Value;

use crate::object;

/// What selectors and controllers ask of every object, and seldom of the same one twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) labels: Labels,
    /// Names owners.
    pub(crate) is_owned: bool,
    pub(crate) is_deleting: bool,
}

impl Facts {
    /// Those of an object; labels that another one has too are not kept twice.
    pub(crate) fn of(object: &Value, like: Option<&Self>) -> Self {
        let stated = object::of_metadata(object, "labels");
        let known = like.map(|it| &it.labels).filter(|it| it.are(stated));
        Self {
            labels: known.cloned().unwrap_or_else(|| Labels::of(stated)),
            is_owned: object::items(object, "/metadata/ownerReferences").next().is_some(),
            is_deleting: object::is_deleting(object),
        }
    }

    /// Whether other objects may come or go with this one.
    pub(crate) fn has_ties(&self) -> bool {
        self.is_owned || self.is_deleting
    }
}

/// Labels as one text: each key and each value ends with a character that none of them has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(Option<Arc<str>>);

const END: char = '\0';

impl Labels {
    pub(crate) fn of(labels: &Value) -> Self {
        let Some(map) = labels.as_object().filter(|it| !it.is_empty()) else { return Self(None) };
        let mut text = String::new();
        for (key, value) in map {
            for part in [key, value.as_str().unwrap_or_default()] {
                text.push_str(part);
                text.push(END);
            }
        }
        Self(Some(text.into()))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs().find(|(it, _)| *it == key).map(|(_, value)| value)
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.as_deref().unwrap_or_default().split_terminator(END);
        std::iter::from_fn(move || parts.next().zip(parts.next()))
    }

    fn are(&self, labels: &Value) -> bool {
        let stated = labels.as_object().into_iter().flatten();
        let stated = stated.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()));
        self.pairs().eq(stated)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_found_by_their_keys() {
        let labels = Labels::of(&json!({ "a": "1", "empty": "", "z/b": "two" }));

        assert_eq!(labels.get("a"), Some("1"));
        assert_eq!(labels.get("empty"), Some(""));
        assert_eq!(labels.get("z/b"), Some("two"));
        assert_eq!(labels.get("1"), None);
        assert_eq!(Labels::of(&json!({})).get("a"), None);
    }

    #[test]
    fn labels_that_stay_are_kept_once() {
        let object = |labels: Value| json!({ "metadata": { "labels": labels } });
        let before = Facts::of(&object(json!({ "a": "1" })), None);

        let same = Facts::of(&object(json!({ "a": "1" })), Some(&before));
        let other = Facts::of(&object(json!({ "a": "1", "b": "" })), Some(&before));
        let none = Facts::of(&object(Value::Null), Some(&before));

        assert!(
            same.labels.0.zip(before.labels.0).is_some_and(|(one, two)| Arc::ptr_eq(&one, &two))
        );
        assert_eq!(other.labels.get("b"), Some(""));
        assert_eq!(none.labels.get("a"), None);
    }

    #[test]
    fn owners_and_an_end_to_come_are_noticed() {
        let owned = json!({ "metadata": { "ownerReferences": [{ "uid": "1" }] } });
        let ends = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
        let free = json!({ "metadata": { "ownerReferences": [] } });

        assert!(Facts::of(&owned, None).is_owned);
        assert!(Facts::of(&ends, None).is_deleting);
        assert!(!Facts::of(&free, None).has_ties());
    }
}
