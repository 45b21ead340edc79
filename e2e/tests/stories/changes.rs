//! What counts as a change, and what runs for it?

use e2e::objects::{ACTION, git_repo};
use e2e::{Fleet, Work, action, mins, secs, story, trigger};
use ger_api::status::{RunPhase, RunReason};
use serde_json::json;

/// The sequence makes runs of one commit different runs, however often it comes back.
#[test]
fn a_ref_that_goes_back_and_forth_runs_each_time_it_is_seen() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let a = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.done_for(&a, secs(30)).await;

        let b = repo.push();
        hub.done_for(&b, secs(30)).await;
        for (commit, sequence) in [(&a, 3), (&b, 4)] {
            repo.rewind(commit);
            let seen = async || (hub.status(&deploy).await.sequence == sequence).then_some(());
            hub.until(secs(60), "the move back is a run of its own", seen).await;
        }

        let all_done = async || {
            let runs = hub.status(&deploy).await.runs;
            runs.iter().all(|it| it.phase == RunPhase::Succeeded).then_some(runs)
        };
        let runs = hub.until(secs(60), "four runs have succeeded", all_done).await;
        let commits: Vec<&str> = runs.iter().filter_map(|it| it.commit.as_deref()).collect();
        assert_eq!(commits, [a.as_str(), b.as_str(), a.as_str(), b.as_str()]);
        assert_eq!((hub.jobs_for(&a).await.len(), hub.jobs_for(&b).await.len()), (2, 2));
    });
}

/// What moved twice between two checks is one change.
#[test]
fn of_two_pushes_between_checks_the_newest_runs() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let first = repo.push();
        hub.apply(&trigger("deploy").every("1m").watching(&repo)).await;
        hub.done_for(&first, secs(90)).await;

        let (passed_over, newest) = (repo.push(), repo.push());

        hub.done_for(&newest, mins(2)).await;
        fleet.pass(mins(3)).await;
        assert_eq!(hub.jobs_for(&newest).await.len(), 1);
        assert_eq!(hub.jobs_for(&passed_over).await.len(), 0);
    });
}

/// A check's answer counts only against what was known when it was sent.
#[test]
fn b9_a_slow_old_answer_does_not_overwrite_a_newer_one() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = east.apply(&trigger("deploy").every("2s").watching(&repo)).await;
        east.done_for(&first, secs(30)).await;

        // The owner asks, and hears of the old commit long after it lost its shards.
        let owner = fleet.owner_of(&deploy).await;
        let old = repo.push();
        let asked = repo.requests();
        repo.slow_once(secs(29));
        let is_asked = async || (repo.requests() > asked).then_some(());
        fleet.until(secs(10), "the owner asks", is_asked).await;
        fleet.cut_off_from("hub", &owner);
        let new = repo.push();
        let run = east.done_for(&new, secs(28)).await;
        fleet.pass(mins(1)).await;

        assert!(run.is_finished);
        assert_eq!(east.jobs_for(&old).await.len(), 0, "the answer was too late to count");
        assert_eq!(east.jobs_for(&new).await.len(), 1);
        let record = &east.status(&deploy).await.checked_sources["app"];
        assert_eq!(record.commit_hash.as_deref(), Some(new.as_str()));
    });
}

/// `onChangeOnly: false` means every firing, and every firing is one run.
#[test]
fn a_trigger_that_runs_always_runs_once_at_each_tick() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let commit = repo.push();
        let nightly = hub.apply(&trigger("nightly").every("30s").always().watching(&repo)).await;
        let first = async || (hub.status(&nightly).await.sequence >= 1).then_some(());
        hub.until(mins(1), "the first firing", first).await;

        let begun = hub.status(&nightly).await.sequence;
        fleet.pass(mins(10)).await;

        let ticks = hub.status(&nightly).await.sequence - begun;
        assert!((18..=20).contains(&ticks), "20 nominal firings made {ticks} runs");
        let jobs = hub.jobs_for(&commit).await;
        let jobs = i64::try_from(jobs.len()).unwrap();
        assert_eq!(jobs, hub.status(&nightly).await.sequence, "one Job a run");
    });
}

/// A new `run-at` asks now; `force` makes it run although nothing changed.
#[test]
fn a_run_is_asked_for_by_annotation() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").every("1h").watching(&repo)).await;
        hub.annotate(&deploy, [("run-at", "one")]).await;
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        hub.annotate(&deploy, [("run-at", "two")]).await;
        let unchanged = async || {
            let runs = hub.status(&deploy).await.runs;
            runs.into_iter().find(|it| it.phase == RunPhase::Unchanged)
        };
        let run = hub.until(secs(10), "an unforced request finds no change", unchanged).await;
        assert_eq!((run.reason, run.occasion.as_deref()), (RunReason::Manual, Some("two")));
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);

        hub.annotate(&deploy, [("run-at", "three"), ("force", "true")]).await;
        let two = async || (hub.jobs_for(&commit).await.len() == 2).then_some(());
        hub.until(secs(10), "a forced request runs", two).await;

        // The same value again is no new request.
        hub.annotate(&deploy, [("run-at", "three"), ("other", "x")]).await;
        fleet.pass(mins(5)).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 2);
    });
}

/// While suspended nothing is asked and nothing runs; nothing is lost either.
#[test]
fn a_suspended_trigger_rests_and_catches_up() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.done_for(&first, secs(30)).await;

        hub.edit(&deploy, &json!({ "spec": { "suspend": true } })).await;
        fleet.pass(secs(1)).await;
        let (asked, commit) = (repo.requests(), repo.push());
        hub.annotate(&deploy, [("run-at", "now"), ("force", "true")]).await;
        fleet.pass(mins(5)).await;
        assert_eq!(repo.requests(), asked, "a suspended trigger asks nobody");
        assert_eq!(hub.jobs_for(&commit).await.len(), 0);

        hub.edit(&deploy, &json!({ "spec": { "suspend": false } })).await;
        hub.done_for(&commit, secs(60)).await;
        fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// A Job that has not started goes with its Action; its run does not.
#[test]
fn a_run_outlives_its_action() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        let (busy, repo) = (fleet.repo("busy"), fleet.repo("app"));
        let first = busy.push();
        hub.apply(&trigger("busy").watching(&busy)).await;
        hub.put(&action("other")).await;
        let running = hub.job_for(&first, secs(30)).await;
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo).running("other")).await;
        hub.until_run(&deploy, &commit, RunPhase::Queued).await;

        hub.delete(&action("other")).await;
        hub.put(&action("other")).await;
        fleet.pass(secs(30)).await;
        hub.work(Work::Succeeds(secs(1)));

        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        fleet.pass(mins(2)).await;
        assert_eq!(hub.started_for(&commit).await.len(), 1);
        assert_eq!(hub.jobs_for(&first).await.len(), 1, "{running:?}");
    });
}

/// Nothing is executed in place of what somebody else named first.
#[test]
fn a_job_name_that_somebody_else_took_fails_the_run_loudly() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.done_for(&first, secs(30)).await;

        // Without the Action, a run waits for its Job, and its name can be taken.
        hub.delete(&action(ACTION)).await;
        let commit = repo.push();
        let run = hub.until_run(&deploy, &commit, RunPhase::Pending).await;
        hub.put(&foreign_job(&format!("deploy-{}", run.id))).await;
        hub.put(&action(ACTION)).await;

        let failed = hub.until_run(&deploy, &commit, RunPhase::Failed).await;
        assert!(failed.message.as_deref().is_some_and(|it| it.contains("remove it")), "{failed:?}");
        assert_eq!(hub.events("JobRefused").await.len(), 1);
        fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 0);
        let next = repo.push();
        hub.done_for(&next, secs(30)).await;
    });
}

fn foreign_job(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": name, "namespace": e2e::objects::APPS },
        "spec": { "suspend": true, "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "main", "image": "busybox:1" }],
        }}},
    })
}

/// A run about something that is no longer watched does not run; what is watched now does.
#[test]
fn an_edited_reference_supersedes_what_waits() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(0).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let old = repo.push();
        let new = repo.push_to("release");
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.until_run(&deploy, &old, RunPhase::Queued).await;

        let on = json!({ "reference": { "branch": "release" } });
        hub.edit(&deploy, &json!({ "spec": { "sources": { "watchOn": on } } })).await;

        let failed = hub.until_run(&deploy, &old, RunPhase::Failed).await;
        assert!(failed.message.as_deref().is_some_and(|it| it.contains("Superseded")));
        hub.until_run(&deploy, &new, RunPhase::Queued).await;
        assert_eq!(hub.present().await.len(), 1, "the Job of what is watched now");
    });
}

/// A deleted trigger leaves nothing that could still start.
#[test]
fn a_deleted_trigger_takes_what_waits_along() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(0).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.until_run(&deploy, &commit, RunPhase::Queued).await;

        hub.delete_trigger(&deploy).await;

        let none = async || hub.present().await.is_empty().then_some(());
        hub.until(mins(1), "the never-started Job is removed", none).await;
        hub.put(&git_repo(&repo)).await;
        assert_eq!(hub.started_for(&commit).await.len(), 0);
    });
}
