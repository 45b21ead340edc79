//! How does a write get through an API that fails for a while? Repeated until it is done or pointless.

use std::{error::Error, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// A request that takes longer was lost on the way.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is overtaken soon is not worth waiting for.
const BRIEFLY: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why a write was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    #[error("the executor was told to stop")]
    Halt,

    #[error("the object is gone")]
    Gone,

    #[error("the cluster refuses it")]
    Refuse { source: kube::Error },
}

/// Repeats an idempotent request until it succeeds, cannot succeed, or `halt`.
pub(super) async fn persist<T, F: Future<Output = kube::Result<T>>>(
    halt: &CancellationToken,
    mut request: impl FnMut() -> F,
) -> Result<T, Unwritten> {
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = tokio::select! {
            () = halt.cancelled() => return Err(Unwritten::Halt),
            answer = timeout(PATIENCE, request()) => answer,
        };
        match answer {
            Ok(Ok(written)) => return Ok(written),
            Ok(Err(error)) => match code(&error) {
                404 => return Err(Unwritten::Gone),
                400 | 401 | 403 | 405 | 415 | 422 => {
                    return Err(Unwritten::Refuse { source: error });
                }
                _ => tracing::debug!(error = chain(&error), "a request failed; it is repeated"),
            },
            Err(_late) => tracing::debug!("a request got no answer; it is repeated"),
        }
        tokio::select! {
            () = halt.cancelled() => return Err(Unwritten::Halt),
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Makes a request once: what it writes is overtaken soon by what must be written.
pub(super) async fn attempt<T>(request: impl Future<Output = kube::Result<T>>) {
    match timeout(BRIEFLY, request).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(error = chain(&error), "an update was not written"),
        Err(_late) => tracing::debug!("an update got no answer"),
    }
}

/// The HTTP code of the API's answer; 0 if there was no answer.
pub(super) fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

/// An error with its causes in one line, for statuses and logs.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
