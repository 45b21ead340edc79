//! What is the name of a commit? Forty hex digits (sha1) or sixty-four (sha256), nothing else.

use std::fmt;

/// The full, lower-case object id of a commit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(Box<str>);

/// A text that is not a full object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a commit is 40 or 64 lower-case hex digits")]
pub struct NotACommit;

impl Commit {
    /// Takes a full object id; abbreviations and upper case are refused.
    pub fn parse(text: &str) -> Result<Self, NotACommit> {
        let is_hex = text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
        if is_hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.into()))
        } else {
            Err(NotACommit)
        }
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commit({})", self.0)
    }
}

impl std::str::FromStr for Commit {
    type Err = NotACommit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_lower_case_ids_are_commits() {
        assert!(Commit::parse(&"a1".repeat(20)).is_ok());
        assert!(Commit::parse(&"0f".repeat(32)).is_ok());

        let long = "a".repeat(41);
        let upper = "A1".repeat(20);
        let wide = "ä".repeat(20);
        for text in
            ["", "HEAD", "a1b2c3", &long, &upper, &wide, "--upload-pack=touch${IFS}/tmp/xxxxxxxxxx"]
        {
            assert_eq!(Commit::parse(text), Err(NotACommit), "{text}");
        }
    }
}
