//! What if an Action names the source that is cloned, whatever the trigger watches? And who is woken when what
//! was missing comes?

use e2e::objects::{APPS, secret};
use e2e::{Cluster, Fleet, Repo, git_repo, hook, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

const API: &str = "git-events-runner.rs/v1alpha1";

/// An Action that clones something else than what is watched.
fn overriding(kind: &str, other: &Value) -> Value {
    let mut action = json!({
        "apiVersion": API, "kind": kind, "metadata": { "name": "tools" },
        "spec": { "sourceOverride": other, "actionJob": {} },
    });
    if kind == "Action" {
        action["metadata"]["namespace"] = APPS.into();
    }
    action
}

/// The Job of the run of a commit, and its cloner.
async fn cloner(hub: &Cluster, commit: &ger_core::names::Commit) -> (Job, Container) {
    let seen = hub.job_for(commit, secs(60)).await;
    let job = Api::<Job>::namespaced(hub.admin(), APPS).get(&seen.name).await.unwrap();
    let pod = job.spec.clone().unwrap().template.spec.unwrap();
    (job, pod.init_containers.unwrap().remove(0))
}

fn variable<'a>(cloner: &'a Container, name: &str) -> Option<&'a str> {
    cloner.env.iter().flatten().find(|it| it.name == name).and_then(|it| it.value.as_deref())
}

/// Whether two arguments stand behind each other.
fn has(cloner: &Container, name: &str, value: &str) -> bool {
    let args = cloner.args.clone().unwrap_or_default();
    args.windows(2).any(|it| it == [name, value])
}

/// The worker hears of the commit that changed; the cloner brings the tag of the other repository.
#[test]
fn an_action_clones_the_tag_of_the_repository_that_it_names() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, app, tools) = (fleet.hub(), fleet.repo("app"), fleet.repo("tools"));
        tools.push();
        tools.tag("v1");
        let commit = app.push();
        hub.put(&git_repo(&tools)).await;
        let other = json!({ "kind": "GitRepo", "name": "tools", "reference": { "tag": "v1" } });
        hub.put(&overriding("Action", &other)).await;

        let watched = trigger("deploy").watching(&app).running("tools");
        let deploy = hub.apply(&watched).await;

        let (job, cloner) = cloner(&hub, &commit).await;
        assert_eq!(variable(&cloner, "GER_CLONE_URI"), Some(tools.uri().as_str()));
        assert!(has(&cloner, "--source", "tools") && has(&cloner, "--tag", "v1"), "{cloner:?}");
        let said = serde_json::to_string(&cloner.env).unwrap();
        assert!(said.contains("v1") && !said.contains(commit.as_str()), "{said}");
        let pod = job.spec.unwrap().template.spec.unwrap();
        let worker = serde_json::to_string(&pod.containers[0].env).unwrap();
        assert!(worker.contains(commit.as_str()), "{worker}");
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
    });
}

/// A ClusterAction's source has its Secret in a namespace of its own: the Job is given a copy.
#[test]
fn a_cluster_action_clones_with_the_credentials_of_the_source_that_it_names() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, app, tools) = (fleet.hub(), fleet.repo("app"), fleet.repo("tools"));
        tools.push();
        let commit = app.push();
        hub.create_namespace("vault").await;
        let mut token = secret("git", "token", "hunter2");
        token["metadata"]["namespace"] = "vault".into();
        hub.put(&token).await;
        hub.put(&cluster_source(&tools)).await;
        let other = json!({
            "kind": "ClusterGitRepo", "name": "tools", "reference": { "branch": "main" },
        });
        hub.put(&overriding("ClusterAction", &other)).await;
        let action = json!({ "action": { "kind": "ClusterAction", "name": "tools" } });

        let deploy = hub.apply(&trigger("deploy").watching(&app).with(&action)).await;

        let (job, cloner) = cloner(&hub, &commit).await;
        let name = job.metadata.name.clone().unwrap();
        let copy = Api::<Secret>::namespaced(hub.admin(), APPS).get(&name).await.unwrap();
        assert_eq!(copy.data.unwrap()["token"].0, b"hunter2");
        let owner = copy.metadata.owner_references.unwrap().remove(0);
        assert_eq!((owner.kind.as_str(), Some(owner.uid)), ("Job", job.metadata.uid));
        assert_eq!(variable(&cloner, "GER_CLONE_URI"), Some(tools.uri().as_str()));
        assert!(has(&cloner, "--kind", "ClusterGitRepo") && has(&cloner, "--branch", "main"));
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
    });
}

fn cluster_source(repo: &Repo) -> Value {
    json!({
        "apiVersion": API, "kind": "ClusterGitRepo", "metadata": { "name": repo.name() },
        "spec": {
            "repoUri": repo.uri(),
            "authConfig": {
                "type": "token", "secretRef": { "name": "git", "namespace": "vault" },
            },
        },
    })
}

/// What a run waits for wakes it, whoever it is of: no pause between two tries is waited for.
#[test]
fn an_action_that_comes_wakes_a_webhook_trigger() {
    story!(Virtual, async {
        let fleet = Fleet::builder().waiting(mins(60)).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        let deploy = hub.apply(&hook("deploy").watching(&repo).running("late")).await;
        hub.annotate(&deploy, [("run-at", "now")]).await;
        hub.until_condition(&deploy, ("Ready", "False", "ActionMissing")).await;
        fleet.pass(mins(10)).await;

        hub.put(&e2e::action("late")).await;

        hub.job_for(&commit, secs(5)).await;
    });
}

#[test]
fn a_source_that_comes_wakes_whose_action_names_it() {
    story!(Virtual, async {
        let fleet = Fleet::builder().waiting(mins(60)).start().await;
        let (hub, app, tools) = (fleet.hub(), fleet.repo("app"), fleet.repo("tools"));
        tools.push();
        let commit = app.push();
        let other =
            json!({ "kind": "GitRepo", "name": "tools", "reference": { "branch": "main" } });
        hub.put(&overriding("Action", &other)).await;
        let watched = trigger("deploy").every("6h").watching(&app).running("tools");
        let deploy = hub.apply(&watched).await;
        hub.until_condition(&deploy, ("Ready", "False", "SourceMissing")).await;
        fleet.pass(mins(10)).await;

        hub.put(&git_repo(&tools)).await;

        hub.job_for(&commit, secs(5)).await;
    });
}

/// Installs a schema in which a ClusterAction may name a source of any kind.
async fn let_in_any_kind(hub: &Cluster) {
    let crds: Api<CustomResourceDefinition> = Api::all(hub.admin());
    let name = "clusteractions.git-events-runner.rs";
    let mut crd = serde_json::to_value(crds.get(name).await.unwrap()).unwrap();
    let kind = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/sourceOverride\
                /properties/kind";
    let kind = crd.pointer_mut(kind).and_then(Value::as_object_mut).unwrap();
    assert!(kind.remove("enum").is_some(), "{kind:?}");
    let crd = serde_json::from_value(crd).unwrap();
    crds.replace(name, &PostParams::default(), &crd).await.unwrap();
}

/// What is in no namespace cannot name what is in one. The API refuses it; where an older schema let it in,
/// its Event says what is wrong with it, the run waits, and nothing is lost once it is mended.
#[test]
fn a_cluster_action_that_names_a_git_repo_is_refused_and_one_that_is_there_is_told() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(0).waiting(mins(60)).start().await;
        let (hub, app, tools) = (fleet.hub(), fleet.repo("app"), fleet.repo("tools"));
        tools.push();
        let commit = app.push();
        let naming = |kind: &str| {
            let reference = json!({ "branch": "main" });
            let other = json!({ "kind": kind, "name": "tools", "reference": reference });
            overriding("ClusterAction", &other)
        };
        let refused = hub.try_put(&naming("GitRepo")).await.unwrap_err();
        assert!(refused.contains("Unsupported value") && refused.contains("kind"), "{refused}");

        let_in_any_kind(&hub).await;
        hub.put(&naming("GitRepo")).await;
        hub.put(&git_repo(&tools)).await;
        hub.install_crds().await;
        fleet.start_replica();
        let action = json!({ "action": { "kind": "ClusterAction", "name": "tools" } });
        let deploy = hub.apply(&trigger("deploy").watching(&app).with(&action)).await;

        hub.until_condition(&deploy, ("Ready", "False", "ActionMissing")).await;
        let told = hub.events("Undecodable").await;
        let is_it = |it: &&k8s_openapi::api::core::v1::Event| {
            it.involved_object.name.as_deref() == Some("tools")
        };
        let message = told.iter().find(is_it).and_then(|it| it.message.clone()).unwrap();
        assert!(message.contains("`GitRepo`"), "{message}");
        assert!(hub.jobs_for(&commit).await.is_empty());
        let source = json!({
            "apiVersion": API, "kind": "ClusterGitRepo", "metadata": { "name": "tools" },
            "spec": { "repoUri": tools.uri() },
        });
        hub.put(&source).await;
        hub.put(&naming("ClusterGitRepo")).await;
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
    });
}
