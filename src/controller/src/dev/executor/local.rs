//! How do the Pods of a sandbox run as processes? Its kubelet asks for one container at a time; what
//! the containers of a Pod share is here: a folder, a log, a place among those that may run.

use std::{
    collections::{BTreeMap, HashMap},
    future::pending,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube_sandbox::{Executor, Outcome, Run, Sandbox};
use tempfile::TempDir;
use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    Finished, Shared, container, kubelet, private_folder,
    process::{self, Log},
    temporary_folder,
    volumes::Ground,
    write,
};

/// How often a missing Secret is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What a container that cannot start exits with.
const CANNOT_START: i32 = 128;

/// Runs the Pods of the sandbox until `stop`, then kills what still runs.
///
/// Nothing is said of what was killed so: the next one to run these Pods finds that they have failed.
pub(super) async fn run(shared: Arc<Shared>, sandbox: &Sandbox, stop: CancellationToken) {
    let local =
        Local { shared, slots: Arc::default(), halt: stop.clone(), running: watch::Sender::new(0) };
    let mut running = local.running.subscribe();
    tokio::select! {
        () = sandbox.run_pods(local) => {}
        () = async {
            stop.cancelled().await;
            // An error says that nobody is left to run anything.
            let _none = running.wait_for(|it| *it == 0).await.is_ok();
        } => {}
    }
}

/// What there is of a Pod, once its first container was asked for.
type Slot = Arc<OnceCell<Seat>>;

struct Local {
    shared: Arc<Shared>,
    /// By the uid of the Pod.
    slots: Arc<Mutex<HashMap<String, Slot>>>,
    halt: CancellationToken,
    running: watch::Sender<usize>,
}

impl Local {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor for Local {
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        let slot = Arc::clone(self.lock().entry(run.pod.uid().unwrap_or_default()).or_default());
        let (shared, stop) = (Arc::clone(&self.shared), self.halt.clone());
        let counted = Counted::new(&self.running);
        async move {
            let halt = stop.child_token();
            let work = Work { shared: &shared, run: &run, halt: &halt };
            let outcome = {
                let mut working = Box::pin(work.container(&slot));
                tokio::select! {
                    outcome = &mut working => outcome,
                    () = run.asked_to_stop() => {
                        halt.cancel();
                        working.await
                    }
                }
            };
            drop(counted);
            if stop.is_cancelled() {
                pending::<()>().await;
            }
            outcome
        }
    }

    fn forget(&self, pod: &Pod) {
        self.lock().remove(&pod.uid().unwrap_or_default());
    }
}

/// One that runs, until it is dropped.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(running: &watch::Sender<usize>) -> Self {
        running.send_modify(|it| *it += 1);
        Self(running.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|it| *it -= 1);
    }
}

/// What the containers of a Pod share.
struct Seat {
    folder: TempDir,
    log: Log,
    path: PathBuf,
    course: Mutex<Course>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// How the Pod goes.
#[derive(Default)]
struct Course {
    /// How many of the containers proper have ended.
    ended: usize,
    code: i32,
    env: BTreeMap<String, String>,
}

impl Seat {
    async fn take(shared: &Shared, pod: &Pod) -> io::Result<Self> {
        // Nobody closes the semaphore.
        let permit = Arc::clone(&shared.permits).acquire_owned().await.ok();
        let path = shared.log(&pod.namespace().unwrap_or_default(), &pod.name_any());
        let folder = temporary_folder(&pod.name_any(), &shared.pods())?;
        private_folder(&folder.path().join("home"))?;
        let log = Log::create(&path, shared.settings.log_limit)?;
        Ok(Self { folder, log, path, course: Mutex::default(), _permit: permit })
    }
}

/// One container that is to run.
struct Work<'a> {
    shared: &'a Shared,
    run: &'a Run,
    halt: &'a CancellationToken,
}

impl Work<'_> {
    async fn container(&self, slot: &Slot) -> Outcome {
        let seat = tokio::select! {
            seat = slot.get_or_try_init(|| Seat::take(self.shared, &self.run.pod)) => seat,
            () = self.halt.cancelled() => return stopped(),
        };
        let seat = match seat {
            Ok(seat) => seat,
            Err(error) => {
                let why = format!("the executor cannot write its files: {}", write::chain(&error));
                return Outcome::exit(CANNOT_START).because("StartError", &why);
            }
        };
        let mut env = BTreeMap::new();
        let (code, outcome) = match self.process(seat, &mut env).await {
            Ok(code) => (code, Outcome::exit(code)),
            Err(_) if self.halt.is_cancelled() => return stopped(),
            Err(problem) => {
                seat.log.say(Some(&self.run.output()), &problem).await;
                (CANNOT_START, Outcome::exit(CANNOT_START).because("StartError", &problem))
            }
        };
        if !self.halt.is_cancelled()
            && let Some(finished) = self.note(seat, code, env)
        {
            self.tell(finished).await;
        }
        outcome
    }

    /// The exit code, or why there was no process.
    async fn process(
        &self,
        seat: &Seat,
        env: &mut BTreeMap<String, String>,
    ) -> Result<i32, String> {
        let prepared = self.prepared(seat).await?;
        env.clone_from(&prepared.launch.env);
        self.run.starts();
        if let Some(keep) = &self.shared.settings.keep {
            keep.secure().await?;
        }
        if self.halt.is_cancelled() {
            return Err("stopped".to_owned());
        }
        let (launch, log) = (&prepared.launch, &seat.log);
        let output = self.run.output();
        let running =
            process::run(launch, (log, Some(&output)), self.shared.settings.grace, self.halt);
        running.await.map_err(|error| write::chain(&error))
    }

    /// Waits for what the container needs, as a kubelet would.
    async fn prepared(&self, seat: &Seat) -> Result<container::Prepared, String> {
        let shared = self.shared;
        let ground =
            Ground { client: &shared.client, pod: &self.run.pod, folder: seat.folder.path() };
        loop {
            let prepared = tokio::select! {
                it = container::prepare(&ground, &self.run.container, &shared.settings) => it,
                () = self.halt.cancelled() => return Err("stopped".to_owned()),
            };
            match prepared {
                Ok(prepared) => return Ok(prepared),
                Err(problem) if problem.may_pass() => {
                    self.run.waits("CreateContainerConfigError", &problem.message());
                }
                Err(problem) => return Err(problem.message()),
            }
            tokio::select! {
                () = sleep(LOOK_AGAIN) => {}
                () = self.halt.cancelled() => return Err("stopped".to_owned()),
            }
        }
    }

    /// Remembers how the container ended; what to tell, if the Pod has ended with it.
    fn note(&self, seat: &Seat, code: i32, env: BTreeMap<String, String>) -> Option<Finished> {
        let spec = self.run.pod.spec.as_ref()?;
        let first = spec.containers.first().map(|it| it.name.as_str());
        let is_main = spec.containers.iter().any(|it| it.name == self.run.container.name);
        if code != 0 && spec.restart_policy.as_deref() != Some("Never") {
            return None;
        }
        let mut course = seat.course.lock().unwrap_or_else(PoisonError::into_inner);
        if course.code == 0 {
            course.code = code;
        }
        if first == Some(self.run.container.name.as_str()) {
            course.env = env;
        }
        course.ended += usize::from(is_main);
        let has_ended = if is_main { course.ended == spec.containers.len() } else { code != 0 };
        let job = kubelet::job_of(&self.run.pod).filter(|_| has_ended)?;
        Some(Finished {
            cluster: self.shared.cluster.clone(),
            namespace: self.run.pod.namespace().unwrap_or_default(),
            job,
            exit_code: course.code,
            log: seat.path.clone(),
            env: std::mem::take(&mut course.env),
        })
    }

    async fn tell(&self, finished: Finished) {
        let Some(observer) = &self.shared.settings.finished else { return };
        tokio::select! {
            // An observer that has left misses nothing that it wants.
            _heard = observer.send(finished) => {}
            () = self.halt.cancelled() => {}
        }
    }
}

/// What becomes of a container that was to start when its Pod was to go.
fn stopped() -> Outcome {
    Outcome::exit(137)
}
