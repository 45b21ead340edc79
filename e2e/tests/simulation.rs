//! Does every law hold in fleets that live by a seed, and is each law missed when it is off?

use std::sync::atomic::{AtomicU64, Ordering};

use e2e::simulation::{Mutant, Report, Sizes, live};

/// Seeds of an ordinary test run, which is not optimised; a night has a thousand longer ones.
const SEEDS: u64 = 24;
/// A law that is off must show within so many lives.
const WITHIN: u64 = 50;

/// Lives of these seeds, on two threads, in their order.
fn lives(seeds: u64) -> Vec<Report> {
    let next = AtomicU64::new(0);
    let work = || {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|it| *it < seeds);
        std::iter::from_fn(take).map(|seed| live(seed, &Sizes::short())).collect::<Vec<Report>>()
    };
    let mut reports = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mine = work();
        [mine, other.join().expect("a life does not panic")].concat()
    });
    reports.sort_by_key(|it| it.seed);
    reports
}

/// DESIGN's five laws, whatever crashes, freezes, is cut off or edited.
#[test]
fn no_law_is_broken_in_short_lives() {
    let reports = lives(SEEDS);

    for report in &reports {
        assert!(report.is_well(), "{}\n{}", report.line(), report.explained());
    }
    // What happened in none of them was not tried.
    let started: usize = reports.iter().map(Report::started).sum();
    let changes: usize = reports.iter().map(Report::changes).sum();
    let crashes: u64 = reports.iter().map(Report::crashes).sum();
    assert!(started > 50 && changes > 10, "{started} started, {changes} due changes");
    assert!(crashes > 0, "nothing died");
}

/// A failing seed can be looked at.
#[test]
fn a_seed_lives_the_same_life_again() {
    let (first, again) = (live(3, &Sizes::short()), live(3, &Sizes::short()));

    assert_eq!(first.digest, again.digest);
    assert_eq!(first.line(), again.line());
}

/// In some life the law that is off is told of, and not only another one that breaks with it. `likely` is where
/// it was seen last: the others are lived where it is not seen there any more.
fn is_noticed(mutant: Mutant, law: &str, likely: u64) {
    let sizes = Sizes { mutant: Some(mutant), ..Sizes::short() };
    let tells = |it: &Report| it.laws().contains(&law);
    let seeds = std::iter::once(likely).chain((0..WITHIN).filter(|it| *it != likely));
    let told = seeds.map(|seed| live(seed, &sizes)).any(|it| tells(&it));
    assert!(told, "{} is not noticed", mutant.name());
}

/// Law 2.
#[test]
fn a_job_that_comes_before_its_record_is_noticed() {
    is_noticed(Mutant::CreateFirst, "recorded before done", 0);
}

/// A, B and A again are three runs.
#[test]
fn an_id_without_its_sequence_is_noticed() {
    is_noticed(Mutant::NoSequence, "each change that stays is run", 4);
}

/// Law 2: who dies leaves nothing undone.
#[test]
fn a_pending_run_that_nobody_takes_up_is_noticed() {
    is_noticed(Mutant::NoRecovery, "no run is lost", 1);
}

/// The execution point.
#[test]
fn a_start_that_asks_for_no_uid_is_noticed() {
    is_noticed(Mutant::NoGate, "nothing starts but what the ledger holds as queued", 0);
}

/// Law 1: who wakes and believes that it owns its shards writes over nobody.
#[test]
fn a_write_that_trusts_its_lease_alone_is_noticed() {
    is_noticed(Mutant::TrustLease, "the ledger goes forward only", 0);
}

/// An answer that was long on its way does not bring back what was before.
#[test]
fn an_answer_that_counts_against_a_newer_record_is_noticed() {
    is_noticed(Mutant::OldAnswer, "no change runs twice", 7);
}

/// A spoke that a replica cannot reach is another's to work.
#[test]
fn keys_that_only_their_holder_may_work_are_noticed() {
    is_noticed(Mutant::NoStandIn, "a key that one cannot reach goes to one that can", 0);
}

/// Nobody is declared dead by who does not hear.
#[test]
fn a_lease_that_ages_while_nobody_hears_is_noticed() {
    is_noticed(Mutant::DeadWatch, "no Lease is taken that did not age before a live watch", 1);
}
