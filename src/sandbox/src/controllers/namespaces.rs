//! A namespace that was deleted loses its content, then its finalizer, then itself; its conditions tell
//! what is left.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    api::delete::Propagation,
    breakage::Breakage,
    clock,
    cluster::Cluster,
    controllers::{self, follow::Follow},
    object,
    store::{Key, State, Stored, Table, log::Kind},
};

const MANAGER: &str = "namespace-controller";
const NAMESPACES: &str = "namespaces";
/// The finalizer of the spec that is this controller's own.
const FINALIZER: &str = "kubernetes";

/// How many objects of which resources are left, and held by which finalizers.
#[derive(Debug, Default)]
struct Left {
    resources: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
    /// Objects that only take their time to end.
    ending: usize,
}

/// Which namespaces are on their way out.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    follow: Follow,
    dying: BTreeSet<String>,
}

impl Namespaces {
    fn learn(&mut self, state: &State) {
        let Some(news) = self.follow.news(state, [NAMESPACES]) else {
            let all = state.tables.get(NAMESPACES).into_iter().flat_map(|it| &it.objects);
            let dying = all.filter(|(_, it)| is_dying(it));
            self.dying = dying.map(|(key, _)| key.name().to_owned()).collect();
            return;
        };
        for (_, change) in news {
            if change.kind != Kind::Deleted && is_dying(&change.object) {
                self.dying.insert(change.key.name().to_owned());
            } else {
                self.dying.remove(change.key.name());
            }
        }
    }

    pub(super) fn round(&mut self, cluster: &Cluster, now: Timestamp) {
        let state = &mut *cluster.lock();
        self.learn(state);
        for namespace in &self.dying {
            let left = if state.broken.has(Breakage::HollowNamespaces) {
                Left::default()
            } else {
                empty(state, namespace, now)
            };
            tell(state, namespace, (&left, now));
            if left.resources.is_empty() && left.ending == 0 {
                finalize(state, namespace);
            }
        }
    }
}

/// Whether this controller has still to do with the end of a namespace.
fn is_dying(namespace: &Stored) -> bool {
    namespace.facts.is_deleting
        && namespace
            .value
            .peek(|it| object::strings(&it["spec"]["finalizers"]).contains(&FINALIZER))
}

/// Deletes what the namespace holds.
fn empty(state: &mut State, namespace: &str, now: Timestamp) -> Left {
    let mut left = Left::default();
    for resource in controllers::resources(state).into_iter().filter(|it| it.namespaced) {
        let content = |state: &State| {
            let objects = state.table(&resource).map(|it| &it.objects);
            let objects = objects.into_iter().flat_map(|it| Table::within(it, Some(namespace)));
            objects.map(|(_, it)| it.clone()).collect::<Vec<_>>()
        };
        for object in content(state).iter().filter(|it| !it.facts.is_deleting) {
            let what = (&resource, &*object.value.read());
            controllers::remove(state, what, Propagation::Background, (MANAGER, now));
        }
        let name = format!("{}.{}", resource.plural, resource.group);
        for object in content(state) {
            let object = object.value.read();
            let finalizers = object::finalizers(&object);
            if finalizers.is_empty() {
                left.ending += 1;
                continue;
            }
            *left.resources.entry(name.clone()).or_default() += 1;
            for finalizer in finalizers {
                *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    left
}

/// Writes down what is left, in the conditions of the namespace.
fn tell(state: &mut State, name: &str, (left, now): (&Left, Timestamp)) {
    let Some(namespace) = state.namespace(name) else { return };
    let mut object = namespace.value.clone();
    let mut list = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut changed = false;
    for (kind, status, (reason, message)) in conditions(left) {
        let condition = json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": clock::seconds(now),
        });
        match list.iter_mut().find(|it| it["type"] == kind) {
            Some(known) if known["status"] == status && known["message"] == *message => continue,
            Some(known) => *known = condition,
            None => list.push(condition),
        }
        changed = true;
    }
    if changed {
        object["status"]["conditions"] = list.into();
        state.put("namespaces", object);
    }
}

fn conditions(left: &Left) -> [(&'static str, &'static str, (&'static str, String)); 5] {
    let fine = |kind, reason, message: &str| (kind, "False", (reason, message.to_owned()));
    let content = if left.resources.is_empty() {
        let message = "All content successfully removed";
        fine("NamespaceContentRemaining", "ContentRemoved", message)
    } else {
        let parts = listed(&left.resources, "has ");
        let message = format!("Some resources are remaining: {parts}");
        ("NamespaceContentRemaining", "True", ("SomeResourcesRemain", message))
    };
    let finalizers = if left.finalizers.is_empty() {
        let message = "All content-preserving finalizers finished";
        fine("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", message)
    } else {
        let parts = listed(&left.finalizers, "in ");
        let message = format!("Some content in the namespace has finalizers remaining: {parts}");
        ("NamespaceFinalizersRemaining", "True", ("SomeFinalizersRemain", message))
    };
    [
        fine(
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        fine(
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        fine(
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        content,
        finalizers,
    ]
}

fn listed(counts: &BTreeMap<String, usize>, verb: &str) -> String {
    let parts =
        counts.iter().map(|(name, count)| format!("{name} {verb}{count} resource instances"));
    parts.collect::<Vec<_>>().join(", ")
}

/// Takes this controller's finalizer away, and the namespace when nothing else holds it.
fn finalize(state: &mut State, name: &str) {
    let Some(namespace) = state.namespace(name) else { return };
    let mut object = namespace.value.clone();
    let kept: Vec<&str> = object::strings(&namespace.value["spec"]["finalizers"])
        .into_iter()
        .filter(|it| *it != FINALIZER)
        .collect();
    let nothing = kept.is_empty();
    object["spec"] = if nothing { json!({}) } else { json!({ "finalizers": kept }) };
    let ends = nothing && object::finalizers(&object).is_empty();
    state.put("namespaces", object);
    if ends {
        state.remove("namespaces", &Key::new("", name));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_conditions_count_what_is_left() {
        let mut left = Left::default();
        left.resources.insert("configmaps.".to_owned(), 2);
        left.resources.insert("jobs.batch".to_owned(), 1);
        left.finalizers.insert("a.b/c".to_owned(), 3);

        let told = conditions(&left).map(|(_, _, (_, message))| Value::from(message));

        let content = "Some resources are remaining: configmaps. has 2 resource instances, jobs.batch \
            has 1 resource instances";
        let finalizers =
            "Some content in the namespace has finalizers remaining: a.b/c in 3 resource instances";
        assert_eq!((&told[3], &told[4]), (&content.into(), &finalizers.into()));
    }
}
