//! How did it end, and why? What a Job and its Pods say stands in the trigger's status, in an Event, and in a
//! condition while it can be mended.

use e2e::objects::APPS;
use e2e::{Cluster, Fleet, Repo, Work, mins, secs, story, trigger};
use ger_api::status::{Run, RunPhase};
use ger_core::names::{Commit, TriggerKey};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
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
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.work(Work::Lasts);
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        let run = hub.until_run(&deploy, &commit, RunPhase::Running).await;
        Self { fleet, hub, repo, deploy, commit, run }
    }

    /// Makes the Pod that a Job controller would, with these statuses of cloner and worker.
    async fn pod(&self, cloner: &Value, worker: &Value) {
        let pods: Api<Pod> = Api::namespaced(self.hub.admin(), APPS);
        if pods.get_opt("worker").await.unwrap().is_none() {
            let pod = json!({
                "metadata": {
                    "name": "worker", "labels": { "git-events-runner.rs/run-id": self.run.id },
                    "ownerReferences": [{
                        "apiVersion": "batch/v1", "kind": "Job", "controller": true,
                        "name": self.run.job, "uid": self.run.job_uid,
                    }],
                },
                "spec": {
                    "initContainers": [{
                        "name": "action-cloner", "image": "cloner:1",
                        "env": [{ "name": "GER_CLONE_URI", "value": "u" }],
                    }],
                    "containers": [{ "name": "action-worker", "image": "worker:1" }],
                },
            });
            let pod = serde_json::from_value(pod).unwrap();
            pods.create(&PostParams::default(), &pod).await.unwrap();
        }
        let status = |name: &str, state: &Value| {
            json!([{
                "name": name, "state": state, "image": format!("{name}:1"), "imageID": "",
                "ready": false, "restartCount": 0,
            }])
        };
        let status = json!({ "status": {
            "initContainerStatuses": status("action-cloner", cloner),
            "containerStatuses": status("action-worker", worker),
        }});
        let params = PatchParams::default();
        pods.patch_status("worker", &params, &Patch::Merge(status)).await.unwrap();
    }

    /// Says something about the Job, as the Job controller does.
    async fn event(&self, reason: &str, message: &str) {
        let events: Api<Event> = Api::namespaced(self.hub.admin(), APPS);
        let event = json!({
            "metadata": { "name": format!("about.{}", reason.to_lowercase()) },
            "involvedObject": {
                "apiVersion": "batch/v1", "kind": "Job", "namespace": APPS,
                "name": self.run.job, "uid": self.run.job_uid,
            },
            "reason": reason, "message": message, "type": "Normal",
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
        });
        let event = serde_json::from_value(event).unwrap();
        events.create(&PostParams::default(), &event).await.unwrap();
    }

    async fn fails(&self) -> String {
        self.hub.work(Work::Fails(secs(1)));
        let failed = self.hub.until_run(&self.deploy, &self.commit, RunPhase::Failed).await;
        failed.message.unwrap()
    }
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({ "terminated": {
        "exitCode": code, "reason": reason, "message": message,
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
    }})
}

fn waits(reason: &str, message: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": message } })
}

/// Why it failed is in the status and in one Event, and what the worker printed is in neither.
#[test]
fn a_worker_that_fails_says_with_which_code() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        it.pod(&ended(0, "Completed", ""), &ended(3, "Error", "password=hunter2")).await;

        let message = it.fails().await;

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
        let it = Ground::new(Fleet::builder().start().await).await;
        let log = "asks for the commit\ngitrepo-cloner: cannot clone: git.test is not there\n";
        it.pod(&ended(1, "Error", log), &waits("PodInitializing", "")).await;

        assert_eq!(it.fails().await, "CloneFailed: cannot clone: git.test is not there");
    });
}

#[test]
fn a_worker_that_takes_too_much_memory_says_so() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        it.pod(&ended(0, "Completed", ""), &ended(137, "OOMKilled", "")).await;

        assert!(it.fails().await.starts_with("OOMKilled: container action-worker"));
    });
}

/// Success is told once, and says how long it took.
#[test]
fn a_job_that_succeeds_is_told_once() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        it.hub.work(Work::Succeeds(secs(90)));

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
        let it = Ground::new(Fleet::builder().start().await).await;
        let pull = waits("ImagePullBackOff", "Back-off pulling image \"worker:1\"");
        it.pod(&ended(0, "Completed", ""), &pull).await;

        let ready = it.hub.until_condition(&it.deploy, ("Ready", "False", "ImagePull")).await;
        assert!(ready.message.contains("worker:1"), "{}", ready.message);
        it.fleet.pass(mins(15)).await;
        assert_eq!(it.hub.events("ImagePull").await.len(), 1);

        let runs = json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } });
        it.pod(&ended(0, "Completed", ""), &runs).await;
        let mended = async || {
            let ready = it.hub.condition(&it.deploy, "Ready").await;
            ready.filter(|it| it.status == "True").map(drop)
        };
        it.hub.until(mins(3), "the trigger is ready again", mended).await;
    });
}

/// The Job controller cannot make the Pod: nobody would see it but in the Job's events.
#[test]
fn a_service_account_that_is_missing_is_said() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().start().await).await;
        let why = "Error creating: pods \"deploy-\" is forbidden: error looking up service account \
                   apps/deployer: serviceaccount \"deployer\" not found";
        it.event("FailedCreate", why).await;

        let ready =
            it.hub.until_condition(&it.deploy, ("Ready", "False", "ServiceAccountMissing")).await;

        assert!(ready.message.contains("deployer"), "{}", ready.message);
        let run = it.hub.until_run(&it.deploy, &it.commit, RunPhase::Running).await;
        assert!(run.message.unwrap().starts_with("ServiceAccountMissing: "));
    });
}

/// A TTL of seconds takes the Job away while nobody looks; what was said of its end is still there.
#[test]
fn an_outcome_survives_a_job_that_went_while_nobody_looked() {
    story!(Virtual, async {
        let it = Ground::new(Fleet::builder().ttl(secs(2)).start().await).await;
        it.fleet.stop("replica-1").await;
        it.hub.work(Work::Succeeds(secs(1)));
        it.event("Completed", "Job completed").await;
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
