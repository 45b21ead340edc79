//! Which files count, and how are two lists of patterns told apart?

use sha2::{Digest as _, Sha256};

use super::{Reason, WrongConfig, cut};

/// Every pattern is tried on every path of a tree.
const MOST: usize = 256;
const LONGEST: usize = 1024;

/// The patterns of `watchOn.files`, if they can be followed. An empty list is none: every change
/// counts. What git makes of a pattern is found out where the files are looked at.
pub(super) fn judge(files: Option<&[String]>) -> Result<Option<Vec<String>>, WrongConfig> {
    let wrong = |message: String| Err(WrongConfig::new(Reason::InvalidFiles, message));
    let Some(files) = files.filter(|it| !it.is_empty()) else { return Ok(None) };
    if files.len() > MOST {
        let count = files.len();
        return wrong(format!("watchOn.files has {count} patterns, at most {MOST} are allowed"));
    }
    for pattern in files {
        let why = if pattern.trim().is_empty() {
            "is empty: remove it"
        } else if pattern.len() > LONGEST {
            "is longer than 1024 bytes"
        } else if pattern.chars().any(char::is_control) {
            "has a control character"
        } else {
            continue;
        };
        return wrong(format!("watchOn.files: the pattern {:?} {why}", cut(pattern)));
    }
    Ok(Some(files.to_vec()))
}

/// What tells lists of patterns apart in a recorded hash, `t1-<this>-<hash of the files>`: the first
/// 16 hexadecimal digits of the SHA-256 over the patterns in their order, each followed by a newline.
///
/// The hash itself is made where the files are looked at, by the same recipe: a golden test on each
/// side pins it.
pub fn patterns_digest(patterns: &[String]) -> String {
    let mut hasher = Sha256::new();
    for pattern in patterns {
        hasher.update(pattern.as_bytes());
        hasher.update(b"\n");
    }
    let digest: [u8; 32] = hasher.finalize().into();
    data_encoding::HEXLOWER.encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> Vec<String> {
        list.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_digest_is_the_same_in_every_release_and_in_ger_git() {
        assert_eq!(patterns_digest(&patterns(&["src/**", "!*.md"])), "3e2bcc57af25b8b2");
    }

    #[test]
    fn order_and_bounds_of_patterns_count() {
        let digest = |list: &[&str]| patterns_digest(&patterns(list));

        assert_ne!(digest(&["a", "b"]), digest(&["b", "a"]));
        assert_ne!(digest(&["a", "b"]), digest(&["ab"]));
        assert_ne!(digest(&["a"]), digest(&["a", "a"]));
    }

    #[test]
    fn an_empty_list_is_no_list() {
        assert_eq!(judge(None), Ok(None));
        assert_eq!(judge(Some(&[])), Ok(None));
        let some = patterns(&["src/**", "!*.md", "/a b/"]);
        assert_eq!(judge(Some(&some)), Ok(Some(some.clone())));
    }

    #[test]
    fn patterns_are_few_short_and_plain() {
        let many = vec!["a".to_owned(); 257];
        for list in [
            many,
            patterns(&["a", ""]),
            patterns(&["a\nb"]),
            patterns(&[" "]),
            vec!["a".repeat(1025)],
        ] {
            assert_eq!(judge(Some(&list)).unwrap_err().reason, Reason::InvalidFiles);
        }
    }
}
