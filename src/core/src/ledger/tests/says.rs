//! What the conditions and notices say, and that they say it once.

use super::*;

fn unavailable(reason: &'static str, failures: i64) -> Answer {
    Answer::Unavailable { reason, message: "git.test does not answer".to_owned(), failures }
}

/// Status, reason and message of a condition.
fn said<'a>(status: &'a TriggerStatus, kind: &str) -> (&'a str, &'a str, &'a str) {
    let found = status.conditions.iter().find(|it| it.type_ == kind).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn events(verdict: &Verdict) -> Vec<(Severity, &str)> {
    let Verdict::Write { events, .. } = verdict else { panic!("not a write: {verdict:?}") };
    events.iter().map(|it| (it.severity, it.reason.as_str())).collect()
}

#[test]
fn a_failing_source_is_written_once_and_once_when_it_answers_again() {
    let plan = plan();
    let fine = succeed(&written(check(&plan, &TriggerStatus::default(), head('a'), 0)), 1);

    let verdict = check(&plan, &fine, unavailable("Unreachable", 1), 10);
    assert_eq!(events(&verdict), [(Severity::Warning, "Unreachable")]);
    let failing = written(verdict);
    let message = "source app: git.test does not answer";
    assert_eq!(said(&failing, "SourcesReachable"), ("False", "Unreachable", message));
    assert_eq!(said(&failing, "Ready"), ("False", "Unreachable", message));
    assert_eq!(failing.last_run, fine.last_run);
    assert_eq!(check(&plan, &failing, unavailable("Unreachable", 2), 20), Verdict::Nothing);

    let verdict = check(&plan, &failing, head('a'), 30);
    assert_eq!(events(&verdict), [(Severity::Normal, "SourceReachable")]);
    let mended = written(verdict);
    assert_eq!(said(&mended, "SourcesReachable").0, "True");
    assert_eq!(said(&mended, "Ready").0, "True");
    assert_eq!((mended.checked_sources["app"].failures, mended.runs.len()), (0, 1));
}

#[test]
fn another_reason_to_fail_is_said_and_a_long_failure_is_counted() {
    let plan = plan();
    let failing =
        written(check(&plan, &TriggerStatus::default(), unavailable("Unreachable", 1), 0));

    let refused = written(check(&plan, &failing, unavailable("Unauthorized", 2), 10));
    assert_eq!(said(&refused, "Ready").1, "Unauthorized");

    assert_eq!(check(&plan, &refused, unavailable("Unauthorized", 63), 20), Verdict::Nothing);
    let counted = written(check(&plan, &refused, unavailable("Unauthorized", 64), 30));
    assert_eq!(counted.checked_sources["app"].failures, 64);
}

#[test]
fn a_change_that_came_while_a_source_failed_runs_when_it_answers() {
    let plan = plan();
    let fine = written(check(&plan, &TriggerStatus::default(), head('a'), 0));
    let failing = written(check(&plan, &fine, unavailable("Unreachable", 1), 10));

    let mended = written(check(&plan, &failing, head('b'), 20));

    assert_eq!(mended.runs.len(), 2);
    assert_eq!(mended.checked_sources["app"].failures, 0);
}

#[test]
fn a_transition_time_moves_with_the_status_alone() {
    let plan = plan();
    let first = written(check(&plan, &TriggerStatus::default(), head('a'), 0));
    let second = written(check(&plan, &first, head('b'), 10));
    let busy = succeed(&second, 20);
    let since = |status: &TriggerStatus, kind: &str| {
        status.conditions.iter().find(|it| it.type_ == kind).unwrap().last_transition_time.0
    };

    assert_eq!(since(&second, "Ready"), at(0));
    assert_eq!(since(&busy, "Reconciling"), at(0));
    let idle = moved(failed(&busy, &busy.runs[0].id, "", at(30)));
    assert_eq!(since(&idle, "Reconciling"), at(30));
}

#[test]
fn a_spec_that_cannot_be_carried_out_is_said_once_and_taken_back() {
    let wrong =
        WrongConfig { reason: Reason::InvalidSchedule, message: "interval: no unit".to_owned() };
    let fine = written(check(&plan(), &TriggerStatus::default(), head('a'), 0));

    let stalled = moved(wrong_config(&fine, 2, &wrong, at(1)));
    assert_eq!(stalled.state, TriggerState::WrongConfig);
    assert_eq!(said(&stalled, "Stalled"), ("True", "InvalidSchedule", "interval: no unit"));
    assert_eq!(said(&stalled, "Ready").0, "False");
    assert_eq!((stalled.observed_generation, stalled.next_run), (Some(2), None));
    assert_eq!(wrong_config(&stalled, 2, &wrong, at(2)), Transition::Nothing);

    // Its runs go on, and end.
    let ended = succeed(&stalled, 3);
    assert_eq!(ended.state, TriggerState::WrongConfig);

    let mended = Plan { generation: 3, ..plan() };
    let mended = written(check(&mended, &ended, head('a'), 4));
    assert_eq!((mended.state, mended.observed_generation), (TriggerState::Idle, Some(3)));
    assert_eq!(said(&mended, "Ready").0, "True");
    assert_eq!(said(&mended, "Stalled").0, "False");
}

#[test]
fn a_spec_that_was_understood_is_said_once_for_each_generation() {
    let status = moved(accepted(&TriggerStatus::default(), 1, None, at(0)));

    assert_eq!(said(&status, "Ready").0, "True");
    assert_eq!(accepted(&status, 1, None, at(1)), Transition::Nothing);
    assert!(matches!(accepted(&status, 2, None, at(1)), Transition::Write(_)));
}

#[test]
fn a_run_whose_job_cannot_be_made_yet_says_why_until_it_can() {
    let status = written(check(&plan(), &TriggerStatus::default(), head('a'), 0));
    let id = status.runs[0].id.clone();

    let waiting = moved(blocked(&status, &id, "ActionMissing", "there is no Action build", at(1)));
    let message = format!("run {id}: there is no Action build");
    assert_eq!(said(&waiting, "Ready"), ("False", "ActionMissing", message.as_str()));
    assert_eq!(blocked(&waiting, &id, "ActionMissing", "still none", at(2)), Transition::Nothing);

    let queued = moved(queued(&waiting, &id, "job", "job-uid", at(3)));
    assert_eq!(said(&queued, "Ready").0, "True");
    assert_eq!(queued.runs[0].message, None);
}

#[test]
fn a_hostile_message_makes_no_reason() {
    for message in ["no reason", "two words: x", ": x", "9: x", "ä: x", ""] {
        assert_eq!(conditions::reason_of(message), "Unknown", "{message:?}");
    }
    assert_eq!(conditions::reason_of("Unreachable: x: y"), "Unreachable");
}

#[test]
fn records_of_sources_no_longer_listed_are_dropped_with_the_next_write() {
    let mut status = TriggerStatus::default();
    status.checked_sources.insert(
        "old".to_owned(),
        Box::new(CheckedSource { failures: 3, ..CheckedSource::default() }),
    );

    let status = written(check(&plan(), &status, head('a'), 0));

    assert_eq!(status.checked_sources.keys().collect::<Vec<_>>(), ["app"]);
    assert_eq!(said(&status, "SourcesReachable").0, "True");
}

#[test]
fn what_is_left_of_a_slim_status_shows_that_there_is_nothing_to_do() {
    let plan = plan();
    let fine = succeed(&written(check(&plan, &TriggerStatus::default(), head('a'), 0)), 1);
    let mut slim = fine.clone();
    super::super::slim(&mut slim);
    assert!(slim.runs.is_empty() && slim.conditions.len() < fine.conditions.len());

    assert_eq!(check(&plan, &slim, head('a'), 10), Verdict::Nothing);
    assert!(matches!(check(&plan, &slim, head('b'), 10), Verdict::Write { .. }));
    let running = written(check(&plan, &fine, head('b'), 10));
    let mut slim = running.clone();
    super::super::slim(&mut slim);
    let unfinished: Vec<_> = unfinished(&running).collect();
    assert_eq!(slim.runs.iter().collect::<Vec<_>>(), unfinished, "what is not finished is kept");
}

/// A check of `app` that tells this of the trigger's sources.
fn cautioned(
    status: &TriggerStatus,
    cautions: &[(&str, Caution)],
    answer: Answer,
    second: i64,
) -> Verdict {
    let plan = plan();
    let print = plan.fingerprint("app", URI);
    let cautions = cautions.iter().map(|(source, it)| ((*source).to_owned(), *it)).collect();
    let basis = basis(&plan, status, "app", &print);
    let check = Check { basis, firing: tick(), answer, cautions };
    decide(&plan, &live(&plan, status), &print, &check, at(second))
}

const IGNORED: Caution = Caution::NamespaceIgnored { field: "authConfig.secretRef.namespace" };

#[test]
fn a_verification_that_is_off_is_said_while_it_is_off() {
    let off = [("lib", Caution::TlsNotVerified), ("app", Caution::TlsNotVerified)];
    let fine = succeed(&written(check(&plan(), &TriggerStatus::default(), head('a'), 0)), 1);

    let verdict = cautioned(&fine, &off[..1], head('a'), 10);
    assert_eq!(events(&verdict), [(Severity::Warning, "VerificationOff")]);
    let warned = written(verdict);
    let (status, reason, message) = said(&warned, "TlsVerified");
    assert_eq!((status, reason), ("False", "VerificationOff"));
    assert!(message.ends_with("for the sources lib"), "{message}");
    assert_eq!(said(&warned, "Ready").0, "True");
    assert_eq!(cautioned(&warned, &off[..1], head('a'), 20), Verdict::Nothing);

    let verdict = cautioned(&warned, &off, head('a'), 30);
    assert_eq!(events(&verdict), [], "who was warned is not warned again");
    let both = written(verdict);
    assert!(said(&both, "TlsVerified").2.ends_with("for the sources app, lib"));
    let turned = [off[1], off[0]];
    assert_eq!(cautioned(&both, &turned, head('a'), 40), Verdict::Nothing);

    let mended = written(cautioned(&both, &[], head('a'), 50));
    assert!(mended.conditions.iter().all(|it| it.type_ != "TlsVerified"));
    assert_eq!(cautioned(&mended, &[], head('a'), 60), Verdict::Nothing);
}

#[test]
fn a_namespace_that_is_ignored_is_said_even_of_a_source_that_fails() {
    let cautions = [("app", IGNORED)];

    let verdict = cautioned(&TriggerStatus::default(), &cautions, unavailable("Unreachable", 1), 0);
    let told =
        [(Severity::Warning, "GitRepoUsesTriggersNamespace"), (Severity::Warning, "Unreachable")];
    assert_eq!(events(&verdict), told);
    let status = written(verdict);
    let (value, reason, message) = said(&status, "SecretNamespaceIgnored");
    assert_eq!((value, reason), ("True", "GitRepoUsesTriggersNamespace"));
    assert!(message.ends_with("app (authConfig.secretRef.namespace)"), "{message}");
    let again = cautioned(&status, &cautions, unavailable("Unreachable", 2), 10);
    assert_eq!(again, Verdict::Nothing);

    let mended = written(cautioned(&status, &[], unavailable("Unreachable", 3), 20));
    assert!(mended.conditions.iter().all(|it| it.type_ != "SecretNamespaceIgnored"));
}

#[test]
fn a_slim_status_still_shows_what_was_cautioned() {
    let cautions = [("app", Caution::TlsNotVerified), ("lib", IGNORED)];
    let told = written(cautioned(&TriggerStatus::default(), &cautions, head('a'), 0));
    let mut slim = told.clone();
    super::super::slim(&mut slim);

    assert_eq!(cautioned(&slim, &cautions, head('a'), 10), Verdict::Nothing);
    assert!(matches!(cautioned(&slim, &[], head('a'), 10), Verdict::Write { .. }));
}

#[test]
fn what_is_cautioned_is_said_even_where_a_run_finds_no_room() {
    let cautions = [("app", Caution::TlsNotVerified)];
    let mut full = TriggerStatus::default();
    for round in 0..10 {
        full = written(check(&every_time(), &full, head('a'), round * 10));
    }
    let plan = every_time();
    let print = plan.fingerprint("app", URI);
    let decided = |status: &TriggerStatus, second| {
        let cautions = cautions.iter().map(|(source, it)| ((*source).to_owned(), *it)).collect();
        let basis = basis(&plan, status, "app", &print);
        let check = Check { basis, firing: tick(), answer: head('b'), cautions };
        decide(&plan, &live(&plan, status), &print, &check, at(second))
    };

    let told = written(decided(&full, 100));

    assert_eq!((said(&told, "TlsVerified").0, told.runs.len()), ("False", 10));
    assert_eq!(decided(&told, 110), Verdict::Coalesced);
}

#[test]
fn many_cautions_fit_into_a_condition() {
    let names: Vec<String> = (0..64).map(|it| format!("source-{it}")).collect();
    let cautions: Vec<_> = names.iter().map(|it| (it.as_str(), Caution::TlsNotVerified)).collect();

    let status = written(cautioned(&TriggerStatus::default(), &cautions, head('a'), 0));

    assert!(said(&status, "TlsVerified").2.len() <= 256);
    assert_eq!(cautioned(&status, &cautions, head('a'), 10), Verdict::Nothing);
}

#[test]
fn when_it_runs_next_is_said_with_what_was_understood() {
    let next = Some(at(60));

    let status = moved(accepted(&TriggerStatus::default(), 1, next, at(0)));
    let suspended = moved(accepted(&status, 2, None, at(1)));

    assert_eq!((status.next_run, suspended.next_run), (next, None));
}

/// A cron whose years have passed asks for nothing; what it asked for before is done first.
#[test]
fn a_schedule_with_no_time_to_come_is_wrong_once_all_is_done() {
    let cron = ger_api::schedule_trigger::Schedule::Cron("0 0 0 1 1 * 2025".to_owned());
    let schedule = Schedule::parse(&cron, None).unwrap();
    let plan = Plan { schedule: Some(schedule), ..plan() };
    let within = Plan { starting_deadline: Some(Duration::from_secs(5)), ..plan.clone() };
    let none = TriggerStatus::default();
    let unfinished = written(check(&plan, &none, head('a'), 10));
    let before = at(-3600);

    let wrong = over(&plan, &none, None, at(10)).unwrap();

    assert_eq!(wrong.reason, Reason::InvalidSchedule);
    assert!(wrong.message.contains("no time to come"), "{}", wrong.message);
    assert!(over(&plan, &none, Some(at(9)), at(10)).is_some());
    assert!(over(&plan, &unfinished, Some(at(9)), at(10)).is_none());
    assert!(over(&plan, &none, Some(before), at(10)).is_none(), "it was missed");
    assert!(over(&within, &none, Some(before), at(10)).is_some(), "it was missed for good");
    assert!(over(&plan, &none, None, before).is_none());
}
