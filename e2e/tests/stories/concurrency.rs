//! What becomes of a run while an earlier one of its source is not finished? `concurrencyPolicy`.

use e2e::objects::Trigger;
use e2e::{Cluster, Fleet, Repo, Work, mins, secs, story, trigger};
use ger_api::status::{Run, RunPhase};
use ger_core::names::{Commit, TriggerKey};

/// A trigger whose first run lasts.
struct Ground {
    fleet: Fleet,
    hub: Cluster,
    repo: Repo,
    deploy: TriggerKey,
    first: Commit,
}

impl Ground {
    async fn new(policy: &str) -> Self {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.work(Work::Lasts);
        let first = repo.push();
        let deploy = hub.apply(&every_5s(policy).watching(&repo)).await;
        hub.until_run(&deploy, &first, RunPhase::Running).await;
        Self { fleet, hub, repo, deploy, first }
    }

    async fn run_of(&self, commit: &Commit) -> Option<Run> {
        let runs = self.hub.status(&self.deploy).await.runs;
        runs.into_iter().find(|it| it.commit.as_deref() == Some(commit.as_str()))
    }

    /// Waits until a commit's run is recorded.
    async fn recorded(&self, commit: &Commit) -> Run {
        let look = async || self.run_of(commit).await;
        self.hub.until(secs(30), "a run is recorded", look).await
    }
}

fn every_5s(policy: &str) -> Trigger {
    trigger("deploy").every("5s").concurrency(policy)
}

/// Unless somebody says otherwise, runs do not wait for each other.
#[test]
fn runs_of_one_source_go_beside_each_other() {
    story!(Virtual, async {
        let it = Ground::new("Allow").await;

        let second = it.repo.push();

        it.hub.until_run(&it.deploy, &second, RunPhase::Running).await;
        assert_eq!(it.hub.kubelet().most_at_once(), 2);
    });
}

/// `Forbid`: what comes meanwhile is skipped, and recorded so.
#[test]
fn a_forbidden_run_is_skipped_and_recorded_so() {
    story!(Virtual, async {
        let it = Ground::new("Forbid").await;
        let running = it.run_of(&it.first).await.unwrap();

        let second = it.repo.push();
        let skipped = it.hub.until_run(&it.deploy, &second, RunPhase::Skipped).await;
        it.hub.work(Work::Succeeds(secs(1)));
        it.hub.until_run(&it.deploy, &it.first, RunPhase::Succeeded).await;
        it.fleet.pass(mins(5)).await;
        let third = it.repo.push();
        it.hub.until_run(&it.deploy, &third, RunPhase::Succeeded).await;

        assert!(skipped.message.unwrap().contains(&running.id));
        assert!(skipped.finished_at.is_some() && skipped.job.is_none());
        assert_eq!(it.hub.jobs_for(&second).await.len(), 0);
        assert_eq!(it.hub.events("RunSkipped").await.len(), 1);
        assert_eq!(it.hub.kubelet().most_at_once(), 1);
    });
}

/// `Queue`: one after another, in their order, however long each takes.
#[test]
fn queued_runs_go_one_after_another_in_their_order() {
    story!(Virtual, async {
        let it = Ground::new("Queue").await;
        let mut commits = vec![it.first.clone()];
        for _ in 0..3 {
            let commit = it.repo.push();
            it.recorded(&commit).await;
            commits.push(commit);
        }

        // Longer than a Job may wait for a place: they wait for each other.
        it.fleet.pass(mins(20)).await;
        for commit in &commits[1..] {
            assert_eq!(it.run_of(commit).await.unwrap().phase, RunPhase::Pending);
            assert_eq!(it.hub.jobs_for(commit).await.len(), 0);
        }
        it.hub.work(Work::Succeeds(secs(30)));

        let mut starts = Vec::new();
        for commit in &commits {
            it.hub.until_run(&it.deploy, commit, RunPhase::Succeeded).await;
            starts.push(it.hub.jobs_for(commit).await[0].started.unwrap());
        }
        assert!(starts.is_sorted(), "{starts:?}");
        assert_eq!(it.hub.kubelet().most_at_once(), 1);
    });
}

/// Sources are not in each other's way.
#[test]
fn a_policy_is_about_one_source() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, app, lib) = (fleet.hub(), fleet.repo("app"), fleet.repo("lib"));
        hub.work(Work::Lasts);
        let commits = [app.push(), lib.push()];

        let deploy = hub.apply(&every_5s("Queue").watching(&app).watching(&lib)).await;

        for commit in &commits {
            hub.until_run(&deploy, commit, RunPhase::Running).await;
        }
    });
}

/// `Replace`: the old Job goes with its Pods, and only then the new one comes.
#[test]
fn a_replaced_job_is_gone_before_the_next_one_comes() {
    story!(Virtual, async {
        let it = Ground::new("Replace").await;
        let old = it.run_of(&it.first).await.unwrap();
        let job = old.job.unwrap();
        let pod = it.hub.hold_pod(&job).await;

        let second = it.repo.push();
        let next = it.recorded(&second).await;
        it.fleet.pass(secs(30)).await;
        it.hub.fail_of_deletion(&job).await;
        it.fleet.pass(secs(30)).await;
        assert_eq!(it.hub.jobs_for(&second).await.len(), 0, "a Pod of the old Job is still there");
        assert_eq!(it.run_of(&second).await.unwrap().phase, RunPhase::Pending);
        it.hub.let_pod_go(&pod).await;

        it.hub.until_run(&it.deploy, &second, RunPhase::Running).await;
        let replaced = it.hub.until_run(&it.deploy, &it.first, RunPhase::Deleted).await;
        assert_eq!(replaced.message, Some(format!("Replaced: run {} takes its place", next.id)));
        for (reason, count) in [("JobFailed", 0), ("JobDeleted", 0), ("JobReplaced", 1)] {
            assert_eq!(it.hub.events(reason).await.len(), count, "{reason}");
        }
        assert_eq!(it.hub.kubelet().most_at_once(), 1);
    });
}

/// Of many that come while one goes, the newest runs; who had no Job is skipped.
#[test]
fn the_newest_of_many_takes_the_place() {
    story!(Virtual, async {
        let it = Ground::new("Replace").await;
        let old = it.run_of(&it.first).await.unwrap();
        let pod = it.hub.hold_pod(old.job.as_ref().unwrap()).await;
        let second = it.repo.push();
        it.recorded(&second).await;
        let third = it.repo.push();
        it.recorded(&third).await;

        it.hub.let_pod_go(&pod).await;

        it.hub.until_run(&it.deploy, &third, RunPhase::Running).await;
        assert_eq!(it.run_of(&second).await.unwrap().phase, RunPhase::Skipped);
        assert_eq!(it.hub.jobs_for(&second).await.len(), 0);
    });
}
