//! Whose turn is it among the runs of a source? What `concurrencyPolicy` says is carried out before a run
//! gets its Job.

use std::time::Duration;

use ger_api::status::{Run, RunPhase};
use ger_core::ledger::{self, Notice, Place, Severity};
use ger_core::plan::Plan;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use tokio::time::Instant;

use super::fire::Turn;
use super::memory::Pending;
use crate::clusters::JobView;
use crate::runs::admission::waiting_timeout;
use crate::runs::ledger::Moved;
use crate::runs::{Error, jobs};

/// A Job that is being removed is looked for this often, beside what the watch says of it.
const GOING: Duration = Duration::from_secs(2);

impl Turn<'_> {
    /// Makes a pending run's Job if it is its turn; else does what its policy says.
    pub(super) async fn make_in_turn(&mut self, plan: &Plan, run: &Run) -> Result<(), Error> {
        match ledger::place(plan.concurrency, &self.trigger.status, &run.id) {
            Place::Free => Box::pin(self.make(plan, run)).await,
            // Its waiting time does not run: what it waits for may take its own.
            Place::Behind => {
                self.memory.pending.remove(&run.id);
                Ok(())
            }
            Place::Skip { because } => {
                let why = format!("Forbidden: run {because} of the same source is not finished");
                self.skip(run, &why).await
            }
            Place::Replace { older } => Box::pin(self.replace(plan, run, &older)).await,
        }
    }

    async fn skip(&mut self, run: &Run, why: &str) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let moved = self.transit(|live| ledger::skipped(&live.status, &run.id, why, now)).await?;
        self.memory.pending.remove(&run.id);
        if moved == Moved::Yes {
            self.ended(run, RunPhase::Skipped);
            let message = format!("run {} of source {} is skipped: {why}", run.id, run.source);
            let trace_id = self.trace_of(&run.id);
            tracing::info!(trigger = %self.key, run = run.id, trace_id, "{message}");
            let reason = "RunSkipped".to_owned();
            self.tell(&Notice { severity: Severity::Normal, reason, message }).await;
        }
        Ok(())
    }

    /// Removes what is in the way of a run; when nothing is any more, makes its Job.
    async fn replace(&mut self, plan: &Plan, run: &Run, older: &[String]) -> Result<(), Error> {
        for id in older {
            let found = self.trigger.status.runs.iter().find(|it| it.id == *id).cloned();
            let Some(old) = found else { continue };
            match old.phase {
                RunPhase::Pending => {
                    let why = format!("Replaced: run {} takes its place", run.id);
                    self.skip(&old, &why).await?;
                }
                RunPhase::Queued | RunPhase::Running => self.take_away(&old).await?,
                RunPhase::Requested
                | RunPhase::Succeeded
                | RunPhase::Failed
                | RunPhase::Expired
                | RunPhase::Deleted
                | RunPhase::Skipped
                | RunPhase::Unchanged => {}
            }
        }
        if ledger::place(plan.concurrency, &self.trigger.status, &run.id) == Place::Free {
            return self.make(plan, run).await;
        }
        let now = Instant::now();
        let first = Pending { since: now, attempts: 0, tried_at: now, retry_at: now };
        let waits = *self.memory.pending.entry(run.id.clone()).or_insert(first);
        self.memory.pending.insert(run.id.clone(), Pending { retry_at: now + GOING, ..waits });
        // That takes as long as its Pods have to end; one that never ends is said, and then expires.
        let of = (self.key.namespace.as_str(), &plan.action);
        if now.duration_since(waits.since) < waiting_timeout(self.fleet, &self.cluster, of) {
            return Ok(());
        }
        let message = format!("the Job of run {} does not go away", older.join(", "));
        self.blocked((plan, run), waits, "Replacing", &message).await
    }

    /// Deletes the Job of a run, its pods first, or records that it is gone.
    async fn take_away(&mut self, old: &Run) -> Result<(), Error> {
        let (Some(name), Some(uid)) = (&old.job, &old.job_uid) else { return Ok(()) };
        // It may have ended by itself meanwhile; if it is gone, that is recorded here.
        self.observe(old).await?;
        let is_over = |it: &&Run| it.id == old.id && it.phase.is_final();
        if self.trigger.status.runs.iter().any(|it| is_over(&it)) {
            return Ok(());
        }
        let api: Api<Job> = Api::namespaced(self.cluster.client().clone(), &self.key.namespace);
        let read = api.get_opt(name).await;
        let live =
            read.map_err(|source| Error::ReadJob { job: name.clone(), source: Box::new(source) })?;
        match live.as_ref().map(JobView::of).filter(|it| it.uid == *uid && !it.deleting) {
            Some(view) => jobs::delete_after_its_pods(&api, &view).await,
            None => Ok(()),
        }
    }
}
