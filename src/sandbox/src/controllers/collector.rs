//! Garbage collection: what outlives its owners goes, and owners that wait for it or let it go.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::delete::{Deletion, Propagation},
    breakage::Breakage,
    cluster::Cluster,
    controllers::{
        self,
        events::{News, Recorder},
        hand::Hand,
    },
    object,
    registry::Resource,
    store::{Key, State, Stored},
};

const NAME: &str = "generic-garbage-collector";
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

type Owned = (Arc<Resource>, Arc<Stored>);

/// What the collector remembers between two rounds.
#[derive(Debug, Default)]
pub(super) struct Collector {
    recorder: Recorder,
}

/// What a reference means for the object that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// It keeps the object.
    Keeps,
    /// It waits for the object to go.
    Waits,
    Gone,
    /// Of a kind that is not served: nobody can tell.
    Unknown,
    /// It lives in another namespace, or in one while the object is in none.
    Abroad,
}

/// All objects of one round.
struct Scene {
    all: Vec<Owned>,
    /// By uid: where, and whether it waits for what it owns.
    owners: HashMap<String, (String, bool)>,
    kinds: HashSet<(String, String)>,
}

impl Scene {
    fn of(state: &State) -> Self {
        let mut scene = Self { all: Vec::new(), owners: HashMap::new(), kinds: HashSet::new() };
        for resource in controllers::resources(state) {
            let kind = (resource.group.clone(), resource.kind.clone());
            scene.kinds.insert(kind);
            let objects = state.table(&resource).into_iter().flat_map(|it| it.objects.values());
            scene.all.extend(objects.map(|it| (Arc::clone(&resource), Arc::clone(it))));
        }
        for (_, stored) in &scene.all {
            let namespace = object::meta(&stored.value, "namespace").to_owned();
            let place = (namespace, holds(&stored.value, FOREGROUND));
            scene.owners.insert(object::uid(&stored.value).to_owned(), place);
        }
        scene
    }

    fn judge(&self, object: &Value, reference: &Value) -> Owner {
        let version = object::text(reference, "/apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let kind = (group.to_owned(), object::text(reference, "/kind").to_owned());
        if !self.kinds.contains(&kind) {
            return Owner::Unknown;
        }
        let namespace = object::meta(object, "namespace");
        match self.owners.get(object::text(reference, "/uid")) {
            None => Owner::Gone,
            Some((home, _)) if !home.is_empty() && home != namespace => Owner::Abroad,
            Some((_, true)) => Owner::Waits,
            Some(_) => Owner::Keeps,
        }
    }

    fn has_dependents(&self, owner: &Value) -> bool {
        self.all.iter().any(|(_, it)| owns(owner, &it.value))
    }
}

impl Collector {
    pub(super) fn round(&mut self, cluster: &Cluster, now: Timestamp) {
        let state = &mut *cluster.lock();
        let scene = Scene::of(state);
        let mut hand = Hand { state, now, client: NAME };
        for (resource, stored) in &scene.all {
            let object = &*stored.value;
            if holds(object, ORPHAN) {
                orphan(&mut hand, &scene, object);
                release(&mut hand, resource, (object, ORPHAN));
            }
            let owned = object::items(object, "/metadata/ownerReferences").next().is_some();
            if owned && !object::is_deleting(object) {
                self.judge(&mut hand, &scene, (resource, object));
            }
        }
        let waiting = scene.all.iter().filter(|(_, it)| holds(&it.value, FOREGROUND));
        for (resource, stored) in waiting {
            if !is_awaited(&hand, &scene, &stored.value) {
                release(&mut hand, resource, (&stored.value, FOREGROUND));
            }
        }
    }

    /// Deletes what nobody keeps; takes references away that mean nothing any more.
    fn judge(&mut self, hand: &mut Hand<'_>, scene: &Scene, what: (&Arc<Resource>, &Value)) {
        let (resource, object) = what;
        if hand.state.broken.has(Breakage::LeftBehind) {
            return;
        }
        let judged: Vec<(&Value, Owner)> = object::items(object, "/metadata/ownerReferences")
            .map(|it| (it, scene.judge(object, it)))
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
        let how = if any(Owner::Waits) && scene.has_dependents(object) {
            Propagation::Foreground
        } else if object::finalizers(object).contains(&ORPHAN) {
            Propagation::Orphan
        } else {
            Propagation::Background
        };
        let _gone = hand.delete(resource, object, &Deletion::of(object::uid(object), how));
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

fn owns(owner: &Value, object: &Value) -> bool {
    object::items(object, "/metadata/ownerReferences")
        .any(|it| it["uid"] == owner["metadata"]["uid"])
}

/// Whether something that blocks the owner's deletion is still there.
fn is_awaited(hand: &Hand<'_>, scene: &Scene, owner: &Value) -> bool {
    let blocks = |object: &Value| {
        object::items(object, "/metadata/ownerReferences")
            .any(|it| it["uid"] == owner["metadata"]["uid"] && it["blockOwnerDeletion"] == true)
    };
    let dependents = scene.all.iter().filter(|(_, it)| owns(owner, &it.value));
    dependents.into_iter().any(|(resource, it)| {
        let now = hand.state.find(&resource.table, &Key::of(&it.value));
        now.is_some_and(|it| blocks(&it.value))
    })
}

/// Takes an owner out of all that it owns.
fn orphan(hand: &mut Hand<'_>, scene: &Scene, owner: &Value) {
    for (resource, stored) in scene.all.iter().filter(|(_, it)| owns(owner, &it.value)) {
        let kept = object::items(&stored.value, "/metadata/ownerReferences")
            .filter(|it| it["uid"] != owner["metadata"]["uid"])
            .cloned()
            .collect();
        set_owners(hand, resource, (&stored.value, kept));
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
