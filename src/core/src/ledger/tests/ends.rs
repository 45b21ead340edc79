//! How runs go on and end, and what is remembered of them.

use super::*;
use crate::outcome::Why;

fn with_run(phase: RunPhase) -> (TriggerStatus, String) {
    let mut status = written(check(&plan(), &TriggerStatus::default(), head('a'), 0));
    let run = &mut status.runs[0];
    run.phase = phase;
    if matches!(phase, RunPhase::Queued | RunPhase::Running) {
        run.job = Some("job".to_owned());
        run.job_uid = Some("job-uid".to_owned());
    }
    let id = run.id.clone();
    (status, id)
}

fn is_due(status: &TriggerStatus) -> bool {
    matches!(check(&plan(), status, head('a'), 400), Verdict::Write { recorded, .. } if recorded.len() == 1)
}

fn run(number: usize, source: &str, phase: RunPhase) -> Run {
    let (status, _) = with_run(RunPhase::Pending);
    let id = format!("run-{number}");
    Run { id, source: source.to_owned(), phase, ..status.runs[0].clone() }
}

#[test]
fn a_run_goes_from_pending_to_its_end() {
    let (status, id) = with_run(RunPhase::Pending);

    let status = moved(queued(&status, &id, "job", "job-uid", at(1)));
    assert_eq!(phases(&status), [RunPhase::Queued]);
    assert!(holds_queued(&status, &id, "job-uid"));
    assert!(!holds_queued(&status, &id, "another"));

    let running = JobSighting::Running { started: Some(at(2)) };
    let status = moved(observed(&status, &id, "job-uid", &running, at(3)));
    assert_eq!((status.runs[0].started_at, status.state), (Some(at(2)), TriggerState::Running));
    assert!(!holds_queued(&status, &id, "job-uid"));

    let failed = JobSighting::Failed { at: Some(at(4)), message: "exit code 1".to_owned() };
    let status = moved(observed(&status, &id, "job-uid", &failed, at(5)));
    assert_eq!((status.runs[0].finished_at, status.state), (Some(at(4)), TriggerState::Idle));
    assert_eq!(status.runs[0].message.as_deref(), Some("exit code 1"));
}

#[test]
fn a_job_that_nobody_saw_run_still_says_when_it_began() {
    let (status, id) = with_run(RunPhase::Queued);
    let done = JobSighting::Succeeded { at: Some(at(9)) };

    let status = moved(began(observed(&status, &id, "job-uid", &done, at(9)), &id, Some(at(3))));

    assert_eq!((status.runs[0].started_at, status.runs[0].finished_at), (Some(at(3)), Some(at(9))));
    let again = observed(&status, &id, "job-uid", &done, at(9));
    assert_eq!(began(again, &id, Some(at(4))), Transition::Nothing);
}

/// `kubectl get` shows that something is to be done, while it is.
#[test]
fn what_hinders_a_started_job_is_said_once_and_no_more_when_it_works() {
    let (status, id) = with_run(RunPhase::Running);
    let why = Why { reason: "ImagePull".to_owned(), message: "no such image".to_owned() };
    let ready = |status: &TriggerStatus| {
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready").unwrap();
        (ready.status.clone(), ready.reason.clone())
    };

    let said = moved(hindered(&status, &id, "job-uid", Some(&why), at(1)));
    let again = hindered(&said, &id, "job-uid", Some(&why), at(2));
    let works = moved(hindered(&said, &id, "job-uid", None, at(3)));

    assert_eq!(said.runs[0].message.as_deref(), Some("ImagePull: no such image"));
    assert_eq!(ready(&said), ("False".to_owned(), "ImagePull".to_owned()));
    assert_eq!(again, Transition::Nothing);
    assert_eq!((works.runs[0].message.as_ref(), ready(&works).0.as_str()), (None, "True"));
    assert_eq!(hindered(&works, &id, "job-uid", None, at(4)), Transition::Nothing);
    assert!(matches!(hindered(&status, &id, "other", None, at(4)), Transition::Refused { .. }));
}

#[test]
fn what_was_said_already_is_not_written_again() {
    let (status, id) = with_run(RunPhase::Running);
    let sighted = |it: &JobSighting| observed(&status, &id, "job-uid", it, at(9));

    assert_eq!(sighted(&JobSighting::Running { started: None }), Transition::Nothing);
    assert_eq!(sighted(&JobSighting::Suspended), Transition::Nothing);
    assert_eq!(queued(&status, &id, "job", "job-uid", at(9)), Transition::Nothing);

    let status = moved(sighted(&JobSighting::Gone));
    assert_eq!(phases(&status), [RunPhase::Deleted]);
    let late = JobSighting::Succeeded { at: None };
    assert_eq!(observed(&status, &id, "job-uid", &late, at(10)), Transition::Nothing);
}

#[test]
fn a_job_that_failed_of_its_removal_is_deleted() {
    let (status, id) = with_run(RunPhase::Running);

    let next = moved(observed(&status, &id, "job-uid", &JobSighting::Removed, at(9)));

    assert_eq!(phases(&next), [RunPhase::Deleted]);
    let why = next.runs[0].message.as_deref();
    assert_eq!(why, Some("the Job was removed before it finished"));
}

#[test]
fn a_job_that_the_ledger_does_not_hold_changes_nothing() {
    for phase in [RunPhase::Queued, RunPhase::Running, RunPhase::Succeeded, RunPhase::Expired] {
        let (status, id) = with_run(phase);

        let second = queued(&status, &id, "job", "second-uid", at(1));
        let seen = observed(&status, &id, "second-uid", &JobSighting::Gone, at(1));

        assert!(matches!(second, Transition::Refused { .. }), "{phase:?}");
        assert!(matches!(seen, Transition::Refused { .. }), "{phase:?}");
    }
    let unknown = queued(&TriggerStatus::default(), "run", "job", "uid", at(1));
    assert!(matches!(unknown, Transition::Refused { .. }));
}

#[test]
fn an_expired_run_of_the_newest_commit_leaves_its_source_due() {
    let (status, id) = with_run(RunPhase::Pending);
    assert!(!is_due(&status));

    let status = moved(expired(&status, &id, None, "waited 5 min", at(300)));

    assert_eq!(phases(&status), [RunPhase::Expired]);
    assert!(is_due(&status));
    assert_eq!(expired(&status, &id, None, "waited 5 min", at(301)), Transition::Nothing);
}

#[test]
fn an_expired_run_of_an_older_commit_makes_nothing_due() {
    let (status, id) = with_run(RunPhase::Pending);
    let status = written(check(&plan(), &status, head('b'), 10));

    let status = moved(expired(&status, &id, None, "waited 5 min", at(300)));

    assert_eq!(check(&plan(), &status, head('b'), 301), Verdict::Nothing);
}

/// `Forbid`: the later change was skipped because of the earlier one, which did not run either.
#[test]
fn a_run_that_expires_after_another_was_skipped_for_it_leaves_its_source_due() {
    for phase in [RunPhase::Pending, RunPhase::Queued] {
        let (status, id) = with_run(phase);
        let status = written(check(&plan(), &status, head('b'), 10));
        let second = status.runs[1].id.clone();
        let status = moved(skipped(&status, &second, "Forbidden: a run is not finished", at(11)));

        let status = moved(expired(&status, &id, Some("job-uid"), "waited 5 min", at(300)));

        assert_eq!(phases(&status), [RunPhase::Expired, RunPhase::Skipped]);
        assert!(is_due(&status), "{phase:?}");
    }
}

#[test]
fn a_queued_run_ends_only_after_its_job_was_withdrawn() {
    let (status, id) = with_run(RunPhase::Queued);

    for withdrawn in [None, Some("another")] {
        let ended = expired(&status, &id, withdrawn, "waited", at(1));
        assert!(matches!(ended, Transition::Refused { .. }));
        let ended = superseded(&status, &id, withdrawn, at(1));
        assert!(matches!(ended, Transition::Refused { .. }));
    }
    assert!(is_due(&moved(expired(&status, &id, Some("job-uid"), "waited", at(1)))));

    let (running, id) = with_run(RunPhase::Running);
    let ended = expired(&running, &id, Some("job-uid"), "waited", at(1));
    assert!(matches!(ended, Transition::Refused { .. }));
}

#[test]
fn a_run_about_what_is_no_longer_watched_fails_and_its_source_is_due() {
    let (status, id) = with_run(RunPhase::Pending);
    let moved_elsewhere = plan().fingerprint("app", "https://git.test/elsewhere");
    let unlisted = Plan { sources: vec!["lib".to_owned()], ..plan() };
    let here = plan().fingerprint("app", URI);

    assert!(is_superseded(&status.runs[0], &plan(), &moved_elsewhere));
    assert!(is_superseded(&status.runs[0], &unlisted, &here));
    assert!(!is_superseded(&status.runs[0], &plan(), &here));

    let status = moved(superseded(&status, &id, None, at(1)));
    assert_eq!(phases(&status), [RunPhase::Failed]);
    assert!(is_due(&status));
}

#[test]
fn a_run_whose_job_cannot_be_made_fails_for_good() {
    let (status, id) = with_run(RunPhase::Pending);

    let status = moved(failed(&status, &id, "the API server refuses the Job", at(1)));

    assert_eq!(phases(&status), [RunPhase::Failed]);
    assert!(!is_due(&status));
    let (queued, id) = with_run(RunPhase::Queued);
    assert!(matches!(failed(&queued, &id, "", at(1)), Transition::Refused { .. }));
}

#[test]
fn a_job_whose_owner_was_created_anew_gets_a_successor_under_another_name() {
    let (status, id) = with_run(RunPhase::Queued);

    let next = moved(back_to_pending(&plan().uid, &status, &id, "job-uid", at(1)));

    assert_eq!(phases(&next), [RunPhase::Expired, RunPhase::Pending]);
    assert_ne!(next.runs[0].id, next.runs[1].id);
    assert_eq!((&next.runs[1].commit, &next.runs[1].job_uid), (&status.runs[0].commit, &None));
    assert!(!is_due(&next));
    assert_eq!(back_to_pending(&plan().uid, &next, &id, "job-uid", at(2)), Transition::Nothing);
    let other = back_to_pending(&plan().uid, &status, &id, "another", at(2));
    assert!(matches!(other, Transition::Refused { .. }));
}

#[test]
fn the_newest_few_of_each_ending_are_remembered() {
    let mut status = TriggerStatus::default();
    let endings = [RunPhase::Succeeded, RunPhase::Failed, RunPhase::Expired, RunPhase::Unchanged];
    for number in 0..40 {
        status.runs.push(run(number, "app", endings[number % 4]));
    }

    prune(&mut status, &TriggerStatus::default(), Kept::default());

    let ids =
        |phase| status.runs.iter().filter(move |it| it.phase == phase).map(|it| it.id.as_str());
    assert_eq!(
        ids(RunPhase::Succeeded).collect::<Vec<_>>(),
        ["run-20", "run-24", "run-28", "run-32", "run-36"]
    );
    assert_eq!(ids(RunPhase::Failed).count(), 5);
    assert_eq!(status.runs.len(), 15);
}

/// The first of six took longest: it is there to be seen when it ends, and stays until others ended later.
#[test]
fn what_ended_last_is_remembered_however_early_it_began() {
    let mut status = TriggerStatus::default();
    status.runs.push(run(0, "app", RunPhase::Running));
    for number in 1..6_u8 {
        let mut run = run(number.into(), "app", RunPhase::Succeeded);
        run.finished_at = Some(at(number.into()));
        status.runs.push(run);
    }
    let end = |finished: i64| {
        let mut next = status.clone();
        next.runs[0].phase = RunPhase::Succeeded;
        next.runs[0].finished_at = Some(at(finished));
        next
    };
    let ids = |status: &TriggerStatus| -> Vec<String> {
        status.runs.iter().map(|it| it.id.clone()).collect()
    };

    let mut last = end(6);
    prune(&mut last, &status, Kept::default());
    assert_eq!(ids(&last), ["run-0", "run-2", "run-3", "run-4", "run-5"]);
    let known = last.clone();
    prune(&mut last, &known, Kept::default());
    assert_eq!(last, known);

    // Its clock is behind those of the others.
    let mut early = end(-60);
    prune(&mut early, &status, Kept::default());
    assert_eq!(ids(&early), ["run-0", "run-2", "run-3", "run-4", "run-5"]);
}

#[test]
fn a_source_s_newest_run_is_remembered_while_an_older_one_is_unfinished() {
    let mut status = TriggerStatus::default();
    status.runs.push(run(0, "app", RunPhase::Queued));
    status.runs.push(run(1, "app", RunPhase::Succeeded));
    for number in 2..20 {
        status.runs.push(run(number, "lib", RunPhase::Succeeded));
    }

    prune(&mut status, &TriggerStatus::default(), Kept::default());

    let ids: Vec<_> = status.runs.iter().take(2).map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["run-0", "run-1"]);
}

/// A trigger says how many it wants to be remembered of each.
#[test]
fn a_trigger_s_own_limits_count() {
    let of = |phase| (0..9).map(move |it| run(it, "app", phase));
    let mut status = TriggerStatus::default();
    status.runs.extend(of(RunPhase::Succeeded).chain(of(RunPhase::Failed)));

    prune(&mut status, &TriggerStatus::default(), Kept { succeeded: 0, failed: 7 });

    assert_eq!(phases(&status), [RunPhase::Failed; 7]);
    assert_eq!(status.runs[6].id, "run-8");
}

proptest! {
    #[test]
    fn an_unfinished_run_is_never_forgotten(choices in proptest::collection::vec(0_usize..10, 0..60)) {
        let all = [
            RunPhase::Requested, RunPhase::Pending, RunPhase::Queued, RunPhase::Running,
            RunPhase::Succeeded, RunPhase::Failed, RunPhase::Expired, RunPhase::Deleted,
            RunPhase::Skipped, RunPhase::Unchanged,
        ];
        let mut status = TriggerStatus::default();
        for (number, choice) in choices.iter().enumerate() {
            status.runs.push(run(number, ["app", "lib"][number % 2], all[*choice]));
        }
        let before: Vec<_> = unfinished(&status).cloned().collect();

        prune(&mut status, &TriggerStatus::default(), Kept::default());

        prop_assert_eq!(unfinished(&status).cloned().collect::<Vec<_>>(), before);
        prop_assert!(status.runs.iter().filter(|it| it.phase.is_final()).count() <= 17);
        let once = status.clone();
        prune(&mut status, &TriggerStatus::default(), Kept::default());
        prop_assert_eq!(status, once);
    }

    #[test]
    fn a_message_is_cut_between_characters(message in "\\PC{0,400}") {
        let short = prune::shorten(&message);

        prop_assert!(short.len() <= 256);
        prop_assert!(short == message || message.starts_with(short.trim_end_matches('…')));
    }
}
