//! What is there, and how does it look right now? Shared by all that look; printed when a wait fails.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_api::ScheduleTrigger;
use ger_core::names::TriggerKey;
use kube::api::ListParams;
use kube::{Api, Client};
use kube_sandbox::Sandbox;

use crate::fleet::Replica;
use crate::kubelet::{Kubelet, Seen};
use crate::wait::look_until;

/// One cluster of the scene.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) sandbox: Sandbox,
    pub(crate) kubelet: Kubelet,
}

impl Site {
    /// A client with every right, which no fault of a replica touches.
    pub(crate) fn admin(&self) -> Client {
        Client::new(self.sandbox.client_router("story"), "default")
    }
}

/// All clusters and all replicas.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) sites: BTreeMap<String, Site>,
    replicas: Mutex<BTreeMap<String, Replica>>,
}

impl Scene {
    pub(crate) fn new(sites: BTreeMap<String, Site>) -> Self {
        Self { sites, replicas: Mutex::default() }
    }

    pub(crate) fn replicas(&self) -> MutexGuard<'_, BTreeMap<String, Replica>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The replicas that hold the trigger's shard, by their own word.
    pub(crate) fn owners(&self, key: &TriggerKey) -> Vec<String> {
        let replicas = self.replicas();
        let owns = |it: &&Replica| it.handle.shards().owns(key);
        replicas.values().filter(owns).map(|it| it.name.clone()).collect()
    }

    /// What `look` finds within `limit`; else the story ends with what is to be seen.
    pub(crate) async fn until<T>(
        &self,
        limit: Duration,
        what: &str,
        look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        match look_until(limit, look).await {
            Some(found) => found,
            None => panic!("not within {limit:?}: {what}\n{}", self.report().await),
        }
    }

    /// Triggers, Jobs and holders, for a message.
    pub(crate) async fn report(&self) -> String {
        let mut lines = Vec::new();
        for (name, site) in &self.sites {
            lines.push(format!("cluster {name}:"));
            let triggers: Api<ScheduleTrigger> = Api::all(site.admin());
            let listed = triggers.list(&ListParams::default()).await;
            lines.extend(listed.into_iter().flat_map(|it| it.items).flat_map(of_trigger));
            lines.extend(site.kubelet.seen().iter().map(of_job));
        }
        lines.extend(self.replicas().values().flat_map(of_replica));
        lines.join("\n")
    }
}

fn of_trigger(trigger: ScheduleTrigger) -> Vec<String> {
    let name = trigger.metadata.name.unwrap_or_default();
    let status = trigger.status.unwrap_or_default();
    let mut lines = vec![format!("  trigger {name}: {:?}", status.state)];
    lines.extend(
        status
            .conditions
            .iter()
            .map(|it| format!("    {}={} {}: {}", it.type_, it.status, it.reason, it.message)),
    );
    lines.extend(status.checked_sources.iter().map(|(name, it)| {
        let commit = it.commit_hash.as_deref().unwrap_or("no commit");
        format!("    source {name}: {commit}, {} failures", it.failures)
    }));
    lines.extend(status.runs.iter().map(|it| {
        let commit = it.commit.as_deref().unwrap_or("no commit");
        format!("    run {} {:?} {commit} {:?}", it.id, it.phase, it.message)
    }));
    lines
}

fn of_job(job: &Seen) -> String {
    let commit = job.commit.as_ref().map_or("no commit", |it| it.as_str());
    let (started, finished, gone) = (job.started, job.is_finished, job.is_gone);
    format!("  job {} {commit} started={started:?} finished={finished} gone={gone}", job.name)
}

fn of_replica(replica: &Replica) -> Vec<String> {
    let snapshot = replica.handle.shards().snapshot();
    let (held, members) = (snapshot.mine.len(), snapshot.members.len());
    let (name, ready) = (&replica.name, replica.handle.ready());
    let mut lines =
        vec![format!("replica {name}: {held} shards, sees {members} members, ready: {ready:?}")];
    let clusters = replica.handle.clusters();
    let seen = |it: &git_events_runner::clusters::Cluster| {
        format!("  sees {}: {:?}", it.name(), it.state())
    };
    lines.extend(clusters.all().iter().map(seen));
    lines.extend(clusters.refused().iter().map(|(name, why)| format!("  refuses {name}: {why}")));
    lines
}
