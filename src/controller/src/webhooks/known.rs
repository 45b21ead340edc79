//! What is known of the trigger that is called? From the stores, without a request; and judged once for
//! each version of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ger_api::WebhookTrigger;
use ger_core::names::TriggerKey;
use ger_core::plan::{Plan, WrongConfig};

use crate::clusters::{self, Cluster, Folded};
use crate::runs::trigger::Trigger;

/// Triggers whose plan is kept; with more, those that are called are judged anew now and then.
const MOST: usize = 4096;

/// A trigger, as a call is judged by it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) plan: Result<Plan, WrongConfig>,
}

impl Known {
    pub(super) fn of(trigger: &Trigger) -> Self {
        let plan = trigger.plan.clone();
        Self { uid: trigger.uid.clone(), generation: trigger.generation, plan }
    }
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    Trigger(Cluster, Arc<Known>),
    /// Its cluster does not answer, or was not seen yet: whether it has such a trigger cannot be said.
    Unreachable,
    Nothing,
}

type Judged = (Weak<Folded<WebhookTrigger>>, Arc<Known>);

/// The plans of triggers that were called.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    judged: Mutex<HashMap<TriggerKey, Judged>>,
}

impl Triggers {
    pub(super) fn find(&self, clusters: &clusters::Handle, key: &TriggerKey) -> Found {
        let Some(cluster) = clusters.cluster(&key.cluster) else { return Found::Nothing };
        if !cluster.state().works() {
            return Found::Unreachable;
        }
        let held = cluster.stores().webhook_triggers.find(Some(&key.namespace), &key.name);
        let Some(held) = held else { return Found::Nothing };
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, known)) = judged.get(key)
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(&held))
        {
            return Found::Trigger(cluster, Arc::clone(known));
        }
        let Some(object) = held.unfold() else { return Found::Nothing };
        let known = Arc::new(Known::of(&Trigger::of(key, &object)));
        if judged.len() >= MOST {
            judged.clear();
        }
        // A weak pointer keeps its place: no other version can be where this one was.
        judged.insert(key.clone(), (Arc::downgrade(&held), Arc::clone(&known)));
        Found::Trigger(cluster, known)
    }
}
