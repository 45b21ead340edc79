//! Who wrote what: the record tests ask when they count what really happened.

pub(crate) mod access;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use jiff::Timestamp;

use crate::api::Target;

/// Older entries fall out: enough for any story, small enough for a long `dev`.
const REMEMBERED: usize = 100_000;

/// Ends a uid, in which it is not.
const END: &str = "\0";

/// One write as the API answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, by the cluster's clock.
    pub at: Timestamp,
    /// Who asked: a name given with the router, a token's name, or a user agent.
    pub client: String,
    /// As whom: the user that the API took the client for, or whom it impersonated.
    pub user: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The plural, such as `jobs`.
    pub resource: String,
    /// `status` and the like; empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Empty when the object got no name.
    pub name: String,
    /// Empty when nothing was found or made.
    pub uid: String,
    /// The HTTP code of the answer.
    pub code: u16,
}

/// The same before it is on record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act<'a> {
    pub(crate) at: Timestamp,
    pub(crate) client: &'a str,
    pub(crate) user: &'a str,
    pub(crate) verb: &'a str,
    pub(crate) target: &'a Target,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) code: u16,
}

/// The same on record. What is the same in many entries is kept once.
#[derive(Debug)]
pub(crate) struct Entry {
    at: Timestamp,
    kind: Arc<Kind>,
    /// Its uid and its name: one text takes less memory than two.
    object: Arc<str>,
    code: u16,
}

/// What many writes have in common.
#[derive(Debug)]
struct Kind {
    client: String,
    user: String,
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    namespace: String,
}

impl Kind {
    fn of(act: &Act<'_>) -> Self {
        let [client, user, verb, group, resource, subresource, namespace] =
            parts(act).map(str::to_owned);
        Self { client, user, verb, group, resource, subresource, namespace }
    }

    fn is_of(&self, act: &Act<'_>) -> bool {
        let Self { client, user, verb, group, resource, subresource, namespace } = self;
        [client, user, verb, group, resource, subresource, namespace].map(String::as_str)
            == parts(act)
    }
}

fn parts<'a>(act: &Act<'a>) -> [&'a str; 7] {
    let target = act.target;
    [
        act.client,
        act.user,
        act.verb,
        &target.resource.group,
        &target.resource.plural,
        &target.subresource,
        target.namespace.as_deref().unwrap_or_default(),
    ]
}

impl Entry {
    /// Whether by it an object of the resource came to be.
    pub(crate) fn creates(&self, resource: &str) -> bool {
        self.code == 201
            && self.kind.resource == resource
            && self.kind.subresource.is_empty()
            && !self.object().0.is_empty()
    }

    /// The uid and the name.
    fn object(&self) -> (&str, &str) {
        self.object.split_once(END).unwrap_or_default()
    }

    pub(crate) fn told(&self) -> AuditEntry {
        let (uid, name) = self.object();
        let Kind { client, user, verb, group, resource, subresource, namespace } = &*self.kind;
        AuditEntry {
            at: self.at,
            client: client.clone(),
            user: user.clone(),
            verb: verb.clone(),
            group: group.clone(),
            resource: resource.clone(),
            subresource: subresource.clone(),
            namespace: namespace.clone(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            code: self.code,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Audit {
    entries: VecDeque<Entry>,
    /// By the hash of their parts.
    kinds: HashMap<u64, Arc<Kind>>,
    hasher: RandomState,
}

impl Audit {
    pub(crate) fn record(&mut self, act: &Act<'_>) {
        if self.entries.len() >= REMEMBERED {
            self.entries.pop_front();
        }
        let kind = self.kind(act);
        // Often it is the same object again.
        let last = self.entries.back().filter(|it| it.object() == (act.uid, act.name));
        let object = last
            .map_or_else(|| [act.uid, END, act.name].concat().into(), |it| Arc::clone(&it.object));
        self.entries.push_back(Entry { at: act.at, kind, object, code: act.code });
    }

    fn kind(&mut self, act: &Act<'_>) -> Arc<Kind> {
        // Writes of a kind follow each other.
        if let Some(last) = self.entries.back().filter(|it| it.kind.is_of(act)) {
            return Arc::clone(&last.kind);
        }
        let hash = self.hasher.hash_one(parts(act));
        if let Some(known) = self.kinds.get(&hash).filter(|it| it.is_of(act)) {
            return Arc::clone(known);
        }
        let kind = Arc::new(Kind::of(act));
        self.kinds.insert(hash, Arc::clone(&kind));
        kind
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
