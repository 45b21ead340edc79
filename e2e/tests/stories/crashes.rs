//! Does every change run exactly once, whatever dies, breaks or gets lost on the way?

use e2e::{Fleet, Step, Work, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use kube_sandbox::FaultKind;

/// Law 2: a recorded run happens, even when the replica that recorded it does not live to see it.
#[test]
fn e6_a_push_outlives_the_replica_that_recorded_it() {
    story!(Virtual, a_crash_after(Step::RunRecorded));
}

/// Law 1: the next owner finds the Job by its name.
#[test]
fn e6_a_job_whose_creator_died_is_not_made_again() {
    story!(Virtual, a_crash_after(Step::JobCreated));
}

/// Law 1: a queued run is started by whoever admits.
#[test]
fn e6_a_queued_run_outlives_the_replica_that_queued_it() {
    story!(Virtual, a_crash_after(Step::RunQueued));
}

/// Law 1: who started a Job need not live to hear that it runs.
#[test]
fn e6_a_started_job_outlives_the_replica_that_started_it() {
    story!(Virtual, a_crash_after(Step::JobStarted));
}

async fn a_crash_after(step: Step) {
    let fleet = Fleet::builder().replicas(3).spokes(["east"]).start().await;
    let east = fleet.spoke("east");
    let repo = fleet.repo("app");
    let first = repo.push();
    let deploy = east.apply(&trigger("deploy").watching(&repo)).await;
    east.done_for(&first, secs(30)).await;

    // The one that admits may be another than the one that owns the trigger.
    let victim = match step {
        Step::JobStarted => fleet.admits("east").await,
        Step::RunRequested | Step::RunRecorded | Step::JobCreated | Step::RunQueued => {
            fleet.owner_of(&deploy).await
        }
    };
    fleet.crash(&victim, step);
    let commit = repo.push();
    fleet.sprung(&victim, step).await;

    east.done_for(&commit, secs(60)).await;
    east.until_run(&deploy, &commit, RunPhase::Succeeded).await;
    fleet.pass(mins(2)).await;
    assert_eq!(east.jobs_for(&commit).await.len(), 1);
    if step != Step::JobStarted {
        assert_ne!(fleet.owner_of(&deploy).await, victim);
    }
}

/// Law 1: a write whose answer got lost is found by the next read.
#[test]
fn a_lost_answer_to_the_record_makes_no_second_run() {
    story!(Virtual, a_lost_answer_to(Step::RunRecorded));
}

/// Law 1: a Job whose creation was not heard of is found by its name.
#[test]
fn a_lost_answer_to_the_creation_makes_no_second_job() {
    story!(Virtual, a_lost_answer_to(Step::JobCreated));
}

/// Law 1: a uid that was recorded unheard is recorded.
#[test]
fn a_lost_answer_to_the_queueing_makes_no_second_job() {
    story!(Virtual, a_lost_answer_to(Step::RunQueued));
}

/// Law 1: a Job that was started unheard runs once.
#[test]
fn a_lost_answer_to_the_start_makes_no_second_job() {
    story!(Virtual, a_lost_answer_to(Step::JobStarted));
}

async fn a_lost_answer_to(step: Step) {
    let fleet = Fleet::builder().start().await;
    let hub = fleet.hub();
    let repo = fleet.repo("app");
    let first = repo.push();
    let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
    hub.done_for(&first, secs(30)).await;

    fleet.lose_answer("replica-1", step);
    let commit = repo.push();
    fleet.sprung("replica-1", step).await;

    hub.done_for(&commit, secs(60)).await;
    hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
    fleet.pass(mins(2)).await;
    assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    assert_eq!(hub.status(&deploy).await.sequence, 2, "one run for each commit");
}

/// Law 1: who lost the race decides again, on what is there then.
#[test]
fn a_storm_of_conflicts_ends_in_one_run() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.done_for(&first, secs(30)).await;

        // More than one write tries, so that a later turn has to take it up.
        hub.fault(&FaultKind::Conflict { resource: "scheduletriggers".to_owned(), times: 40 });
        hub.fault(&FaultKind::Conflict { resource: "jobs".to_owned(), times: 5 });
        let commit = repo.push();

        hub.done_for(&commit, mins(3)).await;
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
        assert_eq!(hub.status(&deploy).await.sequence, 2, "one run for each commit");
    });
}

/// The execution point is the unsuspension: a Job that a TTL made room for is no reason to run twice.
#[test]
fn e1_a_replica_that_slept_through_a_run_starts_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).ttl(secs(5)).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = east.apply(&trigger("deploy").watching(&repo)).await;
        east.done_for(&first, secs(30)).await;

        let sleeper = fleet.owner_of(&deploy).await;
        fleet.sleep_before(&sleeper, Step::JobCreated);
        let commit = repo.push();
        fleet.sprung(&sleeper, Step::JobCreated).await;
        east.done_for(&commit, mins(2)).await;
        east.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        let no_job = async || east.present().await.is_empty().then_some(());
        east.until(mins(1), "the finished Job is removed by its TTL", no_job).await;

        fleet.wake(&sleeper);
        let again = async || (east.jobs_for(&commit).await.len() == 2).then_some(());
        east.until(secs(30), "the sleeper creates the Job that it was about to", again).await;

        let removed = async || east.present().await.is_empty().then_some(());
        east.until(mins(2), "the Job that nobody wants is removed", removed).await;
        assert_eq!(east.started_for(&commit).await.len(), 1);
        assert_eq!(east.status(&deploy).await.sequence, 2);
    });
}

/// A Job that is gone is neither an outcome to change nor a reason to run again.
#[test]
fn a_finished_job_that_its_ttl_removes_changes_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().ttl(secs(30)).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        let run = hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        let no_job = async || hub.present().await.is_empty().then_some(());
        hub.until(mins(2), "the finished Job is removed by its TTL", no_job).await;
        fleet.pass(mins(5)).await;

        assert_eq!(hub.status(&deploy).await.runs, [run]);
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// The outcome is recorded although nobody had looked before the Job was gone.
#[test]
fn a_job_that_goes_as_soon_as_it_has_finished_still_succeeded() {
    story!(Virtual, async {
        let fleet = Fleet::builder().ttl(secs(0)).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;

        for _ in 0..5 {
            let commit = repo.push();
            hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        }
    });
}

/// A restart, like a handover, runs nothing by itself.
#[test]
fn a_restart_of_everything_runs_nothing_twice() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let before = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.done_for(&before, secs(30)).await;
        hub.work(Work::Lasts);
        let running = repo.push();
        hub.until_run(&deploy, &running, RunPhase::Running).await;

        fleet.kill("replica-1").await;
        fleet.kill("replica-2").await;
        let meanwhile = repo.push();
        fleet.start_replica();
        fleet.start_replica();
        hub.work(Work::Succeeds(secs(1)));

        hub.done_for(&meanwhile, mins(2)).await;
        hub.until_run(&deploy, &running, RunPhase::Succeeded).await;
        fleet.pass(mins(2)).await;
        for commit in [&before, &running, &meanwhile] {
            assert_eq!(hub.jobs_for(commit).await.len(), 1, "{commit}");
        }
    });
}
