//! Which files does a trigger watch? Those that gitignore's rules, turned round, select: a pattern
//! selects, one with `!` excludes, the last that matches wins.
//!
//! Nothing here looks at a file system: trees of git are walked by what is answered here.

mod reach;

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt as _, path::Path};

use ignore::{
    Match,
    overrides::{Override, OverrideBuilder},
};
use sha2::{Digest as _, Sha256};

use crate::ls_refs::sanitise;
use reach::{Reach, contents};

/// More than anybody writes by hand.
const MOST: usize = 256;
const LONGEST: usize = 1024;
/// Of the digest, as hex.
const DIGEST_DIGITS: usize = 16;

/// The patterns of a trigger's `files`.
#[derive(Clone)]
pub struct Patterns {
    lines: Vec<String>,
    /// A pattern that names a directory selects what is in it.
    ours: Override,
    /// As the original has it: such a pattern selects nothing.
    original: Override,
    reach: Vec<Reach>,
    digest: String,
}

/// A pattern that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} {reason}")]
pub struct BadPattern {
    /// As it was given, cut, and without control characters.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Patterns {
    /// Takes up to 256 patterns of up to 1024 bytes: `src/**`, `docs/` (all that is in it), `!*.md` (takes
    /// out what an earlier pattern let in).
    pub fn parse(patterns: &[String]) -> Result<Self, BadPattern> {
        let bad =
            |pattern: &str, reason| BadPattern { pattern: sanitise(pattern.as_bytes()), reason };
        if let Some(first_too_many) = patterns.get(MOST) {
            return Err(bad(first_too_many, "is one more than 256"));
        }
        let mut ours = OverrideBuilder::new("");
        let mut original = OverrideBuilder::new("");
        let mut reach = Vec::new();
        for pattern in patterns {
            if pattern.len() > LONGEST {
                return Err(bad(pattern, "is longer than 1024 bytes"));
            }
            if pattern.chars().any(char::is_control) {
                return Err(bad(pattern, "has a control character"));
            }
            // The original means the top level by it.
            let line = if pattern == "*" { "/*" } else { pattern };
            let contents = contents(line);
            reach.extend(Reach::of(line, contents.as_deref()));
            for line in [Some(line), contents.as_deref()].into_iter().flatten() {
                ours.add(line).map_err(|_| bad(pattern, "is no glob"))?;
            }
            original.add(line).map_err(|_| bad(pattern, "is no glob"))?;
        }
        let all = patterns.last().map_or("", String::as_str);
        let build = |it: &OverrideBuilder| it.build().map_err(|_| bad(all, "makes too many"));
        let (ours, original) = (build(&ours)?, build(&original)?);
        // Recorded in statuses, and made by `ger-core` too: a golden test on each side pins it.
        let mut digest = Sha256::new();
        for pattern in patterns {
            digest.update(pattern);
            digest.update("\n");
        }
        let digest = hex::encode(digest.finalize()).chars().take(DIGEST_DIGITS).collect();
        Ok(Self { lines: patterns.to_vec(), ours, original, reach, digest })
    }

    /// The patterns, as they were given.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What tells them from other patterns: 16 hex digits.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether a file of this path is watched. The directories above it must have been entered.
    pub fn selects(&self, path: &[u8]) -> bool {
        verdict(&self.ours, path, Entry::File).is_whitelist()
    }

    /// Whether anything below this directory may be watched.
    pub fn enters(&self, directory: &[u8]) -> bool {
        self.reach.iter().any(|it| it.may_be_in(directory))
            && !verdict(&self.ours, directory, Entry::Directory).is_ignore()
    }

    /// Whether the original would have hashed this file.
    pub(crate) fn original_selects(&self, path: &[u8]) -> bool {
        verdict(&self.original, path, Entry::File).is_whitelist()
    }

    /// Whether the original would have gone into this directory.
    pub(crate) fn original_enters(&self, directory: &[u8]) -> bool {
        !verdict(&self.original, directory, Entry::Directory).is_ignore()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File,
    Directory,
}

fn verdict(rules: &Override, path: &[u8], entry: Entry) -> Match<()> {
    let path = Path::new(OsStr::from_bytes(path));
    rules.matched(path, entry == Entry::Directory).map(drop)
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patterns").field(&self.lines).finish()
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.lines == other.lines
    }
}

impl Eq for Patterns {}

impl std::hash::Hash for Patterns {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.lines.hash(state);
    }
}

#[cfg(test)]
mod tests;
