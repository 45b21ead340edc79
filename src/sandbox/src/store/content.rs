//! How is one object held? As a value while it is written often, as JSON alone after that.

use std::{borrow::Cow, cell::RefCell, fmt, ops::Deref, sync::OnceLock};

use bytes::Bytes;
use serde_json::Value;

use crate::store::json;

/// An object that is there as a value, as JSON, or both. One is made of the other when it is asked for.
#[derive(Default)]
pub(crate) struct Content {
    /// Apart: most objects are JSON alone.
    value: OnceLock<Box<Value>>,
    json: OnceLock<Bytes>,
}

impl Content {
    pub(super) fn json(&self) -> Bytes {
        self.json.get_or_init(|| written(self)).clone()
    }

    /// The value for whoever is about to replace it. JSON alone is left.
    pub(super) fn take(&mut self) -> Value {
        self.json();
        self.value.take().map_or_else(|| self.parsed(), |it| *it)
    }

    /// Has the value again that was taken.
    pub(super) fn put_back(&self, value: Value) {
        // Who has parsed it meanwhile has the same.
        drop(self.value.set(Box::new(value)));
    }

    /// A copy of which only JSON is there: maps of a value take many times as much memory.
    pub(super) fn packed(&self) -> Self {
        Self { value: OnceLock::new(), json: OnceLock::from(self.json()) }
    }

    /// What `look` says of the object. One that is JSON alone stays so.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&Value) -> T) -> T {
        look(&self.read())
    }

    /// The object, to be read once: one that is JSON alone stays so.
    pub(crate) fn read(&self) -> Cow<'_, Value> {
        self.value.get().map_or_else(|| Cow::Owned(self.parsed()), |it| Cow::Borrowed(&**it))
    }

    /// Either is there from the beginning, and what is JSON here was written here.
    fn parsed(&self) -> Value {
        let json = self.json.get().and_then(|it| std::str::from_utf8(it).ok());
        json.and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default()
    }
}

/// The JSON of an object: what it is comes first, so that lists can leave that out.
pub(crate) fn written(object: &Value) -> Bytes {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        json::write_headed(object, &["apiVersion", "kind"], scratch);
        // As much memory as it has bytes: most of it is kept for long.
        Bytes::copy_from_slice(scratch)
    })
}

thread_local! {
    /// Where objects are written before it is known how long they are.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self { value: OnceLock::from(Box::new(value)), json: OnceLock::new() }
    }
}

impl Deref for Content {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value.get_or_init(|| Box::new(self.parsed()))
    }
}

impl PartialEq<Value> for Content {
    fn eq(&self, other: &Value) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(to)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_packed_reads_as_before() {
        let object = json!({
            "metadata": { "name": "one", "labels": { "a\"b": "ü\u{0}" } },
            "spec": { "most": u64::MAX, "least": i64::MIN, "part": 0.1, "none": null, "list": [] },
        });
        let content = Content::from(object.clone());

        let packed = content.packed();

        assert!(packed.value.get().is_none());
        assert!(packed == object);
        assert_eq!(packed.json(), content.json());
    }

    #[test]
    fn what_is_taken_is_still_there_as_json() {
        let object = json!({ "kind": "Lease" });
        let mut content = Content::from(object.clone());

        let taken = content.take();

        assert_eq!(taken, object);
        assert!(content.value.get().is_none());
        assert!(content == object);
    }

    #[test]
    fn a_look_leaves_it_packed() {
        let packed = Content::from(json!({ "kind": "Lease" })).packed();

        let kind = packed.peek(|it| it["kind"] == "Lease");

        assert!(kind);
        assert!(packed.value.get().is_none());
    }
}
