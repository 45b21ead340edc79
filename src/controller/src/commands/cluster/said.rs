//! What do the hub's replicas say of a spoke? Events on its Secret, of which the newest counts.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};

use super::error::{Error, cannot};
use crate::clusters::STILL;

/// What a replica says of a spoke that it works with.
const READY: &str = "Ready";
/// The same, where RBAC lets it do only a part.
const LIMITED: &str = "Limited";

/// One thing that was said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    uid: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) at: Option<Timestamp>,
}

impl Said {
    pub(super) fn works(&self) -> bool {
        self.reason == READY || self.reason == LIMITED
    }
}

/// The Events of a hub about its spokes.
pub(super) struct Words {
    api: Api<Event>,
    namespace: String,
}

impl Words {
    pub(super) fn new(hub: &Client, namespace: &str) -> Self {
        let api = Api::namespaced(hub.clone(), namespace);
        Self { api, namespace: namespace.to_owned() }
    }

    /// All that was said of a spoke, the newest last.
    pub(super) async fn of(&self, name: &str) -> Result<Vec<Said>, Error> {
        let listed = self.api.list(&ListParams::default()).await;
        let listed = listed.map_err(cannot("list the Events of the hub"))?;
        let mut all: Vec<Said> = listed.items.iter().filter_map(|it| about(it, name)).collect();
        all.sort_by_key(|it| it.at);
        Ok(all)
    }

    /// Waits until a replica says that it works with the spoke, after what is known already. What is only said
    /// again may be about what was there before.
    pub(super) async fn until_ready(
        &self,
        name: &str,
        known: &[Said],
        limit: Duration,
    ) -> Result<Said, Error> {
        let known: BTreeSet<&str> = known.iter().map(|it| it.uid.as_str()).collect();
        let events = watcher(self.api.clone(), watcher::Config::default());
        let events = std::pin::pin!(events.default_backoff().applied_objects());
        let news = events.filter_map(|event| {
            let said = event.ok().and_then(|it| about(&it, name));
            std::future::ready(said.filter(|it| {
                let is_news = !it.message.starts_with(STILL);
                is_news && !known.contains(it.uid.as_str())
            }))
        });
        let mut last: Option<Said> = None;
        let heard = first_that_works(news, &mut last);
        if let Ok(Some(said)) = tokio::time::timeout(limit, heard).await {
            return Ok(said);
        }
        Err(match last {
            Some(Said { reason, message, .. }) => {
                Error::NotReady { name: name.to_owned(), reason, message }
            }
            None => {
                Error::Silence { name: name.to_owned(), namespace: self.namespace.clone(), limit }
            }
        })
    }
}

/// The first that says so; the last that does not is left in `last`.
async fn first_that_works(news: impl Stream<Item = Said>, last: &mut Option<Said>) -> Option<Said> {
    let mut news = std::pin::pin!(news);
    while let Some(said) = news.next().await {
        if said.works() {
            return Some(said);
        }
        *last = Some(said);
    }
    None
}

/// What an Event says, if it is about the Secret of a spoke.
fn about(event: &Event, name: &str) -> Option<Said> {
    let object = &event.involved_object;
    if object.kind.as_deref() != Some("Secret") || object.name.as_deref() != Some(name) {
        return None;
    }
    let created = event.metadata.creation_timestamp.as_ref().map(|it| it.0);
    let at = event.event_time.as_ref().map(|it| it.0).or(created);
    Some(Said {
        uid: event.metadata.uid.clone().unwrap_or_default(),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
        at,
    })
}
