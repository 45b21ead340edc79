//! How do calls get into a ledger? One write for a trigger at a time; calls that come meanwhile share the
//! next one.
//!
//! ```text
//! calls ──▶ waiting (by trigger) ──▶ one write ──▶ each call its answer
//!               ▲                      │
//!               └── those that came ◀──┘
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ger_core::ledger::{self, Call, Taken};
use ger_core::names::{ClusterName, TriggerKey};
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::known::Known;
use super::traced;
use crate::runs::ledger::{Step, swap};
use crate::runs::{Error, Fleet};

/// Calls on their way to this task.
const ORDERS: usize = 4096;
/// Calls of one trigger that wait for a write. What is more comes too fast for any cluster.
const WAITING: usize = 16_384;
/// Calls that share one write: each is decided on its own.
const TOGETHER: usize = 4096;
/// How long one batch may take with all its tries. A forge waits ten seconds for an answer.
const WRITE: Duration = Duration::from_secs(8);
/// What an API refuses for the moment is tried again after these.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];

/// What became of a call.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Taken(Taken),
    /// The trigger is another than the call was judged by: this is what it is now.
    Edited(Arc<Known>),
    Gone,
    /// The cluster does not answer.
    Unreachable,
    /// It answers, and does not take it.
    Refused,
    /// Too many wait.
    Busy,
}

/// A panic in a write.
#[derive(Debug, thiserror::Error)]
#[error("the write of a webhook's call ended in a panic")]
pub struct Panicked {
    source: tokio::task::JoinError,
}

struct Order {
    key: TriggerKey,
    waiting: Waiting,
}

struct Waiting {
    call: Call,
    arrived: Instant,
    answer: oneshot::Sender<Outcome>,
}

/// Takes calls. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    orders: mpsc::Sender<Order>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Handle {
    /// Records a call: when this says that it is taken, the status that holds it was written. A caller
    /// that does not wait for it has not taken it back.
    pub(super) async fn record(&self, key: &TriggerKey, call: Call) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let order =
            Order { key: key.clone(), waiting: Waiting { call, arrived: Instant::now(), answer } };
        if self.orders.try_send(order).is_err() {
            return Outcome::Busy;
        }
        // No answer: the replica ends.
        answered.await.unwrap_or(Outcome::Busy)
    }
}

/// Prepares to take calls; nothing is written until the future is polled. It ends when `stop` is
/// cancelled and everything that was taken by then is written.
pub(super) fn start(
    fleet: Arc<Fleet>,
    parallelism: u8,
    stop: CancellationToken,
) -> (Handle, impl Future<Output = Result<(), Panicked>> + Send + 'static) {
    let (orders, taken) = mpsc::channel(ORDERS);
    let recorder = Recorder {
        fleet,
        parallelism: usize::from(parallelism),
        waiting: HashMap::new(),
        shares: HashMap::new(),
        writing: JoinSet::new(),
    };
    (Handle { orders }, recorder.run(taken, stop))
}

struct Recorder {
    fleet: Arc<Fleet>,
    parallelism: usize,
    /// By trigger: a key is here while a write of it is under way.
    waiting: HashMap<TriggerKey, Vec<Waiting>>,
    /// Writes at once, by cluster.
    shares: HashMap<ClusterName, Arc<Semaphore>>,
    writing: JoinSet<TriggerKey>,
}

impl Recorder {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        stop: CancellationToken,
    ) -> Result<(), Panicked> {
        loop {
            tokio::select! {
                // The server has ended before: nobody calls any more.
                () = stop.cancelled() => break,
                Some(order) = orders.recv() => self.take(order),
                Some(ended) = self.writing.join_next() => self.written(ended)?,
            }
        }
        orders.close();
        while let Some(order) = orders.recv().await {
            self.take(order);
        }
        while let Some(ended) = self.writing.join_next().await {
            self.written(ended)?;
        }
        Ok(())
    }

    fn take(&mut self, Order { key, waiting }: Order) {
        match self.waiting.get_mut(&key) {
            Some(others) if others.len() < WAITING => others.push(waiting),
            Some(_) => drop(waiting.answer.send(Outcome::Busy)),
            None => {
                self.waiting.insert(key.clone(), Vec::new());
                self.write(key, vec![waiting]);
            }
        }
    }

    fn written(
        &mut self,
        ended: Result<TriggerKey, tokio::task::JoinError>,
    ) -> Result<(), Panicked> {
        let key = ended.map_err(|source| Panicked { source })?;
        let mut waiting = self.waiting.remove(&key).unwrap_or_default();
        // Who has left need not be written for.
        waiting.retain(|it| !it.answer.is_closed());
        if waiting.is_empty() {
            return Ok(());
        }
        let later = waiting.split_off(waiting.len().min(TOGETHER));
        self.waiting.insert(key.clone(), later);
        self.write(key, waiting);
        Ok(())
    }

    fn write(&mut self, key: TriggerKey, batch: Vec<Waiting>) {
        if self.shares.len() > self.fleet.clusters.all().len() {
            self.shares.retain(|_, it| Arc::strong_count(it) > 1);
        }
        let share = self.shares.entry(key.cluster.clone());
        let share = share.or_insert_with(|| Arc::new(Semaphore::new(self.parallelism)));
        let (fleet, share) = (Arc::clone(&self.fleet), Arc::clone(share));
        self.writing.spawn(async move {
            let calls: Vec<Call> = batch.iter().map(|it| it.call.clone()).collect();
            let first = batch.iter().map(|it| it.arrived).min();
            let began = traced::ago(&fleet, first);
            let write = async {
                let _share = share.acquire_owned().await;
                write(&fleet, &key, (&calls, began)).await
            };
            let outcomes = tokio::time::timeout(WRITE, write).await;
            let outcomes = outcomes.unwrap_or_else(|_| vec![Outcome::Unreachable; calls.len()]);
            for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                // It is recorded whether or not its caller still listens.
                drop(waiting.answer.send(outcome));
            }
            key
        });
    }
}

/// Writes a batch, and tries again what an API refuses for the moment.
async fn write(
    fleet: &Fleet,
    key: &TriggerKey,
    (calls, began): (&[Call], Timestamp),
) -> Vec<Outcome> {
    let mut pauses = PAUSES.into_iter();
    let mut has_tried = false;
    loop {
        let error = match write_once(fleet, key, (calls, began)).await {
            Ok(mut outcomes) => {
                if has_tried {
                    outcomes.iter_mut().for_each(claim);
                }
                return outcomes;
            }
            Err(error) => error,
        };
        let trouble = trouble(&error);
        match pauses.next() {
            Some(pause) if trouble.passes => tokio::time::sleep(pause).await,
            _ => {
                let error = anyhow::Error::new(error);
                tracing::warn!(trigger = %key, calls = calls.len(), "a webhook's call is not recorded: {error:#}");
                return vec![trouble.outcome; calls.len()];
            }
        }
        has_tried = true;
    }
}

/// What is there after a try whose answer was an error was written by that try.
fn claim(outcome: &mut Outcome) {
    if let Outcome::Taken(Taken::Repeated { runs }) = outcome {
        *outcome = Outcome::Taken(Taken::Recorded { runs: std::mem::take(runs) });
    }
}

async fn write_once(
    fleet: &Fleet,
    key: &TriggerKey,
    (calls, began): (&[Call], Timestamp),
) -> Result<Vec<Outcome>, Error> {
    let Some(cluster) = fleet.clusters.cluster(&key.cluster) else {
        return Ok(vec![Outcome::Gone; calls.len()]);
    };
    let now = fleet.clock.now();
    let swapped = swap(cluster.client_for_calls(), key, &fleet.metrics, |live| {
        let Some(plan) = live.plan.as_ref().ok().filter(|_| !live.is_leaving) else {
            return Step::Leave(None);
        };
        let called = ledger::call(plan, &live.live(), calls, now);
        match called.status {
            Some(status) => {
                let new = traced::new_runs(&live.status, &status);
                Step::Write(status, Some((called.taken, new)))
            }
            None => Step::Leave(Some((called.taken, Vec::new()))),
        }
    });
    let swapped = swapped.await.inspect_err(|error| {
        if matches!(error, Error::Pruned { .. }) {
            cluster.doubt_crds();
        }
    })?;
    let Some((taken, new)) = swapped.outcome else {
        let outcome = if swapped.trigger.is_leaving {
            Outcome::Gone
        } else {
            Outcome::Edited(Arc::new(Known::of(&swapped.trigger)))
        };
        return Ok(vec![outcome; calls.len()]);
    };
    traced::firings(fleet, &swapped.trigger, &new, began);
    let known = Arc::new(Known::of(&swapped.trigger));
    let outcome = |it: Taken| match it {
        Taken::Edited => Outcome::Edited(Arc::clone(&known)),
        taken => Outcome::Taken(taken),
    };
    Ok(taken.into_iter().map(outcome).collect())
}

/// What an error means for those who wait.
struct Trouble {
    outcome: Outcome,
    /// Whether the same may work in a moment.
    passes: bool,
}

fn trouble(error: &Error) -> Trouble {
    let (outcome, passes) = match error {
        Error::Gone { .. } => (Outcome::Gone, false),
        Error::Read { source, .. } | Error::Record { source, .. } => match source.as_ref() {
            kube::Error::Api(status) => {
                (Outcome::Refused, status.code == 429 || status.code >= 500)
            }
            // No answer, or none that can be read: whether it was written shows the next read.
            _ => (Outcome::Unreachable, true),
        },
        Error::Contended { .. }
        | Error::Pruned { .. }
        | Error::CreateJob { .. }
        | Error::ReadJob { .. }
        | Error::ChangeJob { .. }
        | Error::DeleteJob { .. }
        | Error::CopyCredentials { .. } => (Outcome::Refused, false),
    };
    Trouble { outcome, passes }
}
