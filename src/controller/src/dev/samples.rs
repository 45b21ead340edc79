//! What is there to see at once? A repository, and in each cluster a trigger that prints what changed.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::manifests;
use super::world::World;

/// Where the samples are, in every cluster.
pub(super) const NAMESPACE: &str = "demo";
/// The sample repository, and the GitRepo and the trigger that watch it.
pub(super) const REPOSITORY: &str = "sample";
/// The trigger that is called, and what its callers know.
pub(super) const HOOK: &str = "sample-hook";
pub(super) const TOKEN: &str = "demo";
/// How often the sample trigger looks.
pub(super) const INTERVAL: &str = "1s";
/// The file that the sample's worker prints.
pub(super) const FILE: &str = "message.txt";

/// Makes the repository and applies the samples to every cluster.
pub(super) async fn apply(world: &World) -> anyhow::Result<()> {
    // It is there, if the world goes on from an earlier one.
    let path = world.repositories().join(REPOSITORY);
    if !path.join("refs/heads/main").exists() && !path.join("packed-refs").exists() {
        let made = world.git.create_repo(REPOSITORY, &[(FILE, "hello\n")]).await;
        made.context("cannot make the sample repository")?;
    }
    for site in &world.sites {
        for object in objects(&world.git.url(REPOSITORY)) {
            manifests::apply(&site.admin(), &object).await?;
        }
    }
    Ok(())
}

fn objects(uri: &str) -> [Value; 5] {
    let meta = |name: &str| json!({ "name": name, "namespace": NAMESPACE });
    let api = "git-events-runner.rs/v1alpha1";
    let script = format!(
        "echo \"cluster=$ACTION_JOB_CLUSTER\"; cat \"$ACTION_JOB_WORKDIR/{FILE}\"; test ! -e .git"
    );
    [
        json!({
            "apiVersion": api, "kind": "GitRepo", "metadata": meta(REPOSITORY),
            "spec": { "repoUri": uri },
        }),
        json!({
            "apiVersion": api, "kind": "Action", "metadata": meta("print"),
            "spec": { "actionJob": { "command": ["sh", "-ec"], "args": [script] } },
        }),
        json!({
            "apiVersion": api, "kind": "ScheduleTrigger", "metadata": meta(REPOSITORY),
            "spec": {
                "sources": { "kind": "GitRepo", "names": [REPOSITORY] },
                "schedule": { "interval": INTERVAL },
                "action": { "kind": "Action", "name": "print" },
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": meta(HOOK),
            "stringData": { "token": TOKEN },
        }),
        // It runs at each call, so that there is something to see.
        json!({
            "apiVersion": api, "kind": "WebhookTrigger", "metadata": meta(HOOK),
            "spec": {
                "sources": {
                    "kind": "GitRepo", "names": [REPOSITORY], "watchOn": { "onChangeOnly": false },
                },
                "webhook": { "authConfig": { "secretRef": { "name": HOOK }, "key": "token" } },
                "action": { "kind": "Action", "name": "print" },
            },
        }),
    ]
}
