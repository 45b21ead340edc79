//! Where are the triggers? In a sandbox cluster in another process, reached over TLS like any other.

use ger_api::{Action, GitRepo, ScheduleTrigger, TriggerStatus, crd};
use ger_core::ledger::{self, Transition};
use git_events_runner::clock::Clock;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::process::{Peer, say};

/// The controller's namespace.
pub(crate) const HOME: &str = "git-events-runner";
const APPS: &str = "apps";

/// Repositories that the triggers share.
pub(crate) const REPOSITORIES: usize = 100;

/// A cluster, as long as it is held.
pub(crate) struct Cluster {
    peer: Peer,
    kubeconfig: String,
}

impl Cluster {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut peer = Peer::start("cluster", &[])?;
        let kubeconfig = peer.hear()?.as_str().unwrap_or_default().to_owned();
        Ok(Self { peer, kubeconfig })
    }

    pub(crate) fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// Creates triggers of the sources and the action that are there, which have run this commit.
    pub(crate) fn seed_more(&mut self, count: usize, commit: &str) -> anyhow::Result<()> {
        self.peer.ask(&format!("{count}  {commit}"))?;
        Ok(())
    }

    /// Creates triggers; says how many bytes of JSON each is on average.
    pub(crate) fn seed(&mut self, seeds: &Seeds) -> anyhow::Result<u64> {
        let Seeds { count, url, commit } = seeds;
        let commit = commit.as_deref().unwrap_or_default();
        Ok(self.peer.ask(&format!("{count} {url} {commit}"))?.as_u64().unwrap_or_default())
    }
}

/// Serves, and creates what it is told to, until the input ends.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let sandbox = Sandbox::new("hub");
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await?;
    let applying = Client::new(sandbox.client_router("kubectl"), APPS);
    for crd in crd::all() {
        let crds = Api::<CustomResourceDefinition>::all(applying.clone());
        crds.create(&PostParams::default(), &crd).await?;
    }
    for name in [HOME, APPS] {
        let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        let namespaces = Api::<Namespace>::all(applying.clone());
        namespaces.create(&PostParams::default(), &namespace).await?;
    }
    say(&Value::String(server.kubeconfig()))?;

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (count, url) = (word().parse()?, word());
        let seeds = Seeds { count, url, commit: Some(word()).filter(|it| !it.is_empty()) };
        say(&seeds.sow(&applying).await?.into())?;
    }
    Ok(())
}

/// Which triggers to create.
pub(crate) struct Seeds {
    pub(crate) count: usize,
    /// What the URLs of the repositories begin with.
    pub(crate) url: String,
    /// At which commit all sources are known to be; without it, no controller has seen the triggers.
    pub(crate) commit: Option<String>,
}

impl Seeds {
    async fn sow(&self, client: &Client) -> anyhow::Result<usize> {
        let params = PostParams { field_manager: Some("kubectl".to_owned()), ..Default::default() };
        // They are there already where no address is given.
        let repositories = if self.url.is_empty() { 0 } else { REPOSITORIES };
        for i in 0..repositories {
            let url = format!("{}-app-{i}", self.url);
            let repo = object("GitRepo", &format!("app-{i}"), &json!({ "repoUri": url }));
            let repos = Api::<GitRepo>::namespaced(client.clone(), APPS);
            repos.create(&params, &serde_json::from_value(repo)?).await?;
        }
        if repositories > 0 {
            let action = serde_json::from_value(object("Action", "deploy", &json!({})))?;
            Api::<Action>::namespaced(client.clone(), APPS).create(&params, &action).await?;
        }
        let mut bytes = 0;
        for i in 0..self.count {
            bytes += self.trigger(client, &params, i).await?;
        }
        Ok(bytes / self.count.max(1))
    }

    /// One trigger, applied by kubectl; then, if so, checked and run once by a controller.
    async fn trigger(
        &self,
        client: &Client,
        params: &PostParams,
        i: usize,
    ) -> anyhow::Result<usize> {
        let triggers = Api::<ScheduleTrigger>::namespaced(client.clone(), APPS);
        let name = format!("deploy-app-{i}");
        let mut trigger = triggers.create(params, &trigger(&name, i)?).await?;
        let Some(commit) = &self.commit else { return Ok(serde_json::to_vec(&trigger)?.len()) };
        let generation = trigger.metadata.generation.unwrap_or_default();
        let now = Clock::system().now();
        trigger.status = Some(status(commit, generation, i, now)?);
        let params = PostParams { field_manager: Some(HOME.to_owned()), ..Default::default() };
        let written = triggers.replace_status(&name, &params, &trigger).await?;
        Ok(serde_json::to_vec(&written)?.len())
    }
}

fn status(
    commit: &str,
    generation: i64,
    i: usize,
    now: Timestamp,
) -> anyhow::Result<TriggerStatus> {
    let source = format!("app-{}", i % REPOSITORIES);
    let status: TriggerStatus = serde_json::from_value(json!({
        "lastRun": now,
        "sequence": 1,
        "checkedSources": { &source: {
            "commitHash": commit, "changed": now, "checkedAt": now,
        }},
        "runs": [{
            "id": format!("run{i:013}"), "source": source, "commit": commit,
            "reason": "Changed", "phase": "Succeeded",
            "job": format!("deploy-app-{i}-run{i:013}"),
            "jobUid": format!("6f1c2f9e-0d3b-4c52-9a49-{i:012}"),
            "requestedAt": now, "startedAt": now, "finishedAt": now,
        }],
    }))?;
    Ok(match ledger::accepted(&status, generation, None, now) {
        Transition::Write(status) => *status,
        _ => status,
    })
}

fn trigger(name: &str, i: usize) -> anyhow::Result<ScheduleTrigger> {
    let spec = json!({
        "sources": {
            "kind": "GitRepo",
            "names": [format!("app-{}", i % REPOSITORIES)],
            "watchOn": { "onChangeOnly": true, "reference": { "branch": "main" } },
        },
        "schedule": { "interval": "1m" },
        "action": { "kind": "Action", "name": "deploy" },
    });
    let mut trigger = object("ScheduleTrigger", name, &spec);
    let applied = trigger.to_string();
    trigger["metadata"]["annotations"] =
        json!({ "kubectl.kubernetes.io/last-applied-configuration": applied });
    Ok(serde_json::from_value(trigger)?)
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "git-events-runner.rs/v1alpha1",
        "kind": kind,
        "metadata": { "name": name, "namespace": APPS, "labels": {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/part-of": "shop",
            "app.kubernetes.io/managed-by": "kubectl",
        }},
        "spec": spec,
    })
}
