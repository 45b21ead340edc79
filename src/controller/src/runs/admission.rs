//! Which suspended Jobs start? The owner of a cluster's slot starts what the ledger holds as queued, and
//! nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ger_api::TriggerStatus;
use ger_core::admission::{self, Decision, Orphan, Slots, Standing, Waiting, Waits, Withdrawn};
use ger_core::ledger::JobSighting;
use ger_core::names::{ClusterName, TriggerKey};
use ger_core::{job, ledger as core_ledger};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::trigger::Trigger;
use super::{Fleet, jobs, ledger};
use crate::clusters::{Cluster, JobView, State};

/// Waiting times are looked at this often, without anybody's signal.
const LOOK: Duration = Duration::from_secs(1);
/// A cluster that does not answer keeps only its own slot busy, and not for longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// A suspended Job that the ledger does not know is somebody's unfinished business for this long.
const ORPHANED_AFTER: Duration = Duration::from_secs(10);

/// What the owner of one cluster's slot remembers.
#[derive(Debug, Default)]
struct Slot {
    waits: Waits,
    /// Since when Jobs are seen that the ledger does not know, by uid.
    unknown: HashMap<String, Instant>,
    /// Started here, and not yet seen to run.
    own_starts: BTreeSet<String>,
    served_last: Option<TriggerKey>,
    /// The slot was gained since the last look: the watch may be behind the last owner's starts.
    is_new: bool,
}

/// A panic in the work on a cluster's slot.
#[derive(Debug, thiserror::Error)]
#[error("admission ended in a panic")]
pub struct Panicked {
    source: tokio::task::JoinError,
}

/// Starts Jobs until `stop`, in every cluster whose slot is this replica's, each on its own.
pub async fn run(fleet: Arc<Fleet>, stop: CancellationToken) -> Result<(), Panicked> {
    let mut idle: BTreeMap<ClusterName, Slot> = BTreeMap::new();
    let mut working: JoinSet<(ClusterName, Slot)> = JoinSet::new();
    let mut busy: BTreeSet<ClusterName> = BTreeSet::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = fleet.admission.notified() => {}
            _ = look.tick() => {}
            Some(ended) = working.join_next() => {
                let (name, slot) = ended.map_err(|source| Panicked { source })?;
                busy.remove(&name);
                idle.insert(name, slot);
                continue;
            }
        }
        for cluster in fleet.clusters.all() {
            let name = cluster.name().clone();
            if busy.contains(&name) {
                continue;
            }
            if !fleet.shards.owns_admission(&name) || !matches!(cluster.state(), State::Ready) {
                idle.remove(&name);
                continue;
            }
            let new = || Slot { is_new: true, ..Slot::default() };
            let mut slot = idle.remove(&name).unwrap_or_else(new);
            let fleet = Arc::clone(&fleet);
            busy.insert(name.clone());
            working.spawn(async move {
                let look = Box::pin(slot.look(&fleet, &cluster));
                match tokio::time::timeout(PATIENCE, look).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        let error = anyhow::Error::new(error);
                        tracing::warn!(cluster = %name, "{error:#}");
                    }
                    Err(_) => tracing::warn!(cluster = %name, "admission took too long; it starts again"),
                }
                (name, slot)
            });
        }
    }
    working.shutdown().await;
    Ok(())
}

impl Slot {
    /// Looks at all Jobs of a cluster once: starts, expires and removes what is to be.
    async fn look(&mut self, fleet: &Fleet, cluster: &Cluster) -> Result<(), Error> {
        let views = self.views(cluster).await?;
        let limit = fleet.max_running_jobs;
        let is_running = |it: &JobView| matches!(it.sighting, JobSighting::Running { .. });
        let running = views.iter().filter(|it| is_running(it)).count();
        self.own_starts.retain(|uid| views.iter().any(|it| it.uid == *uid && it.suspended));

        let is_waiting = |it: &&JobView| {
            it.sighting == JobSighting::Suspended && it.started.is_none() && !it.deleting
        };
        let waiting: Vec<&JobView> = views.iter().filter(is_waiting).collect();
        self.waits.on_seen(waiting.iter().map(|it| it.uid.as_str()), limit, mono());
        self.unknown.retain(|uid, _| waiting.iter().any(|it| it.uid == *uid));
        self.gauge(fleet, cluster, running, waiting.len());

        let mut queue = Vec::new();
        for view in waiting {
            match self.judge(fleet, cluster, view) {
                Ok(waiting) => queue.push(waiting),
                Err(Orphan::Keep) => {}
                Err(Orphan::DeleteAfterLiveRead) => self.remove_orphan(cluster, view).await?,
            }
        }
        let slots = Slots { running, own_starts: &self.own_starts, limit };
        let decisions = admission::next(&queue, slots, self.served_last.as_ref());
        for decision in decisions {
            // The Lease may be lost between two writes.
            if !fleet.shards.owns_admission(cluster.name()) {
                return Ok(());
            }
            match decision {
                Decision::Start { trigger, run_id, job, job_uid } => {
                    self.start(cluster, &views, &trigger, &run_id, (&job, &job_uid)).await?;
                }
                Decision::Expire { trigger, run_id, job: _, job_uid } => {
                    self.expire(fleet, cluster, &views, &trigger, (&run_id, &job_uid)).await?;
                }
            }
        }
        Ok(())
    }

    /// The Jobs as the watch has them; on gaining the slot as a consistent list has them, for the watch
    /// may not show yet what the last owner started.
    async fn views(&mut self, cluster: &Cluster) -> Result<Vec<JobView>, Error> {
        if !self.is_new {
            return Ok(cluster.stores().jobs.list().iter().map(|it| it.as_ref().clone()).collect());
        }
        let all: Api<Job> = Api::all(cluster.client().clone());
        let listed = all.list(&ListParams::default().labels(job::RUN_ID)).await;
        let listed =
            listed.map_err(|source| Error::ReadJob { job: "list".to_owned(), source: Box::new(source) })?;
        self.is_new = false;
        Ok(listed.items.iter().map(JobView::of).collect())
    }

    /// What the ledger, as last seen, says of a waiting Job.
    fn judge(&mut self, fleet: &Fleet, cluster: &Cluster, view: &JobView) -> Result<Waiting, Orphan> {
        let trigger = trigger_of(cluster, view);
        let status = trigger.as_ref().map(|it| (it.uid.as_str(), &it.status));
        let trigger_uid = view.trigger_uid.as_deref().unwrap_or_default();
        let standing =
            status.map_or(Standing::NotQueued, |(_, it)| Standing::of(it, &view.run_id, &view.uid));
        let Some(trigger) = trigger.as_ref().filter(|_| standing == Standing::Queued) else {
            let orphan = admission::orphan(trigger_uid, &view.run_id, &view.uid, status);
            let since = *self.unknown.entry(view.uid.clone()).or_insert_with(Instant::now);
            let is_old = since.elapsed() >= ORPHANED_AFTER;
            return Err(if is_old { orphan } else { Orphan::Keep });
        };
        self.unknown.remove(&view.uid);
        Ok(Waiting {
            trigger: trigger.key.clone(),
            run_id: view.run_id.clone(),
            job: view.name.clone(),
            job_uid: view.uid.clone(),
            created: view.created.unwrap_or_default(),
            ledger: standing,
            withdrawn: if view.withdrawn { Withdrawn::Yes } else { Withdrawn::No },
            waited: self.waits.of(&view.uid),
            timeout: waiting_timeout(fleet, cluster, trigger),
        })
    }

    /// Starts a Job: the execution point. Valid only for the Job as it was seen, suspended.
    async fn start(
        &mut self,
        cluster: &Cluster,
        views: &[JobView],
        trigger: &TriggerKey,
        run_id: &str,
        (name, uid): (&str, &str),
    ) -> Result<(), Error> {
        let Some(view) = views.iter().find(|it| it.uid == uid) else { return Ok(()) };
        // The store may be behind the ledger: what it no longer holds must not start.
        let live = ledger::read(cluster.client(), trigger).await?;
        let holds = |it: &Trigger| core_ledger::holds_queued(&it.status, run_id, uid);
        if !live.as_ref().is_some_and(holds) {
            return Ok(());
        }
        if patch(cluster, view, &json!({ "spec": { "suspend": false } })).await? == Patched::Yes {
            self.own_starts.insert(uid.to_owned());
            self.served_last = Some(trigger.clone());
            tracing::info!(%trigger, run = run_id, job = name, "job started");
        }
        Ok(())
    }

    /// Ends a run that waited too long: withdrawn first, so that nobody can start it any more; then
    /// recorded; then deleted. A crash between any two is taken up by the next look.
    async fn expire(
        &mut self,
        fleet: &Fleet,
        cluster: &Cluster,
        views: &[JobView],
        trigger: &TriggerKey,
        (run_id, uid): (&str, &str),
    ) -> Result<(), Error> {
        let Some(view) = views.iter().find(|it| it.uid == uid) else { return Ok(()) };
        if !view.withdrawn {
            let mark = json!({ "metadata": { "annotations": { job::WITHDRAWN: "true" } } });
            if patch(cluster, view, &mark).await? == Patched::No {
                return Ok(());
            }
        }
        let now = fleet.clock.now();
        let message = "the Job waited too long for a free slot; its source is checked again";
        let written = ledger::transit(cluster.client(), trigger, &fleet.metrics, |live| {
            core_ledger::expired(&live.status, run_id, Some(uid), message, now)
        })
        .await?;
        if written.outcome == ledger::Moved::Yes {
            tracing::warn!(%trigger, run = run_id, job = view.name, "expired: it waited too long");
        }
        let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), &view.namespace);
        let read = jobs.get_opt(&view.name).await;
        let live =
            read.map_err(|source| Error::ReadJob { job: view.name.clone(), source: Box::new(source) })?;
        match live.as_ref().map(JobView::of).filter(|it| it.uid == uid && it.withdrawn) {
            Some(live) => jobs::delete(&jobs, &live).await,
            None => Ok(()),
        }
    }

    /// Deletes a Job that no ledger knows, once its trigger, read live, does not know it either.
    async fn remove_orphan(&mut self, cluster: &Cluster, view: &JobView) -> Result<(), Error> {
        let trigger_uid = view.trigger_uid.as_deref().unwrap_or_default();
        let live = match view.trigger.clone() {
            None => None,
            Some((kind, name)) => {
                let (cluster_name, namespace) = (cluster.name().clone(), view.namespace.clone());
                let key = TriggerKey { cluster: cluster_name, kind, namespace, name };
                ledger::read(cluster.client(), &key).await?
            }
        };
        let status: Option<(&str, &TriggerStatus)> =
            live.as_ref().map(|it| (it.uid.as_str(), &it.status));
        if admission::orphan(trigger_uid, &view.run_id, &view.uid, status) == Orphan::Keep {
            self.unknown.insert(view.uid.clone(), Instant::now());
            return Ok(());
        }
        tracing::info!(cluster = %cluster.name(), job = view.name, run = view.run_id, "orphan deleted");
        let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), &view.namespace);
        jobs::delete(&jobs, view).await
    }

    fn gauge(&self, fleet: &Fleet, cluster: &Cluster, running: usize, waiting: usize) {
        let count = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
        let name = [cluster.name().as_str()];
        fleet.metrics.jobs_queue_limit.with_label_values(&name).set(i64::from(fleet.max_running_jobs));
        fleet.metrics.jobs_queue_running.with_label_values(&name).set(count(running));
        fleet.metrics.jobs_queue_waiting.with_label_values(&name).set(count(waiting));
    }
}

/// The trigger of a Job, as the store has it, if it is the same one.
fn trigger_of(cluster: &Cluster, view: &JobView) -> Option<Trigger> {
    let (kind, name) = view.trigger.clone()?;
    let key =
        TriggerKey { cluster: cluster.name().clone(), kind, namespace: view.namespace.clone(), name };
    Trigger::of_store(&key, cluster.stores())
}

/// How long a Job of this trigger may wait: its Action's own time, else the configured one.
fn waiting_timeout(fleet: &Fleet, cluster: &Cluster, trigger: &Trigger) -> Duration {
    use ger_api::schedule_trigger::ActionKind;
    let configured = fleet.jobs.waiting_timeout;
    let Ok(plan) = &trigger.plan else { return configured };
    let stores = cluster.stores();
    match plan.action.kind {
        ActionKind::Action => stores
            .actions
            .find(Some(&trigger.key.namespace), &plan.action.name)
            .and_then(|it| Some(job::Action::of(&it).ok()?.waiting_timeout(&fleet.jobs))),
        ActionKind::ClusterAction => stores
            .cluster_actions
            .find(None, &plan.action.name)
            .and_then(|it| Some(job::Action::of_cluster(&it).ok()?.waiting_timeout(&fleet.jobs))),
    }
    .unwrap_or(configured)
}

/// Whether a Job was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patched {
    Yes,
    /// It is another one by now, or gone.
    No,
}

/// Changes a Job exactly as it was seen: uid and resourceVersion are preconditions.
async fn patch(cluster: &Cluster, view: &JobView, change: &serde_json::Value) -> Result<Patched, Error> {
    let mut change = change.clone();
    change["metadata"]["uid"] = json!(view.uid);
    change["metadata"]["resourceVersion"] = json!(view.resource_version);
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), &view.namespace);
    match jobs.patch(&view.name, &PatchParams::default(), &Patch::Merge(change)).await {
        Ok(_) => Ok(Patched::Yes),
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => Ok(Patched::No),
        Err(source) => Err(Error::ChangeJob { job: view.name.clone(), source: Box::new(source) }),
    }
}

/// The monotonic time as core wants it: since a moment that never changes in this process.
fn mono() -> ger_core::membership::Mono {
    use std::sync::OnceLock;
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    now.saturating_duration_since(*ORIGIN.get_or_init(|| now))
}
