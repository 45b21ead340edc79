//! What is a trigger, whichever its kind? Its identity, its ledger, and what its spec asks for.

use std::fmt::Debug;

use ger_api::status::TriggerState;
use ger_api::{ScheduleTrigger, TriggerStatus, WebhookTrigger};
use ger_core::ledger::{self, Live};
use ger_core::names::{ClusterName, TriggerKey, TriggerKind};
use ger_core::plan::{Plan, WrongConfig};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clusters::Stores;
use crate::metrics::Standing;

/// The finalizer that the original sets. We set none, and remove it, else a delete would hang.
pub(crate) const FINALIZER_OF_THE_ORIGINAL: &str = "scheduletriggers.git-events-runner.rs";

/// A kind of trigger, as the API has it.
pub(crate) trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    fn status_slot(&mut self) -> &mut Option<TriggerStatus>;
    fn status(&self) -> Option<&TriggerStatus>;
    fn plan(&self, cluster: &ClusterName) -> Result<Plan, WrongConfig>;
}

impl Kind for ScheduleTrigger {
    fn status_slot(&mut self) -> &mut Option<TriggerStatus> {
        &mut self.status
    }

    fn status(&self) -> Option<&TriggerStatus> {
        self.status.as_ref()
    }

    fn plan(&self, cluster: &ClusterName) -> Result<Plan, WrongConfig> {
        Plan::of_schedule(cluster, self)
    }
}

impl Kind for WebhookTrigger {
    fn status_slot(&mut self) -> &mut Option<TriggerStatus> {
        &mut self.status
    }

    fn status(&self) -> Option<&TriggerStatus> {
        self.status.as_ref()
    }

    fn plan(&self, cluster: &ClusterName) -> Result<Plan, WrongConfig> {
        Plan::of_webhook(cluster, self)
    }
}

/// A trigger as it was read, from a store or live.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    pub key: TriggerKey,
    pub uid: String,
    pub generation: i64,
    pub status: TriggerStatus,
    pub plan: Result<Plan, WrongConfig>,
    /// Somebody asked for its removal.
    pub is_leaving: bool,
    /// The original's finalizer is still there.
    pub is_held_by_the_original: bool,
}

impl Trigger {
    /// The trigger as its cluster's store has it.
    pub(crate) fn of_store(key: &TriggerKey, stores: &Stores) -> Option<Self> {
        let namespace = Some(key.namespace.as_str());
        match key.kind {
            TriggerKind::Schedule => {
                let found = stores.schedule_triggers.find(namespace, &key.name)?;
                Some(Self::of(key, &found.unfold()?))
            }
            TriggerKind::Webhook => {
                let found = stores.webhook_triggers.find(namespace, &key.name)?;
                Some(Self::of(key, &found.unfold()?))
            }
        }
    }

    pub(crate) fn of<K: Kind>(key: &TriggerKey, object: &K) -> Self {
        let meta = object.meta();
        let plan = object.plan(&key.cluster);
        let finalizers = meta.finalizers.iter().flatten();
        Self {
            key: key.clone(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            status: object.status().cloned().unwrap_or_default(),
            plan,
            is_leaving: meta.deletion_timestamp.is_some(),
            is_held_by_the_original: finalizers
                .into_iter()
                .any(|it| it == FINALIZER_OF_THE_ORIGINAL),
        }
    }

    /// What a decision needs of it.
    pub(crate) fn live(&self) -> Live<'_> {
        Live { uid: &self.uid, generation: self.generation, status: &self.status }
    }

    /// How it stands, to be counted.
    pub(crate) fn standing(&self) -> Standing {
        let state = match self.status.state {
            TriggerState::Idle => "Idle",
            TriggerState::Running => "Running",
            TriggerState::WrongConfig => "WrongConfig",
        };
        let unfinished = ledger::unfinished(&self.status).count();
        Standing { state, unfinished: u32::try_from(unfinished).unwrap_or(u32::MAX) }
    }

    /// For an Event about it.
    pub(crate) fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(format!("{}/{}", ger_api::GROUP, ger_api::VERSION)),
            kind: Some(self.key.kind.as_str().to_owned()),
            namespace: Some(self.key.namespace.clone()),
            name: Some(self.key.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }
}
