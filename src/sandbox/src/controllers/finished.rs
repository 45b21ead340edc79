//! Finished Jobs end when their `ttlSecondsAfterFinished` is over.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::delete::Propagation, breakage::Breakage, cluster::Cluster, controllers, object,
    store::State,
};

const MANAGER: &str = "ttl-after-finished-controller";

/// When a Job is to go, if it has finished and says so.
fn end(job: &Value) -> Option<Timestamp> {
    let ttl = job["spec"]["ttlSecondsAfterFinished"].as_u64()?;
    let finished = object::items(job, "/status/conditions").find(|it| {
        (it["type"] == "Complete" || it["type"] == "Failed") && it["status"] == "True"
    })?;
    let at: Timestamp = object::text(finished, "/lastTransitionTime").parse().ok()?;
    at.checked_add(Duration::from_secs(ttl)).ok()
}

fn jobs(state: &State) -> Vec<(Timestamp, Value)> {
    let objects = state.tables.get("jobs.batch").into_iter().flat_map(|it| it.objects.values());
    objects
        .filter(|it| !object::is_deleting(&it.value))
        .filter_map(|it| Some((end(&it.value)?, it.value.clone())))
        .collect()
}

pub(super) fn round(cluster: &Cluster, now: Timestamp) {
    let state = &mut *cluster.lock();
    if state.broken.has(Breakage::LastingJobs) {
        return;
    }
    let Some(resource) = state.registry.find("batch", "jobs") else { return };
    for (_, job) in jobs(state).into_iter().filter(|(end, _)| *end <= now) {
        controllers::remove(state, (&resource, &job), Propagation::Foreground, (MANAGER, now));
    }
}

/// How long until the next Job ends.
pub(super) fn next(cluster: &Cluster, now: Timestamp) -> Option<Duration> {
    let first = jobs(&cluster.lock()).into_iter().map(|(end, _)| end).min()?;
    Some(Duration::try_from(first.duration_since(now)).unwrap_or_default())
}
