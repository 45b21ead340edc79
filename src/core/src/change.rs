//! Does what a check found differ from what was recorded?
//!
//! Where files are watched, their hash decides and the commit follows: `t1-<digest of the
//! patterns>-<hash>`, or the bare 64 digits that the original recorded.

use ger_api::status::CheckedSource;
use jiff::{SignedDuration, Timestamp};

use crate::names::Commit;

#[cfg(test)]
mod tests;

/// How long a move back to the previous commit is doubted: mirrors lag by seconds, and a mirror that
/// lags longer is the remote that the user chose to watch.
const DOUBTED: SignedDuration = SignedDuration::from_secs(60);

/// Clocks of one cluster differ by less; what was recorded later than this was never a time.
const MOST_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What a remote says of the watched reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub commit: Commit,
    /// The object of an annotated tag: the original recorded it in place of the commit.
    pub tag_object: Option<Commit>,
    /// The tag that a range of versions chose.
    pub tag: Option<String>,
    /// The hash of the watched files at the commit, if files are watched: see [`files_needed`].
    pub files: Option<String>,
    /// The same by the original's algorithm, if what is on record is the original's.
    pub original_files: Option<String>,
}

impl From<Commit> for Head {
    fn from(commit: Commit) -> Self {
        Self { commit, tag_object: None, tag: None, files: None, original_files: None }
    }
}

/// How a head differs from the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Not at all.
    Same,
    /// In nothing that is watched: the record follows, and nothing runs.
    Quiet,
    /// The source has no commit on record.
    First,
    /// Another commit, and with it what is watched.
    Moved,
    /// The commit before the recorded one, so soon that a lagging mirror may be what answered.
    Back,
}

impl Change {
    /// Whether what is watched is elsewhere than recorded.
    pub fn is_change(self) -> bool {
        match self {
            Self::Same | Self::Quiet => false,
            Self::First | Self::Moved | Self::Back => true,
        }
    }
}

/// Which hashes of a commit's files must be made before a head can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesNeeded {
    /// No files are watched.
    None,
    /// None either: the commit is the recorded one, and this is its hash.
    Known(String),
    Ours,
    /// Ours, and the one that the original would have made: its record is to be compared with it.
    OursAndOriginal,
}

/// What to find out about the files at a head. `patterns` is [`crate::plan::patterns_digest`] of the
/// watched files.
pub fn files_needed(
    record: Option<&CheckedSource>,
    commit: &Commit,
    tag_object: Option<&Commit>,
    patterns: Option<&str>,
) -> FilesNeeded {
    let Some(patterns) = patterns else { return FilesNeeded::None };
    let Some((record, recorded_commit)) = of_record(record) else { return FilesNeeded::Ours };
    let is_there = is_at(recorded_commit, commit, tag_object);
    match (record.file_hash.as_deref(), is_there) {
        (Some(hash), true) if is_of(hash, patterns) || is_original(hash) => {
            FilesNeeded::Known(hash.to_owned())
        }
        (Some(hash), false) if is_original(hash) => FilesNeeded::OursAndOriginal,
        _ => FilesNeeded::Ours,
    }
}

/// Compares what was found with what is on record. `patterns` is as in [`files_needed`].
pub fn compare(
    record: Option<&CheckedSource>,
    head: &Head,
    patterns: Option<&str>,
    now: Timestamp,
) -> Change {
    let Some((record, recorded_commit)) = of_record(record) else { return Change::First };
    let is_there = is_at(recorded_commit, &head.commit, head.tag_object.as_ref());
    if is_there {
        let adopts = patterns.is_some_and(|it| is_to_be_adopted(record, head, it));
        return if adopts { Change::Quiet } else { Change::Same };
    }
    if patterns.is_some_and(|it| has_same_files(record, head, it)) {
        return Change::Quiet;
    }
    let changed_lately =
        record.changed.is_some_and(|it| now.duration_since(as_known(it, now)) < DOUBTED);
    if changed_lately && record.previous_commit.as_deref() == Some(head.commit.as_str()) {
        return Change::Back;
    }
    Change::Moved
}

/// At the recorded commit: whether its hash is one that a later head could not be compared with. An
/// edit of the patterns runs nothing by itself.
fn is_to_be_adopted(record: &CheckedSource, head: &Head, patterns: &str) -> bool {
    let is_comparable =
        record.file_hash.as_deref().is_some_and(|it| is_of(it, patterns) || is_original(it));
    head.files.is_some() && !is_comparable
}

/// At another commit: whether the watched files are the recorded ones. What cannot be compared is not
/// the same: it rather runs than is lost.
fn has_same_files(record: &CheckedSource, head: &Head, patterns: &str) -> bool {
    match record.file_hash.as_deref() {
        Some(hash) if is_of(hash, patterns) => head.files.as_deref() == Some(hash),
        Some(hash) if is_original(hash) => {
            head.files.is_some() && head.original_files.as_deref() == Some(hash)
        }
        _ => false,
    }
}

fn of_record(record: Option<&CheckedSource>) -> Option<(&CheckedSource, &str)> {
    record.and_then(|it| Some((it, it.commit_hash.as_deref()?)))
}

fn is_at(recorded: &str, commit: &Commit, tag_object: Option<&Commit>) -> bool {
    commit.as_str() == recorded || tag_object.is_some_and(|it| it.as_str() == recorded)
}

/// Whether a hash is of files by these patterns.
fn is_of(hash: &str, patterns: &str) -> bool {
    let hash = hash.strip_prefix("t1-").and_then(|it| it.strip_prefix(patterns));
    hash.is_some_and(|it| it.starts_with('-'))
}

fn is_original(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|it| it.is_ascii_hexdigit())
}

/// A recorded time, unless it is so far ahead that it must be wrong: that one counts as now.
pub fn as_known(recorded: Timestamp, now: Timestamp) -> Timestamp {
    if recorded.duration_since(now) > MOST_AHEAD { now } else { recorded }
}
