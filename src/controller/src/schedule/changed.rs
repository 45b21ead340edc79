//! Which triggers does a change of sources and actions concern? Many changes, one look at each trigger.

use std::collections::{HashMap, HashSet};

use ger_api::schedule_trigger::{ActionKind, SourceKind};

use crate::clusters::{Event, Folded, Held, Stores};

/// Names by kind and namespace; what has no namespace is in the empty one.
type Names<'a, K> = HashMap<(K, &'a str), HashSet<&'a str>>;

/// An Action: its kind, its namespace if it has one, and its name.
pub(super) type Place = (ActionKind, String, String);

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

    /// The Actions whose `sourceOverride` names one of the sources.
    pub(super) fn overriding(&self, stores: &Stores) -> Vec<Place> {
        if self.sources.is_empty() {
            return Vec::new();
        }
        let names = |kind: SourceKind, at: &str, name: &str| {
            let at = if kind == SourceKind::ClusterGitRepo { "" } else { at };
            self.sources.get(&(kind, at)).is_some_and(|it| it.contains(name))
        };
        let of_namespaces = stores.actions.list().into_iter().filter_map(|it| {
            let (namespace, name) = it.place();
            let other = it.spec.source_override.as_ref()?;
            let place = (ActionKind::Action, namespace.to_owned(), name.to_owned());
            names(other.kind, namespace, &other.name).then_some(place)
        });
        let of_cluster = stores.cluster_actions.list().into_iter().filter_map(|it| {
            let other = it.spec.source_override.as_ref()?;
            let place = (ActionKind::ClusterAction, String::new(), it.place().1.to_owned());
            names(SourceKind::ClusterGitRepo, "", &other.name).then_some(place)
        });
        of_namespaces.chain(of_cluster).collect()
    }

    /// These Actions too.
    pub(super) fn and(mut self, actions: &'a [Place]) -> Self {
        for (kind, namespace, name) in actions {
            self.actions.entry((*kind, namespace)).or_default().insert(name);
        }
        self
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
