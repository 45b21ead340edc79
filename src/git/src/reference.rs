//! What does a source watch? A branch, a tag, a commit or the highest of many tags, with a name that
//! git itself would take.

use std::fmt;

use crate::{BadRange, Commit, SemverRange, commit::NotACommit};

/// Git has no limit of its own; no host allows longer names, and a name travels in every check.
const LONGEST_NAME: usize = 1024;

/// What a source points at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A branch, without `refs/heads/`.
    Branch(String),
    /// A tag, without `refs/tags/`.
    Tag(String),
    /// One commit, for ever.
    Commit(Commit),
    /// The tag of the highest version in a range.
    Semver(SemverRange),
}

/// What a reference points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resolved {
    /// Tags are followed to it, however deep.
    pub commit: Commit,
    /// The object of an annotated tag: that it is another one says that the tag was set again.
    pub tag_object: Option<Commit>,
    /// The tag that a range of versions chose, without `refs/tags/`.
    pub tag: Option<String>,
}

impl From<Commit> for Resolved {
    fn from(commit: Commit) -> Self {
        Self { commit, tag_object: None, tag: None }
    }
}

/// A reference that git would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The name breaks git's rules, for the reason told.
    #[error("not a name for a branch or tag: {reason}")]
    Name {
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Not a full object id.
    #[error("not a commit")]
    Commit {
        /// What was expected.
        source: NotACommit,
    },
    /// Not a range of versions.
    #[error("not a range of versions")]
    Range {
        /// What is wrong with it.
        source: BadRange,
    },
    /// Neither `branch/`, `tag/`, `commit/` nor `semver/`.
    #[error("a reference begins with branch/, tag/, commit/ or semver/")]
    Kind,
}

impl Reference {
    /// A branch of this name.
    pub fn branch(name: &str) -> Result<Self, Unusable> {
        check_name(name).map(|()| Self::Branch(name.to_owned()))
    }

    /// A tag of this name.
    pub fn tag(name: &str) -> Result<Self, Unusable> {
        check_name(name).map(|()| Self::Tag(name.to_owned()))
    }

    /// The commit with this full id.
    pub fn commit(id: &str) -> Result<Self, Unusable> {
        Commit::parse(id).map(Self::Commit).map_err(|source| Unusable::Commit { source })
    }

    /// The highest tag in this range of versions.
    pub fn semver(range: &str) -> Result<Self, Unusable> {
        SemverRange::parse(range).map(Self::Semver).map_err(|source| Unusable::Range { source })
    }

    /// Takes what `Display` writes: `branch/main`, `tag/v1.0`, `commit/<id>`, `semver/<range>`.
    ///
    /// The kind ends at the first slash, so a branch `tag/x` is `branch/tag/x` and comes back as
    /// itself.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        match text.split_once('/') {
            Some(("branch", name)) => Self::branch(name),
            Some(("tag", name)) => Self::tag(name),
            Some(("commit", id)) => Self::commit(id),
            Some(("semver", range)) => Self::semver(range),
            _ => Err(Unusable::Kind),
        }
    }

    /// `branch`, `tag`, `commit` or `semver`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Branch(_) => "branch",
            Self::Tag(_) => "tag",
            Self::Commit(_) => "commit",
            Self::Semver(_) => "semver",
        }
    }

    /// The name without its kind.
    pub fn name(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) => name,
            Self::Commit(commit) => commit.as_str(),
            Self::Semver(range) => range.as_str(),
        }
    }

    /// The ref on the server; a commit and a range have none.
    pub fn full_name(&self) -> Option<String> {
        match self {
            Self::Branch(name) => Some(format!("refs/heads/{name}")),
            Self::Tag(name) => Some(format!("refs/tags/{name}")),
            Self::Commit(_) | Self::Semver(_) => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}

/// Git's own lock files, which end in lower case alone.
fn is_lock(part: &str) -> bool {
    part.strip_suffix(".lock").is_some()
}

/// The rules of `git check-ref-format`, and no leading dash: a name must never read as an option.
fn check_name(name: &str) -> Result<(), Unusable> {
    let broken = if name.is_empty() {
        Some("it is empty")
    } else if name.len() > LONGEST_NAME {
        Some("it is longer than 1024 bytes")
    } else if name.starts_with('-') {
        Some("it begins with a dash")
    } else if name.bytes().any(|it| it < 0x20 || it == 0x7f) {
        Some("it has a control character")
    } else if name.contains([' ', '~', '^', ':', '?', '*', '[', '\\']) {
        Some("it has one of space ~ ^ : ? * [ \\")
    } else if name.contains("..") {
        Some("it has two dots in a row")
    } else if name.contains("@{") {
        Some("it has @{")
    } else if name.ends_with('.') {
        Some("it ends with a dot")
    } else if name.split('/').any(str::is_empty) {
        Some("it has an empty part between slashes")
    } else if name.split('/').any(|part| part.starts_with('.') || is_lock(part)) {
        Some("a part begins with a dot or ends with .lock")
    } else {
        None
    };
    broken.map_or(Ok(()), |reason| Err(Unusable::Name { reason }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_people_use_are_taken() {
        for name in ["main", "release/1.2", "feature/ümlaut", "v1.0.0", "@", "a@b", "tag/x"] {
            assert_eq!(Reference::branch(name).unwrap().name(), name);
            assert_eq!(Reference::tag(name).unwrap().name(), name);
        }
    }

    #[test]
    fn b2_names_that_lie_are_refused() {
        let long = "a".repeat(1025);
        for name in [
            "",
            "-x",
            "--upload-pack=x",
            "a..b",
            "../../etc",
            "a\0b",
            "a\nb",
            "a\x7f",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "a.lock",
            "a.lock/b",
            "a@{1}",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.",
            &long,
        ] {
            assert!(Reference::branch(name).is_err(), "{name:?}");
            assert!(Reference::tag(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_range_is_a_reference_without_a_name_on_the_server() {
        let range = Reference::parse("semver/>=1.2 <2 || 3.x").unwrap();

        assert_eq!(range.to_string(), "semver/>=1.2 <2 || 3.x");
        assert_eq!((range.kind(), range.full_name()), ("semver", None));
    }

    #[test]
    fn a_kind_is_needed() {
        for text in [
            "",
            "main",
            "refs/heads/main",
            "Branch/main",
            "branch",
            "branch/",
            "commit/main",
            "semver/",
        ] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in "\\PC{1,40}") {
            let both = [Reference::branch(&name), Reference::tag(&name)];
            for reference in both.into_iter().flatten() {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
            }
        }

        /// Git's own judge, as gix has it, never refuses what we take nor takes what we refuse.
        #[test]
        fn our_rules_are_gits_rules(name in "[-a.@{}/~^:?*\\[\\\\ lock\\x00-\\x1f\\x7fü]{1,12}") {
            let full = format!("refs/heads/{name}");
            let gits = gix::validate::reference::name(full.as_str().into()).is_ok();
            let ours = Reference::branch(&name).is_ok();

            prop_assert_eq!(ours, gits && !name.starts_with('-'), "{:?}", name);
        }
    }
}
