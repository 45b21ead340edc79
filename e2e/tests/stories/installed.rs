//! Does a fleet that is installed do its work? On sandboxes; on kind, by `hack/kind e2e`; on clusters of your own.

use e2e::installed::Installed;
use e2e::story;
use e2e::wait::{look_until, mins};
use serde_json::{Value, json};

use crate::real::{OURS, PROGRAM};

/// What no other trigger has.
const TOKEN: &str = "a-token-of-this-story";

/// One change is one Job in each cluster, cloned and worked by the images that were installed.
#[test]
fn installed_replicas_turn_a_push_into_a_job_in_each_cluster() {
    story!(Real, async {
        let fleet = Installed::find(PROGRAM, "e2e-push").await;
        let first = fleet.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
        let clusters: Vec<String> = fleet.clusters().map(str::to_owned).collect();
        for cluster in &clusters {
            prepare(&fleet, cluster).await;
            let spec = json!({ "schedule": { "interval": "2s" } });
            fleet.put(cluster, &trigger("ScheduleTrigger", spec)).await;
        }
        for cluster in &clusters {
            succeeds(&fleet, cluster, "ScheduleTrigger", first.as_str()).await;
        }

        let second = fleet.git.commit("app.git", "message.txt", "two", "Say two").await.unwrap();

        for cluster in &clusters {
            succeeds(&fleet, cluster, "ScheduleTrigger", second.as_str()).await;
            for commit in [&first, &second] {
                assert_eq!(jobs_of(&fleet, cluster, commit.as_str()).await, 1, "{cluster}");
            }
        }
        fleet.leave().await;
    });
}

/// One address is the door to the triggers of every cluster.
#[test]
fn installed_replicas_hear_webhooks_for_each_cluster_at_the_hubs_door() {
    story!(Real, async {
        let fleet = Installed::find(PROGRAM, "e2e-webhook").await;
        let commit = fleet.git.create_repo("app.git", &[("message.txt", "one")]).await.unwrap();
        let clusters: Vec<String> = fleet.clusters().map(str::to_owned).collect();
        for cluster in &clusters {
            prepare(&fleet, cluster).await;
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "hook" },
                "stringData": { "token": TOKEN },
            });
            fleet.put(cluster, &secret).await;
            let auth = json!({ "secretRef": { "name": "hook" }, "key": "token" });
            let spec = json!({ "webhook": { "multiSource": false, "authConfig": auth } });
            fleet.put(cluster, &trigger("WebhookTrigger", spec)).await;
        }

        for cluster in &clusters {
            for (token, code) in [("another", 403), (TOKEN, 202)] {
                assert_eq!(answered(&fleet, cluster, token).await, Some(code), "{cluster}");
            }
        }

        for cluster in &clusters {
            succeeds(&fleet, cluster, "WebhookTrigger", commit.as_str()).await;
            assert_eq!(jobs_of(&fleet, cluster, commit.as_str()).await, 1, "{cluster}");
        }
        fleet.leave().await;
    });
}

/// What a call is answered with. Until the replica that is called knows the trigger, that is 404.
async fn answered(fleet: &Installed, cluster: &str, token: &str) -> Option<u16> {
    let told = async || fleet.call(cluster, "app/app", token).await.filter(|code| *code != 404);
    look_until(mins(1), told).await
}

async fn prepare(fleet: &Installed, cluster: &str) {
    let uri = fleet.git.url("app.git");
    let named = |kind: &str, spec: Value| json!({ "apiVersion": OURS, "kind": kind, "metadata": { "name": "app" }, "spec": spec });
    fleet.put(cluster, &named("GitRepo", json!({ "repoUri": uri }))).await;
    let job = json!({ "command": ["sh", "-ec"], "args": ["cat message.txt"] });
    fleet.put(cluster, &named("Action", json!({ "actionJob": job }))).await;
}

fn trigger(kind: &str, mut spec: Value) -> Value {
    spec["sources"] = json!({ "kind": "GitRepo", "names": ["app"] });
    spec["action"] = json!({ "kind": "Action", "name": "app" });
    json!({ "apiVersion": OURS, "kind": kind, "metadata": { "name": "app" }, "spec": spec })
}

/// Waits until the ledger holds a run of the commit that succeeded.
async fn succeeds(fleet: &Installed, cluster: &str, kind: &str, commit: &str) {
    let mut last = Value::Null;
    let has_succeeded = async || {
        last = fleet.read(cluster, OURS, kind, "app").await["status"].take();
        let runs = last["runs"].as_array().into_iter().flatten();
        let mut of_commit = runs.filter(|it| it["commit"] == commit);
        of_commit.any(|it| it["phase"] == "Succeeded").then_some(())
    };
    let seen = look_until(mins(3), has_succeeded).await;
    assert!(seen.is_some(), "{cluster} has no run of {commit} that succeeded: {last}");
}

async fn jobs_of(fleet: &Installed, cluster: &str, commit: &str) -> usize {
    let jobs = fleet.jobs(cluster).await;
    let of = |it: &&Value| it["metadata"]["annotations"]["git-events-runner.rs/commit"] == commit;
    jobs.iter().filter(of).count()
}
