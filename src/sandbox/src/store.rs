//! Where objects are kept: one lock, one growing revision, one table and one event log a resource.
//!
//! A write changes the table and appends to the log under the same lock, so a list and a watch
//! from its version can neither miss nor repeat a change.

pub(crate) mod log;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    audit::Audit,
    object,
    random::Random,
    registry::{Registry, Resource},
    store::log::{Change, Kind, Log},
};

/// An object as it was at one revision. Never changed: a write makes another.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    json: OnceLock<Bytes>,
}

impl Stored {
    pub(crate) fn new(value: Value) -> Arc<Self> {
        Arc::new(Self { value, json: OnceLock::new() })
    }

    /// The object as JSON; written once, whoever and how many ask.
    pub(crate) fn json(&self) -> Bytes {
        self.json.get_or_init(|| Bytes::from(self.value.to_string())).clone()
    }
}

/// Which object of a table; cluster-scoped ones have no namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn of(object: &Value) -> Self {
        Self::new(object::meta(object, "namespace"), object::name(object))
    }
}

/// The objects of one resource and what happened to them.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) objects: BTreeMap<Key, Arc<Stored>>,
    pub(crate) log: Log,
    /// Wakes watchers.
    pub(crate) changed: watch::Sender<u64>,
}

impl Table {
    fn new(revision: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            log: Log::starting_at(revision),
            changed: watch::Sender::new(revision),
        }
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
            .take_while(move |(key, _)| namespace.is_none_or(|it| it == key.namespace))
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
    /// The revision, for those who follow the whole cluster.
    pub(crate) changed: watch::Sender<u64>,
    /// What containers wrote, by Pod and container.
    logs: BTreeMap<(Key, String), String>,
}

impl State {
    pub(crate) fn new(name: &str) -> Self {
        let mut state = Self {
            revision: 1,
            registry: Registry::built_in(),
            random: Random::for_cluster(name),
            audit: Audit::default(),
            tables: BTreeMap::new(),
            changed: watch::Sender::new(1),
            logs: BTreeMap::new(),
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

    pub(crate) fn namespace(&self, name: &str) -> Option<Arc<Stored>> {
        self.find("namespaces", &Key::new("", name))
    }

    /// What a container of a Pod wrote; of its only or first one when none is named.
    pub(crate) fn log(&self, pod: &Key, container: &str) -> String {
        let mut logs = self.logs.iter().filter(|((key, _), _)| key == pod);
        let log = logs.find(|((_, name), _)| container.is_empty() || name == container);
        log.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    pub(crate) fn append_log(&mut self, pod: Key, container: &str, text: &str) {
        self.logs.entry((pod, container.to_owned())).or_default().push_str(text);
    }

    /// Writes an object under the next revision.
    pub(crate) fn put(&mut self, table: &str, object: Value) -> Arc<Stored> {
        self.record(table, object, Kind::Added)
    }

    /// Takes an object away; its last state carries the revision of its end.
    pub(crate) fn remove(&mut self, table: &str, object: Value) -> Arc<Stored> {
        self.record(table, object, Kind::Deleted)
    }

    fn record(&mut self, table: &str, mut object: Value, kind: Kind) -> Arc<Stored> {
        self.open(table);
        self.revision += 1;
        let revision = self.revision;
        let version = Value::String(revision.to_string());
        object::set_meta(&mut object, "resourceVersion", Some(version));

        let key = Key::of(&object);
        let stored = Stored::new(object);
        if let Some(table) = self.tables.get_mut(table) {
            let before = match kind {
                Kind::Deleted => table.objects.remove(&key),
                Kind::Added | Kind::Modified => {
                    table.objects.insert(key.clone(), Arc::clone(&stored))
                }
            };
            let kind = if kind == Kind::Added && before.is_some() { Kind::Modified } else { kind };
            let object = Arc::clone(&stored);
            table.log.append(Change { revision, kind, key, object, before });
            table.changed.send_replace(revision);
        }
        self.changed.send_replace(revision);
        stored
    }
}
