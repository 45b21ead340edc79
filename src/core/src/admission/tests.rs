//! Who starts, who waits, who has waited too long; and what is swept away.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::names::{ClusterName, TriggerKind};

fn waiting(trigger: &str, number: u32) -> Waiting {
    Waiting {
        trigger: TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Schedule,
            namespace: "team".to_owned(),
            name: trigger.to_owned(),
        },
        run_id: format!("run-{trigger}-{number}"),
        job: format!("{trigger}-{number}"),
        job_uid: format!("uid-{trigger}-{number}"),
        created: Timestamp::from_second(i64::from(number)).unwrap(),
        ledger: Standing::Queued,
        withdrawn: Withdrawn::No,
        waited: Duration::ZERO,
        timeout: Duration::from_mins(5),
    }
}

fn slots(own_starts: &BTreeSet<String>, running: usize, limit: u32) -> Slots<'_> {
    Slots { running, own_starts, limit }
}

fn started(decisions: &[Decision]) -> Vec<&str> {
    let job = |it: &'_ Decision| match it {
        Decision::Start { .. } => true,
        Decision::Expire { .. } => false,
    };
    decisions.iter().filter(|it| job(it)).map(name).collect()
}

fn expired(decisions: &[Decision]) -> Vec<&str> {
    let is_start = started(decisions);
    decisions.iter().map(name).filter(|it| !is_start.contains(it)).collect()
}

fn name(decision: &Decision) -> &str {
    match decision {
        Decision::Start { job, .. } | Decision::Expire { job, .. } => job,
    }
}

#[test]
fn triggers_take_turns_and_each_starts_its_oldest_first() {
    let queue =
        [waiting("a", 3), waiting("a", 1), waiting("a", 2), waiting("b", 9), waiting("c", 4)];
    let none = BTreeSet::new();

    assert_eq!(started(&next(&queue, slots(&none, 0, 4), None)), ["a-1", "b-9", "c-4", "a-2"]);
    let after_a = waiting("a", 1).trigger;
    assert_eq!(started(&next(&queue, slots(&none, 3, 4), Some(&after_a))), ["b-9"]);
    let after_c = waiting("c", 1).trigger;
    assert_eq!(started(&next(&queue, slots(&none, 3, 4), Some(&after_c))), ["a-1"]);
}

#[test]
fn own_starts_that_the_watch_does_not_show_yet_count() {
    let queue = [waiting("a", 1), waiting("b", 2)];
    let own = BTreeSet::from(["uid-a-1".to_owned()]);

    assert_eq!(started(&next(&queue, slots(&own, 0, 2), None)), ["b-2"]);
    assert_eq!(started(&next(&queue, slots(&own, 1, 2), None)), [""; 0]);
}

#[test]
fn what_the_ledger_does_not_hold_neither_starts_nor_expires() {
    let mut unknown = waiting("a", 1);
    unknown.ledger = Standing::NotQueued;
    unknown.waited = Duration::from_hours(1);

    assert_eq!(next(&[unknown], slots(&BTreeSet::new(), 0, 16), None), []);
}

#[test]
fn who_waited_too_long_expires_unless_nothing_may_start_at_all() {
    let mut late = waiting("a", 1);
    late.waited = Duration::from_mins(5);
    let none = BTreeSet::new();

    let full = next(&[late.clone(), waiting("b", 2)], slots(&none, 1, 1), None);
    assert_eq!((expired(&full), started(&full)), (vec!["a-1"], vec![]));
    assert_eq!(next(&[late], slots(&none, 0, 0), None), []);
}

#[test]
fn a_withdrawn_job_never_starts_and_its_run_is_ended_by_whoever_sees_it() {
    let mut withdrawn = waiting("a", 1);
    withdrawn.withdrawn = Withdrawn::Yes;

    let decisions = next(&[withdrawn], slots(&BTreeSet::new(), 0, 16), None);

    assert_eq!(expired(&decisions), ["a-1"]);
}

#[test]
fn waiting_is_counted_from_the_first_sight_and_not_while_the_limit_is_zero() {
    let mut waits = Waits::default();
    let at = Duration::from_secs;

    waits.on_seen(["a"], 16, at(1000));
    assert_eq!(waits.of("a"), at(0));
    waits.on_seen(["a", "b"], 16, at(1010));
    assert_eq!((waits.of("a"), waits.of("b")), (at(10), at(0)));
    waits.on_seen(["a", "b"], 0, at(1100));
    assert_eq!((waits.of("a"), waits.of("b")), (at(10), at(0)));
    waits.on_seen(["b"], 16, at(1105));
    assert_eq!((waits.of("a"), waits.of("b")), (at(0), at(5)));
}

#[test]
fn a_job_is_kept_only_for_a_run_that_wants_it() {
    let status = |phase: &str, uid: Option<&str>| -> TriggerStatus {
        let run = json!({"id": "run", "source": "app", "reason": "Changed", "phase": phase, "jobUid": uid});
        serde_json::from_value(json!({"runs": [run]})).unwrap()
    };
    let judge = |it: &TriggerStatus| orphan("trigger", "run", "job", Some(("trigger", it)));

    assert_eq!(judge(&status("Pending", None)), Orphan::Keep);
    assert_eq!(judge(&status("Queued", Some("job"))), Orphan::Keep);
    for gone in [
        status("Queued", Some("another")),
        status("Succeeded", Some("job")),
        status("Expired", None),
        TriggerStatus::default(),
    ] {
        assert_eq!(judge(&gone), Orphan::DeleteAfterLiveRead);
    }
    let pending = status("Pending", None);
    assert_eq!(orphan("trigger", "run", "job", None), Orphan::DeleteAfterLiveRead);
    let other = orphan("trigger", "run", "job", Some(("created anew", &pending)));
    assert_eq!(other, Orphan::DeleteAfterLiveRead);
}

proptest! {
    #[test]
    fn never_more_than_the_limit_and_never_fewer_than_there_is_room_for(
        numbers in proptest::collection::vec((0_usize..4, 0_u32..100), 0..30),
        running in 0_usize..10,
        limit in 0_u32..12,
    ) {
        let of = |(trigger, number): &(usize, u32)| waiting(["a", "b", "c", "d"][*trigger], *number);
        let unique: BTreeSet<_> = numbers.into_iter().collect();
        let queue: Vec<Waiting> = unique.iter().map(of).collect();

        let decisions = next(&queue, slots(&BTreeSet::new(), running, limit), None);

        let room = usize::try_from(limit).unwrap().saturating_sub(running);
        prop_assert_eq!(started(&decisions).len(), room.min(queue.len()));
        let names: BTreeSet<_> = started(&decisions).into_iter().collect();
        prop_assert_eq!(names.len(), decisions.len());
    }
}
