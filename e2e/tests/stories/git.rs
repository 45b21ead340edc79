//! What is asked of remotes, with what, and what is said when they refuse?

use e2e::objects::{ACTION, APPS, guarded_git_repo, secret, ssh_git_repo};
use e2e::{Cluster, Failure, Fleet, HostKeyOf, action, git_repo, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::TriggerKey;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

#[test]
fn a_new_higher_tag_of_a_range_runs_once_and_the_job_knows_its_name() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let first = repo.tag("v1.9.0");
        let deploy = hub.apply(&trigger("deploy").semver("1.x").watching(&repo)).await;
        hub.done_for(&first, secs(30)).await;

        repo.tag("v1.2.0");
        repo.tag("v2.0.0");
        fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs().await.len(), 1, "neither a lower tag nor one out of the range runs");

        let higher = repo.tag("v1.10.0");
        hub.done_for(&higher, secs(30)).await;
        fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs_for(&higher).await.len(), 1);
        let run = hub.until_run(&deploy, &higher, RunPhase::Succeeded).await;
        assert_eq!(run.tag.as_deref(), Some("v1.10.0"));
        let name = variable(&hub, &run.job.unwrap(), "ACTION_JOB_TRIGGER_SOURCE_REF_NAME").await;
        assert_eq!(name.as_deref(), Some("v1.10.0"));
    });
}

async fn job(hub: &Cluster, name: &str) -> Job {
    Api::<Job>::namespaced(hub.admin(), APPS).get(name).await.unwrap()
}

async fn variable(hub: &Cluster, name: &str, variable: &str) -> Option<String> {
    let pod = job(hub, name).await.spec?.template.spec?;
    let mut variables = pod.containers.into_iter().flat_map(|it| it.env.unwrap_or_default());
    variables.find(|it| it.name == variable)?.value
}

/// The original recorded an annotated tag by its own object.
#[test]
fn an_annotated_tag_that_the_original_recorded_runs_nothing_at_the_cut_over() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let (_, object) = repo.annotate("stable");
        let (replica, _) = fleet.holdings().remove(0);
        fleet.stop(&replica).await;
        let deploy = hub.apply(&trigger("deploy").tag("stable").watching(&repo)).await;
        let record = json!({ "commitHash": object.as_str(), "changed": "2026-01-01T00:00:00Z" });
        leave(&hub, &deploy, &record).await;

        fleet.start_replica();
        let asked = async || (repo.requests() > 3).then_some(());
        hub.until(mins(3), "it is asked for", asked).await;
        fleet.pass(mins(5)).await;
        assert_eq!(hub.jobs().await.len(), 0);

        let (commit, _) = repo.annotate("stable");
        hub.done_for(&commit, secs(30)).await;
        assert_eq!(hub.jobs().await.len(), 1);
    });
}

async fn leave(hub: &Cluster, key: &TriggerKey, record: &Value) {
    let triggers: Api<ger_api::ScheduleTrigger> = Api::namespaced(hub.admin(), &key.namespace);
    let status = json!({ "status": {
        "state": "Idle", "lastRun": "2026-01-01T00:00:00Z", "checkedSources": { "app": record },
    }});
    let params = PatchParams::default();
    triggers.patch_status(&key.name, &params, &Patch::Merge(status)).await.unwrap();
}

#[test]
fn a_server_that_is_not_verified_is_said_and_runs() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        let mut source = git_repo(&repo);
        source["spec"]["tlsConfig"] = json!({ "noVerifySsl": true });
        hub.put(&action(ACTION)).await;
        hub.put(&source).await;
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;
        hub.done_for(&commit, secs(30)).await;

        let said = hub.until_condition(&deploy, ("TlsVerified", "False", "VerificationOff")).await;
        assert!(said.message.contains("app"), "{}", said.message);

        hub.put(&git_repo(&repo)).await;
        let gone = async || hub.condition(&deploy, "TlsVerified").await.is_none().then_some(());
        hub.until(mins(2), "it is verified, and nothing is said any more", gone).await;
    });
}

#[test]
fn a_secret_of_another_namespace_is_not_read_for_a_git_repo() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        repo.guard("right");
        let commit = repo.push();
        hub.create_namespace("vault").await;
        let mut theirs = secret("git", "token", "right");
        theirs["metadata"]["namespace"] = "vault".into();
        hub.put(&theirs).await;
        hub.put(&secret("git", "token", "wrong")).await;
        let mut source = guarded_git_repo(&repo, "git");
        source["spec"]["authConfig"]["secretRef"]["namespace"] = "vault".into();
        hub.put(&action(ACTION)).await;
        hub.put(&source).await;
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;

        let condition = ("SecretNamespaceIgnored", "True", "GitRepoUsesTriggersNamespace");
        hub.until_condition(&deploy, condition).await;
        hub.until_condition(&deploy, ("SourcesReachable", "False", "Unauthorized")).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 0);
        hub.put(&secret("git", "token", "right")).await;
        hub.done_for(&commit, mins(3)).await;
    });
}

#[test]
fn b6_a_changed_host_key_is_named_and_mends_when_the_secret_does() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let (old, new) = (HostKeyOf::seeded(1), HostKeyOf::seeded(2));
        repo.show(old.clone());
        let first = repo.push();
        hub.put(&key_and(&old.known_hosts())).await;
        hub.put(&action(ACTION)).await;
        hub.put(&ssh_git_repo(&repo, "git")).await;
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;
        hub.done_for(&first, secs(30)).await;

        repo.show(new.clone());
        let second = repo.push();
        let condition = ("SourcesReachable", "False", "HostKeyChanged");
        let said = hub.until_condition(&deploy, condition).await.message;
        assert!(said.contains(&old.fingerprint()) && said.contains(&new.fingerprint()), "{said}");
        assert!(said.contains("known_hosts"), "{said}");
        fleet.pass(mins(5)).await;
        assert_eq!(hub.jobs_for(&second).await.len(), 0);

        hub.put(&key_and(&new.known_hosts())).await;
        hub.done_for(&second, mins(3)).await;
        hub.until_condition(&deploy, ("Ready", "True", "Watching")).await;
        assert_eq!(hub.jobs_for(&second).await.len(), 1);
    });
}

/// A host that nobody vouches for is not believed; nor is any by an empty file.
#[test]
fn b6_an_unknown_host_key_is_not_believed() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let key = HostKeyOf::seeded(1);
        repo.show(key.clone());
        let commit = repo.push();
        hub.put(&secret("git", "ssh-privatekey", "KEY")).await;
        hub.put(&action(ACTION)).await;
        hub.put(&ssh_git_repo(&repo, "git")).await;
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;
        let condition = ("SourcesReachable", "False", "HostKeyUnknown");
        let said = hub.until_condition(&deploy, condition).await.message;
        assert!(said.contains(&key.fingerprint()), "{said}");

        hub.put(&key_and("")).await;
        fleet.pass(mins(5)).await;
        hub.until_condition(&deploy, condition).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 0);
        hub.put(&key_and(&key.known_hosts())).await;
        hub.done_for(&commit, mins(3)).await;
    });
}

fn key_and(known_hosts: &str) -> Value {
    let mut object = secret("git", "ssh-privatekey", "KEY");
    object["stringData"]["known_hosts"] = known_hosts.into();
    object
}

/// Rotated on both sides between two checks, within the time that Secrets are kept.
#[test]
fn credentials_that_rotate_are_read_again_before_anything_is_said() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        repo.guard("old");
        let first = repo.push();
        hub.put(&secret("git", "token", "old")).await;
        hub.put(&action(ACTION)).await;
        hub.put(&guarded_git_repo(&repo, "git")).await;
        hub.apply(&trigger("deploy").named("app").alone()).await;
        hub.done_for(&first, secs(30)).await;

        hub.put(&secret("git", "token", "new")).await;
        repo.guard("new");
        let second = repo.push();
        hub.done_for(&second, secs(30)).await;

        assert_eq!(hub.events("Unauthorized").await.len(), 0, "nobody is told of it");
    });
}

/// A Job gets a token that lives for an hour; the App's key stays where it is.
#[test]
fn b7_a_job_of_a_github_app_is_given_a_token_and_never_the_key() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        repo.guard("ghs_1");
        let commit = repo.push();
        let mut app = secret("git", "appPrivateKey", "the-key-5cbd");
        app["stringData"]["appId"] = "1".into();
        app["stringData"]["apiUrl"] = "https://git.example.org/api/v3".into();
        app["stringData"]["installationId"] = "2".into();
        hub.put(&app).await;
        let mut source = git_repo(&repo);
        let auth = json!({ "type": "githubApp", "secretRef": { "name": "git" } });
        source["spec"]["authConfig"] = auth;
        hub.put(&action(ACTION)).await;
        hub.put(&source).await;
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;
        let run = hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        let name = run.job.unwrap();
        let secrets: Api<Secret> = Api::namespaced(hub.admin(), APPS);
        let copy = secrets.get(&name).await.unwrap();
        let data = copy.data.clone().unwrap();
        let keys: Vec<&String> = data.keys().collect();
        assert_eq!(keys, ["password", "username"]);
        assert_eq!(data["password"].0, b"ghs_1");
        assert_eq!(copy.metadata.owner_references.unwrap()[0].kind, "Job");
        let shown = serde_json::to_string(&job(&hub, &name).await).unwrap();
        assert!(!shown.contains("5cbd") && !shown.contains("ghs_"), "{shown}");
        assert!(!format!("{data:?}").contains("5cbd"));

        // Revoked at the host: the next check mints a new one, and its Job gets that.
        repo.guard("ghs_2");
        let commit = repo.push();
        let run = hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        let copy = secrets.get(&run.job.unwrap()).await.unwrap();
        assert_eq!(copy.data.unwrap()["password"].0, b"ghs_2");
        assert_eq!(fleet.host().app_token(), "ghs_2");
    });
}

/// What is in other namespaces is copied as far as the cloner needs it, and goes with the Job.
#[test]
fn secrets_of_a_cluster_git_repo_are_copied_for_its_job_and_nothing_else_is() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let key = HostKeyOf::seeded(1);
        repo.show(key.clone());
        let commit = repo.push();
        hub.create_namespace("vault").await;
        let mut vault = key_and(&key.known_hosts());
        vault["metadata"]["namespace"] = "vault".into();
        vault["stringData"]["unrelated"] = "not-for-you-5cbd".into();
        hub.put(&vault).await;
        let mut source = ssh_git_repo(&repo, "git");
        source["kind"] = "ClusterGitRepo".into();
        source["metadata"] = json!({ "name": "app" });
        source["spec"]["authConfig"]["secretRef"]["namespace"] = "vault".into();
        hub.put(&action(ACTION)).await;
        hub.put(&source).await;
        let deploy = hub.apply(&trigger("deploy").of_cluster().named("app").alone()).await;
        let run = hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        let name = run.job.unwrap();
        let secrets: Api<Secret> = Api::namespaced(hub.admin(), APPS);
        let data = secrets.get(&name).await.unwrap().data.unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["known_hosts", "ssh-privatekey"]);
        assert!(hub.condition(&deploy, "SecretNamespaceIgnored").await.is_none());
        Api::<Job>::namespaced(hub.admin(), APPS)
            .delete(&name, &kube::api::DeleteParams::background())
            .await
            .unwrap();
        let gone = async || secrets.get_opt(&name).await.unwrap().is_none().then_some(());
        hub.until(mins(2), "the copy goes with the Job", gone).await;
    });
}

/// Whatever the host says and however often, no credential is anywhere but in Secrets.
#[test]
fn b7_no_credential_is_in_a_status_an_event_or_a_job() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        repo.guard("Bearer hunter2-5cbd");
        hub.put(&secret("git", "token", "Bearer wrong-5cbd")).await;
        hub.put(&action(ACTION)).await;
        hub.put(&guarded_git_repo(&repo, "git")).await;
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;
        hub.until_condition(&deploy, ("SourcesReachable", "False", "Unauthorized")).await;
        hub.put(&secret("git", "token", "Bearer hunter2-5cbd")).await;
        hub.done_for(&commit, mins(3)).await;

        let status = serde_json::to_string(&hub.status(&deploy).await).unwrap();
        let events: Api<k8s_openapi::api::core::v1::Event> = Api::all(hub.admin());
        let events = events.list(&ListParams::default()).await.unwrap();
        let jobs = hub.present().await;
        let events = serde_json::to_string(&events.items).unwrap();
        let jobs = serde_json::to_string(&jobs).unwrap();
        for text in [status, events, jobs] {
            assert!(!text.contains("5cbd"), "{text}");
        }
    });
}

/// A hundred triggers and a host that has had enough: one request for all, and no more before the
/// time that it asked for is over.
#[test]
fn e7_a_hundred_triggers_leave_a_host_alone_as_long_as_it_asks() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        repo.push();
        for n in 0..100 {
            hub.apply(&trigger(&format!("deploy-{n}")).watching(&repo)).await;
        }
        let all = async || (hub.jobs().await.len() == 100).then_some(());
        hub.until(mins(10), "each has run", all).await;

        repo.fail(Failure::Status(429, Some(secs(120))));
        fleet.pass(mins(1)).await;
        let asked = repo.requests();
        fleet.pass(mins(20)).await;
        let asked = repo.requests() - asked;
        assert!((5..=10).contains(&asked), "{asked} requests in ten times two minutes");

        repo.mend();
        let next = repo.push();
        let all = async || (hub.jobs_for(&next).await.len() == 100).then_some(());
        hub.until(mins(10), "each runs again", all).await;
    });
}
