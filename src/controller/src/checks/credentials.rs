//! What do the Secrets hold? Read from a cluster when needed, once for all who need one, and kept for
//! a while.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::Instant;

use super::coalesce::Coalescer;
use super::error::{Error, Purpose};
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

/// One reading of a Secret. None: it is not there.
type Reading = Result<Option<Values>, Arc<kube::Error>>;

type Held = HashMap<Place, (Instant, Values)>;

/// Secrets by place, each for a limited time.
#[derive(Debug)]
pub(crate) struct Cache {
    keep: Duration,
    held: Arc<Mutex<Held>>,
    /// One reading at a time: an older answer never comes behind a newer one.
    readings: Coalescer<Place, Reading>,
}

impl Cache {
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, held: Arc::default(), readings: Coalescer::new() }
    }

    /// The Secret's values: kept ones while they are young, else as the cluster has them.
    pub(crate) async fn values(
        &self,
        client: &Client,
        place: &Place,
        purpose: Purpose,
    ) -> Result<Values, Error> {
        if let Some(values) = self.young(place) {
            return Ok(values);
        }
        let (client, read, held, keep) =
            (client.clone(), place.clone(), Arc::clone(&self.held), self.keep);
        let reading = move |departure: super::coalesce::Departure| async move {
            let secrets: Api<Secret> = Api::namespaced(client, &read.namespace);
            departure.sent();
            let secret = secrets.get_opt(&read.name).await.map_err(Arc::new)?;
            let Some(secret) = secret else { return Ok(None) };
            let values = secret.data.unwrap_or_default().into_iter();
            let values: Values = Arc::new(values.map(|(key, it)| (key, it.0.into())).collect());
            hold(&held, keep, &read, &values);
            Ok(Some(values))
        };
        let (answer, _) = self.readings.ask(place.clone(), reading).await;
        let missing = || Error::NoSecret {
            purpose,
            name: place.name.clone(),
            namespace: place.namespace.clone(),
        };
        let read = answer.map_err(|source| Error::ReadSecret {
            purpose,
            name: place.name.clone(),
            source,
        })?;
        read.ok_or_else(missing)
    }

    /// Reads the Secret again the next time, if this is what is kept of it: a remote refused it.
    pub(crate) fn forget(&self, place: &Place, values: &Values) {
        let mut held = lock(&self.held);
        if held.get(place).is_some_and(|(_, kept)| Arc::ptr_eq(kept, values)) {
            held.remove(place);
        }
    }

    fn young(&self, place: &Place) -> Option<Values> {
        let held = lock(&self.held);
        let (since, values) = held.get(place)?;
        (since.elapsed() < self.keep).then(|| Arc::clone(values))
    }
}

fn hold(held: &Mutex<Held>, keep: Duration, place: &Place, values: &Values) {
    let mut held = lock(held);
    if held.len() >= MOST {
        held.retain(|_, (since, _)| since.elapsed() < keep);
    }
    if held.len() < MOST || held.contains_key(place) {
        held.insert(place.clone(), (Instant::now(), Arc::clone(values)));
    }
}

fn lock(held: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
