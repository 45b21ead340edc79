//! Which commits count where only some files are watched?

use e2e::{Cluster, Failure, Fleet, Repo, mins, secs, story, trigger};
use ger_core::names::{Commit, TriggerKey};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

const WATCHED: [&str; 1] = ["src/**"];

/// A trigger that watches `src`, and has run once.
async fn watching(hub: &Cluster, repo: &Repo) -> TriggerKey {
    let first = repo.write("src/main.rs", "one");
    let deploy = hub.apply(&trigger("deploy").files(&WATCHED).watching(repo)).await;
    hub.done_for(&first, secs(30)).await;
    deploy
}

async fn recorded(hub: &Cluster, key: &TriggerKey) -> Option<String> {
    hub.status(key).await.checked_sources.get("app")?.commit_hash.clone()
}

async fn until_recorded(hub: &Cluster, key: &TriggerKey, commit: &Commit) {
    let follows = async || {
        let now = recorded(hub, key).await;
        (now.as_deref() == Some(commit.as_str())).then_some(())
    };
    hub.until(secs(60), "the record follows the commit", follows).await;
}

#[test]
fn a_commit_that_touches_nothing_watched_runs_nothing_and_is_looked_at_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let deploy = watching(&hub, &repo).await;
        let looks = repo.looks();

        let quiet = repo.write("README.md", "two");
        until_recorded(&hub, &deploy, &quiet).await;
        let asked = repo.requests();
        fleet.pass(mins(5)).await;

        assert_eq!(repo.looks(), looks + 1, "its files are known from then on");
        assert!(repo.requests() > asked + 20, "the reference is asked for as before");
        assert_eq!(hub.jobs_for(&quiet).await.len(), 0);

        let loud = repo.write("src/main.rs", "three");
        hub.done_for(&loud, secs(30)).await;
        fleet.pass(mins(5)).await;
        assert_eq!(hub.jobs_for(&loud).await.len(), 1);
        assert_eq!(repo.looks(), looks + 2);
    });
}

#[test]
fn many_triggers_on_one_repository_look_at_a_commit_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        repo.write("src/main.rs", "one");
        for n in 0..20 {
            let name = format!("deploy-{n}");
            hub.apply(&trigger(&name).files(&WATCHED).watching(&repo)).await;
        }
        let ran = async || (hub.jobs().await.len() == 20).then_some(());
        hub.until(mins(2), "each has run", ran).await;
        let looks = repo.looks();

        let next = repo.write("src/main.rs", "two");
        let ran = async || (hub.jobs_for(&next).await.len() == 20).then_some(());
        hub.until(mins(2), "each runs again", ran).await;

        assert_eq!((looks, repo.looks()), (1, 2));
    });
}

#[test]
fn an_edit_of_the_patterns_runs_nothing_by_itself() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let deploy = watching(&hub, &repo).await;

        let files = json!({ "sources": { "watchOn": { "files": ["docs/**"] } } });
        hub.edit(&deploy, &json!({ "spec": files })).await;
        fleet.pass(mins(5)).await;
        assert_eq!(hub.jobs().await.len(), 1);

        let elsewhere = repo.write("src/main.rs", "two");
        until_recorded(&hub, &deploy, &elsewhere).await;
        let docs = repo.write("docs/index.md", "three");
        hub.done_for(&docs, secs(30)).await;
        fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs_for(&elsewhere).await.len(), 0, "it is not watched any more");
        assert_eq!(hub.jobs().await.len(), 2);
    });
}

/// Nothing runs half-understood, the change is not lost, and who can mend it is told how.
#[test]
fn files_that_cannot_be_looked_at_hold_the_trigger_up_and_lose_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let deploy = watching(&hub, &repo).await;

        repo.fail(Failure::TooLarge);
        let commit = repo.write("src/main.rs", "two");
        let condition = ("SourcesReachable", "False", "RepositoryTooLarge");
        let said = hub.until_condition(&deploy, condition).await;
        fleet.pass(mins(5)).await;
        assert!(said.message.contains("watchOn.files"), "{}", said.message);
        assert_eq!(hub.jobs_for(&commit).await.len(), 0);

        // A commit does not shrink: it is looked at again, but not soon.
        repo.mend();
        hub.done_for(&commit, mins(13)).await;
        hub.until_condition(&deploy, ("Ready", "True", "Watching")).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// What the original recorded, written before one of us is there.
async fn left_behind(fleet: &Fleet, record: Value) -> TriggerKey {
    let hub = fleet.hub();
    let (replica, _) = fleet.holdings().remove(0);
    fleet.stop(&replica).await;
    let repo = fleet.repo("app");
    let deploy = hub.apply(&trigger("deploy").files(&WATCHED).watching(&repo)).await;
    let triggers: Api<ger_api::ScheduleTrigger> = Api::namespaced(hub.admin(), &deploy.namespace);
    let status = json!({ "status": {
        "state": "Idle", "lastRun": "2026-01-01T00:00:00Z", "checkedSources": { "app": record },
    }});
    let params =
        PatchParams { field_manager: Some("controller".to_owned()), ..PatchParams::default() };
    let written = triggers.patch_status(&deploy.name, &params, &Patch::Merge(status)).await;
    assert_eq!(written.unwrap().name_any(), "deploy");
    fleet.start_replica();
    deploy
}

#[test]
fn a_take_over_with_the_original_s_hash_runs_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let before = repo.write("src/main.rs", "one");
        let hash = repo.original_hash(&WATCHED);
        // The last commit that the original saw is not the last one.
        let now = repo.write("README.md", "two");
        let record = json!({
            "commitHash": before.as_str(), "fileHash": hash, "changed": "2026-01-01T00:00:00Z",
        });
        let deploy = left_behind(&fleet, record).await;

        until_recorded(&hub, &deploy, &now).await;
        fleet.pass(mins(10)).await;
        assert_eq!(hub.jobs().await.len(), 0, "the cut-over runs nothing");

        let changed = repo.write("src/main.rs", "three");
        hub.done_for(&changed, secs(30)).await;
        assert_eq!(hub.jobs().await.len(), 1);
    });
}

#[test]
fn a_change_between_the_original_and_us_runs_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let before = repo.write("src/main.rs", "one");
        let hash = repo.original_hash(&WATCHED);
        let now = repo.write("src/main.rs", "two");
        let record = json!({
            "commitHash": before.as_str(), "fileHash": hash, "changed": "2026-01-01T00:00:00Z",
        });
        left_behind(&fleet, record).await;

        hub.done_for(&now, mins(2)).await;
        fleet.pass(mins(5)).await;
        assert_eq!(hub.jobs().await.len(), 1);
    });
}
