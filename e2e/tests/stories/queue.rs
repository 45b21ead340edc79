//! Who admits, and what if somebody else does? Shares of namespaces, Kueue, and people who start and delete
//! Jobs themselves.

use e2e::objects::{ACTION, APPS};
use e2e::{Cluster, Fleet, Repo, Work, action, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::{Commit, TriggerKey};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_sandbox::{Failure, Fault, Mishap, Requests};
use serde_json::json;

const KUEUE: &str = "kueue.x-k8s.io/queue-name";

/// Waits until a run of a commit is queued, its Job suspended.
async fn queued(hub: &Cluster, key: &TriggerKey, commit: &Commit) -> String {
    let run = hub.until_run(key, commit, RunPhase::Queued).await;
    run.job.unwrap()
}

fn jobs(hub: &Cluster) -> Api<Job> {
    Api::namespaced(hub.admin(), APPS)
}

/// Changes a Job as a person does.
async fn patch(hub: &Cluster, job: &str, change: serde_json::Value) -> Job {
    jobs(hub).patch(job, &PatchParams::default(), &Patch::Merge(change)).await.unwrap()
}

/// A fleet whose one place is taken, and a trigger whose Job waits.
async fn waiting(fleet: &Fleet) -> (Cluster, TriggerKey, Repo, Commit, String) {
    let hub = fleet.hub();
    hub.work(Work::Lasts);
    let (busy, repo) = (fleet.repo("busy"), fleet.repo("app"));
    let first = busy.push();
    let holds = hub.apply(&trigger("busy").watching(&busy)).await;
    hub.until_run(&holds, &first, RunPhase::Running).await;
    let commit = repo.push();
    let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
    let job = queued(&hub, &deploy, &commit).await;
    (hub, deploy, repo, commit, job)
}

/// Who floods the queue waits for himself: another namespace has its share of the places.
#[test]
fn a_namespace_that_floods_the_queue_leaves_the_others_their_share() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(2).waiting(mins(600)).start().await;
        let hub = fleet.hub();
        hub.create_namespace("quiet").await;
        hub.work(Work::Lasts);
        let mut flood = Vec::new();
        for number in 0..8 {
            let repo = fleet.repo(&format!("flood-{number}"));
            flood.push(repo.push());
            hub.apply(&trigger(repo.name()).every("5s").watching(&repo)).await;
            hub.job_for(&flood[number], secs(30)).await;
        }
        let repo = fleet.repo("quiet");
        let commit = repo.push();
        hub.apply(&trigger("quiet").within("quiet").every("5s").watching(&repo)).await;
        hub.job_for(&commit, secs(30)).await;

        hub.work(Work::Succeeds(secs(60)));

        hub.done_for(&commit, mins(3)).await;
        let done = hub.jobs().await.into_iter().filter(|it| it.is_finished).count();
        assert!(done <= 5, "{done} were before it");
        for commit in &flood {
            hub.done_for(commit, mins(10)).await;
        }
        assert_eq!(hub.kubelet().most_at_once(), 2);
    });
}

/// Somebody starts a waiting Job: it runs, and it counts.
#[test]
fn a_job_that_somebody_else_starts_runs_and_counts() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).start().await;
        let (hub, deploy, _, commit, job) = waiting(&fleet).await;

        patch(&hub, &job, json!({ "spec": { "suspend": false } })).await;

        hub.until_run(&deploy, &commit, RunPhase::Running).await;
        let third = fleet.repo("third");
        let last = third.push();
        let late = hub.apply(&trigger("late").watching(&third)).await;
        queued(&hub, &late, &last).await;
        fleet.pass(mins(2)).await;
        assert_eq!(hub.kubelet().most_at_once(), 2);
        assert!(hub.started_for(&last).await.is_empty());
    });
}

/// Somebody deletes a waiting Job: its run is over, nothing is made in its place, and the next change runs.
#[test]
fn a_waiting_job_that_somebody_deletes_is_not_made_again() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).start().await;
        let (hub, deploy, repo, commit, job) = waiting(&fleet).await;

        jobs(&hub).delete(&job, &DeleteParams::background()).await.unwrap();

        hub.until_run(&deploy, &commit, RunPhase::Deleted).await;
        fleet.pass(mins(3)).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
        hub.work(Work::Succeeds(secs(1)));
        let next = repo.push();
        hub.until_run(&deploy, &next, RunPhase::Succeeded).await;
    });
}

/// Somebody suspends a Job that runs: it stays so, and is neither started again nor expired.
#[test]
fn a_job_that_somebody_suspends_stays_so() {
    story!(Virtual, async {
        let fleet = Fleet::builder().waiting(secs(30)).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.work(Work::Lasts);
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        let run = hub.until_run(&deploy, &commit, RunPhase::Running).await;
        let job = run.job.unwrap();

        patch(&hub, &job, json!({ "spec": { "suspend": true } })).await;
        // As the Job controller does with one that is suspended.
        let params = PatchParams::default();
        let stopped = Patch::Merge(json!({ "status": { "startTime": null, "active": null } }));
        jobs(&hub).patch_status(&job, &params, &stopped).await.unwrap();
        fleet.pass(mins(3)).await;

        let there = jobs(&hub).get(&job).await.unwrap();
        assert_eq!(there.spec.unwrap().suspend, Some(true));
        hub.until_run(&deploy, &commit, RunPhase::Running).await;
    });
}

/// Kueue admits what asks for a queue of it: we hand over, and neither count nor expire.
#[test]
fn what_asks_for_a_queue_is_handed_over_to_kueue() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).waiting(secs(30)).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.work(Work::Lasts);
        let mut queues = action(ACTION);
        queues["spec"]["actionJob"]["labels"] = json!({ KUEUE: "batch" });
        hub.put(&queues).await;
        hub.put(&e2e::git_repo(&repo)).await;
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;
        let job = queued(&hub, &deploy, &commit).await;

        let label = async || {
            let labels = jobs(&hub).get(&job).await.unwrap().metadata.labels.unwrap();
            labels.get(KUEUE).cloned()
        };
        assert_eq!(hub.until(secs(30), "the Job has the label", label).await, "batch");
        fleet.pass(mins(5)).await;
        let there = jobs(&hub).get(&job).await.unwrap();
        assert_eq!(there.spec.unwrap().suspend, Some(true), "Kueue has not said so yet");
        hub.until_run(&deploy, &commit, RunPhase::Queued).await;

        // Kueue starts it; the one place is still free for others.
        patch(&hub, &job, json!({ "spec": { "suspend": false } })).await;
        hub.until_run(&deploy, &commit, RunPhase::Running).await;
        hub.put(&action("plain")).await;
        let other = fleet.repo("other");
        let second = other.push();
        hub.put(&e2e::git_repo(&other)).await;
        let beside = hub.apply(&trigger("beside").named("other").alone().running("plain")).await;
        hub.until_run(&beside, &second, RunPhase::Running).await;
    });
}

/// A quota on Jobs is waited for: the run says so, and goes when there is room.
#[test]
fn a_quota_that_is_exceeded_is_said_and_waited_for() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let full = "jobs.batch \"x\" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, \
                    used: count/jobs.batch=1, limited: count/jobs.batch=1";
        let refused = Mishap::Refused(Failure::code(403).message(full));
        let kind = Requests::all().verb("create").resource("jobs").meet(refused);
        hub.sandbox().set_fault(Fault::of("replica-1", kind));
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;

        let ready = hub.until_condition(&deploy, ("Ready", "False", "QuotaExceeded")).await;
        assert!(ready.message.contains("exceeded quota"), "{}", ready.message);
        hub.sandbox().clear_faults();

        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        assert_eq!(hub.events("QuotaExceeded").await.len(), 1);
    });
}

/// What an admission policy forbids does not get better by asking again.
#[test]
fn what_a_policy_forbids_fails_at_once_and_says_so() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let denied = "admission webhook \"policy.test\" denied the request: no images from there";
        let refused = Mishap::Refused(Failure::code(403).message(denied));
        let kind = Requests::all().verb("create").resource("jobs").times(1).meet(refused);
        hub.sandbox().set_fault(Fault::of("replica-1", kind));
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;

        let failed = hub.until_run(&deploy, &commit, RunPhase::Failed).await;

        assert!(failed.message.unwrap().contains("no images from there"));
        assert_eq!(hub.events("JobRefused").await.len(), 1);
        let next = repo.push();
        hub.until_run(&deploy, &next, RunPhase::Succeeded).await;
    });
}

/// A namespace that goes takes its triggers along, and stops no other.
#[test]
fn a_namespace_that_goes_stops_no_other() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).start().await;
        let (hub, leaving, staying) = (fleet.hub(), fleet.repo("leaving"), fleet.repo("staying"));
        hub.work(Work::Lasts);
        hub.create_namespace("going").await;
        let first = leaving.push();
        hub.apply(&trigger("leaving").within("going").watching(&leaving)).await;
        hub.job_for(&first, secs(30)).await;
        let commit = staying.push();
        let stays = hub.apply(&trigger("staying").watching(&staying)).await;
        queued(&hub, &stays, &commit).await;

        let namespaces: Api<Namespace> = Api::all(hub.admin());
        namespaces.delete("going", &DeleteParams::default()).await.unwrap();
        leaving.push();

        hub.until_run(&stays, &commit, RunPhase::Running).await;
        let gone = async || namespaces.get_opt("going").await.unwrap().is_none().then_some(());
        hub.until(mins(2), "the namespace is gone", gone).await;
        fleet.pass(mins(2)).await;
        let next = staying.push();
        hub.job_for(&next, mins(1)).await;
    });
}

/// An Action that the API refuses says what it says, and the next one runs.
#[test]
fn an_action_that_makes_no_job_says_why() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let mut wrong = action(ACTION);
        wrong["spec"]["actionJob"]["labels"] = json!({ "not a label": "x" });
        hub.put(&wrong).await;
        hub.put(&e2e::git_repo(&repo)).await;
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;

        let failed = hub.until_run(&deploy, &commit, RunPhase::Failed).await;
        assert!(failed.message.unwrap().contains("not a label"));

        hub.put(&action(ACTION)).await;
        let next = repo.push();
        hub.until_run(&deploy, &next, RunPhase::Succeeded).await;
    });
}
