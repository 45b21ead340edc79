//! How does one Pod live? Init containers in their order, then the others side by side, each started
//! again as its Pod says.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::sleep;

use crate::{
    controllers::pause,
    pods::{Executor, Kind, Outcome, Output, Run, desk::Desk, progress::Place},
    signal::Ear,
};

/// A kubelet sees this soon that something has ended.
const SOON: Duration = Duration::from_secs(1);
/// The pause before a container starts for the third time; it doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// A Pod that was placed here.
pub(super) struct Life<E: Executor> {
    pub(super) desk: Arc<Desk>,
    pub(super) executor: Arc<E>,
    pub(super) pod: Arc<Pod>,
    /// Told when its deletion is asked for.
    pub(super) stop: Ear,
}

/// Dropped when nothing of the Pod runs any more, however that came.
struct Kept<E: Executor> {
    executor: Arc<E>,
    pod: Arc<Pod>,
}

impl<E: Executor> Drop for Kept<E> {
    fn drop(&mut self) {
        self.executor.forget(&self.pod);
    }
}

impl<E: Executor> Life<E> {
    /// Runs the Pod to its end. Dropped, it kills.
    pub(super) async fn live(self) {
        let _kept = Kept { executor: Arc::clone(&self.executor), pod: Arc::clone(&self.pod) };
        let limit = self.pod.spec.as_ref().and_then(|it| it.active_deadline_seconds);
        let limit = limit.and_then(|it| u64::try_from(it).ok()).map(Duration::from_secs);
        tokio::select! {
            biased;
            () = self.containers() => self.desk.close(),
            () = pause(limit) => {
                let message = "Pod was active on the node longer than the specified deadline";
                self.desk.fail("DeadlineExceeded", message);
            }
        }
    }

    async fn containers(&self) {
        let Some(spec) = &self.pod.spec else { return };
        let mut sidecars: FuturesUnordered<BoxFuture<'_, bool>> = FuturesUnordered::new();
        for (index, container) in spec.init_containers.iter().flatten().enumerate() {
            let place = Place::Init(index);
            let work = self.container(place, container);
            if container.restart_policy.as_deref() == Some("Always") {
                sidecars.push(work.boxed());
                beside(&mut sidecars, self.desk.started(place)).await;
            } else if !beside(&mut sidecars, work).await {
                return;
            }
        }
        let all = spec.containers.iter().enumerate();
        let all = all.map(|(index, container)| self.container(Place::Main(index), container));
        beside(&mut sidecars, join_all(all)).await;
    }

    /// Runs a container until it is not to start again; whether it succeeded.
    async fn container(&self, place: Place, container: &Container) -> bool {
        let mut pauses = Pauses::default();
        loop {
            if self.stop.is_told() {
                return false;
            }
            let mut ended = None;
            match self.outcome(place, container).await.0 {
                Kind::Waits { reason, message } => {
                    self.wait(place, (&reason, &message), pauses.longer()).await;
                }
                Kind::Ended { code, reason, message, log } => {
                    // What ended has started, if only for a moment.
                    self.desk.start(place);
                    self.desk.write(place, &log);
                    self.desk.end(place, (code, &reason, &message));
                    ended = Some(code);
                }
            }
            match ended {
                Some(code) if !self.restarts(place, container, code) => return code == 0,
                Some(_) => self.rest(place, container, pauses.longer()).await,
                None => {}
            }
        }
    }

    /// Lets time pass before a container starts again.
    async fn rest(&self, place: Place, container: &Container, longer: Duration) {
        self.pause(SOON).await;
        if longer > SOON {
            let message = self.back_off(&container.name, longer);
            self.desk.again(place, ("CrashLoopBackOff", &message));
            self.pause(longer).await;
        } else {
            self.desk.again(place, ("ContainerCreating", ""));
        }
    }

    async fn outcome(&self, place: Place, container: &Container) -> Outcome {
        let run = Run {
            pod: Arc::clone(&self.pod),
            container: container.clone(),
            restarts: self.desk.restarts(place),
            output: Output { desk: Arc::clone(&self.desk), place },
            stop: self.stop.clone(),
        };
        self.executor.run(run).await
    }

    fn restarts(&self, place: Place, container: &Container, code: i32) -> bool {
        let policy = self.pod.spec.as_ref().and_then(|it| it.restart_policy.as_deref());
        match place {
            _ if self.stop.is_told() => false,
            Place::Init(_) if container.restart_policy.as_deref() == Some("Always") => true,
            Place::Init(_) => code != 0 && policy != Some("Never"),
            Place::Main(_) => match policy {
                Some("Never") => false,
                Some("OnFailure") => code != 0,
                _ => true,
            },
        }
    }

    /// What could not start is tried again later.
    async fn wait(&self, place: Place, (reason, message): (&str, &str), longer: Duration) {
        self.desk.wait(place, (reason, message));
        self.pause(SOON).await;
        if reason == "ErrImagePull" {
            let image = match place {
                Place::Init(index) => self.spec_image(index, Place::Init),
                Place::Main(index) => self.spec_image(index, Place::Main),
            };
            let message = format!("Back-off pulling image \"{image}\": {reason}: {message}");
            self.desk.wait(place, ("ImagePullBackOff", &message));
        }
        self.pause(longer).await;
    }

    fn spec_image(&self, index: usize, list: fn(usize) -> Place) -> String {
        let spec = self.pod.spec.as_ref();
        let containers = match list(index) {
            Place::Init(_) => spec.and_then(|it| it.init_containers.as_ref()),
            Place::Main(_) => spec.map(|it| &it.containers),
        };
        let container = containers.and_then(|it| it.get(index));
        container.and_then(|it| it.image.clone()).unwrap_or_default()
    }

    fn back_off(&self, container: &str, pause: Duration) -> String {
        let meta = &self.pod.metadata;
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        let (name, namespace, uid) = (text(&meta.name), text(&meta.namespace), text(&meta.uid));
        let pause = span(pause);
        format!(
            "back-off {pause} restarting failed container={container} pod={name}_{namespace}({uid})"
        )
    }

    /// Nobody waits for what is to be deleted.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            biased;
            Ok(()) = self.stop.clone().told() => {}
            () = sleep(time) => {}
        }
    }
}

/// Does one thing while sidecars run.
async fn beside<T>(
    sidecars: &mut FuturesUnordered<BoxFuture<'_, bool>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some(_) = sidecars.next() => {}
        }
    }
}

/// How long to wait before a container starts again: hardly, then longer each time.
#[derive(Default)]
struct Pauses(Option<Duration>);

impl Pauses {
    fn longer(&mut self) -> Duration {
        let next = match self.0 {
            None => SOON,
            Some(SOON) => FIRST_PAUSE,
            Some(last) => (last * 2).min(LONGEST_PAUSE),
        };
        self.0 = Some(next);
        next
    }
}

/// As Go prints a duration of whole seconds.
fn span(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes() {
        let mut pauses = Pauses::default();

        let all: Vec<String> = (0..8).map(|_| span(pauses.longer())).collect();

        assert_eq!(all, ["1s", "10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
    }
}
