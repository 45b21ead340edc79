//! Which Jobs are to be looked at, and which Pods are whose? Kept by what changed since the last look, so
//! that a Job that nothing happens to costs nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use super::controller;
use crate::{
    controllers::{follow::Follow, timers::Timers},
    label_selector, object,
    store::{
        Key, State, Stored, Table,
        log::{Change, Kind},
    },
};

const JOBS: &str = "jobs.batch";
const PODS: &str = "pods";

#[derive(Debug, Default)]
pub(super) struct Roster {
    follow: Follow,
    /// Where Jobs are, by uid.
    jobs: HashMap<String, Key>,
    /// The Pods that a Job controls, by the Job's uid, whether there is such a Job or not.
    pods: HashMap<String, BTreeSet<Key>>,
    /// The uid of the Job that controls a Pod.
    controllers: BTreeMap<Key, String>,
    /// Pods that nobody controls.
    free: BTreeSet<Key>,
    due: BTreeSet<Key>,
    timers: Timers,
    /// Pods that may have lost who counts them.
    strays: BTreeSet<Key>,
    /// The uids of Jobs that are no more.
    ended: Vec<String>,
}

impl Roster {
    /// Learns what happened since the last time.
    pub(super) fn learn(&mut self, state: &State) {
        let Some(news) = self.follow.news(state, [JOBS, PODS]) else { return self.begin(state) };
        let mut freed = Vec::new();
        for (table, change) in news {
            if table == JOBS {
                self.job(&change);
            } else if self.pod(&change) {
                freed.push(change);
            }
        }
        for change in freed {
            self.offer(state, &change.key, &change.object);
        }
    }

    /// Looks at everything.
    fn begin(&mut self, state: &State) {
        let known = std::mem::take(&mut self.jobs);
        *self = Self { follow: std::mem::take(&mut self.follow), ..Self::default() };
        for (key, job) in objects(state, JOBS) {
            let uid = job.value.peek(|it| object::uid(it).to_owned());
            self.jobs.insert(uid, key.clone());
            self.due.insert(key.clone());
        }
        for (key, pod) in objects(state, PODS) {
            self.place(key, pod);
        }
        self.ended = known.into_keys().filter(|it| !self.jobs.contains_key(it)).collect();
    }

    fn job(&mut self, change: &Change) {
        let uid = change.object.value.peek(|it| object::uid(it).to_owned());
        if change.kind == Kind::Deleted {
            self.jobs.remove(&uid);
            self.due.remove(&change.key);
            self.timers.set(&change.key, None);
            self.strays.extend(self.pods.get(&uid).into_iter().flatten().cloned());
            self.ended.push(uid);
        } else {
            self.jobs.insert(uid, change.key.clone());
            self.due.insert(change.key.clone());
        }
    }

    /// Whether it left a Pod that nobody controls.
    fn pod(&mut self, change: &Change) -> bool {
        let key = &change.key;
        self.free.remove(key);
        if let Some(uid) = self.controllers.remove(key) {
            self.due.extend(self.jobs.get(&uid).cloned());
            let left = self.pods.get_mut(&uid).map(|it| (it.remove(key), it.len()));
            if let Some((_, 0)) = left {
                self.pods.remove(&uid);
            }
        }
        if change.kind == Kind::Deleted {
            self.strays.remove(key);
            return false;
        }
        self.place(key, &change.object);
        self.free.contains(key)
    }

    fn place(&mut self, key: &Key, pod: &Stored) {
        let by = pod.value.peek(|it| {
            let controller = controller(it)?;
            Some((controller["kind"] == "Job").then(|| object::text(controller, "/uid").to_owned()))
        });
        match by {
            None => {
                self.free.insert(key.clone());
                self.strays.insert(key.clone());
            }
            Some(None) => {}
            Some(Some(uid)) => {
                match self.jobs.get(&uid) {
                    Some(job) => self.due.insert(job.clone()),
                    None => self.strays.insert(key.clone()),
                };
                self.pods.entry(uid.clone()).or_default().insert(key.clone());
                self.controllers.insert(key.clone(), uid);
            }
        }
    }

    /// Has those Jobs looked at that would take a Pod which nobody controls.
    fn offer(&mut self, state: &State, key: &Key, pod: &Stored) {
        let labels = pod.value.peek(|it| it["metadata"]["labels"].clone());
        let takes = |job: &Value| label_selector::matches(&job["spec"]["selector"], &labels);
        let jobs = state.tables.get(JOBS).map(|it| &it.objects);
        let jobs = jobs.into_iter().flat_map(|it| Table::within(it, Some(key.namespace())));
        let taking = jobs.filter(|(_, it)| it.value.peek(takes));
        self.due.extend(taking.map(|(key, _)| key.clone()));
    }

    /// Takes the Jobs to look at, those too whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> BTreeSet<Key> {
        self.due.extend(self.timers.take_due(now));
        std::mem::take(&mut self.due)
    }

    /// Takes the Pods that may have lost who counts them.
    pub(super) fn take_strays(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.strays)
    }

    /// Whether a Pod is controlled by a Job that is there.
    pub(super) fn is_counted(&self, pod: &Value) -> bool {
        controller(pod).is_some_and(|it| {
            it["kind"] == "Job" && self.jobs.contains_key(object::text(it, "/uid"))
        })
    }

    /// Takes the uids of the Jobs that ended.
    pub(super) fn take_ended(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ended)
    }

    /// When to look at a Job again though nothing changes.
    pub(super) fn set_timer(&mut self, job: &Key, at: Option<Timestamp>) {
        self.timers.set(job, at);
    }

    /// Has a Job looked at again with whatever happens next.
    pub(super) fn put_off(&mut self, job: &Key) {
        self.due.insert(job.clone());
    }

    /// How long until some Job is due.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        self.timers.next(now)
    }

    /// The Pods that a Job controls.
    pub(super) fn owned(&self, state: &State, uid: &str) -> Vec<Arc<Stored>> {
        let keys = self.pods.get(uid).into_iter().flatten();
        let pods = keys.filter_map(|it| state.find(PODS, it));
        pods.filter(|it| it.value.peek(|pod| controller(pod).is_some_and(|it| it["uid"] == uid)))
            .collect()
    }

    /// The Pods of a namespace that nobody controls.
    pub(super) fn free(&self, state: &State, namespace: &str) -> Vec<Arc<Stored>> {
        let keys = self.free.range(Key::new(namespace, "")..);
        let keys = keys.take_while(|it| it.namespace() == namespace);
        let pods = keys.filter_map(|it| state.find(PODS, it));
        pods.filter(|it| it.value.peek(|pod| controller(pod).is_none())).collect()
    }
}

fn objects<'a>(state: &'a State, table: &str) -> impl Iterator<Item = (&'a Key, &'a Arc<Stored>)> {
    state.tables.get(table).into_iter().flat_map(|it| &it.objects)
}
