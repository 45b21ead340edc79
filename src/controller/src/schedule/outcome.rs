//! What becomes of the Jobs of recorded runs, and why? From the watch into the ledger; where it does not say
//! enough, from the Job's Pods and from what was said about it.

use std::time::Duration;

use ger_api::status::{Run, RunPhase};
use ger_core::ledger::{self, JobSighting, Notice, Severity, Transition};
use ger_core::outcome::{self, Progress, Why};
use tokio::time::Instant;

use super::fire::Turn;
use super::memory::Look;
use crate::runs::ledger::Moved;
use crate::runs::{Error, ended, jobs, pods};

/// A Job that was started is looked at this soon: most work by then, or have ended.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// And no less often than this until it works.
const LAST_LOOK: Duration = Duration::from_mins(2);

impl Turn<'_> {
    /// Takes what was seen of a run's Job into the ledger, and tells what became of it.
    pub(super) async fn observe(&mut self, run: &Run) -> Result<(), Error> {
        let Some(uid) = run.job_uid.clone() else { return Ok(()) };
        let mut sighting = jobs::observe(&self.cluster, &self.key.namespace, run).await?;
        let now = self.fleet.clock.now();
        let known = ledger::observed(&self.trigger.status, &run.id, &uid, &sighting, now);
        if known == Transition::Nothing {
            return match sighting {
                JobSighting::Running { .. } => self.look_after(run, &uid).await,
                JobSighting::Suspended
                | JobSighting::Succeeded { .. }
                | JobSighting::Failed { .. }
                | JobSighting::Removed
                | JobSighting::Gone => Ok(()),
            };
        }
        self.explain(run, &uid, &mut sighting).await;
        let by = self.replaced_by(run, &sighting);
        if by.is_some() && jobs::is_there(&self.cluster, &self.key.namespace, run) {
            // Its Pods have ended, and are not gone: whoever takes its place waits for that.
            return Ok(());
        }
        let started = jobs::started(&self.cluster, &self.key.namespace, run);
        let moved = self
            .transit(|live| {
                if let Some(by) = &by {
                    return ledger::replaced(&live.status, &run.id, (&uid, by), now);
                }
                let observed = ledger::observed(&live.status, &run.id, &uid, &sighting, now);
                ledger::began(observed, &run.id, started)
            })
            .await?;
        if moved == Moved::Yes {
            self.tell_outcome(run, &sighting, by.as_deref()).await;
        }
        if matches!(sighting, JobSighting::Running { .. }) {
            return self.look_after(run, &uid).await;
        }
        Ok(())
    }

    /// Finds out what the watch does not say: why a Job failed, and how one ended that is gone.
    async fn explain(&self, run: &Run, uid: &str, sighting: &mut JobSighting) {
        let namespace = &self.key.namespace;
        match sighting {
            JobSighting::Failed { message, .. } => {
                let found = pods::of(&self.cluster, namespace, (run, uid)).await;
                let found = found.unwrap_or_else(|error| {
                    tracing::debug!(trigger = %self.key, run = run.id, %error, "its Pods cannot be read");
                    Vec::new()
                });
                *message = outcome::why_failed(message, run.message.as_deref(), &found);
            }
            // A TTL of seconds may take it away while nobody looks.
            JobSighting::Gone => {
                let said = pods::events(&self.cluster, namespace, uid).await.unwrap_or_default();
                if let Some(ended) = outcome::evidence(&said) {
                    *sighting = ended;
                }
            }
            JobSighting::Suspended
            | JobSighting::Running { .. }
            | JobSighting::Succeeded { .. }
            | JobSighting::Removed => {}
        }
    }

    /// The run for which this one's Job was removed, if it was.
    fn replaced_by(&self, run: &Run, sighting: &JobSighting) -> Option<String> {
        let policy = self.trigger.plan.as_ref().ok()?.concurrency;
        let by = ledger::replacing(policy, &self.trigger.status, &run.id);
        let is_removed = matches!(sighting, JobSighting::Removed | JobSighting::Gone);
        by.filter(|_| is_removed).map(|it| it.id.clone())
    }

    async fn tell_outcome(&mut self, run: &Run, sighting: &JobSighting, by: Option<&str>) {
        let job = run.job.clone().unwrap_or_default();
        let recorded = self.trigger.status.runs.iter().find(|it| it.id == run.id);
        let took = recorded.and_then(|it| Some(it.finished_at?.duration_since(it.started_at?)));
        let took = took.map_or_else(String::new, |it| format!(" after {} s", it.as_secs()));
        let trace_id = self.trace_of(&run.id);
        let (severity, reason, message) = match sighting {
            JobSighting::Suspended => return,
            JobSighting::Running { .. } => {
                self.has_started(&run.source);
                tracing::info!(trigger = %self.key, run = run.id, trace_id, job, "running");
                return;
            }
            JobSighting::Succeeded { .. } => {
                tracing::info!(trigger = %self.key, run = run.id, trace_id, job, "job completed successfully{took}");
                self.has_started(&run.source);
                self.ended(run, RunPhase::Succeeded);
                let message = format!("Job {job} of source {} succeeded{took}", run.source);
                (Severity::Normal, "JobSucceeded", message)
            }
            JobSighting::Failed { message, .. } => {
                tracing::warn!(trigger = %self.key, run = run.id, trace_id, job, "job failed{took}: {message}");
                self.has_started(&run.source);
                self.ended(run, RunPhase::Failed);
                let message = format!("Job {job} of source {} failed{took}: {message}", run.source);
                (Severity::Warning, "JobFailed", message)
            }
            JobSighting::Removed | JobSighting::Gone => {
                self.ended(run, RunPhase::Deleted);
                let source = &run.source;
                if let Some(by) = by {
                    tracing::info!(trigger = %self.key, run = run.id, trace_id, job, by, "job replaced");
                    let message = format!("Job {job} of source {source} made way for run {by}");
                    (Severity::Normal, "JobReplaced", message)
                } else {
                    tracing::warn!(trigger = %self.key, run = run.id, trace_id, job, "unfinished job deleted");
                    let message =
                        format!("Job {job} of source {source} was removed before it finished");
                    (Severity::Warning, "JobDeleted", message)
                }
            }
        };
        self.publish(&Notice { severity, reason: reason.to_owned(), message }).await;
    }

    /// Ends a run about something that is no longer watched: see [`ledger::superseded`].
    pub(super) async fn supersede(
        &mut self,
        run: &Run,
        withdrawn: Option<&str>,
    ) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let moved =
            self.transit(|live| ledger::superseded(&live.status, &run.id, withdrawn, now)).await?;
        if moved == Moved::Yes {
            ended::given_up(self.fleet, &self.trigger, run, RunPhase::Failed);
            let (id, source, job) = (&run.id, &run.source, run.job.as_deref());
            let trace_id = self.trace_of(id);
            tracing::info!(trigger = %self.key, run = id, trace_id, job, "superseded: what is watched was edited");
            let message =
                format!("run {id} of source {source} is given up: what is watched was edited");
            let reason = "RunSuperseded".to_owned();
            self.tell(&Notice { severity: Severity::Normal, reason, message }).await;
        }
        Ok(())
    }

    /// Lets another run take the place of one whose Action was created anew, with its Job, which was withdrawn.
    pub(super) async fn take_anew(&mut self, run: &Run, withdrawn: &str) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let moved = self
            .transit(|live| {
                ledger::back_to_pending(&live.uid, &live.status, &run.id, withdrawn, now)
            })
            .await?;
        if moved == Moved::Yes {
            ended::given_up(self.fleet, &self.trigger, run, RunPhase::Expired);
            let (id, source, job) = (&run.id, &run.source, run.job.clone().unwrap_or_default());
            let trace_id = self.trace_of(id);
            tracing::info!(trigger = %self.key, run = id, trace_id, job, "job taken back: its Action was created anew");
            let message = format!(
                "Job {job} of source {source} is made anew, as its Action was: another run takes \
                 the place of {id}"
            );
            let reason = "JobTakenBack".to_owned();
            self.tell(&Notice { severity: Severity::Normal, reason, message }).await;
        }
        Ok(())
    }

    /// Looks whether a Job that was started gets on, less and less often, until it works.
    async fn look_after(&mut self, run: &Run, uid: &str) -> Result<(), Error> {
        let now = Instant::now();
        let first = Look { at: Some(now + FIRST_LOOK), pause: FIRST_LOOK };
        let look = *self.memory.looks.entry(run.id.clone()).or_insert(first);
        if look.at.is_none_or(|it| it > now) {
            return Ok(());
        }
        let Some(progress) = self.progress(run, uid).await else {
            // Who may not look does not look again.
            self.memory.looks.insert(run.id.clone(), Look { at: None, ..look });
            return Ok(());
        };
        let pause = LAST_LOOK.min(look.pause * 2);
        let at = (progress != Progress::Works).then(|| now + pause);
        self.memory.looks.insert(run.id.clone(), Look { at, pause });
        match progress {
            Progress::Works => self.say_hindered(run, uid, None).await,
            Progress::Begins => Ok(()),
            Progress::Hindered(why) => self.say_hindered(run, uid, Some(&why)).await,
        }
    }

    /// What its Pods say; without any, what was said of making one.
    async fn progress(&self, run: &Run, uid: &str) -> Option<Progress> {
        let namespace = &self.key.namespace;
        let refused = |error: &kube::Error| {
            tracing::debug!(trigger = %self.key, run = run.id, %error, "its Pods cannot be looked at");
        };
        let found = pods::of(&self.cluster, namespace, (run, uid)).await;
        let found = found.inspect_err(refused).ok()?;
        if !found.is_empty() {
            return Some(outcome::progress(&found, &[]));
        }
        let said = pods::events(&self.cluster, namespace, uid).await.inspect_err(refused).ok()?;
        Some(outcome::progress(&[], &said))
    }

    async fn say_hindered(&mut self, run: &Run, uid: &str, why: Option<&Why>) -> Result<(), Error> {
        let now = self.fleet.clock.now();
        let known = ledger::hindered(&self.trigger.status, &run.id, uid, why, now);
        if known == Transition::Nothing {
            return Ok(());
        }
        let moved =
            self.transit(|live| ledger::hindered(&live.status, &run.id, uid, why, now)).await?;
        if let (Moved::Yes, Some(Why { reason, message })) = (moved, why) {
            let job = run.job.as_deref().unwrap_or_default();
            let message = format!("Job {job} of source {} does not get on: {message}", run.source);
            let (severity, reason) = (Severity::Warning, reason.clone());
            self.tell(&Notice { severity, reason, message }).await;
        }
        Ok(())
    }

    /// A run of the source started: what is given up after it is the first again.
    fn has_started(&mut self, source: &str) {
        if let Some(memory) = self.memory.sources.get_mut(source) {
            memory.given_up = None;
        }
    }

    /// Counts a run that came to its end.
    pub(super) fn ended(&self, run: &Run, phase: RunPhase) {
        ended::count(self.fleet, &self.trigger, run, phase);
    }
}
