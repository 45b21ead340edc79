//! Who works on what, and what happens when somebody comes, goes or is cut off?

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Fleet, Repo, Step, mins, secs, story, trigger};
use ger_core::names::{Commit, TriggerKey};

/// A crash is noticed when the Leases run out, 15 s; the rest is the claim and the first check.
const TAKEOVER: u64 = 20;

/// Enough that each replica has some of each, and fewer than production's to renew.
const SHARDS: u16 = 24;

async fn of_three() -> Fleet {
    Fleet::builder().replicas(3).shards(SHARDS).start().await
}

/// Triggers enough that each replica owns some.
async fn triggers(fleet: &Fleet, repo: &Repo) -> Vec<TriggerKey> {
    let mut keys = Vec::new();
    for number in 0..12 {
        let deploy = trigger(&format!("deploy-{number}")).every("5s").watching(repo);
        keys.push(fleet.hub().apply(&deploy).await);
    }
    keys
}

async fn all_run(fleet: &Fleet, commit: &Commit, limit: u64) {
    let hub = fleet.hub();
    let all = async || (hub.started_for(commit).await.len() == 12).then_some(());
    hub.until(secs(limit), "every trigger runs the commit", all).await;
}

async fn each_ran_once(fleet: &Fleet, commits: &[&Commit]) {
    for commit in commits {
        let mut by_trigger: BTreeMap<String, usize> = BTreeMap::new();
        for job in fleet.hub().jobs_for(commit).await {
            *by_trigger.entry(job.trigger).or_default() += 1;
        }
        let once = by_trigger.values().all(|it| *it == 1);
        assert!(once && by_trigger.len() == 12, "{commit}: {by_trigger:?}");
    }
}

/// Bounded loads: nobody is idle, nobody holds more than the cap.
#[test]
fn three_replicas_divide_the_shards() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(3).shards(64).start().await;

        let holdings = fleet.holdings();

        let cap = 27; // ceil(1.25 * 64 / 3)
        assert_eq!(holdings.iter().map(|it| it.1).sum::<usize>(), 64);
        assert!(holdings.iter().all(|it| (1..=cap).contains(&it.1)), "{holdings:?}");
    });
}

/// A crash costs the time of a Lease, and no run.
#[test]
fn a_crashed_replicas_triggers_run_within_the_bound() {
    story!(Virtual, async {
        let fleet = of_three().await;
        let repo = fleet.repo("app");
        let first = repo.push();
        triggers(&fleet, &repo).await;
        all_run(&fleet, &first, 30).await;

        fleet.kill("replica-2").await;
        let commit = repo.push();

        all_run(&fleet, &commit, TAKEOVER + 5).await;
        fleet.pass(secs(20)).await;
        each_ran_once(&fleet, &[&first, &commit]).await;
    });
}

/// Who goes in order hands over: nothing waits for a Lease to run out.
#[test]
fn a_stopped_replicas_shards_move_within_a_second() {
    story!(Virtual, async {
        let fleet = of_three().await;
        let repo = fleet.repo("app");
        let first = repo.push();
        triggers(&fleet, &repo).await;
        all_run(&fleet, &first, 30).await;

        let took = fleet.stop("replica-1").await;
        let commit = repo.push();
        let all_held = async || {
            let held: usize = fleet.holdings().iter().map(|it| it.1).sum();
            (held == usize::from(SHARDS)).then_some(())
        };
        let left = secs(1).saturating_sub(took);
        fleet.until(left, "every shard is held by another", all_held).await;

        all_run(&fleet, &commit, 10).await;
        each_ran_once(&fleet, &[&first, &commit]).await;
    });
}

/// Names for safety: two that believe they own a trigger still make one Job.
#[test]
fn e3_a_replica_that_loses_the_hub_doubles_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(3).spokes(["east"]).shards(SHARDS).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = east.apply(&trigger("deploy").every("2s").watching(&repo)).await;
        east.done_for(&first, secs(30)).await;

        let owner = fleet.owner_of(&deploy).await;
        fleet.cut_off_from("hub", &owner);
        let mut commits = Vec::new();
        // Before, while and after another takes over.
        for _ in 0..6 {
            let commit = repo.push();
            east.done_for(&commit, secs(20)).await;
            commits.push(commit);
            fleet.pass(secs(5)).await;
        }
        fleet.mend("hub");
        fleet.settled().await;
        let last = repo.push();
        east.done_for(&last, secs(20)).await;

        fleet.pass(mins(1)).await;
        for commit in commits.iter().chain([&last]) {
            assert_eq!(east.jobs_for(commit).await.len(), 1, "{commit}");
        }
    });
}

/// Found by a seed: who wakes behind another's firing and has a clock that is ahead thinks that it is due.
#[test]
fn a_firing_that_another_replica_did_is_not_done_again() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let commit = repo.push();
        let each_time = trigger("deploy").every("90s").always().watching(&repo);
        let deploy = east.apply(&each_time).await;
        east.done_for(&commit, secs(30)).await;

        let sleeper = fleet.owner_of(&deploy).await;
        fleet.sleep_before(&sleeper, Step::RunRecorded);
        fleet.sprung(&sleeper, Step::RunRecorded).await;
        let fired = async || (east.started_for(&commit).await.len() == 2).then_some(());
        east.until(mins(2), "another replica fires", fired).await;
        fleet.set_clocks(secs(120));
        fleet.wake(&sleeper);
        fleet.pass(mins(5)).await;

        let runs = east.status(&deploy).await.runs;
        let occasions: BTreeSet<_> = runs.iter().map(|it| it.occasion.clone()).collect();
        assert!(runs.len() > 2 && occasions.len() == runs.len(), "{runs:?}");
    });
}

/// One replica does alone what three did, and three what one did.
#[test]
fn a_fleet_shrinks_and_grows() {
    story!(Virtual, async {
        let fleet = of_three().await;
        let repo = fleet.repo("app");
        let first = repo.push();
        triggers(&fleet, &repo).await;
        all_run(&fleet, &first, 30).await;

        fleet.stop("replica-1").await;
        fleet.stop("replica-2").await;
        let alone = repo.push();
        all_run(&fleet, &alone, 15).await;
        assert_eq!(fleet.holdings(), [("replica-3".to_owned(), usize::from(SHARDS))]);

        fleet.start_replica();
        fleet.start_replica();
        fleet.settled().await;
        let together = repo.push();
        all_run(&fleet, &together, 15).await;
        each_ran_once(&fleet, &[&first, &alone, &together]).await;
    });
}
