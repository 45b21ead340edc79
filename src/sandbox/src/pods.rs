//! Who runs the Pods of a sandbox? Whoever it is given: what succeeds at once, what follows a script,
//! or what runs them for real. This stands in for scheduler and kubelet.

mod status;

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use crate::{
    api::delete::{Deletion, Propagation},
    cluster::Cluster,
    controllers::Hand,
    object,
    store::Key,
};

const NAME: &str = "kubelet";
/// The pause before a container starts again; it doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What runs the containers of a Pod. Any function from a [`Run`] to a future of an [`Outcome`] is one.
pub trait Executor: Send + Sync + 'static {
    /// Runs the containers once. The future is dropped when the Pod's grace period is over.
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static;
}

impl<F, Fut> Executor for F
where
    F: Fn(Run) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        self(run)
    }
}

/// All Pods succeed at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Succeed;

impl Executor for Succeed {
    fn run(&self, _run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        std::future::ready(Outcome::exit(0))
    }
}

/// Pods end as a function says: how, and after how long by tokio's clock.
#[derive(Debug, Clone, Copy)]
pub struct Script<F>(pub F);

impl<F> Executor for Script<F>
where
    F: Fn(&Pod) -> (Duration, Outcome) + Send + Sync + 'static,
{
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        let (takes, outcome) = (self.0)(&run.pod);
        async move {
            sleep(takes).await;
            outcome
        }
    }
}

/// A Pod whose containers are to run.
#[derive(Debug)]
pub struct Run {
    /// The Pod as it was when it was placed.
    pub pod: Pod,
    stop: watch::Receiver<bool>,
}

impl Run {
    /// Returns when the Pod's deletion is asked for: from now its grace period runs.
    pub async fn asked_to_stop(&mut self) {
        if self.stop.wait_for(|it| *it).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How the containers of a Pod have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Zero is success.
    pub exit_code: i32,
    /// What the first container wrote.
    pub log: String,
}

impl Outcome {
    /// An end that left nothing in the log.
    pub fn exit(exit_code: i32) -> Self {
        Self { exit_code, log: String::new() }
    }
}

/// A Pod that was placed here.
struct Placed {
    key: Key,
    stop: watch::Sender<bool>,
    task: AbortHandle,
}

/// Runs the Pods of a cluster until this is dropped.
pub(crate) async fn run(cluster: Arc<Cluster>, executor: impl Executor) {
    let Some(mut changed) = cluster.lock().tables.get("pods").map(|it| it.changed.subscribe())
    else {
        return;
    };
    let executor = Arc::new(executor);
    let mut placed: HashMap<String, Placed> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        changed.mark_unchanged();
        for pod in waiting(&cluster, &placed) {
            let (stop, asked) = watch::channel(false);
            let (uid, key) = (object::uid(&pod).to_owned(), Key::of(&pod));
            let work = work(Arc::clone(&cluster), Arc::clone(&executor), (key.clone(), asked));
            let task = tasks.spawn(work);
            placed.insert(uid, Placed { key, stop, task });
        }
        let due = end_deleted(&cluster, &mut placed);
        tokio::select! {
            ended = changed.changed() => if ended.is_err() { return },
            Some(_) = tasks.join_next() => {}
            () = crate::controllers::pause(due) => {}
        }
    }
}

/// Pods that nobody runs yet.
fn waiting(cluster: &Cluster, placed: &HashMap<String, Placed>) -> Vec<Value> {
    let state = cluster.lock();
    let pods = state.tables.get("pods").into_iter().flat_map(|it| it.objects.values());
    let waiting = pods.filter(|it| {
        let pod = &*it.value;
        object::text(pod, "/status/phase") == "Pending"
            && object::text(pod, "/spec/nodeName").is_empty()
            && object::items(pod, "/spec/schedulingGates").next().is_none()
            && !object::is_deleting(pod)
            && !placed.contains_key(object::uid(pod))
    });
    waiting.map(|it| it.value.clone()).collect()
}

/// Tells Pods that they are to go, and ends those whose time is over; when the next one's is.
fn end_deleted(cluster: &Cluster, placed: &mut HashMap<String, Placed>) -> Option<Duration> {
    let now = cluster.now();
    let mut next: Option<Duration> = None;
    placed.retain(|uid, it| {
        let pod = current(cluster, &it.key);
        let Some(pod) = pod.filter(|pod| object::uid(pod) == uid) else {
            it.task.abort();
            return false;
        };
        if !object::is_deleting(&pod) {
            return true;
        }
        it.stop.send_replace(true);
        let over: Timestamp = object::meta(&pod, "deletionTimestamp").parse().unwrap_or(now);
        let left = Duration::try_from(over.duration_since(now)).unwrap_or_default();
        if left.is_zero() || it.task.is_finished() {
            it.task.abort();
            if !it.task.is_finished() {
                write(cluster, &it.key, |pod| status::ended(pod, &Outcome::exit(137), now));
            }
            end(cluster, &pod);
            return false;
        }
        next = next.into_iter().chain([left]).min();
        true
    });
    next
}

fn current(cluster: &Cluster, key: &Key) -> Option<Value> {
    cluster.lock().find("pods", key).map(|it| it.value.clone())
}

/// The kubelet's last word: nothing of the Pod runs any more.
fn end(cluster: &Cluster, pod: &Value) {
    let state = &mut *cluster.lock();
    let mut hand = Hand { state, now: cluster.now(), client: NAME };
    let Some(pods) = hand.resource("", "pods") else { return };
    let deletion = Deletion::of(object::uid(pod), Propagation::Background).within(0);
    let _ended = hand.delete(&pods, pod, &deletion);
}

/// Changes a Pod where it is kept.
fn write(cluster: &Cluster, key: &Key, change: impl FnOnce(&mut Value)) {
    let state = &mut *cluster.lock();
    let Some(stored) = state.find("pods", key) else { return };
    let mut pod = stored.value.clone();
    change(&mut pod);
    if stored.value != pod {
        state.put("pods", pod);
    }
}

/// One Pod's life: it is placed, runs, and starts again as its policy says.
async fn work(
    cluster: Arc<Cluster>,
    executor: Arc<impl Executor>,
    (key, stop): (Key, watch::Receiver<bool>),
) {
    let mut pause = FIRST_PAUSE;
    for restarts in 0.. {
        let now = cluster.now();
        write(&cluster, &key, |pod| status::running(pod, restarts, now));
        let Some(value) = current(&cluster, &key) else { return };
        let policy = object::text(&value, "/spec/restartPolicy").to_owned();
        let container = object::text(&value, "/spec/containers/0/name").to_owned();
        let Ok(pod) = serde_json::from_value(value) else { return };

        let outcome = executor.run(Run { pod, stop: stop.clone() }).await;

        let now = cluster.now();
        if !outcome.log.is_empty() {
            cluster.lock().append_log(key.clone(), &container, &outcome.log);
        }
        let again = policy == "Always" || policy == "OnFailure" && outcome.exit_code != 0;
        if !again || *stop.borrow() {
            write(&cluster, &key, |pod| status::ended(pod, &outcome, now));
            return;
        }
        write(&cluster, &key, |pod| status::crashed(pod, &outcome, now));
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
