//! With what do we authenticate? Secrets of a cluster, read when needed and kept for a while.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::Instant;

use super::error::Error;
use ger_core::names::ClusterName;

/// Secrets are named by tenants; past this many the oldest are read again.
const MOST: usize = 4096;

/// A Secret's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) cluster: ClusterName,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What a Secret holds.
pub(crate) type Values = Arc<BTreeMap<String, ger_git::Secret>>;

/// Secrets by place, each for a limited time.
#[derive(Debug)]
pub(crate) struct Cache {
    keep: Duration,
    held: Mutex<HashMap<Place, (Instant, Values)>>,
}

impl Cache {
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, held: Mutex::default() }
    }

    /// The Secret's values: kept ones while they are young, else as the cluster has them.
    pub(crate) async fn values(&self, client: &Client, place: &Place) -> Result<Values, Error> {
        let now = Instant::now();
        if let Some(values) = self.young(place, now) {
            return Ok(values);
        }
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &place.namespace);
        let missing =
            || Error::NoSecret { name: place.name.clone(), namespace: place.namespace.clone() };
        let secret = secrets
            .get_opt(&place.name)
            .await
            .map_err(|source| Error::ReadSecret {
                name: place.name.clone(),
                source: Arc::new(source),
            })?
            .ok_or_else(missing)?;
        let values = secret.data.unwrap_or_default();
        let values: Values =
            Arc::new(values.into_iter().map(|(key, value)| (key, value.0.into())).collect());
        self.hold(place, now, &values);
        Ok(values)
    }

    /// Reads the Secret again the next time: a remote refused what it holds.
    pub(crate) fn forget(&self, place: &Place) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }

    fn young(&self, place: &Place, now: Instant) -> Option<Values> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, values) = held.get(place)?;
        (now.saturating_duration_since(*since) < self.keep).then(|| Arc::clone(values))
    }

    fn hold(&self, place: &Place, now: Instant, values: &Values) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST {
            held.retain(|_, (since, _)| now.saturating_duration_since(*since) < self.keep);
        }
        if held.len() < MOST {
            held.insert(place.clone(), (now, Arc::clone(values)));
        }
    }
}
