//! Does what a check found differ from what was recorded?

use ger_api::status::CheckedSource;
use jiff::{SignedDuration, Timestamp};

use crate::names::Commit;

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
}

impl From<Commit> for Head {
    fn from(commit: Commit) -> Self {
        Self { commit, tag_object: None }
    }
}

/// How a head differs from the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Not at all.
    Same,
    /// The source has no commit on record.
    First,
    /// Another commit.
    Moved,
    /// The commit before the recorded one, so soon that a lagging mirror may be what answered.
    Back,
}

impl Change {
    /// Whether the source is elsewhere than recorded.
    pub fn is_change(self) -> bool {
        self != Self::Same
    }
}

/// Compares what was found with what is on record.
pub fn compare(record: Option<&CheckedSource>, head: &Head, now: Timestamp) -> Change {
    let Some((record, recorded_commit)) =
        record.and_then(|it| Some((it, it.commit_hash.as_deref()?)))
    else {
        return Change::First;
    };
    let is_recorded = |it: &Commit| it.as_str() == recorded_commit;
    if is_recorded(&head.commit) || head.tag_object.as_ref().is_some_and(is_recorded) {
        return Change::Same;
    }
    let changed_lately =
        record.changed.is_some_and(|it| now.duration_since(as_known(it, now)) < DOUBTED);
    if changed_lately && record.previous_commit.as_deref() == Some(head.commit.as_str()) {
        return Change::Back;
    }
    Change::Moved
}

/// A recorded time, unless it is so far ahead that it must be wrong: that one counts as now.
pub fn as_known(recorded: Timestamp, now: Timestamp) -> Timestamp {
    if recorded.duration_since(now) > MOST_AHEAD { now } else { recorded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> Commit {
        Commit::parse(&digit.to_string().repeat(40)).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn record(current: char, previous: Option<char>, changed: i64) -> CheckedSource {
        CheckedSource {
            commit_hash: Some(commit(current).as_str().to_owned()),
            previous_commit: previous.map(|it| commit(it).as_str().to_owned()),
            changed: Some(at(changed)),
            ..CheckedSource::default()
        }
    }

    #[test]
    fn a_source_without_a_commit_on_record_is_new() {
        let head = Head::from(commit('a'));

        assert_eq!(compare(None, &head, at(0)), Change::First);
        assert_eq!(compare(Some(&CheckedSource::default()), &head, at(0)), Change::First);
    }

    #[test]
    fn another_commit_is_a_change_and_the_same_is_none() {
        let record = record('a', None, 0);

        assert_eq!(compare(Some(&record), &commit('a').into(), at(1)), Change::Same);
        assert_eq!(compare(Some(&record), &commit('b').into(), at(1)), Change::Moved);
    }

    #[test]
    fn a_move_back_is_doubted_for_a_minute() {
        let record = record('b', Some('a'), 0);

        assert_eq!(compare(Some(&record), &commit('a').into(), at(59)), Change::Back);
        assert_eq!(compare(Some(&record), &commit('a').into(), at(60)), Change::Moved);
        assert_eq!(compare(Some(&record), &commit('c').into(), at(1)), Change::Moved);
    }

    #[test]
    fn a_record_of_the_original_that_names_the_tag_object_is_no_change() {
        let record = record('d', None, 0);
        let head = Head { commit: commit('a'), tag_object: Some(commit('d')) };

        assert_eq!(compare(Some(&record), &head, at(1)), Change::Same);
    }

    #[test]
    fn a_time_far_ahead_counts_as_now() {
        assert_eq!(as_known(at(300), at(0)), at(300));
        assert_eq!(as_known(at(301), at(0)), at(0));
        assert_eq!(as_known(Timestamp::MAX, at(0)), at(0));
    }
}
