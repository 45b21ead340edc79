//! What happens in a cluster by itself: owned objects follow their owners, finished Jobs and dying
//! namespaces end.

mod accounts;
mod collector;
mod events;
mod finished;
mod follow;
mod hand;
mod jobs;
mod namespaces;
mod secrets;
mod timers;

pub(crate) use self::hand::Hand;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    api::{
        Call, Options, Target, create,
        delete::{self, Deletion, Propagation},
        update,
    },
    audit::Act,
    cluster::Cluster,
    object,
    registry::Resource,
    store::State,
};

/// Real controllers lag behind the API a little; this also gathers bursts into one round.
const LAG: Duration = Duration::from_millis(50);

/// Who makes and counts the Pods of Jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobsBy {
    /// The controller here.
    Cluster,
    /// Somebody outside, such as a test that writes the status of Jobs itself.
    Others,
}

/// The controllers of a cluster, before they run.
#[derive(Debug)]
#[must_use = "controllers do nothing until they run"]
pub struct Controllers {
    cluster: Arc<Cluster>,
    jobs: JobsBy,
}

impl Controllers {
    pub(crate) fn of(cluster: Arc<Cluster>) -> Self {
        Self { cluster, jobs: JobsBy::Cluster }
    }

    /// Leaves Jobs to somebody else: they get no Pods, and their status is written by others.
    pub fn without_jobs(self) -> Self {
        Self { jobs: JobsBy::Others, ..self }
    }

    /// Runs the controllers until this is dropped.
    pub async fn run(self) {
        let Self { cluster, jobs: jobs_by } = self;
        let mut changed = cluster.lock().changed.subscribe();
        cluster.lock().keeps_accounts = true;
        let mut rounds = Rounds::default();
        loop {
            changed.mark_unchanged();
            let due = rounds.next(&cluster, jobs_by);
            tokio::select! {
                biased;
                ended = changed.changed() => if ended.is_err() { return },
                () = pause(due) => {}
            }
            sleep(LAG).await;
        }
    }
}

/// What the controllers know, so that they look only at what has changed.
#[derive(Debug, Default)]
struct Rounds {
    finished: finished::Finished,
    namespaces: namespaces::Namespaces,
    accounts: accounts::Accounts,
    secrets: secrets::Secrets,
    collector: collector::Collector,
    jobs: jobs::Jobs,
}

impl Rounds {
    /// Does what is to be done now; how long until something is due though nothing changes.
    fn next(&mut self, cluster: &Cluster, jobs_by: JobsBy) -> Option<Duration> {
        let now = cluster.now();
        let mut due = self.finished.round(cluster, now);
        self.namespaces.round(cluster, now);
        self.accounts.round(cluster, now);
        self.secrets.round(cluster, now);
        // A Job that goes lets go of its Pods before they do, and so does not count them as failed: the collector
        // asks for each object before it deletes one, and comes later.
        if jobs_by == JobsBy::Cluster {
            due = due.into_iter().chain(self.jobs.round(cluster, now)).min();
        }
        self.collector.round(cluster, now);
        due
    }
}

/// No timer at all when nothing is due: paused time would run to it.
pub(crate) async fn pause(due: Option<Duration>) {
    match due {
        Some(due) => sleep(due).await,
        None => std::future::pending().await,
    }
}

/// The parts of a call that a controller makes.
fn call(
    resource: &Arc<Resource>,
    object: &Value,
    (manager, now): (&str, Timestamp),
) -> Option<Call> {
    let version = resource.versions.first()?.name.clone();
    let namespace = object::meta(object, "namespace").to_owned();
    let target = Target {
        resource: Arc::clone(resource),
        version,
        namespace: resource.namespaced.then_some(namespace),
        name: object::name(object).to_owned(),
        subresource: String::new(),
    };
    Some(Call { target, options: Options::of_manager(manager), now })
}

/// Deletes an object if it is still the same one, on record.
fn remove(
    state: &mut State,
    (resource, object): (&Arc<Resource>, &Value),
    propagation: Propagation,
    (manager, now): (&str, Timestamp),
) {
    let Some(call) = call(resource, object, (manager, now)) else { return };
    let deletion = Deletion::of(object::uid(object), propagation);
    let code = match delete::delete(state, &call, &deletion) {
        Ok(written) => written.code,
        Err(refusal) => refusal.code,
    };
    record(state, &call, ("delete", object::uid(object), code));
}

/// Creates an object, on record.
fn add(
    state: &mut State,
    (resource, object): (&Arc<Resource>, Value),
    (manager, now): (&str, Timestamp),
) {
    let Some(call) = call(resource, &object, (manager, now)) else { return };
    let (uid, code) = match create::create(state, &call, object) {
        Ok(written) => (object::uid(&written.object.value).to_owned(), written.code),
        Err(refusal) => (String::new(), refusal.code),
    };
    record(state, &call, ("create", &uid, code));
}

/// Puts an object in the place of what it was, on record.
fn change(
    state: &mut State,
    (resource, object): (&Arc<Resource>, Value),
    (manager, now): (&str, Timestamp),
) {
    let Some(call) = call(resource, &object, (manager, now)) else { return };
    let uid = object::uid(&object).to_owned();
    let code = match update::update(state, &call, object) {
        Ok(written) => written.code,
        Err(refusal) => refusal.code,
    };
    record(state, &call, ("update", &uid, code));
}

fn record(state: &mut State, call: &Call, (verb, uid, code): (&str, &str, u16)) {
    state.audit.record(&Act {
        at: call.now,
        client: &call.options.manager,
        user: "system:kube-controller-manager",
        verb,
        target: &call.target,
        name: &call.target.name,
        uid,
        code,
    });
}

/// The resources whose objects are kept, each table once.
fn resources(state: &State) -> Vec<Arc<Resource>> {
    state.registry.all().filter(|it| it.group != "events.k8s.io").cloned().collect()
}
