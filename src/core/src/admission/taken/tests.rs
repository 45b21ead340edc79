//! Who keeps a place, for how long, and who is believed.

use super::*;
use crate::names::{ClusterName, TriggerKind};

fn trigger() -> TriggerKey {
    TriggerKey {
        cluster: ClusterName::hub(),
        kind: TriggerKind::Schedule,
        namespace: "apps".to_owned(),
        name: "deploy".to_owned(),
    }
}

fn sight<'a>(uid: &'a str, version: &'a str, stage: Stage) -> Sight<'a> {
    Sight { uid, job: uid, version, stage, trigger: Some(trigger()) }
}

fn waits<'a>(uid: &'a str, version: &'a str) -> Sight<'a> {
    sight(uid, version, Stage::Waits)
}

fn works<'a>(uid: &'a str, version: &'a str) -> Sight<'a> {
    sight(uid, version, Stage::Works)
}

/// What has a place after this was read, where the ledgers have nothing new unless it says so.
fn seen(
    taken: &mut Taken,
    (read, now): (Read, Mono),
    sights: &[Sight<'_>],
    ours: &[&str],
) -> Vec<String> {
    let shows =
        |at: usize, evidence| evidence == Evidence::Ledger && ours.contains(&sights[at].uid);
    taken.on_seen((sights, read), 4, now, shows);
    taken.uids().into_iter().collect()
}

const BEGUN: Mono = Mono::ZERO;
const WATCH: (Read, Mono) = (Read::Watch, BEGUN);
const LIST: (Read, Mono) = (Read::List, BEGUN);

/// Its trigger may be deleted, or created anew: the Job runs on.
#[test]
fn what_had_a_place_keeps_it_until_it_ends() {
    let mut taken = Taken::default();
    seen(&mut taken, WATCH, &[works("a", "2"), works("forged", "2")], &["a"]);

    let unknown = seen(&mut taken, WATCH, &[works("a", "3"), works("b", "1")], &[]);
    let ended = seen(&mut taken, WATCH, &[sight("a", "4", Stage::Elsewhere)], &[]);

    assert_eq!((unknown, ended), (vec!["a".to_owned()], vec![]));
}

#[test]
fn what_somebody_suspends_or_deletes_leaves_its_place() {
    let mut taken = Taken::default();
    seen(&mut taken, WATCH, &[works("a", "2"), works("b", "2")], &["a", "b"]);

    assert!(seen(&mut taken, WATCH, &[waits("a", "3")], &[]).is_empty());
}

/// What the last owner started counts although the watch lags, and not for ever.
#[test]
fn what_the_list_showed_counts_until_the_watch_shows_it() {
    let mut taken = Taken::default();
    seen(&mut taken, LIST, &[works("a", "5"), works("b", "5")], &["a", "b"]);

    let behind = seen(&mut taken, WATCH, &[waits("a", "1")], &[]);
    let shown = seen(&mut taken, WATCH, &[works("a", "5")], &[]);
    let later = seen(&mut taken, (Read::Watch, BEGUN + BEHIND), &[works("a", "5")], &[]);

    assert_eq!((behind.len(), shown.len()), (2, 2));
    assert_eq!(later, ["a"]);
}

#[test]
fn what_was_started_here_counts_for_as_long_as_the_watch_shows_what_was_before() {
    let mut taken = Taken::default();
    taken.started(&waits("a", "1"), &trigger(), BEGUN);
    let late = (Read::Watch, BEGUN + BEHIND * 9);

    assert_eq!(seen(&mut taken, late, &[waits("a", "1")], &[]), ["a"]);
    assert!(seen(&mut taken, late, &[waits("a", "3")], &[]).is_empty());
}

/// What is started by a list may be newer than all that the watch shows.
#[test]
fn what_was_started_by_the_first_list_counts_although_the_watch_is_behind_it() {
    let mut taken = Taken::default();
    seen(&mut taken, LIST, &[waits("a", "5")], &[]);
    taken.started(&waits("a", "5"), &trigger(), BEGUN);

    assert_eq!(seen(&mut taken, WATCH, &[waits("a", "3")], &[]), ["a"]);
}

#[test]
fn a_start_without_an_answer_counts_for_a_while() {
    let mut taken = Taken::default();
    taken.ask(&waits("a", "1"), &trigger(), BEGUN);

    assert_eq!(taken.asked().len(), 1);
    assert_eq!(seen(&mut taken, WATCH, &[waits("a", "1")], &[]), ["a"]);
    let late = (Read::Watch, BEGUN + BEHIND);
    assert!(seen(&mut taken, late, &[waits("a", "1")], &[]).is_empty());
}

/// One that is asked for again is no younger for it.
#[test]
fn a_start_that_is_asked_for_again_was_first_asked_for_when_it_was() {
    let mut taken = Taken::default();
    taken.ask(&waits("a", "1"), &trigger(), BEGUN);

    taken.ask(&waits("a", "1"), &trigger(), BEGUN + BEHIND / 2);

    assert_eq!(taken.asked()[0].since, BEGUN);
}

/// Labels can be forged, and so can owners. What a ledger shows counts in any case.
#[test]
fn a_new_owner_believes_the_owner_of_half_as_many_as_may_run() {
    let uids: Vec<String> = (0..20).map(|it| format!("left-{it:02}")).collect();
    let mut sights: Vec<_> = uids.iter().map(|it| works(it, "1")).collect();
    sights.push(works("ours", "1"));
    let believed = |limit: u32, read: Read| {
        let mut taken = Taken::default();
        taken.on_seen((&sights, read), limit, BEGUN, |at, evidence| match evidence {
            Evidence::Ledger => sights[at].uid == "ours",
            Evidence::Owner => true,
        });
        assert!(taken.has("ours"));
        taken.uids().len() - 1
    };

    assert_eq!([0, 1, 4, 5].map(|limit| believed(limit, Read::List)), [0, 1, 2, 3]);
    assert_eq!(believed(16, Read::Watch), 0, "who has seen them begin need believe nobody");
}
