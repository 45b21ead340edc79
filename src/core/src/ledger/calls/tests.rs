//! What becomes of calls, one by one and many at once.

use ger_api::schedule_trigger::{ActionKind, ActionRef, Reference, SourceKind};
use ger_api::status::{Run, RunPhase};
use jiff::SignedDuration;

use super::*;
use crate::change::Head;
use crate::ledger::{
    Answer, Check, Firing, JobSighting, Transition, Verdict, basis, decide, look_again, observed,
    queued, requested,
};
use crate::names::{ClusterName, TriggerKey, TriggerKind};

const PRINT: &str = "https://git.test/app main";

fn plan() -> Plan {
    Plan {
        key: TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Webhook,
            namespace: "team".to_owned(),
            name: "deploy".to_owned(),
        },
        uid: "uid".to_owned(),
        generation: 1,
        sources: vec!["app".to_owned(), "lib".to_owned()],
        source_kind: SourceKind::GitRepo,
        reference: Reference::default(),
        files: None,
        on_change_only: true,
        action: ActionRef { kind: ActionKind::Action, name: "build".to_owned() },
        schedule: None,
        hook: None,
        suspend: false,
        run_at: None,
        concurrency: ger_api::schedule_trigger::ConcurrencyPolicy::default(),
        starting_deadline: None,
        kept: crate::plan::Kept::default(),
    }
}

fn every_time() -> Plan {
    Plan { on_change_only: false, ..plan() }
}

fn at(second: i64) -> Timestamp {
    "2025-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn commit(digit: char) -> Commit {
    Commit::parse(&digit.to_string().repeat(40)).unwrap()
}

fn of(delivery: &str) -> Call {
    let (uid, sources) = ("uid".to_owned(), vec!["app".to_owned()]);
    Call { uid, generation: 1, sources, delivery: delivery.to_owned(), hint: None }
}

fn called(plan: &Plan, status: &TriggerStatus, calls: &[Call], second: i64) -> Called {
    let live = Live { uid: "uid", generation: plan.generation, status };
    call(plan, &live, calls, at(second))
}

/// The status that is written, and the runs of the one call.
fn recorded(plan: &Plan, status: &TriggerStatus, of: Call, second: i64) -> (TriggerStatus, String) {
    let Called { status, taken } = called(plan, status, &[of], second);
    let Some(Taken::Recorded { runs }) = taken.first() else { panic!("{taken:?}") };
    (*status.expect("it is written"), runs[0].clone())
}

/// A check that found this head, sent and answered at once.
fn found(plan: &Plan, status: &TriggerStatus, head: char, second: i64) -> TriggerStatus {
    let check = Check {
        basis: basis(plan, status, "app", PRINT),
        firing: Firing::Requested,
        answer: Answer::Head(Head::from(commit(head))),
        cautions: vec![],
    };
    let live = Live { uid: "uid", generation: plan.generation, status };
    match decide(plan, &live, PRINT, &check, at(second)) {
        Verdict::Write { status, .. } => *status,
        Verdict::Nothing => status.clone(),
        other @ (Verdict::Coalesced
        | Verdict::CheckAgain
        | Verdict::ConfirmAfter(_)
        | Verdict::Gone) => panic!("{other:?}"),
    }
}

fn succeed(status: &TriggerStatus, run: &str, second: i64) -> TriggerStatus {
    let moved = |it: Transition| match it {
        Transition::Write(status) => *status,
        other @ (Transition::Nothing | Transition::Refused { .. }) => panic!("{other:?}"),
    };
    let status = moved(queued(status, run, "job", run, at(second)));
    moved(observed(&status, run, run, &JobSighting::Succeeded { at: None }, at(second)))
}

fn run<'a>(status: &'a TriggerStatus, id: &str) -> &'a Run {
    status.runs.iter().find(|it| it.id == id).expect("the run is there")
}

#[test]
fn a_call_is_a_requested_run_until_a_check_gives_it_its_commit() {
    let plan = plan();

    let (status, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);

    let asked = run(&status, &id);
    assert_eq!((asked.phase, asked.reason), (RunPhase::Requested, RunReason::Webhook));
    assert_eq!((asked.occasion.as_deref(), asked.commit.as_deref()), (Some("d-1"), None));
    let status = found(&plan, &status, 'a', 1);
    assert_eq!(run(&status, &id).phase, RunPhase::Pending);
    assert_eq!(run(&status, &id).commit.as_deref(), Some(commit('a').as_str()));
}

#[test]
fn a_delivery_is_the_same_until_its_run_is_finished() {
    let plan = plan();
    let (status, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);
    let repeated = Taken::Repeated { runs: vec![id.clone()] };

    let again = called(&plan, &status, &[of("d-1")], 1);
    assert_eq!((again.status, again.taken), (None, vec![repeated.clone()]));
    let status = found(&plan, &status, 'a', 2);
    assert_eq!(called(&plan, &status, &[of("d-1")], 3).taken, [repeated]);

    let status = succeed(&status, &id, 4);
    let (status, fresh) = recorded(&plan, &status, of("d-1"), 5);
    assert_ne!(fresh, id);
    let status = found(&plan, &status, 'a', 6);
    assert_eq!(run(&status, &fresh).phase, RunPhase::Unchanged, "nothing runs twice");
}

#[test]
fn with_on_change_only_a_source_has_one_request_and_each_delivery_is_remembered_in_it() {
    let plan = plan();
    let calls: Vec<Call> = (0..10).map(|it| of(&format!("d-{it}"))).collect();

    let together = called(&plan, &TriggerStatus::default(), &calls, 0);

    let status = *together.status.unwrap();
    assert_eq!((status.runs.len(), status.sequence), (1, 1));
    let id = status.runs[0].id.clone();
    assert_eq!(together.taken, vec![Taken::Recorded { runs: vec![id.clone()] }; 10]);
    for delivery in &calls {
        let again = called(&plan, &status, std::slice::from_ref(delivery), 1);
        assert_eq!(again.taken, [Taken::Repeated { runs: vec![id.clone()] }], "{delivery:?}");
    }
}

#[test]
fn only_so_many_deliveries_are_remembered() {
    let plan = plan();
    let calls: Vec<Call> = (0..100).map(|it| of(&format!("d-{it}"))).collect();

    let status = called(&plan, &TriggerStatus::default(), &calls, 0).status.unwrap();

    assert_eq!(status.runs[0].also_asked_by.len(), 16);
    assert_eq!(status.runs[0].occasion.as_deref(), Some("d-99"));
}

#[test]
fn a_call_behind_a_check_in_flight_is_not_answered_by_it() {
    let plan = plan();
    let (before, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);
    let check = Check {
        basis: basis(&plan, &before, "app", PRINT),
        firing: Firing::Requested,
        answer: Answer::Head(Head::from(commit('a'))),
        cautions: vec![],
    };
    let (status, same) = recorded(&plan, &before, of("d-2"), 1);
    assert_eq!(same, id);

    let live = Live { uid: "uid", generation: 1, status: &status };
    let verdict = decide(&plan, &live, PRINT, &check, at(2));

    let Verdict::Write { status, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(run(&status, &id).phase, RunPhase::Requested, "it waits for the next check");
    assert_eq!(
        status.runs.iter().filter(|it| it.commit.is_some()).count(),
        1,
        "what was seen runs"
    );
}

#[test]
fn where_every_call_runs_ten_wait_at_the_most_and_a_call_is_taken_whole_or_not() {
    let plan = every_time();
    let calls: Vec<Call> = (0..10).map(|it| of(&format!("d-{it}"))).collect();
    let status = *called(&plan, &TriggerStatus::default(), &calls, 0).status.unwrap();
    let both = Call { sources: plan.sources.clone(), ..of("d-10") };

    let refused = called(&plan, &status, &[of("d-11"), both], 1);

    assert_eq!(refused.status, None);
    assert_eq!(refused.taken, vec![Taken::Full { source: "app".to_owned() }; 2]);
    assert_eq!(status.runs.len(), 10);
}

#[test]
fn what_is_no_longer_so_is_judged_again() {
    let plan = plan();
    let status = TriggerStatus::default();
    let edited = Call { generation: 0, ..of("d") };
    let another = Call { uid: "other".to_owned(), ..of("d") };
    let unknown = Call { sources: vec!["gone".to_owned()], ..of("d") };
    let suspended = Plan { suspend: true, ..plan.clone() };

    let taken = called(&plan, &status, &[edited, another, unknown], 0).taken;
    assert_eq!(taken, [Taken::Edited, Taken::Edited, Taken::UnknownSource]);
    assert_eq!(called(&suspended, &status, &[of("d")], 0).taken, [Taken::Suspended]);
}

#[test]
fn a_commit_that_the_remote_does_not_have_yet_is_waited_for_and_not_for_ever() {
    let plan = plan();
    let (status, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);
    let status = succeed(&found(&plan, &status, 'a', 1), &id, 2);
    let hinted = Call { hint: Some(commit('b')), ..of("d-2") };
    let (status, id) = recorded(&plan, &status, hinted, 10);

    let lagging = found(&plan, &status, 'a', 11);
    assert_eq!(run(&lagging, &id).phase, RunPhase::Requested);
    assert!(look_again(&lagging, "app", at(11)).is_some());
    assert_eq!(look_again(&lagging, "lib", at(11)), None);

    let arrived = found(&plan, &lagging, 'b', 14);
    assert_eq!(run(&arrived, &id).commit.as_deref(), Some(commit('b').as_str()));
    assert_eq!(look_again(&arrived, "app", at(14)), None);

    let never = found(&plan, &lagging, 'a', 41);
    assert_eq!(run(&never, &id).phase, RunPhase::Unchanged);
    assert_eq!(look_again(&never, "app", at(41)), None);
}

#[test]
fn a_remote_that_has_something_newer_is_not_waited_for() {
    let plan = plan();
    let (status, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);
    let status = succeed(&found(&plan, &status, 'a', 1), &id, 2);
    let hinted = Call { hint: Some(commit('b')), ..of("d-2") };
    let (status, id) = recorded(&plan, &status, hinted, 10);

    let status = found(&plan, &status, 'c', 11);

    assert_eq!(run(&status, &id).commit.as_deref(), Some(commit('c').as_str()));
    assert!(look_again(&status, "app", at(11)).is_some(), "what was named may still come");
}

/// A forge's deliveries may overtake each other: the older commit, named last, is not all that is to come.
#[test]
fn of_deliveries_that_overtook_each_other_every_commit_is_waited_for() {
    let plan = plan();
    let (status, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);
    let status = succeed(&found(&plan, &status, 'a', 1), &id, 2);
    let newer = Call { hint: Some(commit('c')), ..of("d-3") };
    let older = Call { hint: Some(commit('b')), ..of("d-2") };
    let (status, id) = recorded(&plan, &status, newer, 10);
    let (status, joined) = recorded(&plan, &status, older, 11);

    let lagging = found(&plan, &status, 'b', 12);

    assert_eq!(joined, id);
    assert_eq!(run(&lagging, &id).commit.as_deref(), Some(commit('b').as_str()));
    assert!(look_again(&lagging, "app", at(12)).is_some(), "the newer one is still to come");
    let done = succeed(&lagging, &id, 14);
    assert!(look_again(&done, "app", at(15)).is_some(), "also when the Job is done");
    let arrived = found(&plan, &done, 'c', 18);
    let commits: Vec<_> = arrived.runs.iter().filter_map(|it| it.commit.clone()).collect();
    assert_eq!(commits.last(), Some(&commit('c').as_str().to_owned()), "{commits:?}");
    assert_eq!(look_again(&arrived, "app", at(18)), None);
}

/// An old commit that is named last does not end the wait for the new one.
#[test]
fn a_known_commit_that_is_named_last_lets_the_other_be_waited_for() {
    let plan = plan();
    let (status, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);
    let status = succeed(&found(&plan, &status, 'a', 1), &id, 2);
    let newer = Call { hint: Some(commit('b')), ..of("d-2") };
    let again = Call { hint: Some(commit('a')), ..of("d-1-again") };
    let (status, id) = recorded(&plan, &status, newer, 10);
    let (status, _) = recorded(&plan, &status, again, 11);

    let lagging = found(&plan, &status, 'a', 12);

    assert_eq!(run(&lagging, &id).phase, RunPhase::Requested, "b may still come");
    let arrived = found(&plan, &lagging, 'b', 16);
    assert_eq!(run(&arrived, &id).commit.as_deref(), Some(commit('b').as_str()));
    assert_eq!(look_again(&arrived, "app", at(16)), None);
}

/// Whose commit a call for all sources names, nobody says: where every call runs, none is late for it.
#[test]
fn a_call_for_all_sources_starts_none_of_them_late() {
    let plan = every_time();
    let (status, id) = recorded(&plan, &TriggerStatus::default(), of("d-1"), 0);
    let status = succeed(&found(&plan, &status, 'a', 1), &id, 2);
    let hint = Some(commit('b'));
    let all = Call { sources: plan.sources.clone(), hint: hint.clone(), ..of("d-2") };
    let one = Call { hint, ..of("d-3") };

    let (of_all, unchanged) = recorded(&plan, &status, all, 10);
    let (of_one, awaits) = recorded(&plan, &status, one, 10);

    let of_all = found(&plan, &of_all, 'a', 11);
    assert_eq!(run(&of_all, &unchanged).phase, RunPhase::Pending);
    assert_eq!(run(&found(&plan, &of_one, 'a', 11), &awaits).phase, RunPhase::Requested);
}

#[test]
fn an_old_delivery_waits_for_nothing() {
    let plan = plan();
    let mut status = TriggerStatus::default();
    for (second, head) in [(0, 'a'), (10, 'b'), (20, 'c')] {
        let hinted = Call { hint: Some(commit(head)), ..of(&format!("d-{head}")) };
        let (asked, id) = recorded(&plan, &status, hinted, second);
        status = succeed(&found(&plan, &asked, head, second + 1), &id, second + 2);
    }

    let captured = Call { hint: Some(commit('a')), ..of("d-a") };
    let (status, id) = recorded(&plan, &status, captured, 100);
    let status = found(&plan, &status, 'c', 101);

    assert_eq!(run(&status, &id).phase, RunPhase::Unchanged);
}

#[test]
fn a_delivery_s_id_is_short_and_of_visible_characters() {
    assert_eq!(Call::delivery_id(b"72d3162e-cc78-11e3"), "72d3162e-cc78-11e3");
    for odd in [b"".as_slice(), b"a b", b"a\nb", "ä".as_bytes(), &[0xff], &[b'x'; 200]] {
        let id = Call::delivery_id(odd);
        assert_eq!(id.len(), 32, "{odd:?}");
        assert!(id.bytes().all(|it| it.is_ascii_alphanumeric()));
        assert_eq!(id, Call::delivery_id(odd), "it is the same for the same");
    }
    assert!(requested(&TriggerStatus::default(), "app").is_empty());
}
