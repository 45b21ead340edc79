//! What must a caller know? Read from the trigger's own cluster and namespace, and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ger_core::webhook::candidates;
use tokio::time::Instant;

use crate::checks::{Cache, Error, Place, Purpose, Values};
use crate::clusters::Cluster;

/// A Secret that could not be read, or whose values did not fit, is not read again before this: what
/// strangers send must not become requests to an API.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// How long reading one may take. A forge waits ten seconds for an answer.
const LONGEST: Duration = Duration::from_secs(8);
/// Secrets that are remembered so.
const MOST: usize = 4096;

/// The Secrets of triggers.
pub(super) struct Secrets {
    cache: Cache,
    /// When a Secret was last read although, or because, it was of no use.
    doubted: Mutex<HashMap<Place, (Instant, Doubt)>>,
}

/// Why a Secret could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the cluster did not answer within {} s", LONGEST.as_secs())]
    Silent,
    #[error("it was not read")]
    Failed { source: Error },
}

impl Unreadable {
    /// Whether that is the cluster's trouble, and not the Secret's: it may be over when the caller comes again.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Failed { source: Error::ReadSecret { source, .. } } => match source.as_ref() {
                kube::Error::Api(status) => status.code == 429 || status.code >= 500,
                _ => true,
            },
            Self::Silent => true,
            Self::Failed { .. } => false,
        }
    }
}

#[derive(Clone, Debug)]
enum Doubt {
    /// It could not be read.
    Failed(Unreadable),
    /// Somebody was not let in by it.
    Renewed,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    pub(super) fn new(keep: Duration) -> Self {
        Self { cache: Cache::new(keep), doubted: Mutex::default() }
    }

    /// The Secret's values, as they are kept or read now.
    pub(super) async fn read(
        &self,
        cluster: &Cluster,
        place: &Place,
    ) -> Result<Values, Unreadable> {
        if let Some(Doubt::Failed(error)) = self.doubt(place) {
            return Err(error);
        }
        let reading = self.cache.values(cluster.client_for_calls(), place, Purpose::Webhook);
        let read = match tokio::time::timeout(LONGEST, reading).await {
            Ok(read) => read.map_err(|source| Unreadable::Failed { source }),
            Err(_) => Err(Unreadable::Silent),
        };
        if let Err(error) = &read {
            self.remember(place, Doubt::Failed(error.clone()));
        }
        read
    }

    /// The values as they are now, where those that are kept let a caller not in, or nobody: perhaps they
    /// were changed. None: they are the same, or were read anew a moment ago.
    pub(super) async fn renew(
        &self,
        cluster: &Cluster,
        place: &Place,
        known: &Values,
    ) -> Option<Values> {
        if self.doubt(place).is_some() {
            return None;
        }
        self.remember(place, Doubt::Renewed);
        self.cache.forget(place, known);
        let reading = self.cache.values(cluster.client_for_calls(), place, Purpose::Webhook);
        let renewed = tokio::time::timeout(LONGEST, reading).await.ok()?.ok()?;
        let are_same = renewed.len() == known.len()
            && renewed
                .iter()
                .all(|(key, it)| known.get(key).is_some_and(|its| its.expose() == it.expose()));
        (!are_same).then_some(renewed)
    }

    fn doubt(&self, place: &Place) -> Option<Doubt> {
        let doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, doubt) = doubted.get(place)?;
        (at.elapsed() < READ_AGAIN).then(|| doubt.clone())
    }

    fn remember(&self, place: &Place, doubt: Doubt) {
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        if doubted.len() >= MOST {
            doubted.retain(|_, (at, _)| at.elapsed() < READ_AGAIN);
        }
        if doubted.len() < MOST {
            doubted.insert(place.clone(), (Instant::now(), doubt));
        }
    }
}

/// Those of a Secret's values that let a caller in.
pub(super) fn of_key<'a>(values: &'a Values, key: &str) -> Vec<&'a [u8]> {
    candidates(values.iter().map(|(name, it)| (name.as_str(), it.expose())), key)
}

/// Whether the Secret has the key, or one that stands for it.
pub(super) fn has_key(
    values: &Arc<std::collections::BTreeMap<String, ger_git::Secret>>,
    key: &str,
) -> bool {
    let counts = |name: &String| {
        name.strip_prefix(key).is_some_and(|it| it.is_empty() || it.starts_with('.'))
    };
    values.keys().any(counts)
}
