//! What each `concurrencyPolicy` does about runs of one source.

use super::*;

/// A status with runs `0`, `1`, … of sources and phases.
fn with<const N: usize>(runs: [(&str, RunPhase); N]) -> TriggerStatus {
    let mut status = written(check(&plan(), &TriggerStatus::default(), head('a'), 0));
    let one = status.runs.remove(0);
    for (number, (source, phase)) in runs.into_iter().enumerate() {
        let job = (phase >= RunPhase::Queued).then(|| format!("job-{number}"));
        let (id, source) = (number.to_string(), source.to_owned());
        status.runs.push(Run { id, source, phase, job_uid: job.clone(), job, ..one.clone() });
    }
    status
}

const POLICIES: [ConcurrencyPolicy; 4] = [
    ConcurrencyPolicy::Allow,
    ConcurrencyPolicy::Forbid,
    ConcurrencyPolicy::Replace,
    ConcurrencyPolicy::Queue,
];

#[test]
fn only_earlier_runs_of_the_same_source_stand_in_the_way() {
    let free = with([
        ("lib", RunPhase::Running),
        ("app", RunPhase::Succeeded),
        ("app", RunPhase::Requested),
        ("app", RunPhase::Pending),
        ("app", RunPhase::Running),
    ]);

    for policy in POLICIES {
        assert_eq!(place(policy, &free, "3"), Place::Free, "{policy:?}");
        assert_eq!(place(policy, &free, "unknown"), Place::Free, "{policy:?}");
    }
}

#[test]
fn each_policy_says_something_else_of_a_run_behind_another() {
    let busy =
        with([("app", RunPhase::Running), ("app", RunPhase::Pending), ("app", RunPhase::Pending)]);
    let older = || vec!["0".to_owned(), "1".to_owned()];

    assert_eq!(place(ConcurrencyPolicy::Allow, &busy, "2"), Place::Free);
    assert_eq!(place(ConcurrencyPolicy::Queue, &busy, "2"), Place::Behind);
    assert_eq!(
        place(ConcurrencyPolicy::Forbid, &busy, "2"),
        Place::Skip { because: "0".to_owned() }
    );
    assert_eq!(place(ConcurrencyPolicy::Replace, &busy, "2"), Place::Replace { older: older() });
}

#[test]
fn a_skipped_run_is_over_and_its_change_is_not_due_again() {
    let status = with([("app", RunPhase::Running), ("app", RunPhase::Pending)]);

    let status = moved(skipped(&status, "1", "Forbidden: run 0 is not finished", at(1)));

    assert_eq!(phases(&status), [RunPhase::Running, RunPhase::Skipped]);
    assert!(status.runs[1].message.as_deref().is_some_and(|it| it.contains("run 0")));
    assert_eq!(status.runs[1].finished_at, Some(at(1)));
    assert_eq!(check(&plan(), &status, head('a'), 20), Verdict::Nothing);
    assert_eq!(skipped(&status, "1", "again", at(2)), Transition::Nothing);
    assert!(matches!(skipped(&status, "0", "it runs", at(2)), Transition::Refused { .. }));
}

#[test]
fn a_replaced_run_says_by_which() {
    let status =
        with([("app", RunPhase::Running), ("lib", RunPhase::Pending), ("app", RunPhase::Pending)]);
    let by = replacing(ConcurrencyPolicy::Replace, &status, "0").unwrap().id.clone();

    let next = moved(replaced(&status, "0", ("job-0", &by), at(1)));

    assert_eq!(phases(&next), [RunPhase::Deleted, RunPhase::Pending, RunPhase::Pending]);
    assert_eq!(next.runs[0].message.as_deref(), Some("Replaced: run 2 takes its place"));
    assert_eq!(place(ConcurrencyPolicy::Replace, &next, "2"), Place::Free);
    assert_eq!(replaced(&next, "0", ("job-0", &by), at(2)), Transition::Nothing);
    assert!(matches!(replaced(&status, "0", ("other", &by), at(1)), Transition::Refused { .. }));
    assert_eq!(replacing(ConcurrencyPolicy::Allow, &status, "0"), None);
    assert_eq!(replacing(ConcurrencyPolicy::Replace, &status, "2"), None);
}
