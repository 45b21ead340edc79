//! Would the model notice? Each law of the ledger, broken once.

use ger_api::TriggerStatus;
use ger_api::status::RunPhase;
use jiff::Timestamp;

use super::world::{SOURCE, Step, World};
use super::{Law, OF_FILES, PRODUCT, Withdrawal, is_caught};
use crate::ledger::{self, Answer, Basis, Check, Live, Transition, Verdict, run_id};
use crate::plan::Plan;

#[test]
fn an_answer_that_counts_against_anything_is_caught() {
    fn decide(plan: &Plan, live: &Live<'_>, print: &str, check: &Check, now: Timestamp) -> Verdict {
        let record = live.status.checked_sources.get(SOURCE).map(|it| it.as_ref().clone());
        let basis = Basis { record, ..check.basis.clone() };
        ledger::decide(plan, live, print, &Check { basis, ..check.clone() }, now)
    }
    assert!(is_caught(Law { decide, ..PRODUCT }));
}

#[test]
fn a_run_id_without_the_sequence_is_caught() {
    fn decide(plan: &Plan, live: &Live<'_>, print: &str, check: &Check, now: Timestamp) -> Verdict {
        let mut verdict = ledger::decide(plan, live, print, check, now);
        if let Verdict::Write { status, .. } = &mut verdict {
            let known = |id: &str| live.status.runs.iter().any(|it| it.id == id);
            for run in status.runs.iter_mut().filter(|it| !known(&it.id)) {
                let commit = run.commit.clone().unwrap_or_default();
                run.id = run_id(&plan.uid, &run.source, 0, &commit);
            }
        }
        verdict
    }
    assert!(is_caught(Law { decide, ..PRODUCT }));
}

#[test]
fn a_job_that_starts_although_the_ledger_holds_another_is_caught() {
    fn may_start(status: &TriggerStatus, run_id: &str, _: &str) -> bool {
        status.runs.iter().any(|it| it.id == run_id && !it.phase.is_final())
    }
    assert!(is_caught(Law { may_start, ..PRODUCT }));
}

#[test]
fn an_expired_run_that_leaves_its_change_done_is_caught() {
    fn expired(
        status: &TriggerStatus,
        run_id: &str,
        withdrawn: Option<&str>,
        message: &str,
        now: Timestamp,
    ) -> Transition {
        let mut transition = ledger::expired(status, run_id, withdrawn, message, now);
        if let Transition::Write(next) = &mut transition {
            next.checked_sources = status.checked_sources.clone();
        }
        transition
    }
    assert!(is_caught(Law { expired, ..PRODUCT }));
}

#[test]
fn a_run_that_ends_while_its_job_could_still_start_is_caught() {
    assert!(is_caught(Law { withdrawal: Withdrawal::Believed, ..PRODUCT }));
}

#[test]
fn a_run_that_is_forgotten_before_it_ends_is_caught() {
    fn decide(plan: &Plan, live: &Live<'_>, print: &str, check: &Check, now: Timestamp) -> Verdict {
        let mut verdict = ledger::decide(plan, live, print, check, now);
        if let Verdict::Write { status, recorded, .. } = &mut verdict {
            let is_old = |id: &String| !recorded.contains(id);
            status.runs.retain(|it| it.phase != RunPhase::Queued || !is_old(&it.id));
        }
        verdict
    }
    assert!(is_caught(Law { decide, ..PRODUCT }));
}

#[test]
fn a_second_job_in_the_ledger_for_one_run_is_caught() {
    fn queued(
        status: &TriggerStatus,
        run_id: &str,
        job: &str,
        job_uid: &str,
        now: Timestamp,
    ) -> Transition {
        let mut forgetful = status.clone();
        for run in forgetful.runs.iter_mut().filter(|it| it.id == run_id) {
            run.phase = RunPhase::Pending;
        }
        ledger::queued(&forgetful, run_id, job, job_uid, now)
    }
    assert!(is_caught(Law { queued, ..PRODUCT }));
}

#[test]
fn a_request_that_is_answered_by_an_older_check_is_caught() {
    fn decide(plan: &Plan, live: &Live<'_>, print: &str, check: &Check, now: Timestamp) -> Verdict {
        let requested = ledger::requested(live.status, SOURCE);
        let basis = Basis { requested, ..check.basis.clone() };
        ledger::decide(plan, live, print, &Check { basis, ..check.clone() }, now)
    }
    assert!(is_caught(Law { decide, ..PRODUCT }));
}

#[test]
fn a_commit_that_leaves_the_files_alone_and_runs_is_caught() {
    fn decide(plan: &Plan, live: &Live<'_>, print: &str, check: &Check, now: Timestamp) -> Verdict {
        let mut check = check.clone();
        if let Answer::Head(head) = &mut check.answer {
            head.files = None;
        }
        ledger::decide(plan, live, print, &check, now)
    }
    assert!(is_caught(Law { decide, ..OF_FILES }));
}

#[test]
fn a_change_of_the_files_that_moves_the_record_alone_is_caught() {
    fn decide(plan: &Plan, live: &Live<'_>, print: &str, check: &Check, now: Timestamp) -> Verdict {
        let mut check = check.clone();
        let recorded = check.basis.record.as_ref().and_then(|it| it.file_hash.clone());
        if let (Answer::Head(head), Some(recorded)) = (&mut check.answer, recorded) {
            head.files = Some(recorded);
        }
        ledger::decide(plan, live, print, &check, now)
    }
    assert!(is_caught(Law { decide, ..OF_FILES }));
}

#[test]
fn an_answer_about_files_that_counts_against_anything_is_caught() {
    fn decide(plan: &Plan, live: &Live<'_>, print: &str, check: &Check, now: Timestamp) -> Verdict {
        let record = live.status.checked_sources.get(SOURCE).map(|it| it.as_ref().clone());
        let basis = Basis { record, ..check.basis.clone() };
        ledger::decide(plan, live, print, &Check { basis, ..check.clone() }, now)
    }
    assert!(is_caught(Law { decide, ..OF_FILES }));
}

/// However fast, and however often it is looked at.
#[test]
fn a_head_that_goes_back_and_forth_runs_each_time_it_is_seen() {
    let mut world = World::new(PRODUCT);

    for _ in 0..4 {
        world.finish_in_peace().unwrap();
        world.finish_in_peace().unwrap();
        world.take(Step::Push);
    }

    assert_eq!(world.truth.runs(), 4);
}
