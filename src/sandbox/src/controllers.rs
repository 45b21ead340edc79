//! What happens in a cluster by itself: owned objects follow their owners, finished Jobs and dying
//! namespaces end.

mod accounts;
mod collector;
mod finished;
mod namespaces;

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

/// Runs all controllers until the cluster's last user is gone.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    let mut changed = cluster.lock().changed.subscribe();
    loop {
        changed.mark_unchanged();
        let now = cluster.now();
        finished::round(&cluster, now);
        namespaces::round(&cluster, now);
        accounts::round(&cluster, now);
        collector::round(&cluster, now);
        let due = finished::next(&cluster, now);
        tokio::select! {
            ended = changed.changed() => if ended.is_err() { return },
            () = pause(due) => {}
        }
        sleep(LAG).await;
    }
}

/// No timer at all when nothing is due: paused time would run to it.
async fn pause(due: Option<Duration>) {
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
