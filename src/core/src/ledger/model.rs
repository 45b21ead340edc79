//! Does every way to crash, to be late and to lose an answer leave one started Job for each change?
//!
//! A tiny world (`world`): a status behind compare-and-swap, a remote whose head moves, Jobs by name,
//! two replicas with caches and half-done work. Chosen steps are taken in any order; then one
//! replica finishes in peace, and `truth`, which watched the world alone, judges. `mutants` shows
//! that the judge is awake.

mod mutants;
mod quiet;
mod replica;
mod truth;
mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::{Check, Live, Transition, Verdict};
use crate::plan::Plan;
use ger_api::TriggerStatus;
use jiff::Timestamp;
use world::{Step, Trouble, World};

/// The decisions under test; a mutant replaces one.
#[derive(Clone, Copy)]
pub(super) struct Law {
    decide: fn(&Plan, &Live<'_>, &str, &Check, Timestamp) -> Verdict,
    may_start: fn(&TriggerStatus, &str, &str) -> bool,
    queued: fn(&TriggerStatus, &str, &str, &str, Timestamp) -> Transition,
    expired: fn(&TriggerStatus, &str, Option<&str>, &str, Timestamp) -> Transition,
    withdrawal: Withdrawal,
    watched: Watched,
}

/// What the trigger watches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Everything,
    /// Some files: the head also moves without touching them.
    Files,
}

/// How a Job that waited too long is kept from starting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// By a write that fails if it started meanwhile.
    Written,
    /// By hope.
    Believed,
}

const PRODUCT: Law = Law {
    decide: super::decide,
    may_start: super::holds_queued,
    queued: super::queued,
    expired: super::expired,
    withdrawal: Withdrawal::Written,
    watched: Watched::Everything,
};

const OF_FILES: Law = Law { watched: Watched::Files, ..PRODUCT };

/// Takes steps until the choices are used up, then finishes in peace.
fn live_through(law: Law, choices: &[u16]) -> Result<(), String> {
    live_in(&mut World::new(law), choices)
}

fn live_in(world: &mut World, choices: &[u16]) -> Result<(), String> {
    let mut trace = Vec::new();
    for choice in choices {
        let steps = world.enabled();
        let step = steps[usize::from(*choice) % steps.len()];
        trace.push(step);
        world.take(step);
        if let Some(broken) = world.truth.broken.take() {
            return Err(format!("{broken}\nafter {trace:?}"));
        }
    }
    world.finish_in_peace().map_err(|broken| format!("{broken}\nafter {trace:?}"))
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..200)
}

fn config() -> Config {
    Config { cases: 256, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() }
}

/// Whether 256 cases show that this law is broken.
fn is_caught(law: Law) -> bool {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config { max_shrink_iters: 0, ..config() }, rng);
    let verdict = runner.run(&choices(), |it| live_through(law, &it).map_err(TestCaseError::fail));
    matches!(verdict, Err(TestError::Fail(..)))
}

/// The judge sees nothing where nothing happens: each trouble must have come up.
#[test]
fn every_trouble_comes_up_within_256_cases() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(), rng);
    let seen = std::cell::RefCell::new(BTreeSet::new());

    let verdict = runner.run(&choices(), |it| {
        let mut world = World::new(PRODUCT);
        let verdict = live_in(&mut world, &it);
        seen.borrow_mut().append(&mut world.troubles);
        verdict.map_err(TestCaseError::fail)
    });

    assert_eq!(verdict, Ok(()));
    assert_eq!(seen.into_inner(), Trouble::ALL.into_iter().collect());
}

/// However the two kinds of push are mixed, and with nothing going wrong.
#[test]
fn a_head_that_leaves_the_files_alone_moves_the_record_and_runs_nothing() {
    let mut world = World::new(OF_FILES);

    for _ in 0..4 {
        for step in [Step::PushElsewhere, Step::Push, Step::PushElsewhere] {
            world.finish_in_peace().unwrap();
            world.take(step);
        }
    }
    world.finish_in_peace().unwrap();

    assert_eq!(world.truth.runs(), 5);
    assert_eq!(world.truth.quiet_moves(), 8);
}

proptest! {
    #![proptest_config(config())]

    /// Laws 1 and 2: nothing that happens to replicas makes two started Jobs of one change, or none.
    #[test]
    fn each_change_has_one_started_job_whatever_happens(choices in choices()) {
        live_through(PRODUCT, &choices).map_err(TestCaseError::fail)?;
    }

    /// The same where files are watched: nor does a commit that leaves them alone run, or hide one
    /// that does not.
    #[test]
    fn each_change_of_the_files_has_one_started_job_whatever_happens(choices in choices()) {
        live_through(OF_FILES, &choices).map_err(TestCaseError::fail)?;
    }
}
