//! Would two paths be one on some file system? Where case and accents do not count, a file can be
//! written through a link that only looks like another name.

use std::{borrow::Cow, collections::HashMap, hash::RandomState};

use gix::bstr::{BStr, ByteSlice as _};

/// What HFS+ leaves out when it compares names.
fn is_ignored(it: char) -> bool {
    matches!(
        it,
        '\u{200c}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
    )
}

/// What a path is to a file system that takes twins for one.
fn folded(path: &BStr) -> Cow<'_, [u8]> {
    if path.iter().all(|it| it.is_ascii() && !it.is_ascii_uppercase()) {
        return Cow::Borrowed(path.as_bytes());
    }
    let text = path.to_str_lossy();
    // Up and down again: some letters are one only in upper case.
    let text = text.chars().filter(|it| !is_ignored(*it)).collect::<String>();
    let text = text.to_uppercase().to_lowercase();
    Cow::Owned(gix::utils::str::precompose(text.into()).into_owned().into_bytes())
}

/// Which paths are there, by what they fold to.
#[derive(Debug, Default)]
pub(super) struct Twins {
    /// A keyed hash: the names themselves would take too much memory.
    links: HashMap<u64, Kind>,
    hasher: RandomState,
}

/// A link must have no twin at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Link,
    Other,
}

impl Twins {
    /// Adds a path; false if it and a link are twins. Files that differ in case alone are common
    /// where they were made, and do no harm.
    pub(super) fn admit(&mut self, path: &BStr, kind: Kind) -> bool {
        use std::hash::BuildHasher as _;

        let before = self.links.insert(self.hasher.hash_one(folded(path)), kind);
        before.is_none_or(|before| before == Kind::Other && kind == Kind::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_no_twin_in_any_spelling() {
        for (one, other) in [
            ("a", "a"),
            ("a", "A"),
            ("dir/é", "dir/e\u{301}"),
            ("straße", "STRASSE"),
            ("K", "\u{212a}"),
            ("a", "a\u{200c}"),
        ] {
            for (first, second) in [(one, other), (other, one)] {
                let mut twins = Twins::default();
                assert!(twins.admit(first.into(), Kind::Link));
                assert!(!twins.admit(second.into(), Kind::Other), "{first} {second}");

                let mut twins = Twins::default();
                assert!(twins.admit(first.into(), Kind::Other));
                assert!(!twins.admit(second.into(), Kind::Link), "{first} {second}");
            }
        }
    }

    #[test]
    fn files_may_be_twins_and_links_strangers() {
        let mut twins = Twins::default();

        assert!(twins.admit("a".into(), Kind::Other));
        assert!(twins.admit("A".into(), Kind::Other));
        assert!(twins.admit("b".into(), Kind::Link));
        assert!(twins.admit("b/c".into(), Kind::Other));
        assert!(twins.admit("c".into(), Kind::Link));
    }
}
