//! What do the stores know of a Job's trigger? Read once for each version of it: of a long queue that is
//! looked at again and again, most has not changed.

use std::collections::HashMap;
use std::sync::Arc;

use ger_api::schedule_trigger::ActionRef;
use ger_api::status::Run;
use ger_api::{ScheduleTrigger, TriggerStatus, WebhookTrigger};
use ger_core::ledger;
use ger_core::names::{TriggerKey, TriggerKind};

use crate::clusters::{Cluster, Fold, Folded, Held as _, JobView};

/// A Job's trigger: its spec is not judged here.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: TriggerKey,
    pub(super) uid: String,
    pub(super) status: TriggerStatus,
    pub(super) action: ActionRef,
    pub(super) suspend: bool,
}

impl Known {
    /// Whether its ledger has an unfinished run with this very Job.
    pub(super) fn holds(&self, view: &JobView) -> bool {
        let is_its = |it: &Run| it.id == view.run_id && it.job_uid.as_deref() == Some(&view.uid);
        ledger::unfinished(&self.status).any(is_its)
    }
}

/// Whether a Job is owned by an Action that is there.
pub(super) fn is_of_an_action(cluster: &Cluster, view: &JobView) -> bool {
    let (stores, owner) = (cluster.stores(), view.owner_uid.as_ref());
    let is_it = |uid: Option<&String>| uid.is_some() && uid == owner;
    stores.actions.list_in(&view.namespace).iter().any(|it| is_it(it.metadata.uid.as_ref()))
        || stores.cluster_actions.list().iter().any(|it| is_it(it.metadata.uid.as_ref()))
}

/// What was read, of the triggers of the Jobs that are there.
#[derive(Debug, Default)]
pub(super) struct Memory {
    read: HashMap<TriggerKey, Read>,
    look: u64,
}

#[derive(Debug)]
struct Read {
    uid: Box<str>,
    version: Box<str>,
    known: Arc<Known>,
    /// The last look that asked for it.
    look: u64,
}

impl Memory {
    /// Begins a look, and forgets what the last one did not ask for.
    pub(super) fn begin(&mut self) {
        let last = self.look;
        self.read.retain(|_, it| it.look == last);
        self.look += 1;
    }

    /// The trigger of a Job as its cluster's store has it now.
    pub(super) fn of(&mut self, cluster: &Cluster, view: &JobView) -> Option<Arc<Known>> {
        let (kind, name) = view.trigger.clone()?;
        let (stores, namespace) = (cluster.stores(), view.namespace.clone());
        let key = TriggerKey { cluster: cluster.name().clone(), kind, namespace, name };
        let place = Some(view.namespace.as_str());
        match kind {
            TriggerKind::Schedule => {
                let found = stores.schedule_triggers.find(place, &key.name)?;
                self.unfold(key, &found, |it: ScheduleTrigger| {
                    (it.metadata.uid, it.status, (it.spec.action, it.spec.suspend))
                })
            }
            TriggerKind::Webhook => {
                let found = stores.webhook_triggers.find(place, &key.name)?;
                self.unfold(key, &found, |it: WebhookTrigger| {
                    (it.metadata.uid, it.status, (it.spec.action, it.spec.suspend))
                })
            }
        }
    }

    fn unfold<K: Fold>(
        &mut self,
        key: TriggerKey,
        found: &Folded<K>,
        parts: impl FnOnce(K) -> (Option<String>, Option<TriggerStatus>, (ActionRef, bool)),
    ) -> Option<Arc<Known>> {
        let (uid, version) = found.version();
        let is_same = |it: &&mut Read| *it.uid == *uid && *it.version == *version;
        if let Some(read) = self.read.get_mut(&key).filter(is_same) {
            read.look = self.look;
            return Some(Arc::clone(&read.known));
        }
        let (object_uid, status, (action, suspend)) = parts(found.unfold()?);
        let known = Arc::new(Known {
            key: key.clone(),
            uid: object_uid.unwrap_or_default(),
            status: status.unwrap_or_default(),
            action,
            suspend,
        });
        let (uid, version) = (uid.into(), version.into());
        self.read.insert(key, Read { uid, version, known: Arc::clone(&known), look: self.look });
        Some(known)
    }
}
