//! Which triggers does a change of sources and actions concern? Many changes, one look at each trigger.

use std::collections::{HashMap, HashSet};

use ger_api::schedule_trigger::{ActionKind, SourceKind};

use crate::clusters::{Event, Folded, Held};

/// Names by kind and namespace; what has no namespace is in the empty one.
type Names<'a, K> = HashMap<(K, &'a str), HashSet<&'a str>>;

/// The sources and actions of one cluster that changed.
#[derive(Debug, Default)]
pub(super) struct Changed<'a> {
    sources: Names<'a, SourceKind>,
    actions: Names<'a, ActionKind>,
}

impl<'a> Changed<'a> {
    /// What these events say; others say nothing of it.
    pub(super) fn of(events: &'a [Event]) -> Self {
        let mut all = Self::default();
        for event in events {
            match event {
                Event::SourceChanged { namespace, kind, name, .. } => {
                    let place = (*kind, namespace.as_deref().unwrap_or_default());
                    all.sources.entry(place).or_default().insert(name);
                }
                Event::ActionChanged { namespace, kind, name, .. } => {
                    let place = (*kind, namespace.as_deref().unwrap_or_default());
                    all.actions.entry(place).or_default().insert(name);
                }
                Event::TriggerChanged(_)
                | Event::TriggerGone(_)
                | Event::JobChanged { .. }
                | Event::ClusterChanged(_) => {}
            }
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.actions.is_empty()
    }

    /// Whether a trigger uses any of them.
    pub(super) fn concerns<K>(&self, trigger: &Folded<K>) -> bool
    where
        Folded<K>: Held,
    {
        let here = trigger.place().0;
        let (kind, mut names) = trigger.sources();
        let at = if kind == SourceKind::ClusterGitRepo { "" } else { here };
        let sources = self.sources.get(&(kind, at));
        if sources.is_some_and(|it| names.any(|name| it.contains(name))) {
            return true;
        }
        let (kind, name) = trigger.action();
        let at = if kind == ActionKind::ClusterAction { "" } else { here };
        self.actions.get(&(kind, at)).is_some_and(|it| it.contains(name))
    }
}
