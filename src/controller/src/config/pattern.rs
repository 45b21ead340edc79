//! Does a name match what somebody wrote with stars?

use serde::{Deserialize, Serialize};

/// A name in which `*` stands for any text, also for none; every other character for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all of `name` matches. Takes as many steps as the name is long, for each piece between
    /// stars one look at the rest.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(name) = name.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(mut name) = name.strip_suffix(last) else { return false };
        // The leftmost place of a piece leaves the most for those behind it.
        for piece in middle.split('*').filter(|it| !it.is_empty()) {
            match name.split_once(piece) {
                Some((_, behind)) => name = behind,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text_and_nothing_else_does() {
        for (pattern, name, expected) in [
            ("edge", "edge", true),
            ("edge", "edge-1", false),
            ("*", "", true),
            ("*", "edge", true),
            ("prod-*", "prod-", true),
            ("prod-*", "my-prod-1", false),
            ("*-eu-*", "prod-eu-1", true),
            ("*-eu-*", "prod-us-1", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("**", "edge", true),
            ("edge.", "edge-", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    /// What a backtracking matcher says, which may take for ever and is right.
    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => {
                slowly(rest, name) || name.split_first().is_some_and(|(_, it)| slowly(pattern, it))
            }
            Some((byte, rest)) => {
                name.split_first().is_some_and(|(it, behind)| it == byte && slowly(rest, behind))
            }
        }
    }

    /// Every text of these letters that is no longer than so many.
    fn texts(letters: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut all = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..most {
            let longer = |text: &Vec<u8>| {
                letters.iter().map(|it| [text.as_slice(), &[*it]].concat()).collect::<Vec<_>>()
            };
            last = last.iter().flat_map(longer).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn it_says_what_a_slow_matcher_says() {
        let names = texts(b"ab", 6);
        for pattern in texts(b"ab*", 5) {
            let text = String::from_utf8(pattern.clone()).unwrap();
            for name in &names {
                let matches =
                    Pattern::new(text.as_str()).matches(std::str::from_utf8(name).unwrap());
                assert_eq!(matches, slowly(&pattern, name), "{text} {name:?}");
            }
        }
    }
}
