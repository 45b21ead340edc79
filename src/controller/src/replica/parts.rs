//! What does each part of a replica begin with?

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Error, Parts};
use crate::metrics::Metrics;
use crate::{checks, shards, traces, webhooks};

/// The task that tells traces, where somebody collects them. It outlives the work, whose end it tells.
pub(super) struct Telling {
    work: Option<BoxFuture<'static, ()>>,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Telling {
    pub(super) fn begin(&mut self) {
        if let Some(work) = self.work.take() {
            self.task.spawn(work);
        }
    }

    /// Ends when it has: with an error, for nobody has stopped it.
    pub(super) async fn panicked(&mut self) -> Result<(), JoinError> {
        match self.task.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Lets it tell what it has been told, within its own time.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
    }
}

pub(super) fn metrics(parts: &Parts) -> Result<Metrics, Error> {
    let (prefix, labelled) = (&parts.settings.metrics_prefix, parts.settings.metrics_labelled);
    Metrics::labelled(prefix, labelled).map_err(|source| Error::Metrics { source })
}

pub(super) fn traces(parts: &Parts, metrics: &Metrics) -> Result<(traces::Handle, Telling), Error> {
    let (stop, target) = (CancellationToken::new(), parts.settings.traces.as_ref());
    let started = traces::start(target, parts.member.as_str(), metrics, stop.clone());
    let (told, work) = started.map_err(|source| Error::Traces { source })?;
    let work = work.map(|it| Box::pin(it) as BoxFuture<'static, ()>);
    Ok((told, Telling { work, stop, task: JoinSet::new() }))
}

pub(super) fn of_webhooks(parts: &Parts, listener: Option<TcpListener>) -> webhooks::Parts {
    webhooks::Parts {
        settings: parts.settings.webhooks.clone(),
        listener,
        certificates: webhooks::Certificates {
            hub: parts.hub.requests.clone(),
            namespace: parts.namespace.clone(),
        },
        secrets_cache_time: parts.settings.secrets_cache_time,
        nonce: parts.member.as_str().to_owned(),
    }
}

pub(super) fn of_checks(parts: &Parts) -> checks::Settings {
    let clusters = parts.settings.clusters.clone();
    checks::Settings {
        parallelism: parts.settings.schedule_parallelism,
        weights: checks::Weights::new(move |it| clusters.weight_of(it.as_str())),
        secrets_cache_time: parts.settings.secrets_cache_time,
    }
}

pub(super) fn of_shards(parts: &Parts) -> shards::Settings {
    let settings = &parts.settings;
    shards::Settings {
        namespace: parts.namespace.clone(),
        prefix: settings.lease_prefix.clone(),
        member: parts.member.clone(),
        shards: settings.shards,
        duration: settings.lease_duration,
        renew: settings.lease_renew,
        announce_after: parts.pace.announce_after,
        owner: parts.pod.clone(),
        takeover: parts.takeover,
    }
}
