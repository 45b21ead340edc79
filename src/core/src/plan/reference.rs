//! Would git take this reference?

use ger_api::schedule_trigger::Reference;

use super::{Reason, WrongConfig, cut};
use crate::names::Commit;

/// Git has no limit of its own; no host allows longer names, and a name travels in every check.
const LONGEST_NAME: usize = 1024;
/// Longer than anybody writes by hand; a range is tried on every tag.
const LONGEST_RANGE: usize = 256;

/// Refuses what git would not take, or what would read as an option of some program.
pub(crate) fn check(reference: &Reference) -> Result<(), WrongConfig> {
    let (kind, name, broken) = match reference {
        Reference::Branch(name) => ("branch", name, broken_rule(name)),
        Reference::Tag(name) => ("tag", name, broken_rule(name)),
        Reference::Commit(name) => {
            let why = "it is not a full object id of 40 or 64 lower-case hexadecimal digits";
            ("commit", name, Commit::parse(name).is_err().then_some(why))
        }
        Reference::Semver(range) => ("range of versions", range, broken_range(range)),
    };
    let Some(why) = broken else { return Ok(()) };
    let message = format!("the {kind} {:?} is refused: {why}", cut(name));
    Err(WrongConfig::new(Reason::InvalidReference, message))
}

/// Whether this cannot be a range at all. What it means is read where tags are compared with it.
fn broken_range(range: &str) -> Option<&'static str> {
    let is_known = |it: char| it.is_ascii_alphanumeric() || " .,<>=~^*|+-".contains(it);
    if range.trim_matches(' ').is_empty() {
        Some("it is empty")
    } else if range.len() > LONGEST_RANGE {
        Some("it is longer than 256 bytes")
    } else if !range.chars().all(is_known) {
        Some("it has what no range has: use something like >=1.2 <2, 1.x or ^1.2")
    } else {
        None
    }
}

/// The rules of `git check-ref-format`, and no leading dash.
fn broken_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
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
    } else if name.split('/').any(is_reserved) {
        Some("a part begins with a dot or ends with .lock")
    } else {
        None
    }
}

/// Git keeps these for itself, and in lower case alone.
fn is_reserved(part: &str) -> bool {
    part.starts_with('.') || part.strip_suffix(".lock").is_some()
}
