//! One decision at a time: what is written, what is not, and what is said.

use std::time::Duration;

use ger_api::TriggerStatus;
use ger_api::schedule_trigger::{
    ActionKind, ActionRef, ConcurrencyPolicy, Reference, Schedule as ApiSchedule, SourceKind,
};
use ger_api::status::{CheckedSource, Run, RunPhase, RunReason, TriggerState};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::names::{ClusterName, Commit, TriggerKey, TriggerKind};
use crate::plan::{Forced, Kept, Reason, RunAt, WrongConfig};
use crate::schedule::Schedule;

mod concurrency;
mod ends;
mod files;
mod says;

const URI: &str = "https://git.test/app";

fn plan() -> Plan {
    Plan {
        key: TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Schedule,
            namespace: "team".to_owned(),
            name: "deploy".to_owned(),
        },
        uid: "uid-of-the-trigger".to_owned(),
        generation: 1,
        sources: vec!["app".to_owned(), "lib".to_owned()],
        source_kind: SourceKind::GitRepo,
        reference: Reference::default(),
        files: None,
        on_change_only: true,
        action: ActionRef { kind: ActionKind::Action, name: "build".to_owned() },
        schedule: Some(Schedule::parse(&ApiSchedule::Interval("10s".to_owned()), None).unwrap()),
        suspend: false,
        hook: None,
        run_at: None,
        concurrency: ConcurrencyPolicy::Allow,
        starting_deadline: None,
        kept: Kept::default(),
    }
}

fn every_time() -> Plan {
    Plan { on_change_only: false, ..plan() }
}

fn at(second: i64) -> Timestamp {
    "2025-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn head(digit: char) -> Answer {
    Answer::Head(Commit::parse(&digit.to_string().repeat(40)).unwrap().into())
}

fn tick() -> Firing {
    Firing::Tick { nominal: "2025-01-01T00:00:10Z".to_owned() }
}

fn live<'a>(plan: &'a Plan, status: &'a TriggerStatus) -> Live<'a> {
    Live { uid: &plan.uid, generation: plan.generation, status }
}

/// A check that is answered before anything else happens.
fn check(plan: &Plan, status: &TriggerStatus, answer: Answer, second: i64) -> Verdict {
    check_source(plan, status, "app", (tick(), answer), second)
}

fn check_source(
    plan: &Plan,
    status: &TriggerStatus,
    source: &str,
    (firing, answer): (Firing, Answer),
    second: i64,
) -> Verdict {
    let print = plan.fingerprint(source, URI);
    let check =
        Check { basis: basis(plan, status, source, &print), firing, answer, cautions: vec![] };
    decide(plan, &live(plan, status), &print, &check, at(second))
}

fn written(verdict: Verdict) -> TriggerStatus {
    let Verdict::Write { status, .. } = verdict else { panic!("not a write: {verdict:?}") };
    *status
}

fn moved(transition: Transition) -> TriggerStatus {
    let Transition::Write(status) = transition else { panic!("not a write: {transition:?}") };
    *status
}

fn phases(status: &TriggerStatus) -> Vec<RunPhase> {
    status.runs.iter().map(|it| it.phase).collect()
}

/// Takes the last run from `Pending` to its end.
fn succeed(status: &TriggerStatus, second: i64) -> TriggerStatus {
    let id = status.runs.last().unwrap().id.clone();
    let status = moved(queued(status, &id, "job", &id, at(second)));
    moved(observed(&status, &id, &id, &JobSighting::Succeeded { at: None }, at(second)))
}

#[test]
fn the_first_sight_of_a_source_runs_once() {
    let plan = plan();

    let status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));

    let run = &status.runs[0];
    assert_eq!(status.runs.len(), 1);
    assert_eq!(
        (run.phase, run.reason, run.occasion.clone()),
        (RunPhase::Pending, RunReason::Changed, None)
    );
    assert_eq!(run.id, run_id(&plan.uid, "app", 1, "change"));
    assert_eq!(run.commit.as_deref(), Some("a".repeat(40).as_str()));
    assert_eq!(status.checked_sources["app"].commit_hash, run.commit);
    assert_eq!((status.sequence, status.state), (1, TriggerState::Running));
    assert_eq!(status.next_run, Some(at(10)));
}

#[test]
fn deciding_twice_adds_nothing() {
    let plan = plan();
    let old = TriggerStatus::default();
    let print = plan.fingerprint("app", URI);
    let sent = Check {
        basis: basis(&plan, &old, "app", &print),
        firing: tick(),
        answer: head('a'),
        cautions: vec![],
    };

    let status = written(decide(&plan, &live(&plan, &old), &print, &sent, at(0)));

    let again = decide(&plan, &live(&plan, &status), &print, &sent, at(1));
    assert_eq!(again, Verdict::CheckAgain);
    assert_eq!(check(&plan, &status, head('a'), 1), Verdict::Nothing);
}

#[test]
fn an_answer_counts_only_against_what_was_known_when_it_was_asked_for() {
    let plan = plan();
    let status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));
    let print = plan.fingerprint("app", URI);
    let sent = Check {
        basis: basis(&plan, &status, "app", &print),
        firing: tick(),
        answer: head('b'),
        cautions: vec![],
    };

    let edited = Plan { generation: 2, ..plan.clone() };
    let elsewhere = plan.fingerprint("app", "https://git.test/other");
    let created_anew = Live { uid: "another", generation: 1, status: &status };
    let decided =
        |plan: &Plan, live: &Live<'_>, print: &str| decide(plan, live, print, &sent, at(1));

    assert_eq!(decided(&edited, &live(&edited, &status), &print), Verdict::CheckAgain);
    assert_eq!(decided(&plan, &live(&edited, &status), &print), Verdict::CheckAgain);
    assert_eq!(decided(&plan, &live(&plan, &status), &elsewhere), Verdict::CheckAgain);
    assert_eq!(decided(&plan, &created_anew, &print), Verdict::Gone);
    assert!(matches!(decided(&plan, &live(&plan, &status), &print), Verdict::Write { .. }));
}

#[test]
fn what_another_source_did_meanwhile_is_merged() {
    let plan = plan();
    let old = TriggerStatus::default();
    let print = plan.fingerprint("app", URI);
    let sent = Check {
        basis: basis(&plan, &old, "app", &print),
        firing: tick(),
        answer: head('a'),
        cautions: vec![],
    };
    let status = written(check_source(&plan, &old, "lib", (tick(), head('b')), 0));

    let status = written(decide(&plan, &live(&plan, &status), &print, &sent, at(1)));

    assert_eq!(status.runs.iter().map(|it| it.source.as_str()).collect::<Vec<_>>(), ["lib", "app"]);
    assert_eq!(status.sequence, 2);
}

#[test]
fn a_move_back_is_asked_about_again_and_then_believed() {
    let plan = plan();
    let status = succeed(&written(check(&plan, &TriggerStatus::default(), head('a'), 0)), 1);
    let status = succeed(&written(check(&plan, &status, head('b'), 10)), 11);

    assert_eq!(check(&plan, &status, head('a'), 20), Verdict::ConfirmAfter(Duration::from_secs(5)));
    let confirm = (Firing::Confirm { nominal: None }, head('a'));
    let confirmed = written(check_source(&plan, &status, "app", confirm, 25));

    assert_eq!(confirmed.runs.len(), 3);
    assert_eq!(confirmed.runs[2].previous_commit, Some("b".repeat(40)));
    assert!(matches!(check(&plan, &status, head('a'), 71), Verdict::Write { .. }));
}

#[test]
fn without_on_change_only_each_firing_runs_once_for_each_source() {
    let plan = every_time();
    let mut status = TriggerStatus::default();
    for source in ["app", "lib"] {
        status = written(check_source(&plan, &status, source, (tick(), head('a')), 0));
    }

    for source in ["app", "lib"] {
        assert_eq!(check_source(&plan, &status, source, (tick(), head('a')), 5), Verdict::Nothing);
        status = written(check_source(&plan, &status, source, (tick(), head('a')), 10));
        assert_eq!(check_source(&plan, &status, source, (tick(), head('a')), 10), Verdict::Nothing);
    }

    assert_eq!(status.runs.len(), 4);
    let run = &status.runs[2];
    assert_eq!(
        (run.reason, run.occasion.as_deref()),
        (RunReason::Scheduled, Some("2025-01-01T00:00:10Z"))
    );
    assert_eq!(run.id, run_id(&plan.uid, "app", 3, "2025-01-01T00:00:10Z"));
}

#[test]
fn what_makes_up_for_a_run_that_expired_takes_no_firing_from_the_next() {
    let plan = every_time();
    let status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));
    let id = status.runs[0].id.clone();
    let status = moved(expired(&status, &id, None, "waited too long", at(5)));

    let status = written(check(&plan, &status, head('a'), 6));
    let status = written(check(&plan, &status, head('a'), 16));

    let occasions: Vec<_> = status.runs.iter().map(|it| it.occasion.as_deref()).collect();
    assert_eq!(occasions[1..], [None, Some("2025-01-01T00:00:10Z")]);
}

#[test]
fn a_commit_that_was_seen_between_two_firings_is_still_a_change_at_the_next() {
    let plan = every_time();
    let status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));
    let edited = Plan { generation: 2, ..plan };

    let between = written(check(&edited, &status, head('b'), 5));
    let status = written(check(&edited, &between, head('b'), 10));

    assert_eq!(between.runs.len(), 1);
    assert_eq!(status.runs[1].reason, RunReason::Changed);
    assert_eq!(status.runs[1].previous_commit, Some("a".repeat(40)));
}

#[test]
fn a_timer_that_fires_a_little_early_makes_neither_two_runs_nor_none() {
    let plan = every_time();
    let status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));
    let print = plan.fingerprint("app", URI);
    let early = at(10) - SignedDuration::from_millis(300);
    let sent = Check {
        basis: basis(&plan, &status, "app", &print),
        firing: tick(),
        answer: head('a'),
        cautions: vec![],
    };

    let status = written(decide(&plan, &live(&plan, &status), &print, &sent, early));

    assert_eq!(status.checked_sources["app"].checked_at, Some(at(10)));
    assert_eq!(check(&plan, &status, head('a'), 10), Verdict::Nothing);
}

#[test]
fn ten_unfinished_runs_are_enough_and_the_eleventh_is_seen_again_later() {
    let plan = every_time();
    let mut status = TriggerStatus::default();
    for round in 0..10 {
        status = written(check(&plan, &status, head('a'), round * 10));
    }

    assert_eq!(check(&plan, &status, head('b'), 100), Verdict::Coalesced);
    let reconciling = status.conditions.iter().find(|it| it.type_ == "Reconciling").unwrap();
    assert_eq!(reconciling.reason, "TooManyRuns");
    let run_at = RunAt { value: "now".to_owned(), forced: Forced::No, sources: None };
    assert_eq!(request(&plan, &live(&plan, &status), &run_at, at(100)), Verdict::Coalesced);

    let freed = succeed(&status, 101);
    let status = written(check(&plan, &freed, head('b'), 110));
    assert_eq!(status.checked_sources["app"].commit_hash, Some("b".repeat(40)));
}

#[test]
fn a_run_at_may_be_for_some_sources_only() {
    let (plan, status) = (plan(), TriggerStatus::default());
    let of = |names: [&str; 2]| RunAt {
        value: names.join(","),
        forced: Forced::No,
        sources: Some(names.map(str::to_owned).to_vec()),
    };

    let one = written(request(&plan, &live(&plan, &status), &of(["lib", "nothing"]), at(0)));
    let none = written(request(&plan, &live(&plan, &status), &of(["no", "nothing"]), at(0)));

    assert_eq!(one.runs.iter().map(|it| it.source.as_str()).collect::<Vec<_>>(), ["lib"]);
    assert_eq!((none.runs.len(), none.last_handled_run_at.as_deref()), (0, Some("no,nothing")));
}

#[test]
fn a_run_at_becomes_one_request_for_each_source_once() {
    let plan = plan();
    let status = TriggerStatus::default();
    let run_at = RunAt { value: "one".to_owned(), forced: Forced::No, sources: None };

    let status = written(request(&plan, &live(&plan, &status), &run_at, at(0)));

    assert_eq!(phases(&status), [RunPhase::Requested; 2]);
    assert_eq!(status.last_handled_run_at.as_deref(), Some("one"));
    assert_eq!(request(&plan, &live(&plan, &status), &run_at, at(1)), Verdict::Nothing);

    let status = written(check(&plan, &status, head('a'), 2));
    assert_eq!(phases(&status), [RunPhase::Requested, RunPhase::Pending]);
    assert_eq!(status.runs[1].reason, RunReason::Manual);
}

#[test]
fn a_request_is_not_answered_by_a_check_that_was_sent_before_it() {
    let plan = plan();
    let old = succeed(&written(check(&plan, &TriggerStatus::default(), head('a'), 0)), 1);
    let print = plan.fingerprint("app", URI);
    let sent = Check {
        basis: basis(&plan, &old, "app", &print),
        firing: tick(),
        answer: head('a'),
        cautions: vec![],
    };
    let run_at = |value: &str, forced| RunAt { value: value.to_owned(), forced, sources: None };

    let status = written(request(&plan, &live(&plan, &old), &run_at("one", Forced::No), at(2)));
    let asked_again =
        written(request(&plan, &live(&plan, &status), &run_at("two", Forced::Yes), at(3)));
    let between = Check { basis: basis(&plan, &status, "app", &print), ..sent.clone() };

    assert_eq!(decide(&plan, &live(&plan, &status), &print, &sent, at(4)), Verdict::Nothing);
    assert_eq!(
        decide(&plan, &live(&plan, &asked_again), &print, &between, at(4)),
        Verdict::Nothing
    );
    assert_eq!(asked_again.runs.len(), status.runs.len());
    assert_eq!(unfinished(&asked_again).filter(|it| it.forced).count(), 2);
}

#[test]
fn a_request_of_an_unchanged_source_runs_only_if_forced() {
    let plan = plan();
    let done = succeed(&written(check(&plan, &TriggerStatus::default(), head('a'), 0)), 1);
    let ask = |forced| {
        let run_at = RunAt { value: "now".to_owned(), forced, sources: None };
        let status = written(request(&plan, &live(&plan, &done), &run_at, at(2)));
        let answered = check_source(&plan, &status, "app", (Firing::Requested, head('a')), 3);
        written(answered).runs.last().unwrap().phase
    };

    assert_eq!(ask(Forced::No), RunPhase::Unchanged);
    assert_eq!(ask(Forced::Yes), RunPhase::Pending);
}

#[test]
fn nothing_is_recorded_for_a_suspended_trigger_or_an_unlisted_source() {
    let suspended = Plan { suspend: true, ..plan() };
    let run_at = RunAt { value: "now".to_owned(), forced: Forced::Yes, sources: None };
    let status = TriggerStatus::default();

    assert_eq!(check(&suspended, &status, head('a'), 0), Verdict::Nothing);
    assert_eq!(request(&suspended, &live(&suspended, &status), &run_at, at(0)), Verdict::Nothing);
    let unlisted = check_source(&plan(), &status, "other", (tick(), head('a')), 0);
    assert_eq!(unlisted, Verdict::Nothing);
}

#[test]
fn what_the_original_recorded_is_understood() {
    let plan = plan();
    let status: TriggerStatus = serde_json::from_value(json!({
        "state": "Idle",
        "lastRun": "2024-12-31T23:59:00Z",
        "checkedSources": {
            "app": {"commitHash": "a".repeat(40), "changed": "2024-12-31T23:00:00Z"},
            "lib": {"commitHash": "d".repeat(40)},
            "gone": {"commitHash": "c".repeat(40)},
        },
        "fromTheFuture": {"kept": true},
    }))
    .unwrap();

    let status = written(check(&plan, &status, head('a'), 0));
    let tagged = Head {
        tag_object: Some(Commit::parse(&"d".repeat(40)).unwrap()),
        ..Head::from(Commit::parse(&"a".repeat(40)).unwrap())
    };
    let tag = check_source(&plan, &status, "lib", (tick(), Answer::Head(tagged)), 3600);
    let status = written(tag);

    assert_eq!(status.runs, []);
    assert_eq!(status.checked_sources.keys().collect::<Vec<_>>(), ["app", "lib"]);
    assert_eq!(status.checked_sources["lib"].commit_hash, Some("a".repeat(40)));
    assert_eq!(status.unknown["fromTheFuture"], json!({"kept": true}));
}

#[test]
fn the_original_s_one_time_for_all_sources_counts_for_each() {
    let plan = every_time();
    let status: TriggerStatus = serde_json::from_value(json!({
        "lastRun": "2024-12-31T23:59:50Z",
        "checkedSources": {"app": {"commitHash": "a".repeat(40)}, "lib": {"commitHash": "a".repeat(40)}},
    }))
    .unwrap();

    let status = written(check_source(&plan, &status, "app", (tick(), head('a')), 0));
    let status = written(check_source(&plan, &status, "lib", (tick(), head('a')), 0));

    assert_eq!(status.runs.len(), 2);
}

#[test]
fn a_clock_that_was_wrong_stops_nothing_for_long() {
    let plan = every_time();
    let mut status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));
    let far = "2999-01-01T00:00:00Z".parse().unwrap();
    status.last_run = Some(far);
    status.checked_sources.get_mut("app").unwrap().checked_at = Some(far);

    let status = written(check(&plan, &status, head('b'), 20));

    assert_eq!(status.last_run, Some(at(20)));
    assert_eq!(status.checked_sources["app"].checked_at, Some(at(20)));
}

#[test]
fn a_check_that_found_nothing_new_writes_once_an_hour() {
    let plan = plan();
    let status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));

    assert_eq!(check(&plan, &status, head('a'), 3599), Verdict::Nothing);
    let status = written(check(&plan, &status, head('a'), 3600));
    assert_eq!(status.last_run, Some(at(3600)));
    assert_eq!(check(&plan, &status, head('a'), 3601), Verdict::Nothing);
}

#[test]
fn a_status_is_read_back_as_it_was_written() {
    let plan = plan();
    let status = written(check(&plan, &TriggerStatus::default(), head('a'), 0));

    let read: TriggerStatus =
        serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();

    assert_eq!(read, status);
}
