//! What does each user ask for at all? Kinds of requests, reads too, each kept once.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
};

use crate::{auth::Attributes, refusal::Result};

/// Far more than programs ask for: whoever makes up names does not fill the memory.
const MOST: usize = 10_000;

/// A kind of request that somebody has made at least once, in the words of roles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// As whom: the user that the API took the client for, or whom it impersonated.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The plural, such as `jobs`.
    pub resource: String,
    /// `status` and the like; empty for the object itself.
    pub subresource: String,
    /// Where it was asked for.
    pub scope: Scope,
    /// What authorization said.
    pub verdict: Verdict,
}

/// Where something is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Of the cluster, or in all namespaces at once.
    Cluster,
    /// In one namespace.
    Namespace,
}

/// Whether somebody may do what he asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Or nobody asked: roles decide only after [`Sandbox::enforce_rbac`](crate::Sandbox::enforce_rbac).
    Allowed,
    /// The answer was 403.
    Refused,
}

impl Verdict {
    pub(crate) fn of<T>(admitted: &Result<T>) -> Self {
        if admitted.is_ok() { Self::Allowed } else { Self::Refused }
    }
}

/// All kinds of requests that a cluster has seen, by their hash: two of one hash are one, which with 64 bits
/// and a key of its own happens to nobody.
#[derive(Debug, Default)]
pub(crate) struct Accesses {
    known: Mutex<HashMap<u64, Access>>,
    hasher: RandomState,
}

impl Accesses {
    /// Notes what is asked about a resource; of other paths nothing is noted.
    pub(crate) fn note(&self, user: &str, asked: &Attributes<'_>, verdict: Verdict) {
        if !asked.is_resource() {
            return;
        }
        let Attributes { verb, group, resource, subresource, namespace, .. } = *asked;
        let scope = if namespace.is_empty() { Scope::Cluster } else { Scope::Namespace };
        let all = (user, verb, group, resource, subresource, scope, verdict);
        let hash = self.hasher.hash_one(all);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains_key(&hash) || known.len() >= MOST {
            return;
        }
        let access = Access {
            user: user.to_owned(),
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            scope,
            verdict,
        };
        known.insert(hash, access);
    }

    pub(crate) fn all(&self) -> Vec<Access> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Access> = known.values().cloned().collect();
        all.sort();
        all
    }
}
