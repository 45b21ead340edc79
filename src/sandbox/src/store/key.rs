//! Which object of a table is meant?

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde_json::Value;

use crate::object;

/// Which object of a table; cluster-scoped ones have no namespace. Its clones share one text.
///
/// Keys are in the order in which a real server's storage keeps them: by the namespace and the name with a
/// slash between them.
#[derive(Clone)]
pub(crate) struct Key {
    path: Arc<str>,
    /// Where the slash is.
    slash: usize,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { path: path(namespace, name).into(), slash: namespace.len() }
    }

    pub(crate) fn of(object: &Value) -> Self {
        Self::new(object::meta(object, "namespace"), object::name(object))
    }

    pub(crate) fn namespace(&self) -> &str {
        self.path.get(..self.slash).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.path.get(self.slash + 1..).unwrap_or_default()
    }
}

/// What a key is found by.
pub(crate) fn path(namespace: &str, name: &str) -> String {
    let mut path = String::with_capacity(namespace.len() + name.len() + 1);
    path.push_str(namespace);
    path.push('/');
    path.push_str(name);
    path
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.path
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.path.cmp(&other.path)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_as_it_was_made() {
        for (namespace, name) in [("a", "b"), ("", "b"), ("a", ""), ("ä", "b.c")] {
            let key = Key::new(namespace, name);

            assert_eq!((key.namespace(), key.name()), (namespace, name));
        }
    }

    #[test]
    fn keys_are_in_the_order_of_a_storage() {
        let mut keys = [("b", "a"), ("a", "z"), ("a-b", "a"), ("a", "b"), ("", "x"), ("a0", "a")]
            .map(|(namespace, name)| Key::new(namespace, name));

        keys.sort();

        let told: Vec<String> = keys.iter().map(|it| path(it.namespace(), it.name())).collect();
        assert_eq!(told, ["/x", "a-b/a", "a/b", "a/z", "a0/a", "b/a"]);
    }
}
