//! Garbage collection: what outlives its owners goes, and owners that wait for it or let it go.

mod graph;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::graph::{Graph, Owner, Spot};
use crate::{
    api::delete::{Deletion, Propagation},
    breakage::Breakage,
    cluster::Cluster,
    controllers::{
        events::{News, Recorder},
        hand::Hand,
    },
    object,
    registry::Resource,
    store::{Key, Stored},
};

const NAME: &str = "generic-garbage-collector";
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What the collector remembers between two rounds.
#[derive(Debug, Default)]
pub(super) struct Collector {
    recorder: Recorder,
    graph: Graph,
}

impl Collector {
    pub(super) fn round(&mut self, cluster: &Cluster, now: Timestamp) {
        let state = &mut *cluster.lock();
        self.graph.learn(state);
        let due = self.graph.take_due();
        let mut hand = Hand { state, now, client: NAME };
        for spot in &due {
            let Some((resource, stored)) = self.graph.find(hand.state, spot) else { continue };
            let object = &*stored.value.read();
            if holds(object, ORPHAN) {
                orphan(&mut hand, &self.graph, object);
                release(&mut hand, &resource, (object, ORPHAN));
            }
            if stored.facts.is_owned && !stored.facts.is_deleting {
                self.judge(&mut hand, spot, (&resource, object));
            }
        }
        for spot in &due {
            let Some((resource, stored)) = self.graph.find(hand.state, spot) else { continue };
            let object = &*stored.value.read();
            if holds(object, FOREGROUND) && !is_awaited(&hand, &self.graph, object) {
                release(&mut hand, &resource, (object, FOREGROUND));
            }
        }
    }

    /// Deletes what nobody keeps; takes references away that mean nothing any more.
    fn judge(&mut self, hand: &mut Hand<'_>, spot: &Spot, what: (&Arc<Resource>, &Value)) {
        let (resource, object) = what;
        if hand.state.broken.has(Breakage::LeftBehind) {
            return;
        }
        let judged: Vec<(&Value, Owner)> = object::items(object, "/metadata/ownerReferences")
            .map(|it| (it, self.graph.judge(object, it)))
            .collect();
        let any = |owner: Owner| judged.iter().any(|(_, it)| *it == owner);
        for (reference, _) in judged.iter().filter(|(_, it)| *it == Owner::Abroad) {
            self.warn(hand, object, reference);
        }
        // Whoever lives in a namespace cannot own what is in none: nothing follows from that.
        let nowhere = object::meta(object, "namespace").is_empty();
        if any(Owner::Unknown) || nowhere && any(Owner::Abroad) {
            return;
        }
        if any(Owner::Keeps) {
            let kept: Vec<Value> = judged
                .iter()
                .filter(|(_, it)| *it == Owner::Keeps)
                .map(|(it, _)| (*it).clone())
                .collect();
            if kept.len() < judged.len() {
                set_owners(hand, resource, (object, kept));
            }
            return;
        }
        let how = if any(Owner::Waits) && self.graph.dependents(object).next().is_some() {
            Propagation::Foreground
        } else if object::finalizers(object).contains(&ORPHAN) {
            Propagation::Orphan
        } else {
            Propagation::Background
        };
        let deletion = Deletion::of(object::uid(object), how);
        if hand.delete(resource, object, &deletion).is_err() {
            self.graph.put_off(spot);
        }
    }

    fn warn(&mut self, hand: &mut Hand<'_>, object: &Value, reference: &Value) {
        let text = |pointer: &str| object::text(reference, pointer);
        let namespace = object::meta(object, "namespace");
        let message = format!(
            "ownerRef [{}/{}, namespace: {namespace}, name: {}, uid: {}] does not exist in namespace \
             \"{namespace}\"",
            text("/apiVersion"),
            text("/kind"),
            text("/name"),
            text("/uid"),
        );
        let reason = "OwnerRefInvalidNamespace";
        let news = News { kind: "Warning", reason, message: &message };
        hand.client = "garbage-collector-controller";
        self.recorder.tell_once(hand, object, &news);
        hand.client = NAME;
    }
}

/// Whether a deleted object waits for the collector with this finalizer.
fn holds(object: &Value, finalizer: &str) -> bool {
    object::is_deleting(object) && object::finalizers(object).contains(&finalizer)
}

/// Whether something that blocks the owner's deletion is still there.
fn is_awaited(hand: &Hand<'_>, graph: &Graph, owner: &Value) -> bool {
    let blocks = |object: &Value| {
        object::items(object, "/metadata/ownerReferences")
            .any(|it| it["uid"] == owner["metadata"]["uid"] && it["blockOwnerDeletion"] == true)
    };
    let mut dependents = graph.dependents(owner).filter_map(|it| graph.find(hand.state, it));
    dependents.any(|(_, it)| it.value.peek(blocks))
}

/// Takes an owner out of all that it owns.
fn orphan(hand: &mut Hand<'_>, graph: &Graph, owner: &Value) {
    for spot in graph.dependents(owner) {
        let Some((resource, stored)) = graph.find(hand.state, spot) else { continue };
        let object = &*stored.value.read();
        let kept = object::items(object, "/metadata/ownerReferences")
            .filter(|it| it["uid"] != owner["metadata"]["uid"])
            .cloned()
            .collect();
        set_owners(hand, &resource, (object, kept));
    }
}

/// The object as it is now, if it is still the same one.
fn current(hand: &Hand<'_>, resource: &Resource, object: &Value) -> Option<Arc<Stored>> {
    let stored = hand.state.find(&resource.table, &Key::of(object))?;
    (object::uid(&stored.value) == object::uid(object)).then_some(stored)
}

fn set_owners(hand: &mut Hand<'_>, resource: &Resource, (object, kept): (&Value, Vec<Value>)) {
    let Some(stored) = current(hand, resource, object) else { return };
    let mut object = stored.value.clone();
    object::set_meta(&mut object, "ownerReferences", (!kept.is_empty()).then(|| kept.into()));
    hand.state.put(&resource.table, object);
}

/// Takes a finalizer from a deleted object, which goes with the last one, when its time is over.
fn release(hand: &mut Hand<'_>, resource: &Arc<Resource>, (object, finalizer): (&Value, &str)) {
    let Some(stored) = current(hand, resource, object) else { return };
    let mut object = stored.value.clone();
    let kept: Vec<&str> =
        object::finalizers(&stored.value).into_iter().filter(|it| *it != finalizer).collect();
    object::set_meta(&mut object, "finalizers", (!kept.is_empty()).then(|| json!(kept)));
    let waits = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() > 0
        || object::items(&object, "/spec/finalizers").next().is_some()
            && resource.table == "namespaces";
    if kept.is_empty() && !waits {
        let ended = hand.state.remove(&resource.table, &Key::of(&object));
        crate::kinds::ended(hand.state, resource, &ended);
    } else {
        hand.state.put(&resource.table, object);
    }
}
