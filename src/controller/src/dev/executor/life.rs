//! What must be done about a Job right now? One task per Job follows what the watch says of it, from
//! its first pod to its deletion.

use std::{pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::Pod,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    attempt::{self, Outcome},
    pod,
    status::{self, End},
    write::{self, Unwritten},
};

/// Longer than any laptop is awake.
const NEVER: Duration = Duration::from_hours(24 * 365);
/// The pause between two pods does not grow past this.
const LONGEST_PAUSE: Duration = Duration::from_mins(6);

/// Whether the Job is for the built-in controller, which the executor stands in for.
pub(super) fn is_ours(job: &Job) -> bool {
    let controller = job.spec.as_ref().and_then(|it| it.managed_by.as_deref());
    controller.is_none_or(|it| it == "kubernetes.io/job-controller")
}

/// What a Job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// It is being deleted.
    Leave,
    /// It has ended.
    Rest,
    /// It is suspended.
    Hold,
    Run,
}

impl Wish {
    fn of(job: &Job) -> Self {
        if job.metadata.deletion_timestamp.is_some() {
            return Self::Leave;
        }
        if status::has_ended(job) {
            return Self::Rest;
        }
        let suspend = job.spec.as_ref().and_then(|it| it.suspend);
        if suspend == Some(true) { Self::Hold } else { Self::Run }
    }
}

/// Who wrote the status that a task finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// Perhaps an earlier executor.
    Strange,
    /// This task, and what the watch shows may lag behind that.
    Ours,
}

/// Follows one Job until its sender is dropped: then it is gone, or the executor stops.
pub(super) async fn live(shared: Arc<Shared>, mut jobs: watch::Receiver<Arc<Job>>) {
    let mut past = Past::Strange;
    loop {
        let job = Arc::clone(&jobs.borrow_and_update());
        let wish = Wish::of(&job);
        let halt = CancellationToken::new();
        let life = Life { shared: &shared, job: &job, halt: &halt };
        let mut work = pin!(life.work(wish, past));
        let mut working = true;
        let gone = loop {
            tokio::select! {
                () = &mut work, if working => working = false,
                changed = jobs.changed() => match changed {
                    Err(_) => break true,
                    // Events about what was written here change no wish.
                    Ok(()) if Wish::of(&jobs.borrow()) == wish => {}
                    Ok(()) => break false,
                },
            }
        };
        halt.cancel();
        if working {
            work.await;
        }
        if gone {
            return;
        }
        past = Past::Ours;
    }
}

/// A Job as it was when its wish changed last.
struct Life<'a> {
    shared: &'a Shared,
    job: &'a Job,
    halt: &'a CancellationToken,
}

/// How the pods of a Job went.
struct Attempts {
    end: End,
    failed: i32,
}

impl Life<'_> {
    async fn work(&self, wish: Wish, past: Past) {
        let done = match wish {
            Wish::Leave => self.delete_pods().await,
            Wish::Rest => Ok(()),
            Wish::Hold if past == Past::Strange && status::is_suspended(self.job) => Ok(()),
            Wish::Hold => self.hold().await,
            Wish::Run if past == Past::Strange && status::start_time(self.job).is_some() => {
                self.give_up().await
            }
            Wish::Run => Box::pin(self.run()).await,
        };
        if let Err(Unwritten::Refuse { source }) = done {
            let error = write::chain(&source);
            tracing::warn!(
                cluster = self.shared.cluster,
                namespace = self.namespace(),
                job = self.job.name_any(),
                ?wish,
                error,
                "the cluster refuses the executor",
            );
        }
    }

    async fn run(&self) -> Result<(), Unwritten> {
        if let Some(why) = beyond_us(self.job.spec.as_ref()) {
            return self
                .end(self.now(), &End::Fail { reason: "NotInSandbox", message: why }, 0)
                .await;
        }
        let start = self.now();
        let limit = self.job.spec.as_ref().and_then(|it| it.active_deadline_seconds);
        let limit = limit.and_then(|it| u64::try_from(it).ok()).map_or(NEVER, Duration::from_secs);
        let deadline = Instant::now() + limit.min(NEVER);

        let halt = self.halt.child_token();
        let mut attempts = pin!(self.attempts(start, &halt));
        let attempts = tokio::select! {
            attempts = &mut attempts => attempts?,
            () = sleep_until(deadline) => {
                halt.cancel();
                // Whatever it was about to say, it was too late.
                let _late = attempts.await;
                self.delete_pods().await?;
                Attempts { end: End::deadline(), failed: 1 }
            }
        };
        self.end(start, &attempts.end, attempts.failed).await
    }

    /// Runs one pod after another, until one succeeds or too many have failed.
    async fn attempts(
        &self,
        start: Timestamp,
        halt: &CancellationToken,
    ) -> Result<Attempts, Unwritten> {
        let limit = self.job.spec.as_ref().and_then(|it| it.backoff_limit).unwrap_or(6);
        let mut pause = self.shared.settings.pause;
        let mut failed = 0;
        loop {
            let pod = match self.create_pod(failed, halt).await {
                Err(Unwritten::Refuse { source }) => {
                    let why = format!("the Pod is refused: {}", write::chain(&source));
                    return Ok(Attempts { end: End::backoff_limit(Some(why)), failed });
                }
                other => other?,
            };
            self.write(&status::active(self.job, start, failed), halt).await?;
            self.log_line("a Pod starts", &pod);
            let outcome = attempt::run(self.shared, &pod, &self.job.name_any(), halt).await;
            let why = match outcome {
                Outcome::Halted => return Err(Unwritten::Halt),
                Outcome::Succeeded => return Ok(Attempts { end: End::Complete, failed }),
                Outcome::Failed { why } => why,
            };
            failed += 1;
            if failed > limit {
                return Ok(Attempts { end: End::backoff_limit(why), failed });
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = halt.cancelled() => return Err(Unwritten::Halt),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Creates the Pod, or finds it: an answer may have been lost.
    async fn create_pod(&self, failed: i32, halt: &CancellationToken) -> Result<Pod, Unwritten> {
        let pod = pod::build(self.job, failed.unsigned_abs());
        write::persist(halt, || self.create_or_find(&pod)).await
    }

    async fn create_or_find(&self, pod: &Pod) -> kube::Result<Pod> {
        let created = self.pods().create(&PostParams::default(), pod).await;
        let error = match created {
            Err(error) if write::code(&error) == 409 => error,
            other => return other,
        };
        let found = self.pods().get(&pod.name_any()).await?;
        if pod::is_of(&found, self.job) { Ok(found) } else { Err(error) }
    }

    async fn end(&self, start: Timestamp, end: &End, failed: i32) -> Result<(), Unwritten> {
        let patch = status::ended(self.job, start, end, self.now(), failed);
        self.write(&patch, self.halt).await?;
        tracing::info!(
            cluster = self.shared.cluster,
            namespace = self.namespace(),
            job = self.job.name_any(),
            ?end,
            "a Job ended",
        );
        Ok(())
    }

    /// An earlier executor started this Job, and its processes died with it.
    async fn give_up(&self) -> Result<(), Unwritten> {
        let why = "the executor was restarted while the Job ran".to_owned();
        let lost = json!({"status": {"phase": "Failed", "reason": "NodeLost", "message": why}});
        for pod in self.list_pods().await? {
            let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
            if !matches!(phase, Some("Succeeded" | "Failed")) {
                let patch = Patch::Merge(&lost);
                write::attempt(self.pods().patch_status(
                    &pod.name_any(),
                    &PatchParams::default(),
                    &patch,
                ))
                .await;
            }
        }
        let start = status::start_time(self.job).unwrap_or_else(|| self.now());
        self.end(start, &End::backoff_limit(Some(why)), 1).await
    }

    async fn hold(&self) -> Result<(), Unwritten> {
        self.delete_pods().await?;
        self.write(&status::suspended(self.job, self.now()), self.halt).await
    }

    async fn delete_pods(&self) -> Result<(), Unwritten> {
        let pods = self.pods();
        let options = DeleteParams::background().grace_period(0);
        for pod in self.list_pods().await? {
            let name = pod.name_any();
            match write::persist(self.halt, || pods.delete(&name, &options)).await {
                Ok(_) | Err(Unwritten::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn list_pods(&self) -> Result<Vec<Pod>, Unwritten> {
        let uid = self.job.uid().unwrap_or_default();
        let ours = ListParams::default().labels(&format!("{}={uid}", pod::CONTROLLER_UID));
        let pods = self.pods();
        let listed = write::persist(self.halt, || pods.list(&ours)).await?;
        Ok(listed.items.into_iter().filter(|it| pod::is_of(it, self.job)).collect())
    }

    async fn write(&self, patch: &Value, halt: &CancellationToken) -> Result<(), Unwritten> {
        let (jobs, name) = (self.jobs(), self.job.name_any());
        let (patch, options) = (Patch::Merge(patch), PatchParams::default());
        write::persist(halt, || jobs.patch_status(&name, &options, &patch)).await.map(drop)
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.shared.client.clone(), &self.namespace())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.shared.client.clone(), &self.namespace())
    }

    fn namespace(&self) -> String {
        self.job.namespace().unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        self.shared.settings.clock.now()
    }

    fn log_line(&self, what: &str, pod: &Pod) {
        tracing::info!(
            cluster = self.shared.cluster,
            namespace = self.namespace(),
            job = self.job.name_any(),
            pod = pod.name_any(),
            "{what}",
        );
    }
}

/// What the executor does not imitate, said rather than done half.
fn beyond_us(spec: Option<&JobSpec>) -> Option<String> {
    let spec = spec?;
    let pods = spec.template.spec.as_ref();
    let init = pods.and_then(|it| it.init_containers.as_deref()).unwrap_or_default();
    if spec.parallelism.unwrap_or(1) != 1 || spec.completions.unwrap_or(1) != 1 {
        return Some("the sandbox runs one pod per Job: no parallelism, no completions".to_owned());
    }
    if spec.completion_mode.as_deref().is_some_and(|it| it != "NonIndexed") {
        return Some("the sandbox runs no Indexed Jobs".to_owned());
    }
    if spec.pod_failure_policy.is_some() || spec.success_policy.is_some() {
        return Some("the sandbox knows no podFailurePolicy and no successPolicy".to_owned());
    }
    if init.iter().any(|it| it.restart_policy.is_some()) {
        return Some("the sandbox runs no sidecar containers".to_owned());
    }
    None
}
