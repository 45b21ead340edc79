//! Who runs the Jobs? The cluster's own Job controller makes their Pods and ends them; what their containers do is
//! told here, and all Jobs that were ever seen are remembered.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use ger_core::names::Commit;
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use kube_sandbox::{Executor, Outcome, Run, Sandbox};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Who it is in the audit.
const NAME: &str = "kubelet";

/// What a container takes to end that is asked to.
const STOPS: Duration = Duration::from_secs(2);

/// What becomes of the containers of Jobs that were started. Those that prepare succeed at once, unless they are
/// named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// They succeed after this.
    Succeeds(Duration),
    /// They fail after this, with code 1.
    Fails(Duration),
    /// They run until another kind of work is set.
    Lasts,
    /// One ends like this after its time; the others run.
    Ends(Duration, End),
    /// One does not start, and is tried again as a kubelet does; the others run.
    Waits(Wait),
}

/// How a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub container: &'static str,
    pub code: i32,
    pub reason: &'static str,
    /// What it leaves as its last words.
    pub message: &'static str,
}

/// Why a container does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub container: &'static str,
    pub reason: &'static str,
    pub message: &'static str,
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
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let shared = Shared {
            client: Client::new(sandbox.client_router(NAME), "default"),
            work: watch::Sender::new(Work::Succeeds(Duration::from_secs(1))),
            memory: Mutex::default(),
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

    /// Remembers Jobs until it is dropped.
    pub(crate) async fn watch(self) {
        let jobs: Api<Job> = Api::all(self.shared.client.clone());
        let mut events = pin!(watcher(jobs, watcher::Config::default()));
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(job) | Event::InitApply(job)) => self.lock().note(&job),
                Ok(Event::Delete(job)) => self.lock().gone(&job),
                Ok(Event::Init | Event::InitDone) | Err(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for Kubelet {
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        live(self.shared.work.subscribe(), run)
    }
}

async fn live(mut work: watch::Receiver<Work>, run: Run) -> Outcome {
    let name = run.container.name.as_str();
    let first = *work.borrow();
    if let Work::Waits(wait) = first
        && wait.container == name
    {
        return Outcome::waits(wait.reason, wait.message);
    }
    run.starts();
    let begun = Instant::now();
    loop {
        let now = *work.borrow_and_update();
        let (takes, outcome) = fate(now, &run);
        let left = takes.saturating_sub(begun.elapsed());
        tokio::select! {
            biased;
            () = run.asked_to_stop() => {
                sleep(STOPS).await;
                return Outcome::exit(143);
            }
            // Nobody says any more what becomes of it.
            changed = work.changed() => if changed.is_err() { return Outcome::exit(143) },
            () = sleep(left) => return outcome,
        }
    }
}

/// How long a container takes, and what then becomes of it.
fn fate(work: Work, run: &Run) -> (Duration, Outcome) {
    let name = run.container.name.as_str();
    let spec = run.pod.spec.as_ref();
    let mut prepares = spec.into_iter().flat_map(|it| &it.init_containers).flatten();
    match work {
        Work::Ends(takes, end) if end.container == name => {
            (takes, Outcome::exit(end.code).because(end.reason, end.message))
        }
        _ if prepares.any(|it| it.name == name) => (Duration::ZERO, Outcome::exit(0)),
        Work::Succeeds(takes) => (takes, Outcome::exit(0)),
        Work::Fails(takes) => (takes, Outcome::exit(1)),
        Work::Lasts | Work::Ends(..) | Work::Waits(_) => (Duration::MAX, Outcome::exit(0)),
    }
}

impl Memory {
    fn note(&mut self, job: &Job) {
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
        let running = |it: &&Seen| it.started.is_some() && !it.is_finished && !it.is_gone;
        self.most = self.most.max(self.jobs.iter().filter(running).count());
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
