//! Who runs the Jobs? A kubelet in memory: it works on what was started, and remembers all it ever saw.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use ger_core::names::Commit;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Who it is in the audit.
const NAME: &str = "kubelet";

/// What becomes of a Job that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It succeeds after this.
    Succeeds(Duration),
    /// It fails after this.
    Fails(Duration),
    /// It runs until another kind of work is set.
    Lasts,
}

/// A Job that came to be, whether or not it is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub uid: String,
    pub name: String,
    pub namespace: String,
    pub commit: Option<Commit>,
    pub trigger: String,
    pub run: String,
    /// When it was first seen without `suspend`, in the order of starts.
    pub started: Option<usize>,
    pub is_finished: bool,
    pub is_gone: bool,
}

/// The kubelet of one cluster. Clones are the same.
#[derive(Clone, Debug)]
pub struct Kubelet {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    work: watch::Sender<Work>,
    memory: Mutex<Memory>,
    /// Where wall time and tokio's time meet.
    start: (Timestamp, Instant),
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("memory", &self.memory).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Memory {
    jobs: Vec<Seen>,
    starts: usize,
    most: usize,
}

impl Kubelet {
    pub(crate) fn new(sandbox: &Sandbox, now: Timestamp) -> Self {
        let shared = Shared {
            client: Client::new(sandbox.client_router(NAME), "default"),
            work: watch::Sender::new(Work::Succeeds(Duration::from_secs(1))),
            memory: Mutex::default(),
            start: (now, Instant::now()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What becomes of Jobs from now on, of those that run too.
    pub fn set(&self, work: Work) {
        self.shared.work.send_replace(work);
    }

    /// Every Job that was ever created, in their order.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().jobs.clone()
    }

    /// How many ran at once at the most.
    pub fn most_at_once(&self) -> usize {
        self.lock().most
    }

    pub(crate) async fn run(self) {
        let jobs: Api<Job> = Api::all(self.shared.client.clone());
        let mut events = pin!(watcher(jobs, watcher::Config::default()));
        let mut working = JoinSet::new();
        let mut begun = BTreeSet::new();
        loop {
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { return };
                    let Some(job) = self.observe(event) else { continue };
                    if begun.insert(job.metadata.uid.clone()) {
                        working.spawn(self.clone().work(job));
                    }
                }
                Some(_) = working.join_next() => {}
            }
        }
    }

    /// Remembers what is seen, and gives a Job that is to be worked on.
    fn observe(&self, event: Result<Event<Job>, watcher::Error>) -> Option<Job> {
        match event.ok()? {
            Event::Apply(job) | Event::InitApply(job) => {
                let runs = self.lock().note(&job);
                runs.then_some(job)
            }
            Event::Delete(job) => {
                self.lock().gone(&job);
                None
            }
            Event::Init | Event::InitDone => None,
        }
    }

    async fn work(self, job: Job) {
        let start = self.now();
        let status = json!({ "startTime": start, "active": 1 });
        self.write(&job, status).await;
        let mut work = self.shared.work.subscribe();
        let begun = Instant::now();
        loop {
            let now = *work.borrow_and_update();
            let takes = match now {
                Work::Succeeds(takes) | Work::Fails(takes) => takes,
                Work::Lasts => Duration::MAX,
            };
            let left = takes.saturating_sub(begun.elapsed());
            tokio::select! {
                changed = work.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(left) => {
                    self.write(&job, finished(now, start, self.now())).await;
                    return;
                }
            }
        }
    }

    /// What cannot be written is of a Job that is gone.
    async fn write(&self, job: &Job, status: Value) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
        let jobs: Api<Job> = Api::namespaced(self.shared.client.clone(), namespace);
        let patch = json!({ "metadata": { "uid": job.metadata.uid }, "status": status });
        drop(jobs.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await);
    }

    fn now(&self) -> Timestamp {
        let (wall, origin) = self.shared.start;
        let now = wall.checked_add(origin.elapsed()).unwrap_or(wall);
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Whether the Job is started and not finished.
    fn note(&mut self, job: &Job) -> bool {
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let index = self.jobs.iter().position(|it| it.uid == uid).unwrap_or_else(|| {
            self.jobs.push(seen(job));
            self.jobs.len() - 1
        });
        let is_suspended = job.spec.as_ref().is_some_and(|it| it.suspend == Some(true));
        let known = &mut self.jobs[index];
        known.is_finished = is_finished(job);
        if !is_suspended && known.started.is_none() {
            self.starts += 1;
            known.started = Some(self.starts);
        }
        let runs = !is_suspended && !known.is_finished;
        let running = |it: &&Seen| it.started.is_some() && !it.is_finished && !it.is_gone;
        self.most = self.most.max(self.jobs.iter().filter(running).count());
        runs
    }

    fn gone(&mut self, job: &Job) {
        let of = |it: &&mut Seen| Some(&it.uid) == job.metadata.uid.as_ref();
        if let Some(known) = self.jobs.iter_mut().find(of) {
            known.is_gone = true;
        }
    }
}

fn seen(job: &Job) -> Seen {
    let meta = &job.metadata;
    let none = BTreeMap::new();
    let (labels, annotations) =
        (meta.labels.as_ref().unwrap_or(&none), meta.annotations.as_ref().unwrap_or(&none));
    let ours = |from: &BTreeMap<String, String>, key: &str| {
        from.get(&format!("git-events-runner.rs/{key}")).cloned()
    };
    Seen {
        uid: meta.uid.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        commit: ours(annotations, "commit").and_then(|it| Commit::parse(&it).ok()),
        trigger: ours(labels, "trigger-name").unwrap_or_default(),
        run: ours(labels, "run-id").unwrap_or_default(),
        started: None,
        is_finished: false,
        is_gone: false,
    }
}

fn is_finished(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|it| it.conditions.as_ref());
    let ends = |kind: &str| kind == "Complete" || kind == "Failed";
    conditions.into_iter().flatten().any(|it| ends(&it.type_) && it.status == "True")
}

fn finished(work: Work, start: Timestamp, now: Timestamp) -> Value {
    let condition = |kind: &str, reason: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": reason,
            "lastProbeTime": now, "lastTransitionTime": now,
        })
    };
    match work {
        Work::Fails(_) => json!({
            "startTime": start, "active": null, "failed": 1,
            "conditions": [
                condition("FailureTarget", "BackoffLimitExceeded"),
                condition("Failed", "BackoffLimitExceeded"),
            ],
        }),
        Work::Succeeds(_) | Work::Lasts => json!({
            "startTime": start, "active": null, "succeeded": 1, "completionTime": now,
            "conditions": [
                condition("SuccessCriteriaMet", "CompletionsReached"),
                condition("Complete", "CompletionsReached"),
            ],
        }),
    }
}
