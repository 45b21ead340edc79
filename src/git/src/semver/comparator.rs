//! Does a version stand in this relation to that one? One operator and one version, parts of which
//! may be left open: `>=1.2`, `~1`, `2.x`, `*`.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

use super::number;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `=`, or nothing: a version with open parts is a range.
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Longer ones first: `>` begins `>=`.
const OPERATORS: [(&str, Operator); 12] = [
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("!=", Operator::NotEqual),
    ("~>", Operator::Tilde),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("=", Operator::Equal),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

/// The first part of a version that is left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    Everything,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparator {
    operator: Operator,
    version: Version,
    open: Open,
}

/// The comparators that the text begins with, and what follows them: two for `1.2 - 2`.
pub(super) fn read(text: &str) -> Option<(Vec<Comparator>, &str)> {
    let find = |(sign, operator)| Some((operator, text.strip_prefix(sign)?));
    let (operator, rest) = OPERATORS.into_iter().find_map(find)?;
    let (version, open, rest) = read_version(rest.trim_start_matches(' '))?;
    let one = Comparator { operator, version, open };

    let is_bare = operator == Operator::Equal && !text.starts_with('=');
    let hyphen = rest.trim_start_matches(' ').strip_prefix("- ");
    let Some(after) = hyphen.filter(|_| is_bare && rest.starts_with(' ')) else {
        return Some((vec![one], rest));
    };
    let (version, open, rest) = read_version(after.trim_start_matches(' '))?;
    let from = Comparator { operator: Operator::GreaterOrEqual, ..one };
    let to = Comparator { operator: Operator::LessOrEqual, version, open };
    Some((vec![from, to], rest))
}

fn read_version(text: &str) -> Option<(Version, Open, &str)> {
    let end = text.find([' ', ',', '<', '>', '=', '~', '^', '!']).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    let word = word.strip_prefix('v').unwrap_or(word);
    let (word, build) = cut(word, '+')?;
    let (core, pre) = cut(word, '-')?;

    let mut parts = core.split('.');
    let mut next = || parts.next().map_or(Some(Part::Any), part);
    let (major, minor, patch) = (next()?, next()?, next()?);
    if parts.next().is_some() {
        return None;
    }
    let (open, [major, minor, patch]) = match (major, minor, patch) {
        (Part::Any, ..) => (Open::Everything, [0; 3]),
        (Part::Number(major), Part::Any, _) => (Open::Minor, [major, 0, 0]),
        (Part::Number(major), Part::Number(minor), Part::Any) => (Open::Patch, [major, minor, 0]),
        (Part::Number(major), Part::Number(minor), Part::Number(patch)) => {
            (Open::Nothing, [major, minor, patch])
        }
    };
    let (pre, build) = (Prerelease::new(pre).ok()?, BuildMetadata::new(build).ok()?);
    let version = Version { major, minor, patch, pre, build };
    Some((version, open, rest))
}

/// What follows the sign must not be empty where the sign is.
fn cut(text: &str, sign: char) -> Option<(&str, &str)> {
    match text.split_once(sign) {
        Some((_, "")) => None,
        Some(both) => Some(both),
        None => Some((text, "")),
    }
}

/// A part of a version. One that is left out is any.
#[derive(Debug, Clone, Copy)]
enum Part {
    Number(u64),
    Any,
}

fn part(text: &str) -> Option<Part> {
    if matches!(text, "x" | "X" | "*") { Some(Part::Any) } else { number(text).map(Part::Number) }
}

impl Comparator {
    pub(super) fn names_a_prerelease(&self) -> bool {
        !self.version.pre.is_empty()
    }

    pub(super) fn takes(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match (self.operator, self.open) {
            (Operator::Equal, Open::Nothing) => order == Ordering::Equal,
            (Operator::NotEqual, Open::Nothing) => order != Ordering::Equal,
            (Operator::NotEqual, _) => !self.begins(version),
            (Operator::GreaterOrEqual, _) => order != Ordering::Less,
            (Operator::Less, _) => order == Ordering::Less,
            // `>1.2` begins at 1.3.0, not at 1.2.1; and nothing is above everything.
            (Operator::Greater, Open::Nothing) => order == Ordering::Greater,
            (Operator::Greater, _) => order == Ordering::Greater && !self.begins(version),
            // `<=1.2` ends before 1.3.0.
            (Operator::LessOrEqual, _) => order != Ordering::Greater || self.begins(version),
            (Operator::Equal | Operator::Tilde, _) => {
                order != Ordering::Less && self.is_near(version)
            }
            (Operator::Caret, _) => order != Ordering::Less && self.is_compatible(version),
        }
    }

    /// Whether the version agrees in all parts that are not open. One without open parts begins
    /// nothing.
    fn begins(&self, version: &Version) -> bool {
        let is_same_major = version.major == self.version.major;
        match self.open {
            Open::Everything => true,
            Open::Minor => is_same_major,
            Open::Patch => is_same_major && version.minor == self.version.minor,
            Open::Nothing => false,
        }
    }

    /// `~1.2.3` and `~1.2` stay in 1.2, `~1` in 1.
    fn is_near(&self, version: &Version) -> bool {
        let is_same_major = version.major == self.version.major;
        let is_same_minor = is_same_major && version.minor == self.version.minor;
        if self.open == Open::Nothing { is_same_minor } else { self.begins(version) }
    }

    /// The first part that is not zero may not change.
    fn is_compatible(&self, version: &Version) -> bool {
        let is_same_major = version.major == self.version.major;
        let is_same_minor = is_same_major && version.minor == self.version.minor;
        match self.open {
            Open::Everything => true,
            _ if self.version.major > 0 => is_same_major,
            Open::Minor => is_same_major,
            _ if self.version.minor > 0 => is_same_minor,
            Open::Patch => is_same_minor,
            Open::Nothing => is_same_minor && version.patch == self.version.patch,
        }
    }
}
