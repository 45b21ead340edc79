//! What runs where a cluster's own Job controller makes the Pods? Each Pod of a Job, once, until it
//! ends or is deleted.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Shared, attempt, report};

/// Runs Pods until `stop`, then kills what still runs.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let pods = watcher(Api::<Pod>::all(shared.client.clone()), watcher::Config::default());
    let mut pods = pin!(pods.default_backoff());
    let mut running = Running { shared, halts: HashMap::new(), tasks: JoinSet::new() };
    let mut listed = HashSet::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = running.tasks.join_next() => {
                report(&running.shared.cluster, ended);
                continue;
            }
            event = pods.next() => event,
        };
        match event {
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(pod))) => {
                listed.extend(pod.uid());
                running.on_pod(pod);
            }
            Some(Ok(Event::InitDone)) => running.keep(&listed),
            Some(Ok(Event::Apply(pod))) => running.on_pod(pod),
            Some(Ok(Event::Delete(pod))) => running.forget(&pod),
            Some(Err(error)) => {
                tracing::debug!(cluster = running.shared.cluster, %error, "the Pod watch failed");
            }
            None => break,
        }
    }

    running.keep(&HashSet::new());
    while let Some(ended) = running.tasks.join_next().await {
        report(&running.shared.cluster, ended);
    }
}

/// The Pods that were begun, and how to end them.
struct Running {
    shared: Arc<Shared>,
    /// By uid, and kept until the Pod is gone: it is not begun twice.
    halts: HashMap<String, CancellationToken>,
    tasks: JoinSet<()>,
}

impl Running {
    fn on_pod(&mut self, pod: Pod) {
        if pod.metadata.deletion_timestamp.is_some() {
            return self.halt(&pod);
        }
        let (Some(uid), Some(job)) = (pod.uid(), job_of(&pod)) else { return };
        if !is_pending(&pod) || self.halts.contains_key(&uid) {
            return;
        }
        let halt = CancellationToken::new();
        self.halts.insert(uid, halt.clone());
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            // The Job controller reads the outcome from the Pod's status.
            let _outcome = attempt::run(&shared, &pod, &job, &halt).await;
        });
    }

    fn halt(&self, pod: &Pod) {
        let halt = pod.uid().and_then(|it| self.halts.get(&it).cloned());
        if let Some(halt) = halt {
            halt.cancel();
        }
    }

    fn forget(&mut self, pod: &Pod) {
        self.halt(pod);
        self.halts.remove(&pod.uid().unwrap_or_default());
    }

    /// Ends what runs for Pods that are gone.
    fn keep(&mut self, there: &HashSet<String>) {
        self.halts.retain(|uid, halt| {
            let stays = there.contains(uid);
            if !stays {
                halt.cancel();
            }
            stays
        });
    }
}

/// The Job whose Pod it is.
pub(super) fn job_of(pod: &Pod) -> Option<String> {
    let owner = pod.owner_references().iter().find(|it| it.kind == "Job")?;
    Some(owner.name.clone())
}

fn is_pending(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    phase.is_none_or(|it| it == "Pending")
}
