//! Commits, hashes of ours and of the original, patterns that were edited: what counts, case by case.

use proptest::prelude::*;

use super::*;

const PATTERNS: &str = "0123456789abcdef";
const EDITED: &str = "fedcba9876543210";

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

/// The hash that we make of files in this state.
fn ours(patterns: &str, state: char) -> String {
    format!("t1-{patterns}-{}", state.to_string().repeat(64))
}

/// The hash that the original makes of them.
fn original(state: char) -> String {
    state.to_string().repeat(64)
}

fn with_files(current: char, hash: &str) -> CheckedSource {
    CheckedSource { file_hash: Some(hash.to_owned()), ..record(current, None, 0) }
}

fn head(digit: char, files: Option<String>, original_files: Option<String>) -> Head {
    Head { files, original_files, ..Head::from(commit(digit)) }
}

fn moved(record: &CheckedSource, head: &Head) -> Change {
    compare(Some(record), head, Some(PATTERNS), at(1))
}

#[test]
fn a_source_without_a_commit_on_record_is_new() {
    let head = Head::from(commit('a'));
    let cleared =
        CheckedSource { file_hash: Some(ours(PATTERNS, '1')), ..CheckedSource::default() };

    assert_eq!(compare(None, &head, None, at(0)), Change::First);
    assert_eq!(compare(Some(&CheckedSource::default()), &head, None, at(0)), Change::First);
    assert_eq!(compare(Some(&cleared), &head, Some(PATTERNS), at(0)), Change::First);
}

#[test]
fn another_commit_is_a_change_and_the_same_is_none() {
    let record = record('a', None, 0);
    let of = |digit| compare(Some(&record), &commit(digit).into(), None, at(1));

    assert_eq!(of('a'), Change::Same);
    assert_eq!(of('b'), Change::Moved);
}

#[test]
fn a_move_back_is_doubted_for_a_minute() {
    let record = record('b', Some('a'), 0);
    let of = |digit, second| compare(Some(&record), &commit(digit).into(), None, at(second));

    assert_eq!(of('a', 59), Change::Back);
    assert_eq!(of('a', 60), Change::Moved);
    assert_eq!(of('c', 1), Change::Moved);
}

#[test]
fn a_record_of_the_original_that_names_the_tag_object_is_no_change() {
    let record = record('d', None, 0);
    let head = Head { tag_object: Some(commit('d')), ..Head::from(commit('a')) };

    assert_eq!(compare(Some(&record), &head, None, at(1)), Change::Same);
    let needed = files_needed(
        Some(&with_files('d', &original('1'))),
        &head.commit,
        head.tag_object.as_ref(),
        Some(PATTERNS),
    );
    assert_eq!(needed, FilesNeeded::Known(original('1')));
}

#[test]
fn a_time_far_ahead_counts_as_now() {
    assert_eq!(as_known(at(300), at(0)), at(300));
    assert_eq!(as_known(at(301), at(0)), at(0));
    assert_eq!(as_known(Timestamp::MAX, at(0)), at(0));
}

/// Record, head (commit, our hash, the original's), and what is to be found out and to follow.
#[test]
fn where_files_are_watched_their_hash_decides() {
    let (one, two) = (ours(PATTERNS, '1'), ours(PATTERNS, '2'));
    let edited = ours(EDITED, '9');
    let bare = record('a', None, 0);
    let none = None::<String>;
    for (record, (digit, files, theirs), needed, change) in [
        // The recorded commit.
        (with_files('a', &one), ('a', &one, &none), FilesNeeded::Known(one.clone()), Change::Same),
        (
            with_files('a', &original('9')),
            ('a', &original('9'), &none),
            FilesNeeded::Known(original('9')),
            Change::Same,
        ),
        (bare.clone(), ('a', &one, &none), FilesNeeded::Ours, Change::Quiet),
        (with_files('a', &edited), ('a', &one, &none), FilesNeeded::Ours, Change::Quiet),
        (with_files('a', "?"), ('a', &one, &none), FilesNeeded::Ours, Change::Quiet),
        (with_files('a', &one[..19]), ('a', &one, &none), FilesNeeded::Ours, Change::Quiet),
        // Another commit.
        (with_files('a', &one), ('b', &one, &none), FilesNeeded::Ours, Change::Quiet),
        (with_files('a', &one), ('b', &two, &none), FilesNeeded::Ours, Change::Moved),
        (bare, ('b', &one, &none), FilesNeeded::Ours, Change::Moved),
        (with_files('a', &edited), ('b', &one, &none), FilesNeeded::Ours, Change::Moved),
        (with_files('a', "?"), ('b', &one, &none), FilesNeeded::Ours, Change::Moved),
        (
            with_files('a', &original('9')),
            ('b', &one, &Some(original('9'))),
            FilesNeeded::OursAndOriginal,
            Change::Quiet,
        ),
        (
            with_files('a', &original('9')),
            ('b', &one, &Some(original('8'))),
            FilesNeeded::OursAndOriginal,
            Change::Moved,
        ),
    ] {
        let found = head(digit, Some(files.clone()), theirs.clone());
        let asked = files_needed(Some(&record), &found.commit, None, Some(PATTERNS));

        assert_eq!((asked, moved(&record, &found)), (needed, change), "{record:?} {found:?}");
    }
}

#[test]
fn without_watched_files_nothing_is_asked_of_them() {
    let record = with_files('a', &ours(PATTERNS, '1'));

    assert_eq!(files_needed(Some(&record), &commit('b'), None, None), FilesNeeded::None);
    assert_eq!(files_needed(None, &commit('b'), None, Some(PATTERNS)), FilesNeeded::Ours);
    let unpatterned = compare(Some(&record), &head('a', None, None), None, at(1));
    assert_eq!(unpatterned, Change::Same);
    assert_eq!(compare(Some(&record), &head('b', None, None), None, at(1)), Change::Moved);
}

/// A move back to a commit with the same files is as quiet as any other.
#[test]
fn a_move_back_is_doubted_only_where_the_files_moved() {
    let one = ours(PATTERNS, '1');
    let record = CheckedSource { file_hash: Some(one.clone()), ..record('b', Some('a'), 0) };

    assert_eq!(moved(&record, &head('a', Some(one), None)), Change::Quiet);
    assert_eq!(moved(&record, &head('a', Some(ours(PATTERNS, '2')), None)), Change::Back);
}

proptest! {
    /// What is not known to be the same runs: a hash that was not made hides no change.
    #[test]
    fn a_moved_commit_without_a_hash_is_never_quiet(recorded in "(t1-[0-9a-f]{16}-)?[0-9a-f]{0,64}") {
        let record = with_files('a', &recorded);

        for patterns in [None, Some(PATTERNS)] {
            let change = compare(Some(&record), &commit('b').into(), patterns, at(1));
            prop_assert_eq!(change, Change::Moved);
        }
    }

    /// After the record has followed, the same head is nothing new and nothing is fetched for it.
    #[test]
    fn what_was_adopted_is_known(recorded in proptest::option::of("(t1-[0-9a-f]{16}-)?[0-9a-f]{64}"), state in "[0-9a-f]") {
        let state = ours(PATTERNS, state.chars().next().unwrap());
        let before = CheckedSource { file_hash: recorded, ..record('a', None, 0) };
        let found = head('b', Some(state.clone()), before.file_hash.clone());

        let change = moved(&before, &found);
        let after = with_files('b', &state);

        prop_assert!(matches!(change, Change::Quiet | Change::Moved));
        prop_assert_eq!(moved(&after, &found), Change::Same);
        let needed = files_needed(Some(&after), &found.commit, None, Some(PATTERNS));
        prop_assert_eq!(needed, FilesNeeded::Known(state));
    }
}
