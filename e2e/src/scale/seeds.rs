//! What is in the clusters? Triggers as they are after a while: applied by people, checked and run once, with
//! nothing new to be seen.

use anyhow::Context as _;
use ger_api::TriggerStatus;
use ger_core::ledger::{self, Transition};
use http::Request;
use jiff::Timestamp;
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::counted::COMMIT;
use crate::fleet::{HOME, create_namespace, install_crds, keep};

const APPS: &str = "apps";
const OURS: &str = "/apis/git-events-runner.rs/v1alpha1/namespaces/apps";

/// What one cluster holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seeds {
    /// The cluster's name is part of the repositories'.
    pub(super) cluster: String,
    pub(super) triggers: usize,
    /// How many triggers share a repository.
    pub(super) sharing: usize,
    /// In seconds.
    pub(super) interval: u64,
}

/// Our definitions, the namespaces, and all that is to be watched.
pub(super) async fn fill(client: &Client, seeds: &Seeds, now: Timestamp) -> anyhow::Result<()> {
    install_crds(client, keep).await;
    for namespace in [HOME, APPS] {
        create_namespace(client, namespace).await;
    }
    if seeds.triggers == 0 {
        return Ok(());
    }
    post(client, "actions", &object("Action", "deploy", &json!({}))).await?;
    for repo in 0..seeds.triggers.div_ceil(seeds.sharing) {
        let spec = json!({ "repoUri": format!("https://git.test/{}-{repo}.git", seeds.cluster) });
        post(client, "gitrepos", &object("GitRepo", &format!("app-{repo}"), &spec)).await?;
    }
    for number in 0..seeds.triggers {
        trigger(client, seeds, (number, now)).await?;
    }
    Ok(())
}

async fn trigger(
    client: &Client,
    seeds: &Seeds,
    (number, now): (usize, Timestamp),
) -> anyhow::Result<()> {
    let source = format!("app-{}", number / seeds.sharing);
    let name = format!("deploy-app-{number}");
    let spec = json!({
        "sources": {
            "kind": "GitRepo", "names": [&source],
            "watchOn": { "onChangeOnly": true, "reference": { "branch": "main" } },
        },
        "schedule": { "interval": format!("{}s", seeds.interval) },
        "action": { "kind": "Action", "name": "deploy" },
    });
    let mut object = object("ScheduleTrigger", &name, &spec);
    let applied = object.to_string();
    object["metadata"]["annotations"] =
        json!({ "kubectl.kubernetes.io/last-applied-configuration": applied });
    let mut created = post(client, "scheduletriggers", &object).await?;
    created["status"] = serde_json::to_value(status(&source, number, now)?)?;
    let request = Request::put(format!("{OURS}/scheduletriggers/{name}/status"))
        .header("content-type", "application/json")
        .body(created.to_string().into_bytes())?;
    client.request::<Value>(request).await.context("a status is refused").map(drop)
}

/// A status as it is after a first run.
fn status(source: &str, number: usize, now: Timestamp) -> anyhow::Result<TriggerStatus> {
    let status: TriggerStatus = serde_json::from_value(json!({
        "lastRun": now,
        "sequence": 1,
        "checkedSources": { source: { "commitHash": COMMIT, "changed": now, "checkedAt": now } },
        "runs": [{
            "id": format!("run{number:013}"), "source": source, "commit": COMMIT,
            "reason": "Changed", "phase": "Succeeded",
            "job": format!("deploy-app-{number}-run{number:013}"),
            "jobUid": format!("6f1c2f9e-0d3b-4c52-9a49-{number:012}"),
            "requestedAt": now, "startedAt": now, "finishedAt": now,
        }],
    }))?;
    Ok(match ledger::accepted(&status, 1, None, now) {
        Transition::Write(status) => *status,
        Transition::Nothing | Transition::Refused { .. } => status,
    })
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "git-events-runner.rs/v1alpha1",
        "kind": kind,
        "metadata": { "name": name, "labels": {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/part-of": "shop",
            "app.kubernetes.io/managed-by": "kubectl",
        }},
        "spec": spec,
    })
}

async fn post(client: &Client, plural: &str, object: &Value) -> anyhow::Result<Value> {
    let request = Request::post(format!("{OURS}/{plural}"))
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())?;
    client.request(request).await.with_context(|| format!("one of the {plural} is refused"))
}

/// Registers a spoke by its kubeconfig.
pub(super) async fn register(hub: &Client, name: &str, kubeconfig: &str) -> anyhow::Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": { "sigs.k8s.io/multicluster-runtime-kubeconfig": "true" },
        },
        "stringData": { "kubeconfig": kubeconfig },
    });
    let request = Request::post(format!("/api/v1/namespaces/{HOME}/secrets"))
        .header("content-type", "application/json")
        .body(secret.to_string().into_bytes())?;
    hub.request::<Value>(request).await.context("a registration is refused").map(drop)
}
