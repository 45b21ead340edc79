//! Which tag is the highest that a range takes? Ranges as Masterminds and npm read them: operators,
//! wildcards, `~`, `^`, hyphens, and alternatives between `||`.
//!
//! Pre-releases count only in an alternative that names one, and then by plain precedence.

mod comparator;

use std::{cmp::Ordering, fmt, hash};

use semver::{BuildMetadata, Prerelease, Version};

use self::comparator::Comparator;

/// Longer than anybody writes by hand; a range is tried on every tag.
const LONGEST: usize = 256;
/// Git's own limit is a path's; no version is longer than this.
const LONGEST_TAG: usize = 256;

/// A range of versions, as a user writes it: `>=1.2 <2`, `1.x`, `^1.2 || ~2.1.0`.
#[derive(Clone)]
pub struct SemverRange {
    text: Box<str>,
    alternatives: Box<[Alternative]>,
}

/// All of its comparators must hold.
#[derive(Clone)]
struct Alternative {
    comparators: Vec<Comparator>,
    takes_prereleases: bool,
}

/// A text that is no range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    /// Nothing, or more than 256 bytes.
    #[error("a range has 1 to 256 bytes")]
    Length,
    /// Nothing before, after or between `||`.
    #[error("an alternative of the range is empty")]
    Empty,
    /// What is not an operator and a version.
    #[error(
        "not a range of versions: expected something like >=1.2 <2, 1.x, ^1.2, ~1.4 or 1.2 - 2"
    )]
    Comparator,
}

impl SemverRange {
    /// Takes a range as users write it.
    pub fn parse(text: &str) -> Result<Self, BadRange> {
        let text = text.trim_matches(' ');
        if text.is_empty() || text.len() > LONGEST {
            return Err(BadRange::Length);
        }
        let alternatives = text.split("||").map(Alternative::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), alternatives })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a tag, by its short name, is a version in the range.
    pub fn takes_tag(&self, tag: &str) -> bool {
        version_of(tag).is_some_and(|it| self.takes(&it))
    }

    /// Whether the version is in the range.
    pub(crate) fn takes(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|it| it.takes(version))
    }
}

/// The version that a tag names: with or without `v`, and with parts left out from its end.
pub(crate) fn version_of(tag: &str) -> Option<Version> {
    if tag.len() > LONGEST_TAG {
        return None;
    }
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let (text, build) = text.split_once('+').unwrap_or((text, ""));
    let (core, pre) = text.split_once('-').unwrap_or((text, ""));
    // What is there must not be empty.
    if text.len() > core.len() && pre.is_empty() || tag.ends_with('+') {
        return None;
    }
    let mut numbers = core.split('.').map(number);
    let mut next = || numbers.next().unwrap_or(Some(0));
    let (major, minor, patch) = (next()?, next()?, next()?);
    if numbers.next().is_some() {
        return None;
    }
    let (pre, build) = (Prerelease::new(pre).ok()?, BuildMetadata::new(build).ok()?);
    Some(Version { major, minor, patch, pre, build })
}

/// Dates make versions too: a leading zero is nobody's mistake.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

impl Alternative {
    fn parse(text: &str) -> Result<Self, BadRange> {
        if text.trim_matches(' ').is_empty() {
            return Err(BadRange::Empty);
        }
        let mut comparators = Vec::new();
        let mut rest = text.trim_matches(' ');
        loop {
            let (one, after) = comparator::read(rest).ok_or(BadRange::Comparator)?;
            comparators.extend(one);
            let trimmed = after.trim_start_matches(' ');
            let next = trimmed.strip_prefix(',').unwrap_or(trimmed).trim_start_matches(' ');
            if trimmed.is_empty() {
                break;
            }
            // Two comparators have something between them, and a comma has something after it.
            if next.len() == after.len() || next.is_empty() {
                return Err(BadRange::Comparator);
            }
            rest = next;
        }
        let takes_prereleases = comparators.iter().any(Comparator::names_a_prerelease);
        Ok(Self { comparators, takes_prereleases })
    }

    fn takes(&self, version: &Version) -> bool {
        (self.takes_prereleases || version.pre.is_empty())
            && self.comparators.iter().all(|it| it.takes(version))
    }
}

// Two ranges are the same when they are written the same.

impl PartialEq for SemverRange {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SemverRange {}

impl PartialOrd for SemverRange {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SemverRange {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl hash::Hash for SemverRange {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for SemverRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SemverRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SemverRange({})", self.text)
    }
}

#[cfg(test)]
mod tests;
