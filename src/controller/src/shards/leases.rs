//! The exchange with the hub's API: one list+watch, and single writes.
//!
//! Nothing is retried here: whoever asked decides anew with what is known then.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions, WatchEvent, WatchParams};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::error::Error;
use super::{Settings, lease};

/// How long an answer may take: two of these fit into a Lease's duration with room for a renewal.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// After this much silence the Leases are listed anew: then a quiet watch is told from a dead one
/// before it counts as stale.
const SILENCE: Duration = Duration::from_millis(2500);

/// From one LIST to the next, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// What was heard of the Leases.
#[derive(Debug)]
pub(super) enum Heard {
    /// All there are, as of `version`; asked for at `sent`.
    Listed {
        leases: Vec<Lease>,
        version: String,
        sent: Instant,
    },
    Seen(Box<Lease>),
    Gone(Box<Lease>),
    Bookmark,
    Failed(Error),
}

/// The Leases of the hub.
#[derive(Clone, Debug)]
pub(super) struct Leases {
    api: Api<Lease>,
    selector: String,
}

impl Leases {
    pub(super) fn new(hub: kube::Client, settings: &Settings) -> Self {
        let api = Api::namespaced(hub, &settings.namespace);
        Self { api, selector: lease::selector(settings) }
    }

    /// All there are now.
    pub(super) async fn list(&self) -> Result<Vec<Lease>, Error> {
        let params = ListParams::default().labels(&self.selector);
        let list = in_time(self.api.list(&params)).await?;
        list.map(|it| it.items).map_err(|source| Error::List { source })
    }

    /// Lists and watches for ever, until nobody listens.
    pub(super) async fn watch(self, heard: mpsc::Sender<Heard>) {
        while !heard.is_closed() {
            let sent = Instant::now();
            if let Err(error) = self.list_and_watch(sent, &heard).await
                && heard.send(Heard::Failed(error)).await.is_err()
            {
                return;
            }
            sleep_until(sent + PAUSE).await;
        }
    }

    /// Ends when the watch does, or has been silent for too long.
    async fn list_and_watch(
        &self,
        sent: Instant,
        heard: &mpsc::Sender<Heard>,
    ) -> Result<(), Error> {
        let params = ListParams::default().labels(&self.selector);
        let list =
            in_time(self.api.list(&params)).await?.map_err(|source| Error::List { source })?;
        let version = list.metadata.resource_version.unwrap_or_default();

        let params = WatchParams::default().labels(&self.selector);
        let listed = Heard::Listed { leases: list.items, version: version.clone(), sent };
        if heard.send(listed).await.is_err() {
            return Ok(());
        }
        let stream = in_time(self.api.watch(&params, &version)).await?;
        let mut stream = pin!(stream.map_err(|source| Error::Watch { source })?);
        while let Ok(Some(event)) = timeout(SILENCE, stream.next()).await {
            let event = match event.map_err(|source| Error::Watch { source })? {
                WatchEvent::Added(lease) | WatchEvent::Modified(lease) => Heard::Seen(lease.into()),
                WatchEvent::Deleted(lease) => Heard::Gone(lease.into()),
                WatchEvent::Bookmark(_) => Heard::Bookmark,
                // Mostly an expired version: the LIST that follows is the remedy.
                WatchEvent::Error(_) => return Ok(()),
            };
            if heard.send(event).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One PUT if the Lease has a version, else one POST.
    pub(super) async fn write(&self, lease: &Lease) -> Result<Lease, Error> {
        let name = lease.metadata.name.clone().unwrap_or_default();
        let params = PostParams::default();
        let written = match lease.metadata.resource_version {
            Some(_) => in_time(self.api.replace(&name, &params, lease)).await?,
            None => in_time(self.api.create(&params, lease)).await?,
        };
        written.map_err(|source| Error::Write { name, source })
    }

    /// Deletes a Lease, only in this version if one is named.
    pub(super) async fn delete(&self, name: &str, version: Option<String>) -> Result<(), Error> {
        let preconditions =
            version.map(|it| Preconditions { resource_version: Some(it), uid: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let deleted = in_time(self.api.delete(name, &params)).await?;
        deleted.map(drop).map_err(|source| Error::Write { name: name.to_owned(), source })
    }
}

async fn in_time<T>(request: impl Future<Output = T>) -> Result<T, Error> {
    timeout(PATIENCE, request).await.map_err(|_| Error::Silence(PATIENCE))
}

/// Waits before an exchange is tried again.
pub(super) async fn pause() {
    sleep(PAUSE).await;
}
