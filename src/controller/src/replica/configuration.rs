//! Which dynamic configuration is in force? The ConfigMap is followed; what is valid is put in force whole,
//! and what is not is refused whole, with an Event, while the last good one stays.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use ger_core::names::ClusterName;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::runtime::watcher::{Config, Error as WatchError, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::clusters::{Notice, Severity};
use crate::config::{Live, RUNTIME_KEY, Runtime};
use crate::metrics::Metrics;
use crate::runs::Fleet;

/// A watch that died silently is noticed this soon.
const WATCH: u32 = 60;
/// The hub is asked again so soon after it failed; twice as late each time, up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where the ConfigMap is, and who is told of it.
pub(super) struct Follower {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) name: String,
    /// What holds where the ConfigMap does not say.
    pub(super) base: Runtime,
    pub(super) live: Live,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) notices: mpsc::Sender<Notice>,
    /// Becomes true once it is known whether there is a ConfigMap.
    pub(super) known: watch::Sender<bool>,
}

impl Follower {
    /// Follows the ConfigMap until `stop`; rings admission when a limit may have changed.
    pub(super) async fn run(&self, fleet: &Fleet, stop: CancellationToken) {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let config =
            Config::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH);
        let mut events = pin!(watcher(maps, config));
        let mut judged = None;
        let mut pause = AGAIN.0;
        while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
            match event {
                Ok(event) => {
                    pause = AGAIN.0;
                    self.observe(&event, &mut judged, fleet);
                }
                Err(error) => {
                    self.stumble(&error, &mut judged);
                    // When it stops, the loop sees it too.
                    let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                    pause = AGAIN.1.min(pause * 2);
                }
            }
        }
    }

    fn observe(&self, event: &Event<ConfigMap>, judged: &mut Option<String>, fleet: &Fleet) {
        match event {
            Event::Init => {}
            Event::InitApply(map) | Event::Apply(map) => {
                if self.take(map, judged) {
                    fleet.clusters.all().iter().for_each(|it| fleet.admission.ring(it.name()));
                }
            }
            // Without a ConfigMap there is nothing to wait for; the last good one stays.
            Event::InitDone => drop(self.known.send_replace(true)),
            Event::Delete(_) => {
                *judged = None;
                tracing::warn!(
                    name = self.name,
                    "the ConfigMap is gone: what it said stays in force"
                );
            }
        }
    }

    /// Goes on without what may not be read; all else passes.
    fn stumble(&self, error: &WatchError, judged: &mut Option<String>) {
        tracing::debug!(name = self.name, %error, "the ConfigMap cannot be watched");
        if is_forbidden(error) {
            let why = "the controller may not list and watch the ConfigMap: it is not read";
            self.refuse(&self.reference(None), why, judged);
            self.known.send_replace(true);
        }
    }

    /// Judges a ConfigMap; true if it is another configuration by now.
    fn take(&self, map: &ConfigMap, judged: &mut Option<String>) -> bool {
        let about = self.reference(Some(map));
        let Some(text) = map.data.as_ref().and_then(|it| it.get(RUNTIME_KEY)) else {
            self.refuse(&about, &format!("it has no key {RUNTIME_KEY}"), judged);
            return false;
        };
        // A list says again what is known.
        if judged.as_ref() == Some(text) {
            return false;
        }
        match Runtime::parse(text, &self.base) {
            Err(why) => {
                self.refuse(&about, &why.to_string(), judged);
                *judged = Some(text.clone());
                false
            }
            Ok(runtime) => {
                *judged = Some(text.clone());
                let is_new = self.live.put(runtime);
                self.count("applied");
                if is_new {
                    tracing::info!(name = self.name, "the dynamic configuration is in force");
                    let message = "in force, as it is now, in all replicas".to_owned();
                    self.tell(about, Severity::Normal, ("ConfigApplied", message));
                }
                is_new
            }
        }
    }

    fn refuse(&self, about: &ObjectReference, why: &str, judged: &mut Option<String>) {
        if judged.as_deref() == Some(why) {
            return;
        }
        *judged = Some(why.to_owned());
        self.count("refused");
        tracing::warn!(name = self.name, "the dynamic configuration is refused: {why}");
        let message = format!("refused, and what was in force stays so: {why}");
        self.tell(about.clone(), Severity::Warning, ("ConfigRefused", message));
    }

    fn count(&self, result: &str) {
        self.metrics.config_reloads_total.with_label_values(&[result]).inc();
    }

    /// The steward publishes it. A notice is a courtesy: a full queue drops it.
    fn tell(
        &self,
        about: ObjectReference,
        severity: Severity,
        (reason, message): (&'static str, String),
    ) {
        let (cluster, at) = (ClusterName::hub(), self.clock.now());
        let notice = Notice { cluster, about, severity, reason, message, at };
        if self.notices.try_send(notice).is_err() {
            tracing::debug!(reason, "no room for a notice");
        }
    }

    fn reference(&self, map: Option<&ConfigMap>) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("ConfigMap".to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            uid: map.and_then(ResourceExt::uid),
            resource_version: map.and_then(ResourceExt::resource_version),
            field_path: None,
        }
    }
}

fn is_forbidden(error: &WatchError) -> bool {
    match error {
        WatchError::InitialListFailed(kube::Error::Api(answer))
        | WatchError::WatchStartFailed(kube::Error::Api(answer))
        | WatchError::WatchFailed(kube::Error::Api(answer))
        | WatchError::WatchError(answer) => answer.is_forbidden(),
        WatchError::InitialListFailed(_)
        | WatchError::WatchStartFailed(_)
        | WatchError::WatchFailed(_)
        | WatchError::NoResourceVersion => false,
    }
}
