//! Does it hold outside of memory too? Over sockets, with git, with processes, with kubectl.

use std::time::Duration;

use e2e::objects::APPS;
use e2e::real::{Site, World, kubectl};
use e2e::{secs, story};
use git_events_runner::dev::executor::Finished;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_git-events-runner-told");

/// The production path: the program itself, a real clone, a real worker, in the hub and in a spoke.
#[test]
fn the_program_turns_a_push_into_a_job_in_each_cluster() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let (hub, edge) = (world.site("hub").await, world.site("edge").await);
        world.register(&hub, "edge", &edge).await;
        let first = world.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
        for site in [&hub, &edge] {
            apply_all(site, &world.git.url("app.git")).await;
        }
        let mut program = world.run(&hub).await;
        program.ready().await;
        both_see(&mut world, first.as_str(), "one").await;

        let second = world.git.commit("app.git", "message.txt", "two", "Say two").await.unwrap();

        both_see(&mut world, second.as_str(), "two").await;
        for site in [&hub, &edge] {
            assert_eq!(site.jobs_created(), 2);
        }
        assert_eq!(program.http("/alive").await, Some((200, "Alive".to_owned())));
        let (status, metrics) = program.http("/metrics").await.unwrap();
        assert_eq!(status, 200);
        is_exposition(&metrics);
        for wanted in ["git_events_runner_members 1", "git_events_runner_shards_owned 4"] {
            assert!(metrics.lines().any(|it| it == wanted), "no {wanted}: {metrics}");
        }
        let log = program.log();
        assert!(log.lines().all(|it| serde_json::from_str::<Value>(it).is_ok()), "{log}");
        assert_eq!(program.stop().await, Some(0));
    });
}

/// Credentials reach the remote and the cloner, and nothing else.
#[test]
fn a_repository_that_asks_for_a_token_is_checked_and_cloned() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let commit = world.git.create_repo("app.git", &[("message.txt", "secret")]).await.unwrap();
        world.git.guard("app.git", ger_git::Auth::Token("Bearer hunter2-5cbd".into()));
        apply_all(&hub, &world.git.url("app.git")).await;
        let token = json!({ "token": "Bearer hunter2-5cbd" });
        put(&hub, "v1", "Secret", "git", json!({ "stringData": token })).await;
        let auth = json!({ "type": "token", "secretRef": { "name": "git" } });
        let spec = json!({ "repoUri": world.git.url("app.git"), "authConfig": auth });
        put(&hub, OURS, "GitRepo", "app", json!({ "spec": spec })).await;

        let mut program = world.run(&hub).await;
        program.ready().await;
        let seen = next(&mut world).await;

        assert_eq!(message(&seen), "secret");
        assert_eq!(seen.env["ACTION_JOB_TRIGGER_SOURCE_COMMIT"], commit.as_str());
        let shown = format!("{}{:?}{}", program.log(), seen.env, text(&seen));
        assert!(!shown.contains("5cbd"), "{shown}");
        let (_, metrics) = program.http("/metrics").await.unwrap();
        assert!(!metrics.contains("5cbd"));
        assert_eq!(program.stop().await, Some(0));
    });
}

/// What a user types works on our kinds, with the columns that tell how it goes.
#[test]
fn kubectl_shows_and_changes_our_kinds() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let Some((true, _)) = kubectl(&hub.kubeconfig, &["version", "--client"]).await else {
            // There is no kubectl here: what it shows stays untold.
            return;
        };
        world.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
        let manifests = world.folder().join("manifests.yaml");
        // What begins with a brace is read as JSON to its end, separators and all.
        let documents = objects(&world.git.url("app.git")).map(|it| format!("---\n{it}\n"));
        std::fs::write(&manifests, documents.concat()).unwrap();
        let file = manifests.to_str().unwrap();

        says(&hub, &["apply", "--server-side", "-f", file], "scheduletrigger").await;
        let mut program = world.run(&hub).await;
        program.ready().await;
        next(&mut world).await;

        let ready = ["wait", "--for=condition=Ready", "st/app", "-n", APPS, "--timeout=30s"];
        says(&hub, &ready, "condition met").await;
        says(&hub, &["get", "st", "-n", APPS], "SCHEDULE").await;
        says(&hub, &["get", "gr,act", "-A"], &world.git.url("app.git")).await;
        says(&hub, &["get", "jobs", "-n", APPS], "app-").await;
        let at = ["annotate", "st/app", "-n", APPS, "git-events-runner.rs/run-at=1"];
        says(&hub, &[&at[..], &["git-events-runner.rs/force=true"]].concat(), "annotated").await;
        let seen = next(&mut world).await;
        assert_eq!(seen.env["ACTION_JOB_TRIGGER_REASON"], "Manual");
        let watch = ["get", "st", "-n", APPS, "-w", "--request-timeout=2s"];
        let (_, text) = kubectl(&hub.kubeconfig, &watch).await.unwrap();
        assert!(text.contains("app"), "{text}");
        says(&hub, &["delete", "-f", file, "--timeout=30s"], "deleted").await;
        says(&hub, &["get", "st", "-n", APPS], "No resources found").await;
        assert_eq!(program.stop().await, Some(0));
    });
}

pub(crate) const OURS: &str = "git-events-runner.rs/v1alpha1";

async fn says(site: &Site, arguments: &[&str], wanted: &str) {
    let (success, text) = kubectl(&site.kubeconfig, arguments).await.unwrap();
    assert!(success && text.contains(wanted), "kubectl {arguments:?} printed: {text}");
}

/// A worker prints what it finds in the clone.
pub(crate) fn objects(uri: &str) -> [Value; 3] {
    let script = "cat message.txt; test ! -e .git";
    let job = json!({ "command": ["sh", "-ec"], "args": [script] });
    let sources = json!({ "kind": "GitRepo", "names": ["app"] });
    let action = json!({ "kind": "Action", "name": "print" });
    let schedule = json!({ "interval": "1s" });
    let spec = json!({ "sources": sources, "schedule": schedule, "action": action });
    [
        object(OURS, "GitRepo", "app", json!({ "spec": { "repoUri": uri } })),
        object(OURS, "Action", "print", json!({ "spec": { "actionJob": job } })),
        object(OURS, "ScheduleTrigger", "app", json!({ "spec": spec })),
    ]
}

fn object(version: &str, kind: &str, name: &str, mut rest: Value) -> Value {
    rest["apiVersion"] = version.into();
    rest["kind"] = kind.into();
    rest["metadata"] = json!({ "name": name, "namespace": APPS });
    rest
}

pub(crate) async fn apply_all(site: &Site, uri: &str) {
    for object in objects(uri) {
        apply(&site.admin(), &object).await;
    }
}

pub(crate) async fn put(site: &Site, version: &str, kind: &str, name: &str, rest: Value) {
    apply(&site.admin(), &object(version, kind, name, rest)).await;
}

pub(crate) async fn apply(client: &Client, object: &Value) {
    let version = object["apiVersion"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(APPS);
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind));
    let params = PatchParams::apply("story").force();
    let name = object["metadata"]["name"].as_str().unwrap();
    api.patch(name, &params, &Patch::Apply(object)).await.unwrap();
}

/// Waits until a worker in each cluster has seen the commit.
async fn both_see(world: &mut World, commit: &str, message: &str) {
    let mut clusters = Vec::new();
    for _ in 0..2 {
        let seen = next(world).await;
        assert_eq!(self::message(&seen), message);
        assert_eq!(seen.env["ACTION_JOB_TRIGGER_SOURCE_COMMIT"], commit);
        assert_eq!(seen.env["ACTION_JOB_CLUSTER"], seen.cluster);
        clusters.push(seen.cluster);
    }
    clusters.sort();
    assert_eq!(clusters, ["edge", "hub"]);
}

pub(crate) async fn next(world: &mut World) -> Finished {
    const LONG: Duration = secs(60);
    let seen = timeout(LONG, world.finished.recv()).await;
    let seen = seen.expect("a pod finishes").expect("an executor runs");
    assert_eq!(seen.exit_code, 0, "{}", text(&seen));
    seen
}

/// What the worker printed: the last line, behind what the cloner tells of its steps.
pub(crate) fn message(seen: &Finished) -> String {
    text(seen).lines().last().unwrap_or_default().to_owned()
}

pub(crate) fn text(seen: &Finished) -> String {
    std::fs::read_to_string(&seen.log).unwrap_or_default()
}

/// Every sample has a name that was declared, with a type and a help, and a number.
fn is_exposition(text: &str) {
    let mut declared = Vec::new();
    for line in text.lines().filter(|it| !it.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            declared.push(rest.split(' ').next().unwrap());
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap();
        let of = |it: &&str| {
            let rest = name.strip_prefix(*it);
            rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        };
        assert!(declared.iter().any(of), "{name} was not declared");
        assert!(name.starts_with("git_events_runner_") || name.starts_with("process_"), "{name}");
        let value = line.rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(declared.len() > 10, "{text}");
}
