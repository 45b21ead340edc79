//! Who watches a cluster and runs its Jobs? A witness that nothing goes wrong for, and the work of a kubelet
//! and of the controllers that end and collect Jobs, by timers of its own.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use http::Request;
use kube::Client;
use kube::api::WatchEvent;
use kube_sandbox::Sandbox;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::calm::Troubles;
use super::chance::Chance;
use super::door::Common;
use super::hands::Hidden;
use super::leases::{Lease, Tenures};
use super::timeline::Timeline;
use super::witness::{Broken, Job, News, Trigger, Versioned, Witness};

/// The client that is the API's own: nothing befalls it.
pub(super) const WITNESS: &str = "witness";
/// The namespace of every trigger.
pub(super) const APPS: &str = "apps";

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/git-events-runner/leases";
const JOBS: &str = "/apis/batch/v1/jobs";
const TRIGGERS: &str = "/apis/git-events-runner.rs/v1alpha1/scheduletriggers";

/// One cluster's witness and kubelet.
#[derive(Debug)]
pub(super) struct Yard {
    name: String,
    client: Hidden,
    timeline: Arc<Timeline>,
    troubles: Arc<Troubles>,
    tenures: Mutex<Tenures>,
    witness: Mutex<Witness>,
    work: Mutex<Work>,
}

/// What is to be done to Jobs, and when.
#[derive(Debug)]
struct Work {
    chance: Chance,
    due: BTreeMap<(Instant, u64), (String, Step)>,
    count: u64,
}

/// What becomes of a Job that runs.
#[derive(Clone, Debug)]
enum Step {
    Run { uid: String, ttl: Duration },
    End { uid: String, ttl: Duration, well: Outcome },
    Remove { uid: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Succeeds,
    Fails,
}

impl Yard {
    pub(super) fn new(sandbox: &Sandbox, common: &Common, seed: u64) -> Self {
        let name = sandbox.name().to_owned();
        let chance = Chance::of(seed, &format!("yard {name}"));
        Self {
            client: Hidden(Client::new(sandbox.client_router(WITNESS), "default")),
            timeline: Arc::clone(&common.timeline),
            troubles: Arc::clone(&common.troubles),
            tenures: Mutex::default(),
            witness: Mutex::default(),
            work: Mutex::new(Work { chance, due: BTreeMap::new(), count: 0 }),
            name,
        }
    }

    pub(super) fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches and works until it is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        let jobs = follow(&self, JOBS, |event| self.on_job(event));
        let triggers = follow(&self, TRIGGERS, |event| self.on_trigger(event));
        let leases = async {
            // Only the hub has any.
            if self.name == "hub" {
                follow(&self, LEASES, |event| self.on_lease(event)).await;
            }
        };
        futures::join!(jobs, triggers, leases, self.labour());
    }

    fn on_lease(&self, event: WatchEvent<Lease>) {
        let at = self.timeline.now();
        let mut tenures = self.tenures.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                if let Some(broken) = tenures.written(at, &lease, &self.troubles) {
                    self.witness().broken.push(broken);
                }
            }
            WatchEvent::Deleted(lease) => tenures.gone(&lease),
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => {}
        }
    }

    fn on_job(&self, event: WatchEvent<Job>) {
        let at = self.timeline.now();
        match event {
            WatchEvent::Added(job) | WatchEvent::Modified(job) => {
                let news = self.witness().job(at, &job);
                let name = &job.metadata.name;
                match news {
                    News::Created => self.tell(&format!("job {name} is created")),
                    News::Started => {
                        self.tell(&format!("job {name} STARTS"));
                        self.begin(&job);
                    }
                    News::Finished => self.tell(&format!("job {name} finishes")),
                    News::None => {}
                }
            }
            WatchEvent::Deleted(job) => {
                self.witness().job_gone(at, &job);
                self.tell(&format!("job {} is gone", job.metadata.name));
            }
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => {}
        }
    }

    fn on_trigger(&self, event: WatchEvent<Trigger>) {
        let at = self.timeline.now();
        match event {
            WatchEvent::Added(trigger) | WatchEvent::Modified(trigger) => {
                let mut witness = self.witness();
                for run in witness.trigger(at, &trigger) {
                    let why = witness.why(&trigger, &run);
                    self.tell(&format!("{} records run {run} {why}", trigger.metadata.name));
                }
            }
            WatchEvent::Deleted(trigger) => self.witness().trigger_gone(at, &trigger),
            WatchEvent::Bookmark(_) | WatchEvent::Error(_) => {}
        }
    }

    fn tell(&self, what: &str) {
        self.timeline.tell(format!("{}: {what}", self.name));
    }

    fn begin(&self, job: &Job) {
        let ttl = Duration::from_secs(job.spec.ttl_seconds_after_finished.unwrap_or(3600));
        let mut work = self.work();
        let after = work.chance.between(Duration::from_millis(50)..Duration::from_secs(1));
        work.plan(after, &job.metadata.name, Step::Run { uid: job.metadata.uid.clone(), ttl });
    }

    /// Does to Jobs what is due.
    async fn labour(&self) {
        loop {
            let next = self.work().due.first_key_value().map(|it| it.0.0);
            // Looked at anew every half a second: what is planned meanwhile is never sooner by more.
            let soon = Instant::now() + Duration::from_millis(500);
            sleep_until(next.unwrap_or(soon).min(soon)).await;
            while let Some((name, step)) = self.due() {
                self.step(&name, step).await;
            }
        }
    }

    fn due(&self) -> Option<(String, Step)> {
        let mut work = self.work();
        let is_due = work.due.first_key_value().is_some_and(|it| it.0.0 <= Instant::now());
        if is_due { work.due.pop_first().map(|it| it.1) } else { None }
    }

    async fn step(&self, name: &str, step: Step) {
        match step {
            Step::Run { uid, ttl } => {
                self.write(name, &uid, json!({ "startTime": self.time(), "active": 1 })).await;
                let mut work = self.work();
                let long = work.chance.percent(10);
                let span = if long { 30..150 } else { 1..20 };
                let span = Duration::from_secs(span.start)..Duration::from_secs(span.end);
                let takes = work.chance.between(span);
                let fails = work.chance.percent(10);
                let well = if fails { Outcome::Fails } else { Outcome::Succeeds };
                work.plan(takes, name, Step::End { uid, ttl, well });
            }
            Step::End { uid, ttl, well } => {
                self.write(name, &uid, ended(well, &self.time())).await;
                self.work().plan(ttl, name, Step::Remove { uid });
            }
            Step::Remove { uid } => self.remove(name, &uid).await,
        }
    }

    /// The cluster's time matters to nobody here: Jobs are told apart by their order.
    fn time(&self) -> String {
        let now = jiff::Timestamp::UNIX_EPOCH + self.timeline.now();
        now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    async fn write(&self, name: &str, uid: &str, status: Value) {
        let body = json!({ "metadata": { "uid": uid }, "status": status });
        let uri = format!("/apis/batch/v1/namespaces/{APPS}/jobs/{name}/status");
        let request = Request::patch(uri)
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string().into_bytes());
        // What cannot be written is of a Job that is gone.
        drop(self.client.0.request_text(request.expect("a path and a body")).await);
    }

    /// Deletes a Job if it is still the same.
    async fn remove(&self, name: &str, uid: &str) {
        let body = json!({ "preconditions": { "uid": uid }, "propagationPolicy": "Background" });
        let uri = format!("/apis/batch/v1/namespaces/{APPS}/jobs/{name}");
        let request = Request::delete(uri)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes());
        drop(self.client.0.request_text(request.expect("a path and a body")).await);
    }

    /// Deletes the Jobs of an owner that is gone, as the garbage collector does.
    pub(super) async fn collect(&self, owner: &str) {
        let request = Request::get(JOBS).body(Vec::new()).expect("a path");
        let Ok(list) = self.client.0.request::<Value>(request).await else { return };
        for job in list["items"].as_array().into_iter().flatten() {
            let meta = &job["metadata"];
            let owners = meta["ownerReferences"].as_array();
            if owners.into_iter().flatten().any(|it| it["uid"] == owner) {
                let text = |key: &str| meta[key].as_str().unwrap_or_default().to_owned();
                self.remove(&text("name"), &text("uid")).await;
            }
        }
    }
}

impl Work {
    fn plan(&mut self, after: Duration, name: &str, step: Step) {
        self.count += 1;
        self.due.insert((Instant::now() + after, self.count), (name.to_owned(), step));
    }
}

/// Longer than any life: a watch that begins again may find that history was forgotten meanwhile.
const FOR_EVER: u32 = 100_000_000;

/// Follows all objects of a kind for ever. It may miss none: a gap is a broken simulation.
async fn follow<T>(yard: &Yard, path: &str, mut on: impl FnMut(WatchEvent<T>))
where
    T: Versioned + Clone + DeserializeOwned,
{
    let mut version = String::new();
    loop {
        let from =
            if version.is_empty() { String::new() } else { format!("&resourceVersion={version}") };
        let uri =
            format!("{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={FOR_EVER}{from}");
        let request = Request::get(uri).body(Vec::new()).expect("a path");
        let events =
            yard.client.0.request_events::<T>(request).await.expect("nothing befalls a witness");
        let mut events = pin!(events);
        while let Some(event) = events.next().await {
            match event.map_err(|it| it.to_string()).and_then(|it| seen(it, &mut version)) {
                Ok(event) => on(event),
                Err(what) => {
                    let (at, law) = (yard.timeline.now(), "the witness sees everything");
                    yard.witness().broken.push(Broken { at, law, what });
                    return;
                }
            }
        }
    }
}

/// Remembers how far was seen.
fn seen<T: Versioned>(event: WatchEvent<T>, version: &mut String) -> Result<WatchEvent<T>, String> {
    let newest = match &event {
        WatchEvent::Added(it) | WatchEvent::Modified(it) | WatchEvent::Deleted(it) => it.version(),
        WatchEvent::Bookmark(it) => &it.metadata.resource_version,
        WatchEvent::Error(it) => return Err(it.message.clone()),
    };
    newest.clone_into(version);
    Ok(event)
}

fn ended(outcome: Outcome, now: &str) -> Value {
    let condition = |kind: &str, reason: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": reason,
            "lastProbeTime": now, "lastTransitionTime": now,
        })
    };
    match outcome {
        Outcome::Fails => json!({
            "active": null, "failed": 1,
            "conditions": [
                condition("FailureTarget", "BackoffLimitExceeded"),
                condition("Failed", "BackoffLimitExceeded"),
            ],
        }),
        Outcome::Succeeds => json!({
            "active": null, "succeeded": 1, "completionTime": now,
            "conditions": [
                condition("SuccessCriteriaMet", "CompletionsReached"),
                condition("Complete", "CompletionsReached"),
            ],
        }),
    }
}
