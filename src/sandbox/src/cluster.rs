//! One cluster: its store, its clock and its faults, shared by every way to reach it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    api::{Call, Effect, Options, Strictness, Target, create},
    audit::AuditEntry,
    clock::Clock,
    error::Error,
    fault::Faults,
    store::State,
    tls::Authority,
};

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    state: Mutex<State>,
    /// Founded when the first asks: most clusters have no servers.
    authority: OnceLock<Authority>,
}

impl Cluster {
    pub(crate) fn new(name: String) -> Self {
        let cluster = Self {
            clock: Clock::start(),
            faults: Faults::default(),
            state: Mutex::new(State::new(&name)),
            authority: OnceLock::new(),
            name,
        };
        for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            cluster.found(namespace);
        }
        cluster
    }

    /// Creates one of the namespaces that every cluster begins with.
    fn found(&self, name: &str) {
        let state = &mut *self.lock();
        let Some(resource) = state.registry.find("", "namespaces") else { return };
        let target = Target {
            resource,
            version: "v1".to_owned(),
            namespace: None,
            name: name.to_owned(),
            subresource: String::new(),
        };
        let call = Call { target, options: Options::of_manager("kube-apiserver"), now: self.now() };
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        if let Err(refusal) = create::create(state, &call, body) {
            tracing::error!(status = %refusal.status(), "cannot create the namespace {name}");
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store. A panic under the lock is a bug of a test that has failed already: the rest of
    /// the process may still look.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who vouches for this cluster's servers; the same for all of them.
    pub(crate) fn authority(&self) -> Result<&Authority, Error> {
        if let Some(known) = self.authority.get() {
            return Ok(known);
        }
        let authority = Authority::found(&self.name)?;
        Ok(self.authority.get_or_init(|| authority))
    }

    pub(crate) fn record(&self, entry: AuditEntry) {
        self.lock().audit.record(entry);
    }
}

impl Options {
    pub(crate) fn of_manager(manager: &str) -> Self {
        Self {
            effect: Effect::Real,
            manager: manager.to_owned(),
            force: false,
            strictness: Strictness::Warn,
        }
    }
}
