//! Finished Jobs end when their `ttlSecondsAfterFinished` is over.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::delete::Propagation,
    breakage::Breakage,
    cluster::Cluster,
    controllers::{self, follow::Follow, timers::Timers},
    object,
    store::{State, log::Kind},
};

const MANAGER: &str = "ttl-after-finished-controller";
const JOBS: &str = "jobs.batch";

/// When a Job is to go, if it has finished and says so. One that goes already needs no end.
fn end(job: &Value) -> Option<Timestamp> {
    if object::is_deleting(job) {
        return None;
    }
    let ttl = job["spec"]["ttlSecondsAfterFinished"].as_u64()?;
    let finished = object::items(job, "/status/conditions").find(|it| {
        (it["type"] == "Complete" || it["type"] == "Failed") && it["status"] == "True"
    })?;
    let at: Timestamp = object::text(finished, "/lastTransitionTime").parse().ok()?;
    at.checked_add(Duration::from_secs(ttl)).ok()
}

/// Which Jobs have finished and say how long they stay.
#[derive(Debug, Default)]
pub(super) struct Finished {
    follow: Follow,
    ends: Timers,
}

impl Finished {
    fn learn(&mut self, state: &State) {
        let Some(news) = self.follow.news(state, [JOBS]) else {
            self.ends = Timers::default();
            for (key, job) in state.tables.get(JOBS).into_iter().flat_map(|it| &it.objects) {
                self.ends.set(key, job.value.peek(end));
            }
            return;
        };
        for (_, change) in news {
            let is_there = change.kind != Kind::Deleted;
            let end = is_there.then(|| change.object.value.peek(end)).flatten();
            self.ends.set(&change.key, end);
        }
    }

    /// Ends those whose time is over; how long until the next one's is.
    pub(super) fn round(&mut self, cluster: &Cluster, now: Timestamp) -> Option<Duration> {
        let state = &mut *cluster.lock();
        self.learn(state);
        let lasts = state.broken.has(Breakage::LastingJobs);
        let resource = state.registry.find("batch", "jobs")?;
        for key in self.ends.take_due(now) {
            let Some(job) = state.find(JOBS, &key).filter(|_| !lasts) else { continue };
            let what = (&resource, &*job.value);
            controllers::remove(state, what, Propagation::Foreground, (MANAGER, now));
        }
        self.ends.next(now)
    }
}
