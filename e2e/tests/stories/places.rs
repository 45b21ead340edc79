//! Who has a place, and who waits for one? Suspended triggers, waiting times of nothing, triggers that go
//! while their Jobs run, and watches that are behind.

use std::time::Duration;

use e2e::{Cluster, Fleet, Repo, Work, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::{Commit, TriggerKey};
use kube_sandbox::{Failure, Fault, FaultKind, Mishap, Requests};
use serde_json::json;

/// A trigger whose Job takes the one place.
async fn busy(fleet: &Fleet, cluster: &Cluster) -> (TriggerKey, Repo, Commit) {
    cluster.work(Work::Lasts);
    let repo = fleet.repo("busy");
    let commit = repo.push();
    let key = cluster.apply(&trigger("busy").every("5s").watching(&repo)).await;
    cluster.until_run(&key, &commit, RunPhase::Running).await;
    (key, repo, commit)
}

/// A trigger whose Job waits for a place.
async fn waits(fleet: &Fleet, cluster: &Cluster, name: &str) -> (TriggerKey, Commit) {
    let repo = fleet.repo(name);
    let commit = repo.push();
    let key = cluster.apply(&trigger(name).every("5s").watching(&repo)).await;
    cluster.until_run(&key, &commit, RunPhase::Queued).await;
    (key, commit)
}

/// Deletes a trigger, and waits until every replica has seen that it is gone.
async fn delete(fleet: &Fleet, cluster: &Cluster, key: &TriggerKey) {
    cluster.delete_trigger(key).await;
    fleet.pass(secs(5)).await;
}

/// Whoever suspends a trigger stops what waits, too; its time stands still, and it goes on where it was.
#[test]
fn what_waits_for_a_suspended_trigger_neither_starts_nor_expires() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).waiting(secs(60)).start().await;
        let hub = fleet.hub();
        busy(&fleet, &hub).await;
        let (deploy, commit) = waits(&fleet, &hub, "app").await;

        hub.edit(&deploy, &json!({ "spec": { "suspend": true } })).await;
        fleet.pass(secs(5)).await;
        hub.work(Work::Succeeds(secs(1)));
        fleet.pass(mins(10)).await;

        hub.until_run(&deploy, &commit, RunPhase::Queued).await;
        assert!(hub.started_for(&commit).await.is_empty());
        hub.edit(&deploy, &json!({ "spec": { "suspend": false } })).await;
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// A waiting time of 0 is for who would rather not wait than run late: with a place it runs.
#[test]
fn who_may_not_wait_runs_where_there_is_a_place() {
    story!(Virtual, async {
        let fleet = Fleet::builder().waiting(Duration::ZERO).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();

        let deploy = hub.apply(&trigger("deploy").every("5s").watching(&repo)).await;

        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// Without a place each run expires at once; its source is checked later and later, and the change is not lost.
#[test]
fn who_may_not_wait_and_has_no_place_tries_ever_more_seldom() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).waiting(Duration::ZERO).start().await;
        let hub = fleet.hub();
        busy(&fleet, &hub).await;
        let repo = fleet.repo("app");
        let commit = repo.push();

        let deploy = hub.apply(&trigger("deploy").every("5s").watching(&repo)).await;
        fleet.pass(mins(10)).await;

        let tries = hub.jobs_for(&commit).await.len();
        assert!((3..=12).contains(&tries), "{tries} Jobs in ten minutes");
        hub.work(Work::Succeeds(secs(1)));
        let ran = async || {
            let runs = hub.status(&deploy).await.runs;
            runs.iter().any(|it| it.phase == RunPhase::Succeeded).then_some(())
        };
        hub.until(mins(4), "the change runs", ran).await;
        fleet.pass(mins(5)).await;
        assert_eq!(hub.started_for(&commit).await.len(), 1);
    });
}

/// The same for a run that can have no Job.
#[test]
fn who_may_not_wait_and_is_blocked_tries_ever_more_seldom() {
    story!(Virtual, async {
        let fleet = Fleet::builder().waiting(Duration::ZERO).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();

        let late = trigger("deploy").every("5s").watching(&repo).running("late");
        let deploy = hub.apply(&late).await;
        fleet.pass(mins(10)).await;

        let runs = hub.status(&deploy).await.sequence;
        assert!((3..=14).contains(&runs), "{runs} runs in ten minutes");
        hub.put(&e2e::action("late")).await;
        let ran = async || {
            let runs = hub.status(&deploy).await.runs;
            runs.iter().any(|it| it.phase == RunPhase::Succeeded).then_some(())
        };
        hub.until(mins(4), "the change runs", ran).await;
        assert_eq!(hub.started_for(&commit).await.len(), 1);
    });
}

/// A run that expired is told of, once.
#[test]
fn an_expired_run_is_an_event() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).waiting(secs(30)).start().await;
        let hub = fleet.hub();
        busy(&fleet, &hub).await;
        let (deploy, commit) = waits(&fleet, &hub, "app").await;
        hub.until_run(&deploy, &commit, RunPhase::Expired).await;

        let told = async || {
            let events = hub.events("RunExpired").await;
            events.into_iter().next()
        };
        let event = hub.until(secs(10), "it is told", told).await;

        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert!(event.message.unwrap().contains("of source app expired"));
    });
}

/// Who deletes a trigger, or makes it anew, does not end its Jobs: they have their places until they end.
#[test]
fn jobs_of_a_trigger_that_is_deleted_or_made_anew_have_their_places() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).start().await;
        let hub = fleet.hub();
        let (holds, repo, first) = busy(&fleet, &hub).await;
        let (_, second) = waits(&fleet, &hub, "app").await;

        delete(&fleet, &hub, &holds).await;
        fleet.pass(mins(1)).await;
        hub.apply(&trigger("busy").every("5s").watching(&repo)).await;
        fleet.pass(mins(1)).await;

        assert_eq!(hub.kubelet().most_at_once(), 1);
        assert!(hub.started_for(&second).await.is_empty());
        hub.work(Work::Succeeds(secs(1)));
        hub.done_for(&first, mins(1)).await;
        hub.done_for(&second, mins(1)).await;
        assert_eq!(hub.kubelet().most_at_once(), 1);
    });
}

/// The next admitter finds such Jobs although no ledger tells of them.
#[test]
fn who_takes_the_slot_over_counts_jobs_whose_trigger_is_gone() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).max_running(1).start().await;
        let hub = fleet.hub();
        let (holds, ..) = busy(&fleet, &hub).await;
        let (_, second) = waits(&fleet, &hub, "app").await;
        delete(&fleet, &hub, &holds).await;

        let admits = fleet.admits("hub").await;
        fleet.kill(&admits).await;
        fleet.admits("hub").await;
        fleet.pass(mins(2)).await;

        assert!(hub.started_for(&second).await.is_empty());
        hub.work(Work::Succeeds(secs(1)));
        hub.done_for(&second, mins(1)).await;
        assert_eq!(hub.kubelet().most_at_once(), 1);
    });
}

/// Makes each start of a replica fail, with nothing done.
fn start_nothing(cluster: &Cluster, replica: &str) {
    let down = Mishap::Refused(Failure::code(503));
    let kind = Requests::all().verb("patch").resource("jobs").meet(down);
    cluster.sandbox().set_fault(Fault::of(replica, kind));
}

/// What the last admitter started counts, although the new one's watch does not show it.
#[test]
fn a_watch_that_lags_when_the_slot_moves_lets_nothing_start_too_much() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).max_running(1).spokes(["east"]).start().await;
        let east = fleet.spoke("east");
        east.connected().await;
        east.work(Work::Lasts);
        let admits = fleet.admits("east").await;
        let other = if admits == "replica-1" { "replica-2" } else { "replica-1" };
        start_nothing(&east, &admits);
        for name in ["one", "two"] {
            waits(&fleet, &east, name).await;
        }
        fleet.pass(secs(5)).await;

        east.sandbox().clear_faults();
        east.sandbox().set_fault(Fault::of(other, FaultKind::StallWatches));
        let runs = async || (east.kubelet().most_at_once() == 1).then_some(());
        east.until(secs(30), "one runs", runs).await;
        fleet.kill(&admits).await;
        assert_eq!(fleet.admits("east").await, other);
        fleet.pass(secs(30)).await;
        east.sandbox().clear_faults();
        fleet.pass(mins(2)).await;

        assert_eq!(east.kubelet().most_at_once(), 1);
    });
}

/// A start whose answer is lost, and which the watch does not show, has its place.
#[test]
fn a_start_whose_answer_is_lost_counts_although_the_watch_lags() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).spokes(["east"]).start().await;
        let east = fleet.spoke("east");
        east.connected().await;
        east.work(Work::Lasts);
        start_nothing(&east, "replica-1");
        for name in ["one", "two"] {
            waits(&fleet, &east, name).await;
        }
        fleet.pass(secs(5)).await;

        east.sandbox().clear_faults();
        east.sandbox().set_fault(Fault::of("replica-1", FaultKind::StallWatches));
        let (verb, resource) = ("patch".to_owned(), "jobs".to_owned());
        let lost = FaultKind::LoseResponse { verb, resource, times: 1 };
        east.sandbox().set_fault(Fault::of("replica-1", lost));
        let runs = async || (east.kubelet().most_at_once() > 0).then_some(());
        east.until(secs(30), "one runs", runs).await;
        fleet.pass(secs(30)).await;
        east.sandbox().clear_faults();
        fleet.pass(mins(2)).await;

        assert_eq!(east.kubelet().most_at_once(), 1);
    });
}
