//! How is a trigger held by a replica that holds many? Folded: as the text that it came as, without what
//! nobody reads, beside what it is looked for by. It is unfolded when it is worked.
//!
//! As a value of Rust it takes twice as much: most fields of the API's types are absent, and every
//! string and map is a piece of memory of its own.

use std::marker::PhantomData;

use ger_api::schedule_trigger::{ActionKind, ActionRef, SourceKind, Sources};
use ger_api::{ScheduleTrigger, TriggerStatus, WebhookTrigger};
use ger_core::ledger;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::stores::{Held, prune};

/// A kind that is held folded.
pub trait Fold: Resource + Serialize + DeserializeOwned + Send + Sync + 'static {
    fn sources(&self) -> &Sources;
    fn action(&self) -> &ActionRef;
    fn status_slot(&mut self) -> Option<&mut TriggerStatus>;
}

impl Fold for ScheduleTrigger {
    fn sources(&self) -> &Sources {
        &self.spec.sources
    }

    fn action(&self) -> &ActionRef {
        &self.spec.action
    }

    fn status_slot(&mut self) -> Option<&mut TriggerStatus> {
        self.status.as_mut()
    }
}

impl Fold for WebhookTrigger {
    fn sources(&self) -> &Sources {
        &self.spec.sources
    }

    fn action(&self) -> &ActionRef {
        &self.spec.action
    }

    fn status_slot(&mut self) -> Option<&mut TriggerStatus> {
        self.status.as_mut()
    }
}

/// A trigger in a store.
#[derive(Debug)]
pub struct Folded<K> {
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    version: Box<str>,
    source_kind: SourceKind,
    source_names: Box<[Box<str>]>,
    action_kind: ActionKind,
    action_name: Box<str>,
    text: Box<[u8]>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Fold> Folded<K> {
    /// Keeps of a trigger what is decided by; what is written is decided on a live read.
    pub(super) fn of(mut object: K) -> Self {
        prune(object.meta_mut());
        if let Some(status) = object.status_slot() {
            ledger::slim(status);
        }
        let boxed = |it: &Option<String>| it.as_deref().unwrap_or_default().into();
        let (meta, sources, action) = (object.meta(), object.sources(), object.action());
        Self {
            namespace: boxed(&meta.namespace),
            name: boxed(&meta.name),
            uid: boxed(&meta.uid),
            version: boxed(&meta.resource_version),
            source_kind: sources.kind,
            source_names: sources.names.iter().map(|it| it.as_str().into()).collect(),
            action_kind: action.kind,
            action_name: action.name.as_str().into(),
            text: serde_json::to_vec(&object).unwrap_or_default().into_boxed_slice(),
            kind: PhantomData,
        }
    }

    /// The trigger as it was read, without what nobody reads.
    pub fn unfold(&self) -> Option<K> {
        let unfolded = serde_json::from_slice(&self.text);
        unfolded
            .inspect_err(|error| {
                tracing::error!(namespace = &*self.namespace, name = &*self.name, %error, "a trigger that was held cannot be read again");
            })
            .ok()
    }
}

impl<K> Folded<K> {
    /// The kind of its sources, and their names.
    pub(crate) fn sources(&self) -> (SourceKind, impl Iterator<Item = &str>) {
        (self.source_kind, self.source_names.iter().map(AsRef::as_ref))
    }

    /// The kind of its action, and the name.
    pub(crate) fn action(&self) -> (ActionKind, &str) {
        (self.action_kind, &self.action_name)
    }
}

impl<K: Send + Sync + 'static> Held for Folded<K> {
    fn place(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    fn version(&self) -> (&str, &str) {
        (&self.uid, &self.version)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trigger() -> ScheduleTrigger {
        let trigger = json!({
            "apiVersion": "git-events-runner.rs/v1alpha1",
            "kind": "ScheduleTrigger",
            "metadata": {
                "name": "deploy", "namespace": "apps", "uid": "u", "resourceVersion": "7",
                "generation": 3, "creationTimestamp": "2026-01-02T03:04:05Z",
                "deletionTimestamp": "2026-01-02T03:04:06Z", "finalizers": ["theirs"],
                "labels": { "a": "b" },
                "annotations": { "git-events-runner.rs/run-at": "now", "other": "1" },
            },
            "spec": {
                "sources": {
                    "kind": "ClusterGitRepo", "names": ["app", "lib"],
                    "watchOn": {
                        "onChangeOnly": false, "reference": { "semver": "^1" }, "files": ["a/**"],
                    },
                },
                "schedule": { "cron": "0 0 1 * * *" },
                "timeZone": "Europe/Berlin",
                "suspend": true,
                "action": { "kind": "ClusterAction", "name": "act" },
            },
            "status": {
                "state": "Running", "sequence": 9, "observedGeneration": 2,
                "lastRun": "2026-01-02T03:04:05.123456Z", "lastHandledRunAt": "then",
                "checkedSources": { "app": {
                    "commitHash": "c", "fileHash": "f", "changed": "2026-01-02T03:04:05Z",
                    "failures": 2, "message": "m", "previousCommit": "p", "theirs": { "x": 1 },
                }},
                "runs": [{
                    "id": "r", "source": "app", "commit": "c", "reason": "Changed",
                    "phase": "Queued", "job": "j", "jobUid": "ju", "forced": true, "tag": "t",
                    "requestedAt": "2026-01-02T03:04:05Z", "fingerprint": "fp", "more": [1],
                }],
            },
        });
        serde_json::from_value(trigger).unwrap()
    }

    #[test]
    fn a_trigger_unfolds_as_it_was_but_for_what_nobody_reads() {
        let mut expected = trigger();
        prune(&mut expected.metadata);
        ledger::slim(expected.status.as_mut().unwrap());

        let held = Folded::of(trigger());

        assert_eq!(held.unfold(), Some(expected));
        assert_eq!((held.place(), held.version()), (("apps", "deploy"), ("u", "7")));
    }

    #[test]
    fn it_is_found_by_what_it_names() {
        let held = Folded::of(trigger());

        let (kind, names) = held.sources();
        assert_eq!(kind, SourceKind::ClusterGitRepo);
        assert!(names.eq(trigger().spec.sources.names.iter().map(String::as_str)));
        assert_eq!(held.action(), (ActionKind::ClusterAction, "act"));
    }
}
