//! Who runs the Pods of a sandbox? Whoever it is given: what succeeds at once, what follows a script,
//! or what runs them for real. This stands in for scheduler and kubelet.
//! ```text
//! node (which Pods are here) -> life (one Pod's containers) -> Executor (one container)
//!                                  \-> desk, progress (what its status says)   logs
//! ```

mod desk;
mod life;
pub(crate) mod logs;
mod node;
mod progress;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::sleep;

use self::{desk::Desk, progress::Place};
use crate::signal::Ear;

pub(crate) use self::node::run;

/// What runs the containers of Pods, one at a time. Any function from a [`Run`] to a future of an
/// [`Outcome`] is one, whose containers start at once.
///
/// Init containers come in their order, the others side by side; the cluster starts a container again
/// where its Pod says so, and asks again for one that could not start.
pub trait Executor: Send + Sync + 'static {
    /// Runs the container once. It counts as started when [`Run::starts`] says so. The future is
    /// dropped when the Pod's time is over.
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static;

    /// Nothing of the Pod runs any more: what was kept for it may go.
    fn forget(&self, pod: &Pod) {
        let _ = pod;
    }
}

impl<F, Fut> Executor for F
where
    F: Fn(Run) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        run.starts();
        self(run)
    }
}

/// All containers succeed at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Succeed;

impl Executor for Succeed {
    fn run(&self, _run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        std::future::ready(Outcome::exit(0))
    }
}

/// Containers end as a function says: how, and after how long by tokio's clock.
#[derive(Debug, Clone, Copy)]
pub struct Script<F>(pub F);

impl<F> Executor for Script<F>
where
    F: Fn(&Run) -> (Duration, Outcome) + Send + Sync + 'static,
{
    fn run(&self, run: Run) -> impl Future<Output = Outcome> + Send + 'static {
        let (takes, outcome) = (self.0)(&run);
        if matches!(outcome, Outcome(Kind::Ended { .. })) {
            run.starts();
        }
        async move {
            sleep(takes).await;
            outcome
        }
    }
}

/// A container that is to run, once.
#[derive(Debug)]
pub struct Run {
    /// The Pod as it was when it was placed.
    pub pod: Arc<Pod>,
    /// The container, one of the Pod's.
    pub container: Container,
    /// How often it was started before.
    pub restarts: u32,
    output: Output,
    stop: Ear,
}

impl Run {
    /// Says that the container has started: everything it needs is there.
    pub fn starts(&self) {
        self.output.desk.start(self.output.place);
    }

    /// Says why the container cannot start yet, such as `CreateContainerConfigError`, while the executor
    /// waits for what is missing.
    pub fn waits(&self, reason: &str, message: &str) {
        self.output.desk.wait(self.output.place, (reason, message));
    }

    /// Writes to the container's log.
    pub fn write(&self, text: &str) {
        self.output.write(text);
    }

    /// Where what the container writes goes, for somebody else to write there.
    pub fn output(&self) -> Output {
        self.output.clone()
    }

    /// Returns when the Pod's deletion is asked for: from now its grace period runs.
    pub async fn asked_to_stop(&self) {
        if self.stop.clone().told().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The log of a container.
#[derive(Debug, Clone)]
pub struct Output {
    desk: Arc<Desk>,
    place: Place,
}

impl Output {
    /// Adds to the log.
    pub fn write(&self, text: &str) {
        self.desk.write(self.place, text);
    }
}

/// What has become of a container that was to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Ended { code: i32, reason: String, message: String, log: String },
    Waits { reason: String, message: String },
}

impl Outcome {
    /// It has ended; zero is success.
    pub fn exit(code: i32) -> Self {
        let reason = if code == 0 { "Completed" } else { "Error" };
        let (reason, message, log) = (reason.to_owned(), String::new(), String::new());
        Self(Kind::Ended { code, reason, message, log })
    }

    /// It was killed because it took too much memory.
    pub fn out_of_memory() -> Self {
        Self::exit(137).because("OOMKilled", "")
    }

    /// It could not start, and is asked for again later: with `ErrImagePull` the pauses are those of an
    /// image that cannot be pulled.
    pub fn waits(reason: &str, message: &str) -> Self {
        Self(Kind::Waits { reason: reason.to_owned(), message: message.to_owned() })
    }

    /// The same with another reason and a message.
    #[must_use]
    pub fn because(mut self, why: &str, what: &str) -> Self {
        let (Kind::Ended { reason, message, .. } | Kind::Waits { reason, message }) = &mut self.0;
        why.clone_into(reason);
        what.clone_into(message);
        self
    }

    /// The same after having written this. What never started writes nothing.
    #[must_use]
    pub fn with_log(mut self, text: &str) -> Self {
        if let Kind::Ended { log, .. } = &mut self.0 {
            text.clone_into(log);
        }
        self
    }
}
