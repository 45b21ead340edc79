//! What is known of a cluster's objects? Read by everybody, written by the cluster's streams alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ger_api::{Action, ClusterAction, ClusterGitRepo, GitRepo, ScheduleTrigger, WebhookTrigger};
use ger_core::job::{
    ASKED_QUEUE, KUEUE_QUEUE, RUN_ID, TRIGGER_KIND, TRIGGER_NAME, TRIGGER_UID, WITHDRAWN,
};
use ger_core::ledger::JobSighting;
use ger_core::names::{TriggerKey, TriggerKind};
use ger_core::outcome;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Serialize;

use super::ended::Ended;
use super::folded::Folded;
use super::room::{Weight, bytes_of};

/// What is known of one cluster.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    pub schedule_triggers: Store<Folded<ScheduleTrigger>>,
    pub webhook_triggers: Store<Folded<WebhookTrigger>>,
    pub git_repos: Store<GitRepo>,
    pub cluster_git_repos: Store<ClusterGitRepo>,
    pub actions: Store<Action>,
    pub cluster_actions: Store<ClusterAction>,
    /// Our Jobs alone: those that carry a run's id.
    pub jobs: Store<JobView>,
    /// Those of them that are gone, and had finished.
    pub ended: Ended,
}

impl Stores {
    /// What all of it weighs.
    pub(super) fn weight(&self) -> Weight {
        [
            self.schedule_triggers.weight(),
            self.webhook_triggers.weight(),
            self.git_repos.weight(),
            self.cluster_git_repos.weight(),
            self.actions.weight(),
            self.cluster_actions.weight(),
            self.jobs.weight(),
        ]
        .into_iter()
        .sum()
    }

    /// Whether a trigger of this key was there when last seen; its cluster is this one.
    pub fn has_trigger(&self, key: &TriggerKey) -> bool {
        let place = Some(key.namespace.as_str());
        match key.kind {
            TriggerKind::Schedule => self.schedule_triggers.find(place, &key.name).is_some(),
            TriggerKind::Webhook => self.webhook_triggers.find(place, &key.name).is_some(),
        }
    }
}

/// The objects of one kind, as last seen. Cheap to clone.
#[derive(Debug)]
pub struct Store<K> {
    shelf: Arc<Shelf<K>>,
}

#[derive(Debug)]
struct Shelf<K> {
    /// By namespace (empty for what has none), then by name.
    objects: RwLock<Objects<K>>,
    synced: AtomicBool,
    /// How many there are, and how large they are together.
    count: AtomicUsize,
    bytes: AtomicUsize,
}

type Objects<K> = BTreeMap<String, BTreeMap<String, Arc<K>>>;

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self { shelf: Arc::clone(&self.shelf) }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        let shelf = Shelf {
            objects: RwLock::default(),
            synced: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        };
        Self { shelf: Arc::new(shelf) }
    }
}

impl<K> Store<K> {
    /// The object of that name, as last seen.
    pub fn find(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        self.read(|it| it.get(namespace.unwrap_or_default())?.get(name).cloned())
    }

    /// Every object, by namespace and name.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read(|it| it.values().flat_map(BTreeMap::values).cloned().collect())
    }

    /// Every object of a namespace, by name.
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read(|it| it.get(namespace).into_iter().flat_map(BTreeMap::values).cloned().collect())
    }

    pub fn len(&self) -> usize {
        self.shelf.count.load(Ordering::Relaxed)
    }

    pub(super) fn weight(&self) -> Weight {
        Weight { objects: self.len(), bytes: self.shelf.bytes.load(Ordering::Relaxed) }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether everything was listed at least once.
    pub fn is_synced(&self) -> bool {
        self.shelf.synced.load(Ordering::SeqCst)
    }

    fn read<T>(&self, look: impl FnOnce(&Objects<K>) -> T) -> T {
        look(&self.shelf.objects.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Objects<K>) -> T) -> T {
        change(&mut self.shelf.objects.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a store needs to know of what it holds.
pub trait Held: Send + Sync + 'static {
    /// Namespace (empty for what has none) and name.
    fn place(&self) -> (&str, &str);
    /// Changes when the object does: uid and resourceVersion.
    fn version(&self) -> (&str, &str);
    /// About how much memory it takes.
    fn bytes(&self) -> usize;
}

impl<K: Resource + Serialize + Send + Sync + 'static> Held for K {
    fn place(&self) -> (&str, &str) {
        let meta = self.meta();
        (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }

    fn version(&self) -> (&str, &str) {
        let meta = self.meta();
        let version = meta.resource_version.as_deref().unwrap_or_default();
        (meta.uid.as_deref().unwrap_or_default(), version)
    }

    fn bytes(&self) -> usize {
        bytes_of(self)
    }
}

/// Something that is now different in a store.
#[derive(Debug)]
pub(super) enum Change<K> {
    Applied(Arc<K>),
    Gone(Arc<K>),
}

impl<K: Held> Store<K> {
    /// Puts an object in its place; nothing changes when it is there in the same version.
    pub(super) fn apply(&self, object: K) -> Option<Change<K>> {
        let object = Arc::new(object);
        let (namespace, name) = object.place();
        self.write(|it| {
            let place = it.entry(namespace.to_owned()).or_default();
            let same = |held: &Arc<K>| held.version() == object.version();
            if place.get(name).is_some_and(same) {
                return None;
            }
            let before = place.insert(name.to_owned(), Arc::clone(&object));
            self.shelf.bytes.fetch_add(object.bytes(), Ordering::Relaxed);
            match before {
                Some(before) => self.lighten(&before),
                None => drop(self.shelf.count.fetch_add(1, Ordering::Relaxed)),
            }
            Some(Change::Applied(Arc::clone(&object)))
        })
    }

    pub(super) fn remove(&self, namespace: &str, name: &str) -> Option<Change<K>> {
        self.write(|it| {
            let place = it.get_mut(namespace)?;
            let gone = place.remove(name)?;
            if place.is_empty() {
                it.remove(namespace);
            }
            self.lighten(&gone);
            self.shelf.count.fetch_sub(1, Ordering::Relaxed);
            Some(Change::Gone(gone))
        })
    }

    fn lighten(&self, gone: &K) {
        self.shelf.bytes.fetch_sub(gone.bytes(), Ordering::Relaxed);
    }

    /// Holds exactly these from now on, and says what that changed.
    pub(super) fn replace(&self, objects: Vec<K>) -> Vec<Change<K>> {
        let mut next = Objects::new();
        for object in objects.into_iter().map(Arc::new) {
            let (namespace, name) = object.place();
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            next.entry(namespace).or_default().insert(name, object);
        }
        let weight: Weight = each(&next).map(|(_, _, it)| Weight::of(it.as_ref())).sum();
        let before = self.write(|it| {
            self.shelf.count.store(weight.objects, Ordering::Relaxed);
            self.shelf.bytes.store(weight.bytes, Ordering::Relaxed);
            std::mem::replace(it, next.clone())
        });
        self.shelf.synced.store(true, Ordering::SeqCst);

        let mut changes = Vec::new();
        for (namespace, name, object) in each(&next) {
            let held = find(&before, namespace, name);
            if held.is_none_or(|it| it.version() != object.version()) {
                changes.push(Change::Applied(Arc::clone(object)));
            }
        }
        let gone =
            each(&before).filter(|(namespace, name, _)| find(&next, namespace, name).is_none());
        changes.extend(gone.map(|(_, _, object)| Change::Gone(Arc::clone(object))));
        changes
    }
}

fn each<K>(objects: &Objects<K>) -> impl Iterator<Item = (&String, &String, &Arc<K>)> {
    objects
        .iter()
        .flat_map(|(namespace, it)| it.iter().map(move |(name, it)| (namespace, name, it)))
}

fn find<'a, K>(objects: &'a Objects<K>, namespace: &str, name: &str) -> Option<&'a Arc<K>> {
    objects.get(namespace)?.get(name)
}

/// Seconds by which the clocks of a control plane may differ: what a shorter TTL removes has failed before, even if
/// the times say otherwise.
const SKEW: i32 = 5;

/// One of our Jobs, without its pod.
#[expect(clippy::struct_excessive_bools, reason = "three facts that do not depend on each other")]
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub suspended: bool,
    pub run_id: String,
    pub trigger: Option<(TriggerKind, String)>,
    pub trigger_uid: Option<String>,
    pub created: Option<Timestamp>,
    pub started: Option<Timestamp>,
    /// What the ledger is to hear of it; never `Gone`, for a watch may lag.
    pub sighting: JobSighting,
    pub deleting: bool,
    /// The uid of the Action that it was made for.
    pub owner_uid: Option<String>,
    /// Nobody may start it any more.
    pub withdrawn: bool,
    pub queue: KueueQueue,
}

/// Whether Kueue admits a Job in our place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KueueQueue {
    None,
    /// Its Action asks for this queue; it does not have the label yet.
    Asked(String),
    HandedOver,
}

impl JobView {
    pub fn of(job: &Job) -> Self {
        let meta = &job.metadata;
        let label = |key: &str| meta.labels.as_ref()?.get(key).cloned();
        let annotation = |key: &str| meta.annotations.as_ref()?.get(key).cloned();
        let kind = label(TRIGGER_KIND).and_then(|it| {
            [TriggerKind::Schedule, TriggerKind::Webhook]
                .into_iter()
                .find(|kind| kind.as_str() == it)
        });
        let suspended = job.spec.as_ref().and_then(|it| it.suspend).unwrap_or_default();
        let start = job.status.as_ref().and_then(|it| it.start_time.as_ref());
        let started = start.map(|it| it.0);
        let unfinished =
            if suspended { JobSighting::Suspended } else { JobSighting::Running { started } };
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            suspended,
            run_id: label(RUN_ID).unwrap_or_default(),
            // The annotation holds the name whole, where the label may have been cut.
            trigger: kind.zip(annotation(TRIGGER_NAME).or_else(|| label(TRIGGER_NAME))),
            trigger_uid: label(TRIGGER_UID),
            created: meta.creation_timestamp.as_ref().map(|it| it.0),
            started,
            sighting: finish(job).map_or(unfinished, |it| unless_removed(job, it)),
            deleting: meta.deletion_timestamp.is_some(),
            owner_uid: owner(meta),
            withdrawn: annotation(WITHDRAWN).is_some(),
            queue: match (label(KUEUE_QUEUE), annotation(ASKED_QUEUE)) {
                (Some(_), _) => KueueQueue::HandedOver,
                (None, Some(queue)) => KueueQueue::Asked(queue),
                (None, None) => KueueQueue::None,
            },
        }
    }
}

fn owner(meta: &ObjectMeta) -> Option<String> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|it| it.controller == Some(true)).map(|it| it.uid.clone())
}

fn finish(job: &Job) -> Option<JobSighting> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().filter(|it| it.status == "True").find_map(|it| {
        let at = it.last_transition_time.as_ref().map(|it| it.0);
        match it.type_.as_str() {
            "Complete" => Some(JobSighting::Succeeded { at }),
            "Failed" => {
                let said = outcome::said(it.reason.as_deref(), it.message.as_deref());
                Some(JobSighting::Failed { at, message: super::error::shorten(&said) })
            }
            _ => None,
        }
    })
}

/// Kubernetes counts a Pod that is deleted as failed: where its controller sees that before the Job's own deletion,
/// the Job fails before it is gone.
fn unless_removed(job: &Job, end: JobSighting) -> JobSighting {
    let Some(deleted) = job.metadata.deletion_timestamp.as_ref().map(|it| it.0) else { return end };
    let ttl = job.spec.as_ref().and_then(|it| it.ttl_seconds_after_finished);
    let may_be_by_ttl = ttl.is_some_and(|it| it < SKEW);
    match end {
        JobSighting::Failed { at: Some(at), .. } if at > deleted && !may_be_by_ttl => {
            JobSighting::Removed
        }
        end => end,
    }
}

impl Held for JobView {
    fn place(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    fn version(&self) -> (&str, &str) {
        (&self.uid, &self.resource_version)
    }

    fn bytes(&self) -> usize {
        let texts = [&self.namespace, &self.name, &self.uid, &self.resource_version, &self.run_id];
        size_of::<Self>() + texts.iter().map(|it| it.len()).sum::<usize>()
    }
}

/// Drops what nobody reads: managed fields alone are three quarters of an object's memory.
pub(super) fn prune(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.labels = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|name, _| name.starts_with(ger_core::job::PREFIX));
    }
    // A map that was emptied keeps its memory.
    meta.annotations.take_if(|it| it.is_empty());
}
