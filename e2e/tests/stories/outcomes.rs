//! How did it end, and why? What a Job and its Pods say stands in the trigger's status, in an Event, and in a
//! condition while it can be mended.

use e2e::kubelet::{End, Wait};
use e2e::objects::{ACTION, APPS, action, git_repo, service_account};
use e2e::{Cluster, Fleet, Repo, Work, mins, secs, story, trigger};
use ger_api::status::{Run, RunPhase};
use ger_core::names::{Commit, TriggerKey};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

/// A trigger with a Job that runs.
struct Ground {
    fleet: Fleet,
    hub: Cluster,
    repo: Repo,
    deploy: TriggerKey,
    commit: Commit,
    run: Run,
}

impl Ground {
    async fn new(fleet: Fleet) -> Self {
        Self::with(fleet, Work::Lasts, &action(ACTION)).await
    }

    async fn with(fleet: Fleet, work: Work, action: &Value) -> Self {
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.work(work);
        let commit = repo.push();
        hub.put(&git_repo(&repo)).await;
        hub.put(action).await;
        let deploy = hub.apply(&trigger("deploy").named(repo.name()).alone()).await;
        let run = hub.until_run(&deploy, &commit, RunPhase::Running).await;
        Self { fleet, hub, repo, deploy, commit, run }
    }

    async fn failure(&self) -> String {
        let failed = self.hub.until_run(&self.deploy, &self.commit, RunPhase::Failed).await;
        failed.message.unwrap()
    }

    async fn is_ready(&self) {
        let mended = async || {
            let ready = self.hub.condition(&self.deploy, "Ready").await;
            ready.filter(|it| it.status == "True").map(drop)
        };
        self.hub.until(mins(8), "the trigger is ready again", mended).await;
    }
}

fn ends(
    container: &'static str,
    (code, reason, message): (i32, &'static str, &'static str),
) -> Work {
    Work::Ends(secs(5), End { container, code, reason, message })
}

/// Why it failed is in the status and in one Event, and what the worker printed is in neither.
#[test]
fn a_worker_that_fails_says_with_which_code() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        it.hub.work(ends("action-worker", (3, "Error", "password=hunter2")));

        let message = it.failure().await;

        assert_eq!(message, "ExitCode: container action-worker ended with code 3");
        let events = it.hub.events("JobFailed").await;
        assert_eq!(events.len(), 1);
        let said = events[0].message.as_deref().unwrap();
        assert!(said.contains("code 3") && !said.contains("hunter2"), "{said}");
        let run = it.hub.until_run(&it.deploy, &it.commit, RunPhase::Failed).await;
        assert!(run.finished_at > run.started_at && run.started_at >= run.requested_at);
    });
}

/// A clone that fails says what the cloner said.
#[test]
fn a_clone_that_fails_says_why() {
    story!(Virtual, async {
        let log = "asks for the commit\ngitrepo-cloner: cannot clone: git.test is not there\n";
        let work = ends("action-cloner", (1, "Error", log));
        let fleet = Fleet::builder().start().await;

        let it = Ground::with(fleet, work, &action(ACTION)).await;

        assert_eq!(it.failure().await, "CloneFailed: cannot clone: git.test is not there");
    });
}

#[test]
fn a_worker_that_takes_too_much_memory_says_so() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        it.hub.work(ends("action-worker", (137, "OOMKilled", "")));

        assert!(it.failure().await.starts_with("OOMKilled: container action-worker"));
    });
}

/// Success is told once, and says how long it took.
#[test]
fn a_job_that_succeeds_is_told_once() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        it.hub.work(Work::Succeeds(secs(60)));

        it.hub.until_run(&it.deploy, &it.commit, RunPhase::Succeeded).await;
        it.fleet.pass(mins(5)).await;

        let events = it.hub.events("JobSucceeded").await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].type_.as_deref(), Some("Normal"));
        assert!(events[0].message.as_deref().unwrap().contains(" after "), "{events:?}");
    });
}

/// A Job that cannot get on is not silent until its deadline: what can be mended is said while it can.
#[test]
fn an_image_that_does_not_come_is_said_while_the_job_runs() {
    story!(Virtual, async {
        let (container, reason) = ("action-worker", "ErrImagePull");
        let pull = Wait { container, reason, message: "worker:1: not found" };
        let fleet = Fleet::builder().start().await;
        let it = Ground::with(fleet, Work::Waits(pull), &action(ACTION)).await;

        let ready = it.hub.until_condition(&it.deploy, ("Ready", "False", "ImagePull")).await;
        assert!(ready.message.contains("worker:1"), "{}", ready.message);
        it.fleet.pass(mins(15)).await;
        assert_eq!(it.hub.events("ImagePull").await.len(), 1);

        it.hub.work(Work::Lasts);
        it.is_ready().await;
    });
}

/// The Job controller cannot make the Pod: nobody would see it but in the Job's events.
#[test]
fn a_service_account_that_is_missing_is_said() {
    story!(Virtual, async {
        let mut action = action(ACTION);
        action["spec"]["actionJob"] = json!({ "serviceAccount": "deployer" });
        let fleet = Fleet::builder().start().await;
        let it = Ground::with(fleet, Work::Lasts, &action).await;

        let ready =
            it.hub.until_condition(&it.deploy, ("Ready", "False", "ServiceAccountMissing")).await;

        assert!(ready.message.contains("deployer"), "{}", ready.message);
        let run = it.hub.until_run(&it.deploy, &it.commit, RunPhase::Running).await;
        assert!(run.message.unwrap().starts_with("ServiceAccountMissing: "));
        it.hub.put(&service_account(APPS, "deployer")).await;
        it.hub.work(Work::Succeeds(secs(1)));
        it.hub.until_run(&it.deploy, &it.commit, RunPhase::Succeeded).await;
    });
}

/// A TTL of seconds takes the Job away while nobody looks; what was said of its end is still there.
#[test]
fn an_outcome_survives_a_job_that_went_while_nobody_looked() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().ttl(secs(2)).start().await).await;
        it.fleet.stop("replica-1").await;
        it.hub.work(Work::Succeeds(secs(1)));
        let gone = async || it.hub.present().await.is_empty().then_some(());
        it.hub.until(mins(1), "the Job is gone", gone).await;

        it.fleet.start_replica();

        it.hub.until_run(&it.deploy, &it.commit, RunPhase::Succeeded).await;
        it.fleet.pass(mins(5)).await;
        assert_eq!(it.hub.jobs_for(&it.commit).await.len(), 1);
        assert_eq!(it.hub.events("JobDeleted").await.len(), 0);
    });
}

/// Somebody deletes a Job that runs: that is no outcome, and it is said.
#[test]
fn a_job_that_somebody_deletes_is_recorded_so() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;

        it.hub
            .delete(&json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": { "name": it.run.job, "namespace": APPS },
            }))
            .await;

        it.hub.until_run(&it.deploy, &it.commit, RunPhase::Deleted).await;
        it.fleet.pass(mins(5)).await;
        assert_eq!(it.hub.events("JobDeleted").await.len(), 1);
        assert_eq!(it.hub.jobs_for(&it.commit).await.len(), 1);
        it.hub.work(Work::Succeeds(secs(1)));
        let next = it.repo.push();
        it.hub.until_run(&it.deploy, &next, RunPhase::Succeeded).await;
    });
}

/// The same where its Pods go first, whether Kubernetes fails it meanwhile or not.
#[test]
fn a_job_that_is_deleted_with_its_pods_first_did_not_fail() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        let (jobs, job) =
            (Api::<Job>::namespaced(it.hub.admin(), APPS), it.run.job.clone().unwrap());
        let pod = it.hub.hold_pod(&job).await;

        jobs.delete(&job, &DeleteParams::foreground()).await.unwrap();
        it.fleet.pass(secs(10)).await;
        let waiting = jobs.get(&job).await.unwrap().status.unwrap();
        it.hub.fail_of_deletion(&job).await;
        it.hub.until_run(&it.deploy, &it.commit, RunPhase::Deleted).await;
        it.hub.let_pod_go(&pod).await;

        it.fleet.pass(mins(5)).await;
        let conditions = waiting.conditions.unwrap_or_default();
        assert!(conditions.iter().all(|it| it.type_ == "Suspended"), "{conditions:?}");
        assert_eq!((waiting.failed, waiting.terminating), (None, Some(0)));
        assert!(it.hub.present().await.is_empty());
        assert_eq!(it.hub.events("JobDeleted").await.len(), 1);
        assert_eq!(it.hub.events("JobFailed").await.len(), 0);
    });
}

/// The trigger says how many runs it remembers.
#[test]
fn a_trigger_remembers_as_many_runs_as_it_says() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let mut commits = vec![repo.push()];
        let deploy =
            hub.apply(&trigger("deploy").every("2s").remembering(2, 1).watching(&repo)).await;
        for _ in 0..4 {
            hub.until_run(&deploy, commits.last().unwrap(), RunPhase::Succeeded).await;
            commits.push(repo.push());
        }
        hub.until_run(&deploy, commits.last().unwrap(), RunPhase::Succeeded).await;

        hub.work(Work::Fails(secs(1)));
        for _ in 0..3 {
            commits.push(repo.push());
            hub.until_run(&deploy, commits.last().unwrap(), RunPhase::Failed).await;
        }

        let runs = hub.status(&deploy).await.runs;
        let of: Vec<_> = runs.iter().map(|it| it.commit.clone().unwrap()).collect();
        assert_eq!(of, [3, 4, 7].map(|it: usize| commits[it].as_str().to_owned()));
    });
}
