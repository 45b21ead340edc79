//! How is a decision recorded? Compare-and-swap on the trigger's status, and nothing else.

use std::time::Duration;

use ger_api::{ScheduleTrigger, TriggerStatus, WebhookTrigger};
use ger_core::ledger::{Transition, prune};
use ger_core::names::{TriggerKey, TriggerKind};
use kube::api::PostParams;
use kube::{Api, Client};

use super::error::Error;
use super::trigger::{Kind, Trigger};
use crate::metrics::Metrics;

/// Who writes statuses, in `managedFields`: the original's name, so that what it owned becomes ours
/// without a conflict.
const FIELD_MANAGER: &str = "controller";
/// A trigger has a handful of writers at most; who loses this often is up against something else.
const ATTEMPTS: u32 = 16;
/// Two writers that lost together come back apart by the attempts they made.
const PAUSE: Duration = Duration::from_millis(10);

/// What a decision wants of the status it was shown, and what its maker wants to know afterwards.
#[derive(Debug)]
pub(crate) enum Step<T> {
    Leave(T),
    Write(Box<TriggerStatus>, T),
}

/// Whether a transition was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Yes,
    /// The ledger said so already.
    Already,
    Refused(&'static str),
}

/// What came of it: the trigger with its status as the ledger has it now.
#[derive(Debug)]
pub(crate) struct Swapped<T> {
    pub(crate) trigger: Trigger,
    pub(crate) outcome: T,
}

/// Reads the trigger live, asks `decide`, and writes what it says on exactly that version.
///
/// On a conflict it starts again. May die after any line: a write that nobody saw the answer of is
/// found by the next read.
pub(crate) async fn swap<T>(
    client: &Client,
    key: &TriggerKey,
    metrics: &Metrics,
    decide: impl FnMut(&Trigger) -> Step<T>,
) -> Result<Swapped<T>, Error> {
    match key.kind {
        TriggerKind::Schedule => {
            swap_kind::<ScheduleTrigger, T>(client, key, metrics, decide).await
        }
        TriggerKind::Webhook => swap_kind::<WebhookTrigger, T>(client, key, metrics, decide).await,
    }
}

/// [`swap`] for what the ledger answers with a transition.
pub(crate) async fn transit(
    client: &Client,
    key: &TriggerKey,
    metrics: &Metrics,
    mut decide: impl FnMut(&Trigger) -> Transition,
) -> Result<Swapped<Moved>, Error> {
    let decide = move |live: &Trigger| match decide(live) {
        Transition::Write(mut status) => {
            let kept = live.plan.as_ref().map(|it| it.kept).unwrap_or_default();
            prune(&mut status, &live.status, kept);
            Step::Write(status, Moved::Yes)
        }
        Transition::Nothing => Step::Leave(Moved::Already),
        Transition::Refused { why } => Step::Leave(Moved::Refused(why)),
    };
    swap(client, key, metrics, decide).await
}

/// The trigger as its cluster has it now, past all caches.
pub(crate) async fn read(client: &Client, key: &TriggerKey) -> Result<Option<Trigger>, Error> {
    match key.kind {
        TriggerKind::Schedule => read_kind::<ScheduleTrigger>(client, key).await,
        TriggerKind::Webhook => read_kind::<WebhookTrigger>(client, key).await,
    }
}

async fn read_kind<K: Kind>(client: &Client, key: &TriggerKey) -> Result<Option<Trigger>, Error> {
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    let read = api.get_opt(&key.name).await;
    let object =
        read.map_err(|source| Error::Read { key: key.clone(), source: Box::new(source) })?;
    Ok(object.map(|it| Trigger::of(key, &it)))
}

async fn swap_kind<K: Kind, T>(
    client: &Client,
    key: &TriggerKey,
    metrics: &Metrics,
    mut decide: impl FnMut(&Trigger) -> Step<T>,
) -> Result<Swapped<T>, Error> {
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    for attempt in 1..=ATTEMPTS {
        let read = api.get_opt(&key.name).await;
        let object =
            read.map_err(|source| Error::Read { key: key.clone(), source: Box::new(source) })?;
        let Some(mut object) = object else { return Err(Error::Gone { key: key.clone() }) };
        let trigger = Trigger::of(key, &object);
        let (status, outcome) = match decide(&trigger) {
            Step::Leave(outcome) => return Ok(Swapped { trigger, outcome }),
            Step::Write(status, outcome) => (*status, outcome),
        };
        object.meta_mut().managed_fields = None;
        *object.status_slot() = Some(status.clone());
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        // A schema that drops our fields would keep the commit and lose the run. So what moves a source's
        // record for a new run is tried first, and written only when all of it would be kept. A request
        // moves none: its caller, who waits, hears of it where it is dropped.
        let moves_a_record = status.sequence != trigger.status.sequence
            && status.checked_sources != trigger.status.checked_sources;
        let trial = PostParams { dry_run: true, ..params.clone() };
        let tried = if moves_a_record {
            Some(api.replace_status(&key.name, &trial, &object).await)
        } else {
            None
        };
        let written = match tried {
            Some(Ok(tried)) if !holds(&Trigger::of(key, &tried).status, &status) => {
                return Err(Error::Pruned { key: key.clone() });
            }
            Some(Err(refused)) => Err(refused),
            Some(Ok(_)) | None => api.replace_status(&key.name, &params, &object).await,
        };
        match written {
            Ok(written) => {
                let trigger = Trigger::of(key, &written);
                if !holds(&trigger.status, &status) {
                    return Err(Error::Pruned { key: key.clone() });
                }
                return Ok(Swapped { trigger, outcome });
            }
            Err(kube::Error::Api(answer)) if answer.is_conflict() => {
                metrics.ledger_conflicts_total.with_label_values(&[key.cluster.as_str()]).inc();
                tokio::time::sleep(PAUSE * attempt).await;
            }
            Err(kube::Error::Api(answer)) if answer.is_not_found() => {
                return Err(Error::Gone { key: key.clone() });
            }
            Err(source) => {
                return Err(Error::Record { key: key.clone(), source: Box::new(source) });
            }
        }
    }
    Err(Error::Contended { key: key.clone() })
}

/// Whether the answer holds what was written. A schema that does not know our fields drops them
/// silently, and a ledger that forgets would run everything again.
fn holds(answer: &TriggerStatus, written: &TriggerStatus) -> bool {
    answer.sequence == written.sequence
        && answer.runs == written.runs
        && answer.checked_sources == written.checked_sources
}
