//! Is the token still good that a waiting Job is given? One that was minted long ago is minted anew
//! before the Job starts: beside the looks at the queue, so that an App's API that hangs holds up no
//! other Job. Where there is no new one the Job goes on waiting, and says why.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_api::status::Run;
use ger_core::ledger::{Notice, Severity};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::clusters::{Cluster, JobView};
use crate::runs::jobs::{self, Renewal};
use crate::runs::trigger::Trigger;
use crate::runs::{Fleet, events};

/// A token lives for an hour and is minted with what a Job may wait; the copy is written when the Job
/// is made. So much later another one may be the better.
const FRESH: Duration = Duration::from_mins(5);
/// Minting is one request, and writing two.
const LIMIT: Duration = Duration::from_secs(30);
/// What hindered may be mended; others have the place meanwhile.
const AGAIN: Duration = Duration::from_secs(30);

/// What is known of the copies of one cluster's waiting Jobs, by the Job's uid.
#[derive(Debug, Default)]
pub(super) struct Copies {
    known: Arc<Mutex<HashMap<String, Known>>>,
    writing: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Known {
    stage: Stage,
    /// Why there was none when it was last tried: it is said once.
    said: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Unknown,
    Writing,
    Written(Instant),
    Failed(Instant),
}

/// A Job that is to be started, and all that it takes to look after its copy.
pub(super) struct Starting<'a> {
    pub(super) fleet: &'a Arc<Fleet>,
    pub(super) cluster: &'a Cluster,
    pub(super) view: &'a JobView,
    /// As just read.
    pub(super) trigger: &'a Trigger,
    pub(super) run: &'a Run,
}

impl Copies {
    /// Forgets the Jobs that wait no longer.
    pub(super) fn retain(&mut self, is_waiting: impl Fn(&str) -> bool) {
        lock(&self.known).retain(|uid, _| is_waiting(uid));
        while self.writing.try_join_next().is_some() {}
    }

    /// Whether a Job may be considered: not while its copy is written, nor soon after that failed.
    pub(super) fn may_be_next(&self, uid: &str) -> bool {
        match lock(&self.known).get(uid).map(|it| it.stage) {
            Some(Stage::Writing) => false,
            Some(Stage::Failed(at)) => at.elapsed() >= AGAIN,
            Some(Stage::Unknown | Stage::Written(_)) | None => true,
        }
    }

    /// Whether a Job may start as it is. If not, its copy is being written, and admission is rung
    /// when that is done.
    pub(super) async fn are_good_for(&mut self, starting: &Starting<'_>) -> bool {
        let Starting { fleet, cluster, view, trigger, run } = *starting;
        let was_written = match lock(&self.known).get(&view.uid).map(|it| it.stage) {
            Some(Stage::Written(at)) => at.elapsed() < FRESH,
            Some(Stage::Unknown | Stage::Writing | Stage::Failed(_)) | None => false,
        };
        if was_written || is_young(view, fleet.clock.now()) {
            return true;
        }
        let renewal = match &trigger.plan {
            Ok(plan) => jobs::renewal(fleet, cluster, plan, run),
            Err(_) => Renewal::Unclear,
        };
        let is_needed = match renewal {
            Renewal::None => false,
            Renewal::Needed => true,
            // What the objects say now has no answer; the Job itself shows whether it has a copy.
            Renewal::Unclear => jobs::has_copy(cluster, view).await.unwrap_or(true),
        };
        if !is_needed {
            return true;
        }
        self.write(starting);
        false
    }

    fn write(&mut self, starting: &Starting<'_>) {
        let Starting { fleet, cluster, view, trigger, run } = *starting;
        lock(&self.known).entry(view.uid.clone()).or_default().stage = Stage::Writing;
        let (fleet, cluster, view) = (Arc::clone(fleet), cluster.clone(), view.clone());
        let (trigger, run, known) = (trigger.clone(), run.clone(), Arc::clone(&self.known));
        self.writing.spawn(async move {
            let starting = Starting {
                fleet: &fleet,
                cluster: &cluster,
                view: &view,
                trigger: &trigger,
                run: &run,
            };
            let hindered = match timeout(LIMIT, Box::pin(renew(&starting))).await {
                Ok(Ok(())) => None,
                Ok(Err(hindered)) => Some(hindered),
                Err(_) => Some(("Unreachable", format!("no new token within {LIMIT:?}"))),
            };
            let is_news = note(&known, &view.uid, hindered.as_ref().map(|it| it.1.as_str()));
            if let Some((reason, message)) = hindered.filter(|_| is_news) {
                tell(&starting, reason, &message).await;
            }
            fleet.admission.ring(cluster.name());
        });
    }
}

/// Keeps how it went; whether there is something new to say of it.
fn note(known: &Mutex<HashMap<String, Known>>, uid: &str, hindered: Option<&str>) -> bool {
    let mut known = lock(known);
    let Some(it) = known.get_mut(uid) else { return false };
    let now = Instant::now();
    it.stage = if hindered.is_none() { Stage::Written(now) } else { Stage::Failed(now) };
    let before = std::mem::replace(&mut it.said, hindered.map(str::to_owned));
    hindered.is_some() && before.as_deref() != hindered
}

async fn renew(starting: &Starting<'_>) -> Result<(), (&'static str, String)> {
    let Starting { fleet, cluster, view, trigger, run } = *starting;
    let plan = trigger.plan.as_ref().map_err(|it| (it.reason.as_str(), it.message.clone()))?;
    let renewed = jobs::renew(fleet, cluster, plan, (run, &view.uid)).await;
    renewed.map_err(|error| ("CopyFailed", format!("{:#}", anyhow::Error::new(error))))?
}

async fn tell(starting: &Starting<'_>, reason: &'static str, message: &str) {
    let Starting { fleet, cluster, view, trigger, .. } = *starting;
    tracing::warn!(trigger = %trigger.key, job = view.name, reason, "not started: {message}");
    fleet.metrics.problems_total.with_label_values(&[cluster.name().as_str(), reason]).inc();
    let message = format!("Job {} waits for a new token: {message}", view.name);
    let notice = Notice { severity: Severity::Warning, reason: reason.to_owned(), message };
    events::tell(fleet, cluster, &trigger.reference(), &notice).await;
}

/// Its copy was written when it was made. A time that cannot be is one of another clock.
fn is_young(view: &JobView, now: Timestamp) -> bool {
    let fresh = SignedDuration::try_from(FRESH).unwrap_or(SignedDuration::ZERO);
    view.created.is_some_and(|it| now.duration_since(it).abs() < fresh)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
