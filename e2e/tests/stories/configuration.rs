//! What may change while replicas run, and what becomes of a configuration that makes no sense?

use e2e::fleet::HOME;
use e2e::{Cluster, Fleet, Work, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::Commit;
use k8s_openapi::api::core::v1::Event;
use kube_sandbox::{Failure, Fault, Mishap, Requests};
use serde_json::{Value, json};

/// The ConfigMap of the controller's namespace.
fn config(text: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "git-events-runner-config", "namespace": HOME },
        "data": { "runtimeConfig": text },
    })
}

/// Applies triggers, each with a repository of its own, whose Jobs wait or run.
async fn queue(fleet: &Fleet, hub: &Cluster, names: &[&str]) -> Vec<Commit> {
    let mut commits = Vec::new();
    for name in names {
        let repo = fleet.repo(name);
        commits.push(repo.push());
        hub.apply(&trigger(name).every("5s").watching(&repo)).await;
        hub.job_for(commits.last().unwrap(), secs(30)).await;
    }
    commits
}

async fn running(hub: &Cluster, count: usize) {
    let what = format!("{count} Jobs run");
    let look = async || {
        let runs = |it: &&e2e::kubelet::Seen| it.started.is_some() && !it.is_finished;
        (hub.jobs().await.iter().filter(runs).count() == count).then_some(())
    };
    hub.until(mins(1), &what, look).await;
}

async fn said(hub: &Cluster, reason: &str, words: &str) -> Vec<Event> {
    let what = format!("an Event {reason} that says {words}");
    let look = async || {
        let events = hub.events(reason).await;
        let says = |it: &Event| it.message.as_deref().is_some_and(|it| it.contains(words));
        events.iter().any(says).then_some(events)
    };
    hub.until(mins(1), &what, look).await
}

/// The limit moves in both directions while Jobs run and wait: nothing that runs is stopped for it.
#[test]
fn the_limit_is_changed_while_jobs_run() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).max_running(1).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        let commits = queue(&fleet, &hub, &["a", "b", "c", "d"]).await;
        running(&hub, 1).await;

        hub.put(&config("action:\n  maxRunningJobs: 3\n")).await;
        running(&hub, 3).await;
        hub.put(&config("action:\n  maxRunningJobs: 1\n")).await;
        said(&hub, "ConfigApplied", "in force").await;
        fleet.pass(secs(30)).await;
        running(&hub, 3).await;

        hub.work(Work::Succeeds(secs(20)));
        for commit in &commits {
            hub.done_for(commit, mins(2)).await;
            assert_eq!(hub.started_for(commit).await.len(), 1);
        }
        assert_eq!(hub.kubelet().most_at_once(), 3);
    });
}

/// An invalid one is refused whole: nothing of it is taken, the last good one stays, and it is said once.
#[test]
fn an_invalid_configuration_is_refused_and_the_last_good_one_stays() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.put(&config("action: {activeDeadlineSeconds: 77}")).await;
        said(&hub, "ConfigApplied", "in force").await;

        hub.put(&config("action: {activeDeadlineSeconds: 88, maxRunningJobs: none}")).await;
        let events = said(&hub, "ConfigRefused", "none").await;
        fleet.pass(mins(2)).await;
        let first = repo.push();
        hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.done_for(&first, secs(30)).await;

        assert_eq!(hub.events("ConfigRefused").await.len(), 1, "{events:#?}");
        let about = &events[0].involved_object;
        assert_eq!(about.kind.as_deref(), Some("ConfigMap"));
        assert_eq!(about.name.as_deref(), Some("git-events-runner-config"));
        let deadline = hub.present().await[0].spec.clone().unwrap().active_deadline_seconds;
        assert_eq!(deadline, Some(77));

        hub.put(&config("action: {activeDeadlineSeconds: 88}")).await;
        let look = async || (hub.events("ConfigApplied").await.len() == 2).then_some(());
        hub.until(mins(1), "the mended one is taken", look).await;
        let second = repo.push();
        hub.done_for(&second, secs(30)).await;
        let jobs = hub.present().await;
        assert!(
            jobs.iter().any(|it| it.spec.as_ref().unwrap().active_deadline_seconds == Some(88))
        );
    });
}

/// A replica makes nothing before it knows how; a ConfigMap that goes takes nothing along.
#[test]
fn a_new_replica_begins_with_what_the_config_map_says() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(1).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let text = "action: {containers: {worker: {image: 'mine:1', variablesPrefix: MY_}}}";
        hub.put(&config(text)).await;
        said(&hub, "ConfigApplied", "in force").await;
        fleet.stop("replica-1").await;
        let first = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;

        fleet.start_replica();
        hub.until_run(&deploy, &first, RunPhase::Succeeded).await;
        hub.delete(&config("")).await;
        fleet.pass(mins(1)).await;
        let second = repo.push();
        hub.until_run(&deploy, &second, RunPhase::Succeeded).await;

        let jobs = hub.present().await;
        assert_eq!(jobs.len(), 2);
        for job in jobs {
            let pod = job.spec.unwrap().template.spec.unwrap();
            assert_eq!(pod.containers[0].image.as_deref(), Some("mine:1"));
            assert!(pod.containers[0].env.as_ref().unwrap()[0].name.starts_with("MY_"));
        }
    });
}

/// Without the right to read the ConfigMap the defaults hold, and somebody is told.
#[test]
fn a_config_map_that_may_not_be_read_holds_nothing_up() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(0).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let forbidden = Mishap::Refused(Failure::code(403));
        let kind = Requests::all().resource("configmaps").meet(forbidden);
        hub.sandbox().set_fault(Fault::of("replica-1", kind));
        fleet.start_replica();
        let commit = repo.push();

        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;

        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        said(&hub, "ConfigRefused", "may not list and watch").await;
    });
}
