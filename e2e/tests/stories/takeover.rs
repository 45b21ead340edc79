//! Does a cluster that the original leaves go on as if nothing had happened? Each promise of the take-over,
//! with objects as the original leaves them.

use e2e::objects::APPS;
use e2e::{Cluster, Fleet, Repo, Work, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_api::{ScheduleTrigger, WebhookTrigger};
use ger_core::names::TriggerKey;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// What the original sets on each ScheduleTrigger.
const FINALIZER: &str = "scheduletriggers.git-events-runner.rs";

/// Clusters as the original leaves them: nobody of us is there yet.
struct Left {
    fleet: Fleet,
    hub: Cluster,
    repo: Repo,
    deploy: TriggerKey,
}

impl Left {
    /// A trigger with its finalizer and this status, written as the original writes.
    async fn with(status: &Value) -> Self {
        let fleet = Fleet::builder().replicas(0).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        repo.push();
        let deploy = hub.apply(&trigger("deploy").every("10m").watching(&repo)).await;
        hub.edit(&deploy, &json!({ "metadata": { "finalizers": [FINALIZER] } })).await;
        let left = Self { fleet, hub, repo, deploy };
        left.say(status).await;
        left
    }

    fn triggers(&self) -> Api<ScheduleTrigger> {
        Api::namespaced(self.hub.admin(), APPS)
    }

    /// Applies a status with force, under the original's name.
    async fn say(&self, status: &Value) {
        let object = json!({
            "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "ScheduleTrigger",
            "metadata": { "name": "deploy" }, "status": status,
        });
        let params = PatchParams::apply("controller").force();
        self.triggers().patch_status("deploy", &params, &Patch::Apply(object)).await.unwrap();
    }

    /// The trigger as it is stored, whatever its types say.
    async fn raw(&self) -> Value {
        let kind = ApiResource::erase::<ScheduleTrigger>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.hub.admin(), APPS, &kind);
        api.get("deploy").await.unwrap().data
    }

    fn head(&self) -> String {
        self.repo.head("main").unwrap().as_str().to_owned()
    }

    /// What it recorded of the source that is there, an hour ago by the sandbox's clock at most.
    async fn checked(&self) -> Value {
        let now = self.triggers().get("deploy").await.unwrap().metadata.creation_timestamp.unwrap();
        json!({
            "state": "Idle", "lastRun": now,
            "checkedSources": {
                "app": { "commitHash": self.head(), "changed": now },
                "removed": { "commitHash": "a".repeat(40), "changed": now },
            },
        })
    }

    /// Our replica comes, and works the trigger.
    async fn taken_over(&self) {
        self.fleet.start_replica();
        let works = async || {
            let turns = self.fleet.turns(&self.deploy);
            (turns > 0).then_some(())
        };
        self.fleet.until(mins(1), "the trigger is worked", works).await;
        self.fleet.pass(secs(30)).await;
    }
}

/// Its finalizer goes; else nobody could delete the trigger any more. We set none.
#[test]
fn the_finalizer_of_the_original_is_removed() {
    story!(Virtual, async {
        let left = Left::with(&json!({ "state": "Idle", "lastRun": "Never" })).await;

        left.taken_over().await;

        let free = left.triggers().get("deploy").await.unwrap();
        assert_eq!(free.metadata.finalizers, None);
        left.hub.delete_trigger(&left.deploy).await;
        assert!(left.triggers().get_opt("deploy").await.unwrap().is_none());
    });
}

/// A trigger that was deleted while the original was gone hangs on its finalizer, until we come.
#[test]
fn a_trigger_that_hangs_on_the_finalizer_goes() {
    story!(Virtual, async {
        let left = Left::with(&json!({ "state": "Idle", "lastRun": "Never" })).await;
        left.triggers().delete("deploy", &DeleteParams::default()).await.unwrap();
        assert!(left.triggers().get_opt("deploy").await.unwrap().is_some());

        left.fleet.start_replica();

        let gone =
            async || left.triggers().get_opt("deploy").await.unwrap().is_none().then_some(());
        left.fleet.until(mins(1), "the trigger is gone", gone).await;
        assert!(left.hub.jobs().await.is_empty());
    });
}

/// The status is taken over whole, without a conflict, and sources that are no longer named leave no trace.
#[test]
fn its_status_becomes_ours_with_the_first_write() {
    story!(Virtual, async {
        let left = Left::with(&json!({ "state": "Running", "lastRun": "Never" })).await;
        left.say(&left.checked().await).await;

        left.taken_over().await;
        let commit = left.repo.push();
        left.hub.annotate(&left.deploy, [("run-at", "now")]).await;
        left.hub.until_run(&left.deploy, &commit, RunPhase::Succeeded).await;

        let trigger = left.triggers().get("deploy").await.unwrap();
        let status = trigger.status.unwrap();
        assert_eq!(status.checked_sources.keys().collect::<Vec<_>>(), ["app"]);
        let managers = trigger.metadata.managed_fields.unwrap_or_default();
        let of_status = managers.iter().filter(|it| it.subresource.as_deref() == Some("status"));
        let of_status: Vec<_> = of_status.map(|it| it.manager.as_deref().unwrap()).collect();
        assert!(of_status.iter().all(|it| *it == "controller"), "{of_status:?}");
    });
}

/// The cut-over itself runs nothing: what the original ran last is the last that ran.
#[test]
fn nothing_runs_because_of_the_cut_over() {
    story!(Virtual, async {
        let left = Left::with(&json!({ "state": "Idle", "lastRun": "Never" })).await;
        left.say(&left.checked().await).await;

        left.taken_over().await;
        left.hub.edit(&left.deploy, &json!({ "spec": { "schedule": { "interval": "8m" } } })).await;
        left.fleet.pass(mins(1)).await;
        left.fleet.kill("replica-1").await;
        left.fleet.start_replica();
        left.fleet.pass(mins(20)).await;

        assert!(left.hub.jobs().await.is_empty());
        let commit = left.repo.push();
        left.hub.done_for(&commit, mins(10)).await;
        assert_eq!(left.hub.jobs().await.len(), 1);
    });
}

/// `lastRun: Never` is read as never, and written by nobody any more.
#[test]
fn a_trigger_that_never_ran_runs_once() {
    story!(Virtual, async {
        let left = Left::with(&json!({ "state": "Idle", "lastRun": "Never" })).await;
        let commit = left.repo.head("main").unwrap();

        left.fleet.start_replica();
        left.hub.until_run(&left.deploy, &commit, RunPhase::Succeeded).await;

        let raw = left.raw().await;
        assert_ne!(raw["status"]["lastRun"], "Never", "{raw:#}");
        left.fleet.pass(mins(5)).await;
        assert_eq!(left.hub.jobs().await.len(), 1);
    });
}

/// Jobs of the original are somebody else's: neither started, counted, expired nor removed.
#[test]
fn jobs_of_the_original_are_left_alone_and_not_counted() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.work(Work::Lasts);
        let jobs: Api<Job> = Api::namespaced(hub.admin(), APPS);
        for (name, suspend) in
            [("deploy-20250101-120000-ab", false), ("deploy-20250101-120001-cd", true)]
        {
            let job = json!({
                "metadata": { "name": name, "labels": {
                    "git-events-runner.rs/controller-identity": "0b9a6a0f-6d0e-4d4f-9a51-5d1c8a7e2f10",
                    "git-events-runner.rs/trigger-kind": "ScheduleTrigger",
                    "git-events-runner.rs/trigger-name": "deploy",
                }},
                "spec": {
                    "suspend": suspend, "backoffLimit": 0,
                    "template": { "spec": {
                        "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }],
                    }},
                },
            });
            jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap())
                .await
                .unwrap();
        }
        fleet.pass(mins(1)).await;

        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;

        hub.until_run(&deploy, &commit, RunPhase::Running).await;
        fleet.pass(mins(10)).await;
        let there = hub.present().await;
        assert_eq!(there.len(), 3);
        let suspended = there.iter().filter(|it| it.spec.as_ref().unwrap().suspend == Some(true));
        assert_eq!(suspended.count(), 1);
        let touched = hub.writes().into_iter().filter(|it| it.name.starts_with("deploy-2025"));
        assert_eq!(touched.count(), 0);
    });
}

/// What the original admitted and stored is not refused by a write of the status: it says what is wrong.
#[test]
fn what_the_original_stored_says_what_is_wrong_with_it() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(0).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.install_crds_without_rules().await;
        let empty = hub.apply(&trigger("empty")).await;
        let twice = hub.apply(&trigger("twice").watching(&repo).named("app")).await;
        let busy = hub.apply(&trigger("busy").every("100ms").watching(&repo)).await;
        hub.install_crds().await;

        fleet.start_replica();

        for (key, reason) in
            [(&empty, "InvalidSources"), (&twice, "InvalidSources"), (&busy, "InvalidSchedule")]
        {
            hub.until_condition(key, ("Stalled", "True", reason)).await;
            hub.until_condition(key, ("Ready", "False", reason)).await;
        }
        assert!(hub.jobs().await.is_empty());
    });
}

/// A manifest of the original with every field is accepted as it is.
#[test]
fn manifests_of_the_original_are_accepted() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let api = "git-events-runner.rs/v1alpha1";
        let meta = |name: &str| json!({ "name": name, "namespace": APPS });
        let sources = json!({
            "kind": "ClusterGitRepo", "names": ["shared"],
            "watchOn": { "onChangeOnly": true, "reference": { "tag": "v1" }, "files": ["src/*"] },
        });

        hub.put(&json!({
            "apiVersion": api, "kind": "ClusterGitRepo", "metadata": { "name": "shared" },
            "spec": {
                "repoUri": "https://git.test/shared",
                "tlsConfig": { "noVerifySsl": false, "caCert": {
                    "secretRef": { "name": "ca", "namespace": APPS }, "key": "ca.crt",
                }},
                "authConfig": {
                    "type": "token", "secretRef": { "name": "cred", "namespace": APPS },
                    "keys": {
                        "username": "username", "password": "password", "token": "token",
                        "privateKey": "ssh-privatekey",
                    },
                },
            },
        }))
        .await;
        hub.put(&json!({
            "apiVersion": api, "kind": "ClusterAction", "metadata": { "name": "all" },
            "spec": {
                "sourceOverride": {
                    "kind": "ClusterGitRepo", "name": "shared", "reference": { "branch": "main" },
                },
                "actionJob": {
                    "workdir": "/w", "clonerImage": "c:1", "actionImage": "a:1",
                    "command": ["sh"], "args": ["-c", "true"], "serviceAccount": "sa",
                    "labels": { "a": "b" }, "annotations": { "c": "d" },
                    "tolerations": [{ "operator": "Exists" }], "affinity": { "podAffinity": {} },
                    "nodeSelector": { "disk": "fast" }, "ttlSecondsAfterFinished": 60,
                    "activeDeadlineSeconds": 60, "jobWaitingTimeoutSeconds": 60,
                    "enableClonerDebug": true, "preserveGitFolder": true,
                },
            },
        }))
        .await;
        hub.put(&json!({
            "apiVersion": api, "kind": "Action", "metadata": meta("none"), "spec": {},
        }))
        .await;
        hub.put(&json!({
            "apiVersion": api, "kind": "WebhookTrigger", "metadata": meta("hook"),
            "spec": {
                "sources": sources, "action": { "kind": "ClusterAction", "name": "all" },
                "webhook": { "multiSource": true, "authConfig": {
                    "secretRef": { "name": "hook" }, "key": "token", "header": "x-token",
                }},
            },
        }))
        .await;
        hub.put(&json!({
            "apiVersion": api, "kind": "ScheduleTrigger", "metadata": meta("cron"),
            "spec": {
                "sources": sources, "schedule": { "cron": "TZ=Europe/Berlin 0 30 4 * * MON-FRI" },
                "action": { "kind": "ClusterAction", "name": "all" },
            },
        }))
        .await;

        let hooks: Api<WebhookTrigger> = Api::namespaced(hub.admin(), APPS);
        let hook = hooks.get("hook").await.unwrap();
        assert_eq!(hook.spec.webhook.auth_config.unwrap().header.as_deref(), Some("x-token"));
    });
}
