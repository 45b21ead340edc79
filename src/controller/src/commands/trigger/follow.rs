//! What does a run's worker print, and with which code does it end? From its Pod.

use std::io::Write;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use ger_api::status::Run;
use ger_core::job::RUN_ID;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client};
use tokio::time::Instant;

use super::{Error, say};

/// A Pod that is started has a log by then, unless its node is slow or its image large.
const BEGUN: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct Follower<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
    pub(super) run: &'a Run,
}

/// How far the worker is.
enum Worker {
    /// It prints, or has printed.
    Begun {
        pod: String,
        container: String,
    },
    /// Its Pod has ended before it began, or is gone.
    Never,
    NotYet,
}

impl Follower<'_> {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    /// The newest Pod of the run.
    async fn pod(&self) -> Result<Option<Pod>, Error> {
        let params = ListParams::default().labels(&format!("{RUN_ID}={}", self.run.id));
        let listed = self.pods().list(&params).await;
        let what = || format!("the Pods of run {}", self.run.id);
        let listed =
            listed.map_err(|source| Error::Read { what: what(), source: Box::new(source) })?;
        let created = |it: &Pod| it.metadata.creation_timestamp.as_ref().map(|it| it.0);
        Ok(listed.items.into_iter().max_by_key(created))
    }

    /// Prints the worker's log until it ends. A log that cannot be had is said, and no error.
    pub(super) async fn print(&self, out: &mut (dyn Write + Send)) -> Result<(), Error> {
        let begun = Instant::now();
        let (pod, container) = loop {
            match self.worker().await? {
                Worker::Begun { pod, container } => break (pod, container),
                Worker::Never => return Ok(()),
                Worker::NotYet if begun.elapsed() >= BEGUN => {
                    return say(out, "its worker has not begun: no log is followed");
                }
                Worker::NotYet => tokio::time::sleep(LOOK).await,
            }
        };
        let params = LogParams { container: Some(container), follow: true, ..LogParams::default() };
        let lines = match self.pods().log_stream(&pod, &params).await {
            Ok(stream) => stream.lines(),
            Err(error) => return say(out, &format!("its log cannot be read: {error}")),
        };
        let mut lines = std::pin::pin!(lines);
        loop {
            match lines.try_next().await {
                Ok(Some(line)) => say(out, &line)?,
                Ok(None) => return Ok(()),
                Err(error) => return say(out, &format!("its log ends here: {error}")),
            }
        }
    }

    async fn worker(&self) -> Result<Worker, Error> {
        let Some(pod) = self.pod().await? else {
            return Ok(if self.run.phase.is_final() { Worker::Never } else { Worker::NotYet });
        };
        let container = worker_name(&pod, &self.run.id);
        let has_begun = status_of(&pod, &container).is_some_and(|it| {
            let state = it.state.as_ref();
            state.is_some_and(|it| it.running.is_some() || it.terminated.is_some())
        });
        let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
        Ok(match (has_begun, phase) {
            (true, _) => Worker::Begun { pod: pod.metadata.name.unwrap_or_default(), container },
            (false, Some("Failed" | "Succeeded")) => Worker::Never,
            (false, _) => Worker::NotYet,
        })
    }

    /// With which code the worker ended, if it can still be seen.
    pub(super) async fn exit_code(&self) -> Option<u8> {
        let pod = self.pod().await.ok()??;
        let status = status_of(&pod, &worker_name(&pod, &self.run.id))?;
        let code = status.state.as_ref()?.terminated.as_ref()?.exit_code;
        u8::try_from(code).ok().filter(|it| *it != 0)
    }
}

/// The container that knows the run; others may have been added to the Pod.
fn worker_name(pod: &Pod, run_id: &str) -> String {
    let containers = pod.spec.as_ref().map(|it| it.containers.as_slice()).unwrap_or_default();
    let knows = |it: &&k8s_openapi::api::core::v1::Container| {
        it.env.iter().flatten().any(|it| it.value.as_deref() == Some(run_id))
    };
    let found = containers.iter().find(knows).or_else(|| containers.first());
    found.map(|it| it.name.clone()).unwrap_or_default()
}

fn status_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|it| it.name == container)
}
