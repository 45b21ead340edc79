//! Where files are watched: what runs, what is only written down, and what not even that.

use super::*;

fn watching(patterns: &[&str]) -> Plan {
    Plan { files: Some(patterns.iter().map(|it| (*it).to_owned()).collect()), ..plan() }
}

fn src() -> Plan {
    watching(&["src/**"])
}

fn hash(plan: &Plan, state: char) -> String {
    format!("t1-{}-{}", plan.patterns_digest().unwrap(), state.to_string().repeat(64))
}

/// A head at this commit, with the plan's files in this state.
fn found(plan: &Plan, commit: char, state: char) -> Answer {
    let head = Head::from(Commit::parse(&commit.to_string().repeat(40)).unwrap());
    Answer::Head(Head { files: Some(hash(plan, state)), ..head })
}

fn record(status: &TriggerStatus) -> (Option<String>, Option<String>) {
    let record = &status.checked_sources["app"];
    (record.commit_hash.clone(), record.file_hash.clone())
}

/// A status as it is after the first run, at commit `a` with the files in state `1`.
fn first(plan: &Plan) -> TriggerStatus {
    succeed(&written(check(plan, &TriggerStatus::default(), found(plan, 'a', '1'), 0)), 1)
}

/// What a write recorded, and the status.
fn of(verdict: Verdict) -> (usize, TriggerStatus) {
    let Verdict::Write { status, recorded, .. } = verdict else {
        panic!("not a write: {verdict:?}")
    };
    (recorded.len(), *status)
}

fn original(commit: char, state: char) -> TriggerStatus {
    serde_json::from_value(json!({
        "lastRun": "2024-12-31T23:59:50Z",
        "checkedSources": {
            "app": {
                "commitHash": commit.to_string().repeat(40),
                "fileHash": state.to_string().repeat(64),
                "changed": "2024-12-31T10:00:00Z",
            },
        },
    }))
    .unwrap()
}

#[test]
fn the_first_sight_runs_and_records_the_hash() {
    let plan = src();

    let status = first(&plan);

    assert_eq!(status.runs.len(), 1);
    assert_eq!(record(&status), (Some("a".repeat(40)), Some(hash(&plan, '1'))));
    assert_eq!(check(&plan, &status, found(&plan, 'a', '1'), 10), Verdict::Nothing);
}

#[test]
fn a_commit_that_touches_no_watched_file_is_written_once_and_runs_nothing() {
    let plan = src();
    let before = first(&plan);

    let (runs, after) = of(check(&plan, &before, found(&plan, 'b', '1'), 100));

    assert_eq!((runs, after.runs.len(), after.sequence), (0, 1, 1));
    assert_eq!(record(&after), (Some("b".repeat(40)), Some(hash(&plan, '1'))));
    let (old, new) = (&before.checked_sources["app"], &after.checked_sources["app"]);
    assert_eq!((&new.changed, &new.previous_commit), (&old.changed, &old.previous_commit));
    assert_eq!(check(&plan, &after, found(&plan, 'b', '1'), 110), Verdict::Nothing);
}

#[test]
fn a_watched_file_that_changed_runs_once() {
    let plan = src();
    let quiet = written(check(&plan, &first(&plan), found(&plan, 'b', '1'), 100));

    let (runs, after) = of(check(&plan, &quiet, found(&plan, 'c', '2'), 110));

    assert_eq!((runs, after.runs[1].reason), (1, RunReason::Changed));
    assert_eq!(after.runs[1].commit, Some("c".repeat(40)));
    assert_eq!(after.runs[1].previous_commit, Some("b".repeat(40)));
    assert_eq!(record(&after), (Some("c".repeat(40)), Some(hash(&plan, '2'))));
    assert_eq!(check(&plan, &after, found(&plan, 'c', '2'), 120), Verdict::Nothing);
}

#[test]
fn an_edit_of_the_patterns_runs_nothing_by_itself_and_hides_no_commit() {
    let status = first(&src());
    let edited = Plan { generation: 2, ..watching(&["docs/**"]) };

    let (runs, adopted) = of(check(&edited, &status, found(&edited, 'a', '7'), 10));
    assert_eq!((runs, record(&adopted).1), (0, Some(hash(&edited, '7'))));
    assert_eq!(check(&edited, &adopted, found(&edited, 'a', '7'), 20), Verdict::Nothing);

    let (runs, moved) = of(check(&edited, &status, found(&edited, 'b', '7'), 10));
    assert_eq!((runs, record(&moved)), (1, (Some("b".repeat(40)), Some(hash(&edited, '7')))));
}

#[test]
fn patterns_that_are_added_are_adopted_and_removed_ones_forgotten_with_the_next_commit() {
    let status = succeed(&written(check(&plan(), &TriggerStatus::default(), head('a'), 0)), 1);
    let added = src();

    let (runs, adopted) = of(check(&added, &status, found(&added, 'a', '1'), 10));
    assert_eq!((runs, record(&adopted).1), (0, Some(hash(&added, '1'))));

    assert_eq!(check(&plan(), &adopted, head('a'), 20), Verdict::Nothing);
    let (runs, removed) = of(check(&plan(), &adopted, head('b'), 100));
    assert_eq!((runs, record(&removed).1), (1, None));
}

#[test]
fn the_original_s_hash_is_understood_until_ours_takes_its_place() {
    let plan = Plan { sources: vec!["app".to_owned()], ..src() };
    // What the original wrote has no heartbeat of ours yet: the hash is left alone by it.
    let status = written(check(&plan, &original('a', '9'), with_original('a', '9', None), 0));
    assert_eq!((status.runs.len(), record(&status).1), (0, Some("9".repeat(64))));
    assert_eq!(check(&plan, &status, with_original('a', '9', None), 10), Verdict::Nothing);

    let same = with_original('b', '9', Some(hash(&plan, '1')));
    let (runs, adopted) = of(check(&plan, &status, same, 20));
    assert_eq!((runs, record(&adopted)), (0, (Some("b".repeat(40)), Some(hash(&plan, '1')))));

    let other = with_original('b', '8', Some(hash(&plan, '1')));
    let (runs, moved) = of(check(&plan, &status, other, 20));
    assert_eq!((runs, record(&moved)), (1, (Some("b".repeat(40)), Some(hash(&plan, '1')))));
}

/// A head with the original's hash: known of the recorded commit, or made beside ours.
fn with_original(commit: char, state: char, ours: Option<String>) -> Answer {
    let head = Head::from(Commit::parse(&commit.to_string().repeat(40)).unwrap());
    let theirs = state.to_string().repeat(64);
    Answer::Head(match ours {
        Some(ours) => Head { files: Some(ours), original_files: Some(theirs), ..head },
        None => Head { files: Some(theirs), ..head },
    })
}

#[test]
fn without_on_change_only_each_firing_runs_and_records_the_hash() {
    let plan = Plan { on_change_only: false, ..src() };
    let status = first(&plan);

    // Seen between two firings: nothing is written before the next one.
    assert_eq!(check(&plan, &status, found(&plan, 'b', '1'), 5), Verdict::Nothing);
    let (runs, status) = of(check(&plan, &status, found(&plan, 'b', '1'), 10));
    assert_eq!((runs, status.runs[1].reason), (1, RunReason::Scheduled));
    assert_eq!(status.runs[1].previous_commit, Some("a".repeat(40)));
    assert_eq!(record(&status), (Some("b".repeat(40)), Some(hash(&plan, '1'))));

    let (runs, status) = of(check(&plan, &status, found(&plan, 'c', '2'), 20));
    assert_eq!((runs, status.runs[2].reason), (1, RunReason::Changed));
    assert_eq!(record(&status).1, Some(hash(&plan, '2')));
}

#[test]
fn a_request_at_a_commit_that_touches_no_watched_file_is_answered_with_unchanged() {
    let plan = Plan { sources: vec!["app".to_owned()], ..src() };
    let before = first(&plan);
    let ask = |forced| {
        let run_at = RunAt { value: "now".to_owned(), forced, sources: None };
        let status = written(request(&plan, &live(&plan, &before), &run_at, at(100)));
        let answer = (Firing::Requested, found(&plan, 'b', '1'));
        written(check_source(&plan, &status, "app", answer, 101))
    };

    let (asked, forced) = (ask(Forced::No), ask(Forced::Yes));

    assert_eq!(phases(&asked), [RunPhase::Succeeded, RunPhase::Unchanged]);
    assert_eq!(phases(&forced), [RunPhase::Succeeded, RunPhase::Pending]);
    assert_eq!(forced.runs[1].previous_commit, Some("a".repeat(40)));
    for status in [asked, forced] {
        assert_eq!(record(&status), (Some("b".repeat(40)), Some(hash(&plan, '1'))));
    }
}

#[test]
fn an_expired_run_is_made_up_for_even_after_quiet_commits() {
    let plan = src();
    let status = written(check(&plan, &TriggerStatus::default(), found(&plan, 'a', '1'), 0));
    let id = status.runs[0].id.clone();
    let quiet = written(check(&plan, &status, found(&plan, 'b', '1'), 10));

    let expired = moved(expired(&quiet, &id, None, "waited 5 min", at(300)));

    let (runs, again) = of(check(&plan, &expired, found(&plan, 'b', '1'), 310));
    assert_eq!((runs, again.runs[1].commit.clone()), (1, Some("b".repeat(40))));
}

#[test]
fn a_run_carries_the_tag_that_a_range_chose() {
    let plan = Plan { reference: Reference::Semver("1.x".to_owned()), ..plan() };
    let tagged = |commit: char, tag: &str| {
        let head = Head::from(Commit::parse(&commit.to_string().repeat(40)).unwrap());
        Answer::Head(Head { tag: Some(tag.to_owned()), ..head })
    };
    let status =
        succeed(&written(check(&plan, &TriggerStatus::default(), tagged('a', "v1.0.0"), 0)), 1);

    // Another tag at the same commit is nothing new to run.
    assert_eq!(check(&plan, &status, tagged('a', "v1.0.1"), 10), Verdict::Nothing);
    let status = written(check(&plan, &status, tagged('b', "v1.1.0"), 20));

    let tags: Vec<_> = status.runs.iter().map(|it| it.tag.as_deref().unwrap()).collect();
    assert_eq!(tags, ["v1.0.0", "v1.1.0"]);
}
