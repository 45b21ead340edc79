//! Who wrote what: the record tests ask when they count what really happened.

pub(crate) mod access;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;

use crate::api::Target;

/// Older entries fall out: enough for any story, small enough for a long `dev`.
const REMEMBERED: usize = 100_000;

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

/// The same on record. Of what is the same in many entries there is one.
#[derive(Debug)]
pub(crate) struct Entry {
    at: Timestamp,
    client: Arc<str>,
    user: Arc<str>,
    verb: Arc<str>,
    group: Arc<str>,
    resource: Arc<str>,
    subresource: Arc<str>,
    namespace: Arc<str>,
    name: Box<str>,
    uid: Box<str>,
    code: u16,
}

impl Entry {
    /// Whether by it an object of the resource came to be.
    pub(crate) fn creates(&self, resource: &str) -> bool {
        self.code == 201
            && *self.resource == *resource
            && self.subresource.is_empty()
            && !self.uid.is_empty()
    }

    pub(crate) fn told(&self) -> AuditEntry {
        AuditEntry {
            at: self.at,
            client: self.client.to_string(),
            user: self.user.to_string(),
            verb: self.verb.to_string(),
            group: self.group.to_string(),
            resource: self.resource.to_string(),
            subresource: self.subresource.to_string(),
            namespace: self.namespace.to_string(),
            name: self.name.to_string(),
            uid: self.uid.to_string(),
            code: self.code,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Audit {
    entries: VecDeque<Entry>,
    names: HashSet<Arc<str>>,
}

impl Audit {
    pub(crate) fn record(&mut self, act: &Act<'_>) {
        if self.entries.len() >= REMEMBERED {
            self.entries.pop_front();
        }
        let resource = &act.target.resource;
        let entry = Entry {
            at: act.at,
            client: self.shared(act.client),
            user: self.shared(act.user),
            verb: self.shared(act.verb),
            group: self.shared(&resource.group),
            resource: self.shared(&resource.plural),
            subresource: self.shared(&act.target.subresource),
            namespace: self.shared(act.target.namespace.as_deref().unwrap_or_default()),
            name: act.name.into(),
            uid: act.uid.into(),
            code: act.code,
        };
        self.entries.push_back(entry);
    }

    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
