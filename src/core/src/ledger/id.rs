//! What is a run called? Two replicas that look at the same status give the same name.

use data_encoding::{BASE32_NOPAD, Encoding};
use sha2::{Digest as _, Sha256};

use crate::broken::{self, Law};

/// 80 bits: at Fleet's 20 a commit is silently skipped once in a million pairs.
const RUN_ID_LENGTH: usize = 16;

/// The occasion of a run that nobody asked for: the source changed.
pub(crate) const CHANGE: &str = "change";

/// The id of the `sequence`th run recorded for a trigger.
///
/// The sequence makes A→B→A three runs; the uid keeps a re-created trigger apart from the old one.
/// A change here would give a recorded run a second Job, so a golden test pins it.
pub fn run_id(trigger_uid: &str, source: &str, sequence: i64, occasion: &str) -> String {
    let sequence = if broken::is_off(Law::Sequence) { 0 } else { sequence };
    short(&digest(&[trigger_uid, source, &sequence.to_string(), occasion]), RUN_ID_LENGTH)
}

/// Lower-case base32 that fits where Kubernetes takes a name.
pub(crate) fn short(digest: &[u8], length: usize) -> String {
    let mut text = lower_case(&BASE32_NOPAD, digest);
    text.truncate(length);
    text
}

/// SHA-256 of the parts, each behind its length: no two lists of parts make the same bytes.
pub(crate) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

fn lower_case(encoding: &Encoding, bytes: &[u8]) -> String {
    encoding.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_its_id_in_every_release() {
        let uid = "0b9a6a0f-6d0e-4d4f-9a51-5d1c8a7e2f10";

        assert_eq!(run_id(uid, "app", 1, CHANGE), "ffa74afq7run26ev");
        assert_eq!(run_id(uid, "app", 2, "2025-01-01T00:00:00Z"), "wmnxmivmougwcxze");
        assert_eq!(run_id("", "", -1, ""), "gyivengvwra7zv3n");
    }

    #[test]
    fn what_moves_from_one_part_to_the_next_makes_another_id() {
        let ids = [run_id("u", "ab", 1, "c"), run_id("u", "a", 1, "bc"), run_id("ua", "b", 1, "c")];

        assert_ne!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
        assert_ne!(run_id("u", "a", 1, "1"), run_id("u", "a", 11, ""));
    }

    #[test]
    fn an_id_is_a_label_and_a_part_of_a_name() {
        let id = run_id("u", "a", 1, "c");

        assert_eq!(id.len(), 16);
        assert!(id.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit()), "{id}");
    }
}
