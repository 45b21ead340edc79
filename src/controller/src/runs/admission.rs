//! Which suspended Jobs start? The owner of a cluster's slot starts what the ledger holds as queued, and
//! nothing else.

mod ends;
mod fresh;
mod known;
mod sights;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ger_api::schedule_trigger::{ActionKind, ActionRef};
use ger_core::admission::taken::{Asked, Evidence, Read, Taken};
use ger_core::admission::{
    self, Decision, Orphan, Readiness, Served, Slots, Standing, Time, Waiting, Waits, Withdrawn,
};
use ger_core::ledger::JobSighting;
use ger_core::names::{ClusterName, TriggerKey};
use ger_core::trace::Step;
use ger_core::{job, ledger as core_ledger};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::ends::Removed;
use self::fresh::{Copies, Starting};
use self::sights::sight;
use super::error::Error;
use super::jobs::Patched;
use super::{Fleet, jobs, ledger};
use crate::clock::mono;
use crate::clusters::{Cluster, JobView, KueueQueue};
use crate::traces::Span;

/// Waiting times are looked at this often, without anybody's signal.
const LOOK: Duration = Duration::from_secs(1);
/// A cluster that does not answer keeps only its own slot busy, and not for longer than this.
const PATIENCE: Duration = Duration::from_mins(1);
/// A start of which no answer came is tried again for this long before others have its place.
const ASKED_FOR: Duration = Duration::from_secs(10);
/// A suspended Job that the ledger does not know is somebody's unfinished business for this long.
const ORPHANED_AFTER: Duration = Duration::from_secs(10);

/// What the owner of one cluster's slot remembers.
#[derive(Debug, Default)]
struct Slot {
    waits: Waits,
    /// Since when Jobs are seen that the ledger does not know, by uid.
    unknown: HashMap<String, Instant>,
    taken: Taken,
    served: Served,
    copies: Copies,
    known: known::Memory,
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
    let mut desk =
        Desk { fleet, idle: BTreeMap::new(), busy: BTreeMap::new(), working: JoinSet::new() };
    let mut look = tokio::time::interval(LOOK);
    loop {
        let fleet = Arc::clone(&desk.fleet);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = desk.working.join_next() => {
                let (name, slot) = ended.map_err(|source| Panicked { source })?;
                desk.ended(name, slot);
            }
            rung = fleet.admission.heard() => {
                for cluster in rung.iter().filter_map(|it| fleet.clusters.cluster(it)) {
                    desk.look_at(cluster);
                }
            }
            _ = look.tick() => desk.look_everywhere(),
        }
    }
    desk.working.shutdown().await;
    Ok(())
}

/// The slots of all clusters, and who is being looked at.
struct Desk {
    fleet: Arc<Fleet>,
    idle: BTreeMap<ClusterName, Slot>,
    busy: BTreeMap<ClusterName, Meanwhile>,
    working: JoinSet<(ClusterName, Slot)>,
}

/// What happened while a cluster was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// Somebody rang: what was looked at may be old.
    Rung,
}

impl Desk {
    fn look_everywhere(&mut self) {
        let is_there = |name: &ClusterName| self.fleet.clusters.cluster(name).is_some();
        self.idle.retain(|name, _| is_there(name));
        for cluster in self.fleet.clusters.all() {
            self.look_at(cluster);
        }
    }

    fn look_at(&mut self, cluster: Cluster) {
        let name = cluster.name().clone();
        if let Some(meanwhile) = self.busy.get_mut(&name) {
            *meanwhile = Meanwhile::Rung;
            return;
        }
        if !self.fleet.shards.owns_admission(&name) || !cluster.state().works() {
            if self.idle.remove(&name).is_some() {
                // Another counts them now.
                self.fleet.metrics.forget_queue(name.as_str());
            }
            return;
        }
        let new = || Slot { is_new: true, ..Slot::default() };
        let slot = self.idle.remove(&name).unwrap_or_else(new);
        self.busy.insert(name, Meanwhile::Nothing);
        self.working.spawn(look_once(Arc::clone(&self.fleet), cluster, slot));
    }

    fn ended(&mut self, name: ClusterName, slot: Slot) {
        let meanwhile = self.busy.remove(&name);
        let Some(cluster) = self.fleet.clusters.cluster(&name) else {
            // What was counted while it went.
            self.fleet.metrics.forget_cluster(name.as_str());
            return;
        };
        self.idle.insert(name, slot);
        if meanwhile == Some(Meanwhile::Rung) {
            self.look_at(cluster);
        }
    }
}

/// One look at a cluster, within its time.
async fn look_once(fleet: Arc<Fleet>, cluster: Cluster, mut slot: Slot) -> (ClusterName, Slot) {
    let name = cluster.name().clone();
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
}

impl Slot {
    /// Looks at all Jobs of a cluster once: starts, expires and removes what is to be.
    async fn look(&mut self, fleet: &Arc<Fleet>, cluster: &Cluster) -> Result<(), Error> {
        let (views, read) = self.views(cluster).await?;
        let limit = fleet.in_force().max_running_jobs();
        self.known.begin();
        self.count(cluster, (&views, read), limit);
        let mut result = self.ask_again((fleet, cluster), limit).await;

        let is_waiting = |it: &&Arc<JobView>| {
            it.sighting == JobSighting::Suspended && it.started.is_none() && !it.deleting
        };
        let waiting: Vec<&Arc<JobView>> = views.iter().filter(is_waiting).collect();
        let times: Vec<(&str, Time)> = waiting
            .iter()
            .map(|it| {
                let known = self.known.of(cluster, it);
                let stands_still = known.is_some_and(|it| it.suspend);
                (it.uid.as_str(), if stands_still { Time::StandsStill } else { Time::Runs })
            })
            .collect();
        self.waits.on_seen(times, limit, mono());
        self.unknown.retain(|uid, _| waiting.iter().any(|it| it.uid == *uid));
        self.copies.retain(|uid| waiting.iter().any(|it| it.uid == *uid));
        let running = self.taken.by_trigger();
        gauge(fleet, cluster, running.values().sum(), waiting.len());

        let mut queue = Vec::new();
        for view in waiting {
            match self.judge(fleet, cluster, view) {
                // Kueue has it, and says when.
                Ok(_) if view.queue == KueueQueue::HandedOver => {}
                Ok(waiting) => queue.push(waiting),
                Err(Orphan::Keep) => {}
                // One that cannot be removed holds up none of the others.
                Err(Orphan::DeleteAfterLiveRead) => {
                    result = result.and(self.remove(cluster, view).await);
                }
            }
        }
        self.served.retain(queue.iter().map(|it| &it.trigger));
        let slots = Slots { running: &running, own_starts: &self.taken.uids(), limit };
        let mut held_up = BTreeSet::new();
        for decision in admission::next(&queue, slots, &self.served) {
            // The Lease may be lost between two writes.
            if !fleet.shards.owns_admission(cluster.name()) {
                break;
            }
            // Whose first could not be told to start: the second would come before it.
            if held_up.contains(decision.trigger()) {
                continue;
            }
            let trigger = decision.trigger().clone();
            let carried = self.carry_out((fleet, cluster), &views, decision).await;
            if carried.is_err() {
                held_up.insert(trigger);
            }
            result = result.and(carried);
        }
        result
    }

    /// Removes an orphan; one that is none is not looked at again at once.
    async fn remove(&mut self, cluster: &Cluster, view: &JobView) -> Result<(), Error> {
        if ends::remove_orphan(cluster, view).await? == Removed::No {
            self.unknown.insert(view.uid.clone(), Instant::now());
        }
        Ok(())
    }

    async fn carry_out(
        &mut self,
        (fleet, cluster): (&Arc<Fleet>, &Cluster),
        views: &[Arc<JobView>],
        decision: Decision,
    ) -> Result<(), Error> {
        let find = |uid: &str| views.iter().find(|it| it.uid == uid);
        match decision {
            Decision::Start { trigger, run_id, job: _, job_uid } => match find(&job_uid) {
                Some(view) => self.start((fleet, cluster), view, (&trigger, &run_id), None).await,
                None => Ok(()),
            },
            Decision::HandOver { trigger, run_id, job_uid, queue } => match find(&job_uid) {
                Some(view) => {
                    let queue = Some(queue.as_str());
                    self.start((fleet, cluster), view, (&trigger, &run_id), queue).await
                }
                None => Ok(()),
            },
            Decision::Expire { trigger, run_id, job: _, job_uid } => match find(&job_uid) {
                Some(view) => ends::expire((fleet, cluster), view, &trigger, &run_id).await,
                None => Ok(()),
            },
        }
    }

    /// The Jobs as the watch has them; on gaining the slot as a consistent list has them, for the watch
    /// may not show yet what the last owner started.
    async fn views(&mut self, cluster: &Cluster) -> Result<(Vec<Arc<JobView>>, Read), Error> {
        if !self.is_new {
            return Ok((cluster.stores().jobs.list(), Read::Watch));
        }
        let all: Api<Job> = Api::all(cluster.client().clone());
        let listed = all.list(&ListParams::default().labels(job::RUN_ID)).await;
        let listed = listed.map_err(|source| Error::ReadJob {
            job: "list".to_owned(),
            source: Box::new(source),
        })?;
        self.is_new = false;
        Ok((listed.items.iter().map(JobView::of).map(Arc::new).collect(), Read::List))
    }

    /// Counts the places that are taken.
    fn count(&mut self, cluster: &Cluster, (views, read): (&[Arc<JobView>], Read), limit: u32) {
        let sights: Vec<_> = views.iter().map(|it| sight(cluster.name(), it)).collect();
        let known = &mut self.known;
        self.taken.on_seen((&sights, read), limit, mono(), |at, evidence| {
            let Some(view) = views.get(at) else { return false };
            let trigger = known.of(cluster, view);
            match evidence {
                Evidence::Ledger => trigger.is_some_and(|it| it.holds(view)),
                Evidence::Owner => {
                    let is_gone =
                        trigger.is_none_or(|it| Some(&it.uid) != view.trigger_uid.as_ref());
                    is_gone && known::is_of_an_action(cluster, view)
                }
            }
        });
    }

    /// Finds out what became of starts of which no answer came; what did not start has its place, and starts.
    async fn ask_again(
        &mut self,
        (fleet, cluster): (&Arc<Fleet>, &Cluster),
        limit: u32,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        for Asked { trigger, job, uid, since } in self.taken.asked() {
            let live = match jobs::live(cluster, (&trigger.namespace, &job), &uid).await {
                Ok(live) => live,
                Err(error) => {
                    result = result.and(Err(error));
                    continue;
                }
            };
            match live.as_ref().map(|it| &it.sighting) {
                Some(JobSighting::Running { .. }) => self.taken.runs(&uid, mono()),
                Some(JobSighting::Suspended) if limit > 0 && mono() < since + ASKED_FOR => {}
                _ => self.taken.leave(&uid),
            }
            let waits = live.filter(|it| {
                it.sighting == JobSighting::Suspended && !it.withdrawn && self.taken.has(&uid)
            });
            if let Some(view) = waits
                && fleet.shards.owns_admission(cluster.name())
            {
                let run = (&trigger, view.run_id.as_str());
                result = result.and(self.start((fleet, cluster), &view, run, None).await);
            }
        }
        result
    }

    /// What the ledger, as last seen, says of a waiting Job.
    fn judge(
        &mut self,
        fleet: &Fleet,
        cluster: &Cluster,
        view: &JobView,
    ) -> Result<Waiting, Orphan> {
        let known = self.known.of(cluster, view);
        let status = known.as_ref().map(|it| (it.uid.as_str(), &it.status));
        let trigger_uid = view.trigger_uid.as_deref().unwrap_or_default();
        let standing =
            status.map_or(Standing::NotQueued, |(_, it)| Standing::of(it, &view.run_id, &view.uid));
        let Some(known) = known.as_ref().filter(|_| standing == Standing::Queued) else {
            let orphan = admission::orphan(trigger_uid, &view.run_id, &view.uid, status);
            let since = *self.unknown.entry(view.uid.clone()).or_insert_with(Instant::now);
            let is_old = since.elapsed() >= ORPHANED_AFTER;
            return Err(if is_old { orphan } else { Orphan::Keep });
        };
        self.unknown.remove(&view.uid);
        Ok(Waiting {
            trigger: known.key.clone(),
            run_id: view.run_id.clone(),
            job: view.name.clone(),
            job_uid: view.uid.clone(),
            created: view.created.unwrap_or_default(),
            turn: core_ledger::turn(&known.status, &view.run_id),
            ledger: standing,
            readiness: match (known.suspend, self.copies.may_be_next(&view.uid)) {
                (true, _) => Readiness::Suspended,
                (false, true) => Readiness::Ready,
                (false, false) => Readiness::Hindered,
            },
            withdrawn: if view.withdrawn { Withdrawn::Yes } else { Withdrawn::No },
            waited: self.waits.of(&view.uid),
            timeout: waiting_timeout(fleet, cluster, (&known.key.namespace, &known.action)),
            queue: match &view.queue {
                KueueQueue::Asked(queue) => Some(queue.clone()),
                KueueQueue::None | KueueQueue::HandedOver => None,
            },
        })
    }

    /// Starts a Job, or gives it to Kueue: the execution point. Valid only for the Job as it was seen,
    /// suspended.
    async fn start(
        &mut self,
        (fleet, cluster): (&Arc<Fleet>, &Cluster),
        view: &JobView,
        (trigger, run_id): (&TriggerKey, &str),
        queue: Option<&str>,
    ) -> Result<(), Error> {
        // Whatever comes of it: one that cannot be started is not the first again the next time.
        self.served.note(trigger);
        // The store may be behind the ledger: what it no longer holds must not start.
        let Some(live) = ledger::read(cluster.client(), trigger).await? else { return Ok(()) };
        let run = live.status.runs.iter().find(|it| it.id == run_id);
        let holds = core_ledger::holds_queued(&live.status, run_id, &view.uid);
        let is_suspended = live.plan.as_ref().is_ok_and(|it| it.suspend);
        let Some(run) = run.filter(|_| holds && !is_suspended) else {
            self.taken.leave(&view.uid);
            return Ok(());
        };
        let starting = Starting { fleet, cluster, view, trigger: &live, run };
        if !self.copies.are_good_for(&starting).await {
            return Ok(());
        }
        let change = match queue {
            None => json!({ "spec": { "suspend": false } }),
            Some(queue) => json!({ "metadata": { "labels": { job::KUEUE_QUEUE: queue } } }),
        };
        if queue.is_none() {
            self.taken.ask(&sight(cluster.name(), view), trigger, mono());
        }
        match jobs::patch(cluster, view, change).await {
            Ok(Patched::Yes) => {}
            Ok(Patched::No) => {
                self.taken.leave(&view.uid);
                return Ok(());
            }
            Err(error) => {
                if error.is_refusal() {
                    self.taken.leave(&view.uid);
                }
                return Err(error);
            }
        }
        let trace_id = fleet.traces.of(run_id).map(tracing::field::display);
        match queue {
            None => {
                self.taken.started(&sight(cluster.name(), view), trigger, mono());
                waited(fleet, cluster, view);
                tracing::info!(%trigger, run = run_id, trace_id, job = view.name, "job started");
            }
            Some(queue) => {
                tracing::info!(%trigger, run = run_id, trace_id, job = view.name, queue, "job handed over to Kueue");
            }
        }
        let now = fleet.clock.now();
        let waited = (view.created.unwrap_or(now), now);
        fleet.traces.tell(|| Span::new(trigger, run, Step::Admission, waited));
        Ok(())
    }
}

fn gauge(fleet: &Fleet, cluster: &Cluster, running: usize, waiting: usize) {
    let count = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    let name = [cluster.name().as_str()];
    let limit = fleet.in_force().max_running_jobs();
    fleet.metrics.jobs_queue_limit.with_label_values(&name).set(i64::from(limit));
    fleet.metrics.jobs_queue_running.with_label_values(&name).set(count(running));
    fleet.metrics.jobs_queue_waiting.with_label_values(&name).set(count(waiting));
}

/// Counts how long a Job waited that is started, by the cluster's clock and ours.
fn waited(fleet: &Fleet, cluster: &Cluster, view: &JobView) {
    let waited = view.created.map(|it| fleet.clock.now().duration_since(it).as_secs_f64());
    let series = &fleet.metrics.jobs_queue_waiting_duration_seconds;
    series
        .with_label_values(&[cluster.name().as_str()])
        .observe(waited.unwrap_or_default().max(0.0));
}

/// How long a Job of this trigger may wait: its Action's own time, else the configured one.
pub(crate) fn waiting_timeout(
    fleet: &Fleet,
    cluster: &Cluster,
    (namespace, action): (&str, &ActionRef),
) -> Duration {
    let (stores, name) = (cluster.stores(), &action.name);
    let jobs = &fleet.in_force().jobs;
    match action.kind {
        ActionKind::Action => stores
            .actions
            .find(Some(namespace), name)
            .and_then(|it| Some(job::Action::of(&it).ok()?.waiting_timeout(jobs))),
        ActionKind::ClusterAction => stores
            .cluster_actions
            .find(None, name)
            .and_then(|it| Some(job::Action::of_cluster(&it).ok()?.waiting_timeout(jobs))),
    }
    .unwrap_or(jobs.waiting_timeout)
}
