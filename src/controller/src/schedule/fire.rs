//! What happens when a trigger's time has come? From its spec to its Jobs, in one turn.

use std::time::Duration;

use ger_api::ScheduleTrigger;
use ger_core::ledger::{self, Notice, Severity, Transition};
use ger_core::names::{TriggerKey, TriggerKind};
use ger_core::plan::{Plan, WrongConfig};
use jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use super::memory::{Memory, backoff};
use crate::clusters::Cluster;
use crate::metrics::Ended;
use crate::runs::ledger::{Moved, Step, swap, transit};
use crate::runs::trigger::{FINALIZER_OF_THE_ORIGINAL, Trigger};
use crate::runs::{Error, Fleet, Remedy, events};
use crate::shards::Work;

/// When a turn that was refused is tried again, unless the trigger is forgotten before.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A turn of one trigger. It may end after any line: the next owner starts from the top and, by the
/// same ids, ends with the same runs.
pub(super) struct Turn<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) key: &'a TriggerKey,
    pub(super) cluster: Cluster,
    /// While it lives, the shard is not handed over.
    pub(super) work: Work,
    /// As last read or written.
    pub(super) trigger: Trigger,
    pub(super) memory: Memory,
    pub(super) due_at: Instant,
    /// The runs that this turn recorded.
    pub(super) recorded: Vec<String>,
}

/// Takes one trigger from its timer to its Jobs, and says when it is to be looked at again.
pub(super) async fn fire(
    fleet: &Fleet,
    key: &TriggerKey,
    memory: Memory,
    due_at: Instant,
) -> (Memory, Option<Instant>) {
    // Not ours at this moment: should it become so again before anybody looks, it is found.
    let refused = Instant::now() + LOOK_AGAIN;
    let Some(work) = fleet.shards.begin(key) else { return (Memory::default(), Some(refused)) };
    let Some(cluster) = fleet.clusters.cluster(&key.cluster) else { return (memory, None) };
    // Its schedules pause; we are woken when it is back.
    if !cluster.state().works() {
        return (memory, None);
    }
    let Some(trigger) = Trigger::of_store(key, cluster.stores()) else { return (memory, None) };
    let memory = memory.of(&trigger.uid);
    fleet.metrics.triggers.turn_began(key);
    let began = Instant::now();

    let recorded = Vec::new();
    let mut turn = Turn { fleet, key, cluster, work, trigger, memory, due_at, recorded };
    let taken = Box::pin(turn.take()).await;
    let ended = if taken.is_ok() { Ended::Well } else { Ended::Badly };
    fleet.metrics.triggers.turn_ended(key, began.elapsed(), ended);
    fleet.metrics.triggers.stands(key, turn.trigger.standing());
    turn.memory.tidy();
    let error = match taken {
        Ok(again) => {
            turn.memory.failures = 0;
            return (turn.memory, again);
        }
        Err(error) => error,
    };

    if matches!(error, Error::Pruned { .. }) {
        turn.cluster.doubt_crds();
    }
    turn.memory.failures = turn.memory.failures.saturating_add(1);
    let retry = backoff(turn.memory.failures);
    let again = match error.remedy() {
        Remedy::Forget => None,
        Remedy::Retry => Some(Instant::now() + retry),
        Remedy::RetryLate => Some(Instant::now() + retry.max(Duration::from_secs(30))),
    };
    let error = anyhow::Error::new(error);
    tracing::warn!(trigger = %key, retry = ?again.map(|_| retry), "{error:#}");
    (turn.memory, again)
}

/// What a trigger asks for, unless its spec cannot be carried out or asks for nothing any more.
fn judged(trigger: &Trigger, last: Option<Timestamp>, now: Timestamp) -> Result<Plan, WrongConfig> {
    let plan = trigger.plan.clone()?;
    match ledger::over(&plan, &trigger.status, last, now) {
        Some(wrong) => Err(wrong),
        None => Ok(plan),
    }
}

impl Turn<'_> {
    async fn take(&mut self) -> Result<Option<Instant>, Error> {
        if self.trigger.is_held_by_the_original {
            self.release_from_the_original().await?;
        }
        if self.trigger.is_leaving {
            return Ok(None);
        }
        let plan = match judged(&self.trigger, self.last_seen_to(), self.fleet.clock.now()) {
            Ok(plan) => plan,
            Err(wrong) => {
                self.refuse(&wrong).await?;
                // What was started before the spec was broken still has an outcome.
                self.observe_started().await?;
                return Ok(None);
            }
        };
        self.request(&plan).await?;
        // What is recorded already does not wait for the remotes.
        let driven = Box::pin(self.drive(&plan)).await;
        Box::pin(self.check(&plan)).await?;
        driven?;
        self.accept(&plan).await?;
        Box::pin(self.drive(&plan)).await?;
        Ok(self.next(&plan))
    }

    /// Writes a transition of this trigger's ledger, and keeps what is there then.
    pub(super) async fn transit(
        &mut self,
        decide: impl FnMut(&Trigger) -> Transition,
    ) -> Result<Moved, Error> {
        let written = transit(self.cluster.client(), self.key, &self.fleet.metrics, decide).await?;
        self.trigger = written.trigger;
        Ok(written.outcome)
    }

    /// Says on the trigger that its spec cannot be carried out, once for each way in which it cannot.
    async fn refuse(&mut self, wrong: &WrongConfig) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let generation = self.trigger.generation;
        let known = ledger::wrong_config(&self.trigger.status, generation, wrong, now);
        if known == Transition::Nothing {
            return Ok(());
        }
        let last = self.last_seen_to();
        let moved = self
            .transit(|live| match judged(live, last, now) {
                Ok(_) => Transition::Nothing,
                Err(wrong) => ledger::wrong_config(&live.status, live.generation, &wrong, now),
            })
            .await?;
        if moved == Moved::Yes {
            let reason = wrong.reason.as_str();
            self.tell(&Notice {
                severity: Severity::Warning,
                reason: reason.to_owned(),
                message: wrong.message.clone(),
            })
            .await;
        }
        Ok(())
    }

    /// Says on the trigger that its spec is understood, where no check said it already.
    async fn accept(&mut self, plan: &Plan) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let next = self.memory.next_check.filter(|it| !plan.suspend && *it != Timestamp::MAX);
        let generation = plan.generation;
        if ledger::accepted(&self.trigger.status, generation, next, now) == Transition::Nothing {
            return Ok(());
        }
        self.transit(|live| match &live.plan {
            Ok(plan) if plan.generation == generation => {
                ledger::accepted(&live.status, generation, next, now)
            }
            // It was edited again: that wakes us.
            Ok(_) | Err(_) => Transition::Nothing,
        })
        .await?;
        Ok(())
    }

    /// When the trigger's sources were last seen to, as far as its spec says what they are.
    fn last_seen_to(&self) -> Option<Timestamp> {
        self.trigger.plan.as_ref().ok().and_then(|it| self.last_done(it))
    }

    /// Turns a new `run-at` annotation into requested runs.
    async fn request(&mut self, plan: &Plan) -> Result<(), Error> {
        let handled = self.trigger.status.last_handled_run_at.as_deref();
        let asks = plan.run_at.as_ref().is_some_and(|it| handled != Some(it.value.as_str()));
        if !asks || plan.suspend {
            return Ok(());
        }
        let now = self.fleet.clock.now();
        let swapped = swap(self.cluster.client(), self.key, &self.fleet.metrics, |live| {
            let Ok(plan) = &live.plan else { return Step::Leave(Vec::new()) };
            let Some(run_at) = &plan.run_at else { return Step::Leave(Vec::new()) };
            match ledger::request(plan, &live.live(), run_at, now) {
                ledger::Verdict::Write { status, recorded, .. } => Step::Write(status, recorded),
                ledger::Verdict::Nothing
                | ledger::Verdict::Coalesced
                | ledger::Verdict::CheckAgain
                | ledger::Verdict::ConfirmAfter(_)
                | ledger::Verdict::Gone => Step::Leave(Vec::new()),
            }
        })
        .await?;
        self.trigger = swapped.trigger;
        // Whoever asks wants an answer now, not when a failing source would be tried again.
        self.memory.sources.values_mut().for_each(|it| it.retry_at = None);
        for run in swapped.outcome {
            let trace_id = self.trace_of(&run);
            tracing::info!(trigger = %self.key, run, trace_id, "requested by annotation");
            self.trace_firing(&run);
        }
        Ok(())
    }

    /// Removes the finalizer that the original left: nobody else would, and a delete would hang.
    async fn release_from_the_original(&self) -> Result<(), Error> {
        if self.key.kind != TriggerKind::Schedule {
            return Ok(());
        }
        let api: Api<ScheduleTrigger> =
            Api::namespaced(self.cluster.client().clone(), &self.key.namespace);
        let cannot = |source| Error::Record { key: self.key.clone(), source: Box::new(source) };
        let Some(object) = api.get_opt(&self.key.name).await.map_err(cannot)? else {
            return Ok(());
        };
        let mut finalizers = object.metadata.finalizers.unwrap_or_default();
        finalizers.retain(|it| it != FINALIZER_OF_THE_ORIGINAL);
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": object.metadata.resource_version,
        }});
        let patched =
            api.patch(&self.key.name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map_err(cannot)?;
        tracing::info!(trigger = %self.key, "took over from the original: its finalizer is removed");
        Ok(())
    }

    /// Tells of something, and logs it where it is a problem.
    pub(super) async fn tell(&self, notice: &Notice) {
        if notice.severity == Severity::Warning {
            tracing::warn!(trigger = %self.key, reason = notice.reason, "{}", notice.message);
        }
        self.publish(notice).await;
    }

    /// Tells of something that was logged.
    pub(super) async fn publish(&self, notice: &Notice) {
        if notice.severity == Severity::Warning {
            let labels = [self.key.cluster.as_str(), notice.reason.as_str()];
            self.fleet.metrics.problems_total.with_label_values(&labels).inc();
        }
        events::tell(self.fleet, &self.cluster, &self.trigger.reference(), notice).await;
    }

    /// When something is to be done without anybody waking us.
    fn next(&self, plan: &Plan) -> Option<Instant> {
        let timers = self.memory.sources.values().flat_map(|it| {
            let awaited = it.awaited.as_ref().map(|it| it.0);
            [it.retry_at, it.confirm.as_ref().map(|it| it.0), awaited]
        });
        let check = self.memory.next_check.filter(|it| !plan.suspend && *it != Timestamp::MAX);
        let check = check.map(|at| Instant::now() + self.fleet.clock.until(at));
        let pending = self.memory.pending.values().map(|it| it.retry_at);
        let timers = timers.flatten().chain(pending).filter(|_| !plan.suspend);
        // A Job that runs is looked after although nothing new may start.
        let looks = self.memory.looks.values().filter_map(|it| it.at);
        timers.chain(check).chain(looks).min()
    }
}
