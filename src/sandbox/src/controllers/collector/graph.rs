//! Who owns whom, and what is to be judged? Kept by what changed since the last round, so that a round
//! looks only at what that concerns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{FOREGROUND, holds};
use crate::{
    controllers::{self, follow::Follow},
    kinds, object,
    registry::Resource,
    store::{
        Key, State, Stored,
        log::{Change, Kind},
    },
};

/// Which object: its table and its key.
pub(super) type Spot = (Arc<str>, Key);

/// What a reference means for the object that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
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

/// One that may be owner of others.
#[derive(Debug)]
struct Home {
    spot: Spot,
    /// Its deletion waits for what it owns.
    waits: bool,
}

/// All objects, by their ties.
#[derive(Debug, Default)]
pub(super) struct Graph {
    follow: Follow,
    /// By their tables.
    resources: BTreeMap<Arc<str>, Arc<Resource>>,
    kinds: HashSet<(String, String)>,
    /// By uid.
    homes: HashMap<String, Home>,
    /// Whose owner is the one of a uid, there or not.
    dependents: HashMap<String, BTreeSet<Spot>>,
    /// The uids that an object names as its owners.
    references: HashMap<Spot, Vec<String>>,
    due: BTreeSet<Spot>,
}

impl Graph {
    /// Learns what happened since the last time.
    pub(super) fn learn(&mut self, state: &State) {
        let tables: Vec<Arc<str>> = self.resources.keys().map(Arc::clone).collect();
        let news = self.follow.news(state, tables.iter().map(AsRef::as_ref));
        // Another definition may make references mean something else.
        let news = news.filter(|it| it.iter().all(|(table, _)| *table != kinds::DEFINITIONS));
        let Some(news) = news else { return self.begin(state) };
        for (table, change) in news {
            if let Some((table, _)) = self.resources.get_key_value(table) {
                let spot = (Arc::clone(table), change.key.clone());
                self.change(spot, &change);
            }
        }
    }

    /// Looks at everything.
    fn begin(&mut self, state: &State) {
        let resources = controllers::resources(state);
        let kinds = resources.iter().map(|it| (it.group.clone(), it.kind.clone())).collect();
        let resources = resources.into_iter().map(|it| (it.table.as_str().into(), it)).collect();
        let (follow, due) = (std::mem::take(&mut self.follow), std::mem::take(&mut self.due));
        *self = Self { follow, resources, kinds, due, ..Self::default() };
        let tables: Vec<Arc<str>> = self.resources.keys().map(Arc::clone).collect();
        for name in tables {
            let objects = state.tables.get(&*name).into_iter().flat_map(|it| &it.objects);
            for (key, stored) in objects {
                self.place((Arc::clone(&name), key.clone()), stored);
            }
        }
    }

    fn change(&mut self, spot: Spot, change: &Change) {
        let had_ties = change.before.as_ref().is_some_and(|it| it.facts.has_ties());
        match change.kind {
            Kind::Deleted => {
                let uid = change.object.value.peek(|it| object::uid(it).to_owned());
                self.forget(&spot, &uid);
            }
            Kind::Modified if !had_ties && !change.object.facts.has_ties() => {}
            Kind::Added | Kind::Modified => self.place(spot, &change.object),
        }
    }

    fn place(&mut self, spot: Spot, stored: &Stored) {
        let (uid, waits, owners) =
            stored.value.peek(|it| (object::uid(it).to_owned(), holds(it, FOREGROUND), owners(it)));
        self.refer(&spot, owners);
        if stored.facts.has_ties() {
            self.due.insert(spot.clone());
        }
        let before = self.homes.get(&uid).map(|it| it.waits);
        if before != Some(waits) {
            self.due.extend(self.dependents.get(&uid).into_iter().flatten().cloned());
        }
        self.homes.insert(uid, Home { spot, waits });
    }

    fn forget(&mut self, spot: &Spot, uid: &str) {
        self.refer(spot, Vec::new());
        self.homes.remove(uid);
        self.due.remove(spot);
        self.due.extend(self.dependents.get(uid).into_iter().flatten().cloned());
    }

    /// Notes whom an object names as its owners. Those who wait for it are to be asked again.
    fn refer(&mut self, spot: &Spot, owners: Vec<String>) {
        let before = self.references.remove(spot).unwrap_or_default();
        for uid in before.iter().chain(&owners) {
            let waiting = self.homes.get(uid).filter(|it| it.waits);
            self.due.extend(waiting.map(|it| it.spot.clone()));
        }
        for uid in before.iter().filter(|it| !owners.contains(it)) {
            let Some(known) = self.dependents.get_mut(uid) else { continue };
            known.remove(spot);
            if known.is_empty() {
                self.dependents.remove(uid);
            }
        }
        for uid in &owners {
            self.dependents.entry(uid.clone()).or_default().insert(spot.clone());
        }
        if !owners.is_empty() {
            self.references.insert(spot.clone(), owners);
        }
    }

    /// Takes what is to be judged.
    pub(super) fn take_due(&mut self) -> BTreeSet<Spot> {
        std::mem::take(&mut self.due)
    }

    /// Has an object judged again in the next round.
    pub(super) fn put_off(&mut self, spot: &Spot) {
        self.due.insert(spot.clone());
    }

    /// What is at a place now.
    pub(super) fn find(&self, state: &State, spot: &Spot) -> Option<(Arc<Resource>, Arc<Stored>)> {
        let (table, key) = spot;
        let resource = self.resources.get(table)?;
        Some((Arc::clone(resource), state.find(table, key)?))
    }

    pub(super) fn judge(&self, object: &Value, reference: &Value) -> Owner {
        let version = object::text(reference, "/apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let kind = (group.to_owned(), object::text(reference, "/kind").to_owned());
        if !self.kinds.contains(&kind) {
            return Owner::Unknown;
        }
        let Some(home) = self.homes.get(object::text(reference, "/uid")) else {
            return Owner::Gone;
        };
        let namespace = home.spot.1.namespace();
        if !namespace.is_empty() && namespace != object::meta(object, "namespace") {
            return Owner::Abroad;
        }
        if home.waits { Owner::Waits } else { Owner::Keeps }
    }

    /// Where those are that name an object as their owner.
    pub(super) fn dependents<'a>(
        &'a self,
        owner: &Value,
    ) -> impl Iterator<Item = &'a Spot> + use<'a> {
        self.dependents.get(object::uid(owner)).into_iter().flatten()
    }
}

fn owners(object: &Value) -> Vec<String> {
    let references = object::items(object, "/metadata/ownerReferences");
    references.map(|it| object::text(it, "/uid").to_owned()).collect()
}
