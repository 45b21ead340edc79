//! Does every way to a repository work from the check to the worker? Real servers, the program itself,
//! a real clone; and no credential is anywhere but where it belongs.

mod servers;

use e2e::objects::APPS;
use e2e::real::{Program, Site, World};
use e2e::wait::look_until;
use e2e::{mins, story};
use ger_git::Auth;
use ger_git::backend::{Daemon, Versions};
use git_events_runner::dev::executor::Finished;
use k8s_openapi::api::core::v1::Event;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use self::servers::{Github, Https, Sshd, run};
use super::real::{OURS, PROGRAM, apply_all, message, next, put, text};

/// Every secret of these stories ends with it.
const MARK: &str = "5cbd";

/// A world with one repository, and a trigger on it.
async fn world() -> (World, Site) {
    let mut world = World::start(PROGRAM).await;
    let hub = world.site("hub").await;
    world.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
    (world, hub)
}

async fn source(hub: &Site, spec: Value) {
    put(hub, OURS, "GitRepo", "app", json!({ "spec": spec })).await;
}

async fn secret(hub: &Site, name: &str, values: Value) {
    put(hub, "v1", "Secret", name, json!({ "stringData": values })).await;
}

/// Runs the program until a worker has seen the first commit, and then the second one.
async fn both_arrive(world: &mut World, hub: &Site) -> (Program, Finished) {
    let mut program = world.run(hub).await;
    program.ready().await;
    assert_eq!(message(&next(world).await), "one");
    world.git.commit("app.git", "message.txt", "two", "Say two").await.unwrap();
    let seen = next(world).await;
    assert_eq!(message(&seen), "two");
    (program, seen)
}

/// Looks everywhere that somebody without the right to read Secrets can look.
async fn tells_no_secret(program: &Program, hub: &Site, seen: &Finished) {
    let (_, metrics) = program.http("/metrics").await.unwrap();
    let mut shown = vec![program.log(), metrics, format!("{:?}", seen.env), text(seen)];
    let events: Api<Event> = Api::all(hub.admin());
    let events = events.list(&ListParams::default()).await.unwrap().items;
    shown.push(serde_json::to_string(&events).unwrap());
    for (group, version, kind) in [
        ("batch", "v1", "Job"),
        ("", "v1", "Pod"),
        ("git-events-runner.rs", "v1alpha1", "ScheduleTrigger"),
    ] {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let objects: Api<DynamicObject> = Api::all_with(hub.admin(), &resource);
        for object in objects.list(&ListParams::default()).await.unwrap() {
            shown.push(format!("{} {}", object.name_any(), object.data));
        }
    }
    for text in shown {
        assert!(!text.contains(MARK), "{text}");
    }
}

async fn condition(hub: &Site, reason: &str) -> String {
    let triggers: Api<ger_api::ScheduleTrigger> = Api::namespaced(hub.admin(), APPS);
    let found = look_until(mins(1), async || {
        let status = triggers.get("app").await.ok()?.status?;
        let found = status.conditions.into_iter().find(|it| it.reason == reason);
        found.map(|it| it.message)
    });
    found.await.expect("a condition says so")
}

#[test]
fn b7_an_ssh_source_is_checked_and_cloned_by_a_key_that_nobody_else_sees() {
    story!(Real, async {
        let (mut world, hub) = world().await;
        let folder = tempfile::tempdir().unwrap();
        let sshd = Sshd::start(folder.path()).await;
        let values = |key: &str| {
            json!({
                "ssh-privatekey": sshd.private_key(), "passphrase": "open-5cbd",
                "known_hosts": sshd.known_hosts(key),
            })
        };
        apply_all(&hub, &world.git.url("app.git")).await;
        secret(&hub, "git", values("host")).await;
        let auth = json!({ "type": "ssh", "secretRef": { "name": "git" } });
        let uri = sshd.uri(&world.git.path("app.git"));
        source(&hub, json!({ "repoUri": uri, "authConfig": auth })).await;

        let (program, seen) = both_arrive(&mut world, &hub).await;

        let line = sshd.private_key().lines().nth(2).unwrap().to_owned();
        assert!(!format!("{}{:?}", program.log(), seen.env).contains(&line));
        tells_no_secret(&program, &hub, &seen).await;
        assert_eq!(program.stop().await, Some(0));
    });
}

#[test]
fn b6_a_server_with_another_host_key_is_told_and_nothing_is_cloned() {
    story!(Real, async {
        let (world, hub) = world().await;
        let folder = tempfile::tempdir().unwrap();
        let sshd = Sshd::start(folder.path()).await;
        apply_all(&hub, &world.git.url("app.git")).await;
        let values = json!({
            "ssh-privatekey": sshd.private_key(), "passphrase": "open-5cbd",
            "known_hosts": sshd.known_hosts("other"),
        });
        secret(&hub, "git", values).await;
        let auth = json!({ "type": "ssh", "secretRef": { "name": "git" } });
        let uri = sshd.uri(&world.git.path("app.git"));
        source(&hub, json!({ "repoUri": uri, "authConfig": auth })).await;

        let mut program = world.run(&hub).await;
        program.ready().await;
        let said = condition(&hub, "HostKeyChanged").await;

        for key in ["host", "other"] {
            let fingerprint = sshd.fingerprint(key).await;
            assert!(said.contains(&fingerprint), "{said} does not name {fingerprint}");
        }
        assert_eq!(hub.jobs_created(), 0);
        assert_eq!(program.stop().await, Some(0));
    });
}

#[test]
fn an_https_source_with_its_own_authority_is_checked_and_cloned() {
    story!(Real, async {
        let (mut world, hub) = world().await;
        let https = Https::start(world.git.path("app.git").parent().unwrap()).await;
        apply_all(&hub, &world.git.url("app.git")).await;
        secret(&hub, "ca", json!({ "ca.crt": https.ca })).await;
        let uri = format!("https://{}/app.git", https.address);
        let tls = json!({ "caCert": { "secretRef": { "name": "ca" } } });
        source(&hub, json!({ "repoUri": uri, "tlsConfig": tls })).await;

        let (program, _) = both_arrive(&mut world, &hub).await;

        let (_, metrics) = program.http("/metrics").await.unwrap();
        let opened = format!("connections_opened_total{{host=\"{}\"}}", https.address);
        assert!(metrics.contains(&opened), "{metrics}");
        assert_eq!(program.stop().await, Some(0));
    });
}

#[test]
fn b7_a_github_app_s_source_is_checked_and_cloned_by_tokens_that_nobody_else_sees() {
    story!(Real, async {
        let (mut world, hub) = world().await;
        let github = Github::start().await;
        let basic =
            Auth::Basic { username: "x-access-token".into(), password: "ghs_1-5cbd".into() };
        world.git.guard("app.git", basic);
        let uri = world.git.url("app.git");
        apply_all(&hub, &uri).await;
        let key = run("openssl", &["genrsa", "2048"]).await;
        let values = json!({
            "appId": "1", "installationId": "2", "appPrivateKey": key, "apiUrl": github.url,
        });
        secret(&hub, "git", values).await;
        let auth = json!({ "type": "githubApp", "secretRef": { "name": "git" } });
        source(&hub, json!({ "repoUri": uri, "authConfig": auth })).await;

        let (program, seen) = both_arrive(&mut world, &hub).await;

        assert_eq!(github.given(), 1, "one token for all checks and both clones");
        let line = key.lines().nth(3).unwrap();
        assert!(!format!("{}{:?}", program.log(), seen.env).contains(line));
        tells_no_secret(&program, &hub, &seen).await;
        assert_eq!(program.stop().await, Some(0));
    });
}

#[test]
fn a_source_without_any_security_is_checked_and_cloned() {
    story!(Real, async {
        let (mut world, hub) = world().await;
        let root = world.git.path("app.git");
        let daemon = Daemon::start(root.parent().unwrap(), Versions::All).await.unwrap();
        apply_all(&hub, &world.git.url("app.git")).await;
        source(&hub, json!({ "repoUri": daemon.url("app.git") })).await;

        let (program, _) = both_arrive(&mut world, &hub).await;

        assert!(daemon.connections() > 2);
        assert_eq!(program.stop().await, Some(0));
    });
}
