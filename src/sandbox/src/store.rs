//! Where objects are kept: one lock, one growing revision, one table and one event log a resource.
//!
//! A write changes the table and appends to the log under the same lock, so a list and a watch
//! from its version can neither miss nor repeat a change.

pub(crate) mod content;
mod facts;
mod json;
pub(crate) mod key;
pub(crate) mod log;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

use crate::{
    audit::{Audit, access::Accesses},
    auth::{self, Index},
    breakage::{Breakage, Broken},
    kinds, object,
    random::Random,
    registry::{Registry, Resource},
    schema::Stamp,
    selector::Selector,
    signal::Bell,
    store::log::{Change, Kind, Log},
};

pub(crate) use self::{
    content::Content,
    facts::{Facts, Labels},
    key::Key,
};

/// So many of the last writes of a table are kept as values: those objects are likely to be written again.
const UNPACKED: usize = 256;

/// Of these every change may give a controller something to do.
const FOLLOWED: [&str; 7] = [
    "configmaps",
    kinds::DEFINITIONS,
    "jobs.batch",
    "namespaces",
    "pods",
    "secrets",
    "serviceaccounts",
];

/// Controllers look after so many changes whatever these were: before any log forgets what they have not seen.
const OVERSIGHT: u64 = 4096;

/// An object as it was at one revision. Never changed: a write makes another.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The revision that it was written under; none of an answer that is not kept.
    revision: u64,
    /// The schema that it is known to be as.
    pub(crate) settled_under: Option<Stamp>,
    pub(crate) facts: Facts,
    pub(crate) value: Content,
}

impl Stored {
    pub(crate) fn new(value: Value) -> Arc<Self> {
        Self::at((0, None), value, None)
    }

    fn at(
        (revision, settled_under): (u64, Option<Stamp>),
        value: Value,
        like: Option<&Facts>,
    ) -> Arc<Self> {
        let facts = Facts::of(&value, like);
        Arc::new(Self { revision, settled_under, facts, value: Content::from(value) })
    }

    /// Has its value again that was lent: nothing came of it.
    pub(crate) fn keep(&self, value: Value) {
        self.value.put_back(value);
    }

    /// The object as JSON; written once, whoever and how many ask.
    pub(crate) fn json(&self) -> Bytes {
        self.value.json()
    }

    /// Whether a selector takes it. It is not kept as a value for that.
    pub(crate) fn matches(&self, selector: &Selector) -> bool {
        selector.takes_labels(&self.facts.labels)
            && (!selector.has_fields() || self.value.peek(|it| selector.takes_fields(it)))
    }

    /// Whether its JSON is of that version already, which is what it begins with.
    pub(crate) fn is_written_as(&self, api_version: &str) -> bool {
        let json = self.json();
        let rest = json.strip_prefix(br#"{"apiVersion":""#);
        rest.and_then(|it| it.strip_prefix(api_version.as_bytes()))
            .is_some_and(|it| it.starts_with(b"\""))
    }

    /// The same object as JSON alone, which takes a fraction of the memory.
    pub(crate) fn packed(&self) -> Arc<Self> {
        let Self { revision, settled_under, facts, value } = self;
        let (revision, settled_under) = (*revision, *settled_under);
        Arc::new(Self { revision, settled_under, facts: facts.clone(), value: value.packed() })
    }
}

/// The objects of one resource and what happened to them.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) objects: BTreeMap<Key, Arc<Stored>>,
    pub(crate) log: Log,
    /// Wakes watchers.
    pub(crate) changed: Bell,
}

impl Table {
    fn new(revision: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            log: Log::starting_at(revision),
            changed: Bell::new(revision),
        }
    }

    /// Keeps only what was written last ready to be read as values.
    fn pack(&mut self, unpacked: usize) {
        while let Some(change) = self.log.pack(unpacked) {
            if let Some(slot) = self.objects.get_mut(&change.key)
                && slot.revision == change.revision
            {
                *slot = Arc::clone(&change.object);
            }
        }
    }

    /// Forgets all that happened up to a revision.
    pub(crate) fn compact(&mut self, revision: u64) {
        self.pack(0);
        self.log.compact(revision);
    }

    /// The objects as they were at a revision, or nothing when that was compacted away.
    pub(crate) fn at(&self, revision: u64) -> Option<BTreeMap<Key, Arc<Stored>>> {
        let mut objects = self.objects.clone();
        for change in self.log.after(revision)?.rev() {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects)
    }

    /// Those of one namespace, or all of them.
    pub(crate) fn within<'a>(
        objects: &'a BTreeMap<Key, Arc<Stored>>,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Stored>)> {
        let first = Key::new(namespace.unwrap_or_default(), "");
        objects
            .range(first..)
            .take_while(move |(key, _)| namespace.is_none_or(|it| it == key.namespace()))
    }
}

/// Everything the cluster knows. Held under one lock that no await crosses.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) revision: u64,
    pub(crate) registry: Registry,
    pub(crate) random: Random,
    pub(crate) audit: Audit,
    pub(crate) tables: BTreeMap<String, Table>,
    /// The last revision that gives a controller something to do.
    pub(crate) changed: Bell,
    pub(crate) authorization: auth::Mode,
    /// Somebody sees to it that namespaces have accounts: Pods need them then.
    pub(crate) keeps_accounts: bool,
    /// Who may do what, until a role or a binding changes.
    grants: Option<Arc<Index>>,
    pub(crate) broken: Broken,
    /// What each user asks for; requests are noted before they come this far.
    pub(crate) accesses: Arc<Accesses>,
}

impl State {
    pub(crate) fn new(name: &str) -> Self {
        let mut state = Self {
            revision: 1,
            registry: Registry::built_in(),
            random: Random::for_cluster(name),
            audit: Audit::default(),
            tables: BTreeMap::new(),
            changed: Bell::new(1),
            authorization: auth::Mode::AlwaysAllow,
            keeps_accounts: false,
            grants: None,
            broken: Broken::default(),
            accesses: Arc::default(),
        };
        let names: Vec<String> = state.registry.all().map(|it| it.table.clone()).collect();
        for name in names {
            state.open(&name);
        }
        state
    }

    /// Makes sure that a table is there; watches on it may begin.
    pub(crate) fn open(&mut self, table: &str) {
        if !self.tables.contains_key(table) {
            self.tables.insert(table.to_owned(), Table::new(self.revision));
        }
    }

    /// Wakes the watchers of a table whose resource is served no more: they tell the last that
    /// happened, then end.
    pub(crate) fn close(&self, table: &str) {
        if let Some(table) = self.tables.get(table) {
            table.changed.send_replace(self.revision);
        }
    }

    pub(crate) fn table(&self, resource: &Resource) -> Option<&Table> {
        self.tables.get(&resource.table)
    }

    pub(crate) fn find(&self, table: &str, key: &Key) -> Option<Arc<Stored>> {
        self.tables.get(table)?.objects.get(key).cloned()
    }

    /// The value of an object for whoever is about to replace it, which so needs not be copied. The store has
    /// the same as JSON meanwhile.
    pub(crate) fn lend(&mut self, table: &str, key: &Key) -> Option<(Arc<Stored>, Value)> {
        let slot = self.tables.get_mut(table)?.objects.get_mut(key)?;
        let value = match Arc::get_mut(slot) {
            Some(stored) => stored.value.take(),
            None => slot.value.read().into_owned(),
        };
        Some((Arc::clone(slot), value))
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<Stored>> {
        self.find("namespaces", &Key::new("", name))
    }

    /// Puts an object where it was, as it was: nothing happens to it.
    pub(crate) fn restore(&mut self, table: &str, object: Value) {
        self.open(table);
        let key = Key::of(&object);
        if let Some(table) = self.tables.get_mut(table) {
            table.objects.insert(key, Stored::new(object).packed());
        }
    }

    /// Begins at the revision of now: what was before is forgotten.
    pub(crate) fn resume(&mut self, random: Random) {
        self.random = random;
        let revision = self.revision;
        self.tables.values_mut().for_each(|it| it.compact(revision));
        self.changed.send_replace(revision);
    }

    /// Writes an object under the next revision.
    pub(crate) fn put(&mut self, table: &str, object: Value) -> Arc<Stored> {
        self.put_as(table, object, None)
    }

    /// The same, of an object that is known to be as a schema has it.
    pub(crate) fn put_as(
        &mut self,
        table: &str,
        object: Value,
        schema: Option<Stamp>,
    ) -> Arc<Stored> {
        self.record(table, (object, schema), Kind::Added)
    }

    /// Takes an object away. What it was last is told with the revision of its end, whatever the deletion
    /// would still have changed.
    pub(crate) fn remove(&mut self, table: &str, key: &Key) -> Arc<Stored> {
        let last = self.find(table, key).map(|it| (*it.value).clone()).unwrap_or_default();
        self.record(table, (last, None), Kind::Deleted)
    }

    /// Who may do what as of this moment; read anew only after a change of roles or bindings.
    pub(crate) fn grants(&mut self) -> Arc<Index> {
        if let Some(index) = &self.grants {
            return Arc::clone(index);
        }
        let index = Arc::new(Index::read(self));
        self.grants = Some(Arc::clone(&index));
        index
    }

    fn record(
        &mut self,
        table: &str,
        (mut object, schema): (Value, Option<Stamp>),
        kind: Kind,
    ) -> Arc<Stored> {
        self.open(table);
        if self.grants.is_some() && table.ends_with(auth::RBAC) {
            self.grants = None;
        }
        self.revision += 1;
        let revision = self.revision;
        let version = Value::String(revision.to_string());
        if !self.broken.has(Breakage::VersionsStay)
            || object::meta(&object, "resourceVersion").is_empty()
        {
            object::set_meta(&mut object, "resourceVersion", Some(version));
        }

        let path = key::path(object::meta(&object, "namespace"), object::name(&object));
        let Some(kept) = self.tables.get_mut(table) else { return Stored::new(object) };
        let known = kept.objects.get_key_value(path.as_str());
        // A new object often has the labels of the last one.
        let like =
            known.map(|(_, it)| &it.facts).or_else(|| kept.log.last().map(|it| &it.object.facts));
        let stored = Stored::at((revision, schema), object, like);
        let key = known.map_or_else(|| Key::of(&stored.value), |(key, _)| key.clone());
        let before = match kind {
            Kind::Deleted => kept.objects.remove(path.as_str()),
            Kind::Added | Kind::Modified => match kept.objects.get_mut(path.as_str()) {
                Some(slot) => Some(std::mem::replace(slot, Arc::clone(&stored))),
                None => kept.objects.insert(key.clone(), Arc::clone(&stored)),
            },
        };
        let kind = if kind == Kind::Added && before.is_some() { Kind::Modified } else { kind };
        // Few ask what it was before, and not for long.
        let before = before.map(|it| it.packed());
        let change = Change { revision, kind, key, object: stored.packed(), before };
        let matters = change.matters() || FOLLOWED.contains(&table);
        kept.log.append(change);
        kept.pack(UNPACKED);
        kept.changed.send_replace(revision);
        if matters || revision.is_multiple_of(OVERSIGHT) {
            self.changed.send_replace(revision);
        }
        stored
    }
}
