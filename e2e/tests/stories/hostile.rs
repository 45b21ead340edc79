//! What do objects do that nobody should have written? They harm themselves alone.

use e2e::objects::{ACTION, APPS, service_account};
use e2e::{Cluster, Fleet, Work, action, git_repo, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

const API: &str = "git-events-runner.rs/v1alpha1";

/// Takes out of the schema of ScheduleTriggers all that it says of their spec: as if an older one, or one
/// to come, had let them in.
async fn let_anything_in(hub: &Cluster) {
    let crds: Api<CustomResourceDefinition> = Api::all(hub.admin());
    let name = "scheduletriggers.git-events-runner.rs";
    let mut crd = serde_json::to_value(crds.get(name).await.unwrap()).unwrap();
    for version in crd["spec"]["versions"].as_array_mut().unwrap() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        schema["x-kubernetes-validations"] = json!([]);
        schema["properties"]["spec"] =
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    }
    let crd: CustomResourceDefinition = serde_json::from_value(crd).unwrap();
    crds.replace(name, &PostParams::default(), &crd).await.unwrap();
}

async fn create(hub: &Cluster, name: &str, spec: Value) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "git-events-runner.rs",
        "v1alpha1",
        "ScheduleTrigger",
    ));
    let api: Api<DynamicObject> = Api::namespaced_with(hub.admin(), APPS, &kind);
    let object = json!({
        "apiVersion": API, "kind": "ScheduleTrigger",
        "metadata": { "name": name, "namespace": APPS }, "spec": spec,
    });
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// One object that cannot be read among many: it is marked, and the others run.
#[test]
fn c1_an_object_that_cannot_be_understood_stops_no_other() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(0).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let_anything_in(&hub).await;
        let whole = || {
            json!({
                "sources": { "names": ["app"] }, "schedule": { "interval": "10s" },
                "action": { "name": ACTION },
            })
        };
        let bad = [
            ("duration", "/schedule/interval", json!(10)),
            ("names", "/sources/names", json!("app")),
            ("kind", "/sources/kind", json!("FutureRepo")),
            ("reference", "/sources/watchOn", json!({ "reference": { "refspec": "x" } })),
            ("policy", "/concurrencyPolicy", json!("Perhaps")),
            ("overflow", "/failedRunsHistoryLimit", json!(99_999_999_999_999_i64)),
            ("none", "/action", Value::Null),
        ];
        for (name, place, value) in &bad {
            let mut spec = whole();
            let (parent, key) = place.rsplit_once('/').unwrap();
            spec.pointer_mut(parent).unwrap()[key] = value.clone();
            create(&hub, name, spec).await;
        }
        for number in 0..8 {
            let repo = fleet.repo(&format!("app-{number}"));
            hub.apply(&trigger(repo.name()).every("30s").watching(&repo)).await;
        }

        fleet.start_replica();

        for number in 0..8 {
            let commit = fleet.repo(&format!("app-{number}")).head("main").unwrap();
            hub.done_for(&commit, mins(2)).await;
        }
        let marked = async || {
            let events = hub.events("Undecodable").await;
            let is_named = |name: &str| {
                events.iter().any(|it| it.involved_object.name.as_deref() == Some(name))
            };
            bad.iter().all(|it| is_named(it.0)).then_some(())
        };
        hub.until(mins(2), "each of them is marked", marked).await;
        // Mended, it runs.
        hub.install_crds().await;
        let commit = repo.push();
        let mended = hub.apply(&trigger("duration").watching(&repo)).await;
        hub.until_run(&mended, &commit, RunPhase::Succeeded).await;
    });
}

/// Intervals that are none or would never end, and a crowd that wants to run each second.
#[test]
fn c2_schedules_that_would_take_everything_take_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(0).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let_anything_in(&hub).await;
        for (name, schedule) in [
            ("zero", json!({ "interval": "0s" })),
            ("nano", json!({ "interval": "1ns" })),
            ("negative", json!({ "interval": "-5s" })),
            ("overflow", json!({ "interval": "99999999999999999999y" })),
            ("empty", json!({ "interval": "" })),
            ("never", json!({ "cron": "0 0 31 2 *" })),
        ] {
            let (sources, action) = (json!({ "names": ["app"] }), json!({ "name": ACTION }));
            let spec = json!({ "sources": sources, "schedule": schedule, "action": action });
            create(&hub, name, spec).await;
        }
        hub.apply(&trigger("ages").every("10000h").watching(&repo)).await;
        for number in 0..10 {
            let each_second = trigger(&format!("busy-{number}")).cron("* * * * * *");
            hub.apply(&each_second.watching(&repo)).await;
        }
        let calm = fleet.repo("calm");
        let neighbour = hub.apply(&trigger("calm").watching(&calm)).await;

        fleet.start_replica();

        hub.until_run(&neighbour, &calm.head("main").unwrap(), RunPhase::Succeeded).await;
        for name in ["zero", "nano", "negative", "overflow", "empty", "never"] {
            let key = e2e_key(name);
            hub.until_condition(&key, ("Stalled", "True", "InvalidSchedule")).await;
        }
        // Many triggers that ask each second for one reference ask once, and hold up nobody.
        let before = repo.requests();
        fleet.pass(secs(10)).await;
        let asked = repo.requests() - before;
        assert!(asked <= 12 * 2, "{asked} requests in ten seconds");
        let commit = calm.push();
        hub.done_for(&commit, secs(30)).await;
        let once = hub.jobs().await.into_iter().filter(|it| it.trigger == "ages").count();
        assert_eq!(once, 1, "the first sight of a source");
    });
}

fn e2e_key(name: &str) -> ger_core::names::TriggerKey {
    ger_core::names::TriggerKey {
        cluster: ger_core::names::ClusterName::hub(),
        kind: ger_core::names::TriggerKind::Schedule,
        namespace: APPS.to_owned(),
        name: name.to_owned(),
    }
}

/// Names as long as they may be, with dots, and alike for as long as a Job's name shows them.
#[test]
fn c3_long_names_have_jobs_of_their_own() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let long =
            format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        let alike = "e".repeat(60);
        let names = [
            long.clone(),
            format!("{}x", &long[..252]),
            format!("{alike}-1"),
            format!("{alike}-2"),
            format!("{}.x", "f".repeat(40)),
            "1".to_owned(),
            "a.b-c.d".to_owned(),
        ];
        let mut keys = Vec::new();

        for name in &names {
            keys.push(hub.apply(&trigger(name).watching(&repo)).await);
        }

        let commit = repo.head("main").unwrap();
        for key in &keys {
            hub.until_run(key, &commit, RunPhase::Succeeded).await;
        }
        let jobs = hub.jobs().await;
        assert_eq!(jobs.len(), names.len());
        let unique: std::collections::BTreeSet<_> = jobs.iter().map(|it| &it.name).collect();
        assert_eq!(unique.len(), names.len());
        assert!(jobs.iter().all(|it| it.name.len() <= 57 && !it.name.contains('.')), "{jobs:?}");
    });
}

/// An Action that would lead out of its Pod has no Job, says so, and holds up nobody.
#[test]
fn c4_an_action_that_asks_for_the_node_has_no_job() {
    story!(Virtual, async {
        let fleet = Fleet::builder().waiting(secs(60)).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        for (name, job) in [
            ("host", json!({ "volumes": [{ "name": "h", "hostPath": { "path": "/" } }] })),
            ("root", json!({ "securityContext": { "privileged": true } })),
            ("ours", json!({ "volumes": [{ "name": "action-workdir", "emptyDir": {} }] })),
        ] {
            let mut asks = action(name);
            asks["spec"]["actionJob"] = job;
            hub.put(&asks).await;
            hub.put(&git_repo(&repo)).await;
            hub.apply(&trigger(name).named("app").alone().running(name)).await;
        }
        let commit = repo.push();
        let good = hub.apply(&trigger("good").watching(&repo)).await;

        hub.until_run(&good, &commit, RunPhase::Succeeded).await;
        for name in ["host", "root", "ours"] {
            let key = e2e_key(name);
            hub.until_condition(&key, ("Ready", "False", "InvalidAction")).await;
            hub.until_run(&key, &commit, RunPhase::Expired).await;
        }
        assert!(hub.jobs().await.iter().all(|it| it.trigger == "good"));

        // Mended, it runs.
        hub.put(&action("root")).await;
        hub.until_run(&e2e_key("root"), &commit, RunPhase::Succeeded).await;
    });
}

/// A `ClusterAction` works where its trigger is, and nowhere else.
#[test]
fn c4_a_cluster_action_works_in_its_trigger_s_namespace() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.create_namespace("team").await;
        hub.put(&service_account("team", "deployer")).await;
        let job = json!({ "serviceAccount": "deployer", "labels": { "namespace": "kube-system" } });
        hub.put(&json!({
            "apiVersion": API, "kind": "ClusterAction", "metadata": { "name": "shared" },
            "spec": { "actionJob": job },
        }))
        .await;
        let commit = repo.push();
        let mut shared = trigger("deploy").within("team").watching(&repo);
        shared = shared.with(&json!({ "action": { "kind": "ClusterAction", "name": "shared" } }));

        hub.apply(&shared).await;

        let seen = hub.done_for(&commit, secs(60)).await;
        assert_eq!(seen.namespace, "team");
        let job = hub.present().await.remove(0);
        let pod = job.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.service_account_name.as_deref(), Some("deployer"));
        let written = hub.writes();
        assert!(
            written.iter().all(|it| it.namespace == "team" || it.resource != "jobs"),
            "{written:?}"
        );
    });
}

/// Neither a source, an Action nor a Secret of another namespace is used.
#[test]
fn c5_what_is_in_another_namespace_is_not_there() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.work(Work::Succeeds(secs(1)));
        hub.create_namespace("team").await;
        let commit = repo.push();
        // The source and the Action are in `apps`, the triggers in `team`.
        hub.put(&git_repo(&repo)).await;
        hub.put(&action(ACTION)).await;
        let source = hub.apply(&trigger("source").within("team").named("app").alone()).await;
        let mut own = git_repo(&repo);
        own["metadata"] = json!({ "name": "own", "namespace": "team" });
        hub.put(&own).await;
        let runs = hub.apply(&trigger("action").within("team").named("own").alone()).await;

        hub.until_condition(&source, ("Ready", "False", "SourceMissing")).await;
        hub.until_condition(&runs, ("Ready", "False", "ActionMissing")).await;
        fleet.pass(mins(10)).await;
        assert!(hub.jobs_for(&commit).await.is_empty());
        // A name that would lead there is none.
        let lead = trigger("lead").within("team").named("apps/app").alone();
        let key = hub.apply(&lead).await;
        hub.until_condition(&key, ("Stalled", "True", "InvalidSources")).await;
    });
}
