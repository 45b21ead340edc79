//! How do recorded runs go on? Pending ones get their Job, the others their outcome.

use std::time::Duration;

use ger_api::status::{Run, RunPhase};
use ger_core::broken::{self, Law};
use ger_core::ledger::{self, JobSighting, Notice, Severity, Transition};
use ger_core::plan::Plan;
use ger_core::trace::Step;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use tokio::time::Instant;

use super::check::seen;
use super::fire::Turn;
use super::memory::{Pending, backoff};
use crate::clusters::JobView;
use crate::runs::admission::waiting_timeout;
use crate::runs::jobs::Patched;
use crate::runs::ledger::Moved;
use crate::runs::{Error, ended, jobs, sources};

/// What was given up is looked at again in a turn of its own.
const SOON: Duration = Duration::from_millis(100);
/// What just failed is not tried again at once.
const TRIED_LATELY: Duration = Duration::from_millis(500);

impl Turn<'_> {
    /// Takes every unfinished run one step on, or as far as it goes without waiting.
    pub(super) async fn drive(&mut self, plan: &Plan) -> Result<(), Error> {
        let runs: Vec<Run> = ledger::unfinished(&self.trigger.status).cloned().collect();
        let waits = |it: &Run, id: &str| it.phase == RunPhase::Pending && it.id == id;
        // What waits no longer, or for somebody to end the suspension, needs no timer.
        self.memory.pending.retain(|id, _| !plan.suspend && runs.iter().any(|it| waits(it, id)));
        self.memory.looks.retain(|id, _| runs.iter().any(|it| it.id == *id));
        let mut result = Ok(());
        for run in &runs {
            // One that cannot go on holds up none of the others.
            result = result.and(Box::pin(self.step(plan, run)).await);
        }
        result
    }

    async fn step(&mut self, plan: &Plan, run: &Run) -> Result<(), Error> {
        match run.phase {
            RunPhase::Requested => self.drop_unlisted(plan, run).await,
            // While suspended nothing starts; what is recorded waits.
            RunPhase::Pending if plan.suspend || self.is_left_behind(run) => Ok(()),
            RunPhase::Pending => Box::pin(self.make_in_turn(plan, run)).await,
            RunPhase::Queued if self.take_back(plan, run).await? => Ok(()),
            RunPhase::Queued | RunPhase::Running => self.observe(run).await,
            RunPhase::Succeeded
            | RunPhase::Failed
            | RunPhase::Expired
            | RunPhase::Deleted
            | RunPhase::Skipped
            | RunPhase::Unchanged => Ok(()),
        }
    }

    /// Whether a run is nobody's: never, unless the simulation says that what another turn recorded is.
    fn is_left_behind(&self, run: &Run) -> bool {
        broken::is_off(Law::Recovery) && !self.recorded.contains(&run.id)
    }

    /// Records what became of Jobs, and nothing else.
    pub(super) async fn observe_started(&mut self) -> Result<(), Error> {
        let runs: Vec<Run> = ledger::unfinished(&self.trigger.status).cloned().collect();
        for run in runs.iter().filter(|it| matches!(it.phase, RunPhase::Queued | RunPhase::Running))
        {
            self.observe(run).await?;
        }
        Ok(())
    }

    /// Ends a request for a source that the trigger no longer names.
    async fn drop_unlisted(&mut self, plan: &Plan, run: &Run) -> Result<(), Error> {
        if plan.sources.contains(&run.source) {
            return Ok(());
        }
        self.supersede(run, None).await
    }

    pub(super) async fn make(&mut self, plan: &Plan, run: &Run) -> Result<(), Error> {
        let now = Instant::now();
        let first = Pending { since: now, attempts: 0, tried_at: now, retry_at: now };
        let waits = *self.memory.pending.entry(run.id.clone()).or_insert(first);
        // A turn drives more than once.
        if waits.attempts > 0 && waits.tried_at.elapsed() < TRIED_LATELY {
            return Ok(());
        }
        // Another version of the Action or the source may have mended what was in the way, so a wake
        // tries at once; only the timer keeps to the backoff.
        if !self.work.still_mine() {
            return Ok(());
        }
        let began = self.fleet.clock.now();
        let made = jobs::make(self.fleet, &self.cluster, plan, run, self.work.transitions()).await;
        let made = match made {
            Ok(made) => made,
            // Said on the trigger, and ended when it has lasted too long, as everything that blocks.
            Err(error) => {
                let message = format!("{:#}", anyhow::Error::new(error));
                jobs::Made::Blocked { reason: "ApiRefused", message }
            }
        };
        match made {
            jobs::Made::Ready { name, uid } => self.queue(run, &name, &uid, began).await,
            jobs::Made::Refused { message } => self.fail(run, &message).await,
            jobs::Made::Superseded => {
                self.supersede(run, None).await?;
                self.check_soon(plan, &run.source);
                Ok(())
            }
            jobs::Made::Blocked { reason, message } => {
                self.later(run, waits);
                self.blocked((plan, run), waits, reason, &message).await
            }
        }
    }

    /// Records the Job's uid: from here on it may be started.
    async fn queue(
        &mut self,
        run: &Run,
        name: &str,
        uid: &str,
        began: Timestamp,
    ) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let moved =
            self.transit(|live| ledger::queued(&live.status, &run.id, name, uid, now)).await?;
        self.memory.pending.remove(&run.id);
        match moved {
            Moved::Yes => {
                let requested = run.requested_at.unwrap_or_else(|| self.fleet.clock.now());
                let took = self.fleet.clock.now().duration_since(requested).as_secs_f64();
                let cluster = self.key.cluster.as_str();
                self.fleet
                    .metrics
                    .change_to_job_seconds
                    .with_label_values(&[cluster])
                    .observe(took);
                let commit = run.commit.as_deref().unwrap_or_default();
                let trace_id = self.trace_of(&run.id);
                tracing::info!(trigger = %self.key, run = run.id, trace_id, commit, job = name, "job created");
                self.trace(&run.id, Step::Create, (began, self.fleet.clock.now()));
            }
            Moved::Already => {}
            Moved::Refused(why) => {
                let trace_id = self.trace_of(&run.id);
                tracing::warn!(trigger = %self.key, run = run.id, trace_id, job = name, why, "job not wanted: deleted");
                self.delete_unwanted(name, uid).await?;
            }
        }
        self.fleet.admission.ring(&self.key.cluster);
        Ok(())
    }

    /// Removes a Job that was created for a run which had ended meanwhile.
    async fn delete_unwanted(&self, name: &str, uid: &str) -> Result<(), Error> {
        let api: Api<Job> = Api::namespaced(self.cluster.client().clone(), &self.key.namespace);
        let read = api.get_opt(name).await;
        let live = read
            .map_err(|source| Error::ReadJob { job: name.to_owned(), source: Box::new(source) })?;
        match live.as_ref().map(JobView::of) {
            // Only what never started: the uid is the one that was created here, suspended.
            Some(view) if view.uid == uid && view.suspended && view.started.is_none() => {
                jobs::delete(&api, &view).await
            }
            _ => Ok(()),
        }
    }

    async fn fail(&mut self, run: &Run, message: &str) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let moved =
            self.transit(|live| ledger::failed(&live.status, &run.id, message, now)).await?;
        self.memory.pending.remove(&run.id);
        if moved == Moved::Yes {
            self.ended(run, RunPhase::Failed);
            let message = format!("run {} of source {}: {message}", run.id, run.source);
            self.tell(&Notice {
                severity: Severity::Warning,
                reason: "JobRefused".to_owned(),
                message,
            })
            .await;
        }
        Ok(())
    }

    /// Says once why the run waits; past its waiting time it ends, and its source is due again.
    pub(super) async fn blocked(
        &mut self,
        (plan, run): (&Plan, &Run),
        waits: Pending,
        reason: &'static str,
        message: &str,
    ) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let of = (self.key.namespace.as_str(), &plan.action);
        if waits.since.elapsed() >= waiting_timeout(self.fleet, &self.cluster, of) {
            let why = format!("{reason}: {message}");
            let moved = self
                .transit(|live| ledger::expired(&live.status, &run.id, None, &why, now))
                .await?;
            self.memory.pending.remove(&run.id);
            if moved == Moved::Yes {
                let of = (self.fleet, &self.cluster);
                ended::expired(of, &self.trigger, run, &why).await;
                self.check_soon(plan, &run.source);
            }
            return Ok(());
        }
        let known = ledger::blocked(&self.trigger.status, &run.id, reason, message, now);
        if known == Transition::Nothing {
            return Ok(());
        }
        let moved = self
            .transit(|live| ledger::blocked(&live.status, &run.id, reason, message, now))
            .await?;
        if moved == Moved::Yes && !self.was_said_before(run, reason) {
            let message = format!("run {} of source {}: {message}", run.id, run.source);
            self.tell(&Notice { severity: Severity::Warning, reason: reason.to_owned(), message })
                .await;
        }
        Ok(())
    }

    /// Whether the source's run before this one waited for the same until it expired.
    fn was_said_before(&self, run: &Run, reason: &str) -> bool {
        let runs = &self.trigger.status.runs;
        let mut before = runs.iter().rev().skip_while(|it| it.id != run.id).skip(1);
        before.find(|it| it.source == run.source).is_some_and(|it| {
            let said = it.message.as_deref().and_then(|it| it.strip_prefix(reason));
            it.phase == RunPhase::Expired && said.is_some_and(|it| it.starts_with(": "))
        })
    }

    /// Takes a Job that has not started back, where it is no longer what is wanted: its Action was
    /// created anew, and takes it along when it is collected; or something else is watched by now.
    async fn take_back(&mut self, plan: &Plan, run: &Run) -> Result<bool, Error> {
        let (RunPhase::Queued, Some(name), Some(uid)) = (run.phase, &run.job, &run.job_uid) else {
            return Ok(false);
        };
        let seen = self.cluster.stores().jobs.find(Some(&self.key.namespace), name);
        let is_waiting = |it: &JobView| {
            it.uid == *uid && it.sighting == JobSighting::Suspended && it.started.is_none()
        };
        let Some(view) = seen.filter(|it| is_waiting(it)) else { return Ok(false) };
        let found = sources::find(self.cluster.stores(), self.key, plan, &run.source);
        let is_superseded =
            !found.version.is_empty() && ledger::is_superseded(run, plan, &found.fingerprint);
        let action = jobs::action_uid(&self.cluster, plan);
        let is_orphaned = action.is_some() && action != view.owner_uid;
        if !(is_superseded || is_orphaned)
            || jobs::withdraw(&self.cluster, &view).await? == Patched::No
        {
            return Ok(false);
        }
        if is_superseded {
            self.supersede(run, Some(uid)).await?;
        } else {
            self.take_anew(run, uid).await?;
        }
        self.check_soon(plan, &run.source);
        Ok(true)
    }

    fn later(&mut self, run: &Run, waits: Pending) {
        let attempts = waits.attempts.saturating_add(1);
        let retry_at = Instant::now() + backoff(attempts);
        let tried_at = Instant::now();
        self.memory
            .pending
            .insert(run.id.clone(), Pending { attempts, tried_at, retry_at, ..waits });
    }

    /// The source is due again: its record was cleared. Where that happens again and again, later and later.
    fn check_soon(&mut self, plan: &Plan, source: &str) {
        let found = sources::find(self.cluster.stores(), self.key, plan, source);
        let record = self.trigger.status.checked_sources.get(source).map(Box::as_ref);
        let memory = self.memory.sources.entry(source.to_owned()).or_default();
        memory.on_record(record, &seen(plan, &found));
        memory.retry_at.get_or_insert_with(|| Instant::now() + SOON);
    }
}
