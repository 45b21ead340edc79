//! Who starts, who waits, who has waited too long; and what is swept away.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::names::{ClusterName, TriggerKind};

fn key(namespace: &str, trigger: &str) -> TriggerKey {
    TriggerKey {
        cluster: ClusterName::hub(),
        kind: TriggerKind::Schedule,
        namespace: namespace.to_owned(),
        name: trigger.to_owned(),
    }
}

fn waiting(trigger: &str, number: u32) -> Waiting {
    waiting_in("team", trigger, number)
}

fn waiting_in(namespace: &str, trigger: &str, number: u32) -> Waiting {
    Waiting {
        trigger: key(namespace, trigger),
        run_id: format!("run-{trigger}-{number}"),
        job: format!("{trigger}-{number}"),
        job_uid: format!("uid-{trigger}-{number}"),
        created: Timestamp::from_second(i64::from(number)).unwrap(),
        turn: usize::try_from(number).unwrap(),
        ledger: Standing::Queued,
        readiness: Readiness::Ready,
        withdrawn: Withdrawn::No,
        waited: Duration::ZERO,
        timeout: Duration::from_mins(5),
        queue: None,
    }
}

/// What is decided while so many Jobs of another namespace run.
fn decided(queue: &[Waiting], running: usize, limit: u32) -> Vec<Decision> {
    let running = BTreeMap::from([(key("others", "x"), running)]);
    let none = BTreeSet::new();
    next(queue, Slots { running: &running, own_starts: &none, limit }, &Served::default())
}

fn started(decisions: &[Decision]) -> Vec<&str> {
    let job = |it: &'_ Decision| match it {
        Decision::Start { .. } => true,
        Decision::Expire { .. } | Decision::HandOver { .. } => false,
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
        Decision::HandOver { queue, .. } => queue,
    }
}

#[test]
fn triggers_take_turns_and_each_starts_its_oldest_first() {
    let queue =
        [waiting("a", 3), waiting("a", 1), waiting("a", 2), waiting("b", 9), waiting("c", 4)];

    assert_eq!(started(&decided(&queue, 0, 4)), ["a-1", "c-4", "b-9", "a-2"]);
    assert_eq!(started(&decided(&queue, 3, 4)), ["a-1"]);
    assert_eq!(started(&decided(&queue, 4, 4)), [""; 0]);
}

/// Two Jobs of one second, or one that could be created only after its successor.
#[test]
fn what_was_recorded_first_starts_first_whenever_its_job_was_created() {
    let (mut first, mut second) = (waiting("a", 1), waiting("a", 2));
    first.run_id = "z".to_owned();
    second.run_id = "b".to_owned();
    second.created = first.created;
    assert_eq!(started(&decided(&[second.clone(), first.clone()], 0, 1)), ["a-1"]);

    first.created += Duration::from_mins(1);
    assert_eq!(started(&decided(&[second, first], 0, 2)), ["a-1", "a-2"]);
}

/// Who floods the queue waits for himself.
#[test]
fn each_namespace_gets_its_share_however_many_wait_in_another() {
    let mut queue: Vec<Waiting> = (0..50).map(|it| waiting_in("flood", "f", it)).collect();
    queue.extend([waiting_in("quiet", "q", 90), waiting_in("quiet", "q", 91)]);

    let all = decided(&queue, 0, 6);

    assert_eq!(started(&all), ["f-0", "q-90", "f-1", "q-91", "f-2", "f-3"]);
    let running = BTreeMap::from([(key("flood", "f"), 3), (key("quiet", "q"), 1)]);
    let slots = Slots { running: &running, own_starts: &BTreeSet::new(), limit: 6 };
    assert_eq!(started(&next(&queue, slots, &Served::default())), ["q-90", "q-91"]);
}

/// One place at a time is shared as well: it goes round.
#[test]
fn who_was_served_last_is_not_served_next() {
    let queue = [waiting_in("a", "x", 1), waiting_in("a", "y", 2), waiting_in("b", "z", 3)];
    let mut served = Served::default();
    let none = BTreeMap::new();
    let slots = Slots { running: &none, own_starts: &BTreeSet::new(), limit: 1 };
    let mut order = Vec::new();

    for _ in 0..4 {
        let decisions = next(&queue, slots, &served);
        let job = started(&decisions)[0].to_owned();
        served.note(&queue.iter().find(|it| it.job == job).unwrap().trigger);
        order.push(job);
    }
    served.retain([&queue[2].trigger]);

    assert_eq!(order, ["x-1", "z-3", "y-2", "z-3"]);
    assert_eq!(started(&next(&queue, slots, &served)), ["x-1"], "who comes back is served at once");
}

#[test]
fn own_starts_that_the_watch_does_not_show_yet_count() {
    let queue = [waiting("a", 1), waiting("b", 2)];
    let own = BTreeSet::from(["uid-a-1".to_owned()]);
    let running = BTreeMap::from([(key("team", "a"), 1)]);
    let slots = |limit| Slots { running: &running, own_starts: &own, limit };

    assert_eq!(started(&next(&queue, slots(2), &Served::default())), ["b-2"]);
    assert_eq!(started(&next(&queue, slots(1), &Served::default())), [""; 0]);
}

/// Who queues by Kueue has no place here, and takes none.
#[test]
fn what_asks_for_a_queue_is_handed_over_whatever_runs() {
    let mut queued = waiting("a", 1);
    queued.queue = Some("batch".to_owned());
    let queue = [queued, waiting("b", 2)];

    let full = decided(&queue, 1, 1);
    let free = decided(&queue, 0, 1);

    let names = |it: &[Decision]| it.iter().map(|it| name(it).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&full), ["batch"]);
    assert_eq!(names(&free), ["batch", "b-2"]);
    assert_eq!(decided(&queue, 0, 0), [], "limit 0 stops everything");
}

#[test]
fn what_the_ledger_does_not_hold_neither_starts_nor_expires() {
    let mut unknown = waiting("a", 1);
    unknown.ledger = Standing::NotQueued;
    unknown.waited = Duration::from_hours(1);

    assert_eq!(decided(&[unknown], 0, 16), []);
}

#[test]
fn who_waited_too_long_expires_unless_nothing_may_start_at_all() {
    let mut late = waiting("a", 1);
    late.waited = Duration::from_mins(5);

    let full = decided(&[late.clone(), waiting("b", 2)], 1, 1);
    assert_eq!((expired(&full), started(&full)), (vec!["a-1"], vec![]));
    assert_eq!(decided(&[late], 0, 0), []);
}

#[test]
fn a_withdrawn_job_never_starts_and_its_run_is_ended_by_whoever_sees_it() {
    let mut withdrawn = waiting("a", 1);
    withdrawn.withdrawn = Withdrawn::Yes;

    let decisions = decided(&[withdrawn], 0, 16);

    assert_eq!(expired(&decisions), ["a-1"]);
}

/// A time of 0 is one that may be asked for: who may not wait runs when there is room, and never else.
#[test]
fn who_may_not_wait_at_all_starts_where_there_is_a_place() {
    let mut queue = [waiting("a", 1), waiting("a", 2)];
    for it in &mut queue {
        it.timeout = Duration::ZERO;
    }

    let room = decided(&queue, 0, 1);
    let full = decided(&queue, 1, 1);

    assert_eq!((started(&room), expired(&room)), (vec!["a-1"], vec!["a-2"]));
    assert_eq!((started(&full), expired(&full)), (vec![], vec!["a-1", "a-2"]));
}

#[test]
fn what_is_hindered_leaves_its_place_to_others_and_expires_in_its_time() {
    let mut queue = [waiting("a", 1), waiting("b", 2)];
    queue[0].readiness = Readiness::Hindered;

    let first = decided(&queue, 0, 1);
    queue[0].waited = Duration::from_mins(5);
    let late = decided(&queue, 0, 2);

    assert_eq!((started(&first), expired(&first)), (vec!["b-2"], vec![]));
    assert_eq!((started(&late), expired(&late)), (vec!["b-2"], vec!["a-1"]));
}

/// What is suspended waits, however long; only what was half ended before is ended.
#[test]
fn nothing_of_a_suspended_trigger_starts_or_expires() {
    let mut held = waiting("a", 1);
    held.readiness = Readiness::Suspended;
    held.waited = Duration::from_hours(9);
    let mut asks_kueue = held.clone();
    asks_kueue.queue = Some("batch".to_owned());
    let withdrawn = Waiting { withdrawn: Withdrawn::Yes, ..held.clone() };

    assert_eq!(decided(&[held], 0, 16), []);
    assert_eq!(decided(&[asks_kueue], 0, 16), []);
    assert_eq!(expired(&decided(&[withdrawn], 0, 16)), ["a-1"]);
}

#[test]
fn waiting_is_counted_from_the_first_sight_and_not_while_the_limit_is_zero() {
    let mut waits = Waits::default();
    let at = Duration::from_secs;

    waits.on_seen([("a", Time::Runs)], 16, at(1000));
    assert_eq!(waits.of("a"), at(0));
    waits.on_seen([("a", Time::Runs), ("b", Time::Runs)], 16, at(1010));
    assert_eq!((waits.of("a"), waits.of("b")), (at(10), at(0)));
    waits.on_seen([("a", Time::Runs), ("b", Time::Runs)], 0, at(1100));
    assert_eq!((waits.of("a"), waits.of("b")), (at(10), at(0)));
    waits.on_seen([("b", Time::Runs)], 16, at(1105));
    assert_eq!((waits.of("a"), waits.of("b")), (at(0), at(5)));
    waits.on_seen([("b", Time::StandsStill)], 16, at(9000));
    assert_eq!(waits.of("b"), at(5));
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

        let decisions = decided(&queue, running, limit);

        let room = usize::try_from(limit).unwrap().saturating_sub(running);
        prop_assert_eq!(started(&decisions).len(), room.min(queue.len()));
        let names: BTreeSet<_> = started(&decisions).into_iter().collect();
        prop_assert_eq!(names.len(), decisions.len());
    }
}
