//! One cluster: its store, its clock and its faults, shared by every way to reach it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    api::{Call, Effect, Options, Strictness, Target, create},
    audit::{Act, access::Accesses},
    auth::{Mode, RBAC, bootstrap, signer::Signer},
    breakage::Broken,
    clock::Clock,
    error::Error,
    fault::Faults,
    http::Caller,
    object,
    pods::logs::Logs,
    random::Random,
    store::{Key, State},
    tls::Authority,
};

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) accesses: Arc<Accesses>,
    pub(crate) logs: Logs,
    state: Mutex<State>,
    /// Founded when the first asks: most clusters have no servers.
    authority: Mutex<Option<Arc<Authority>>>,
    /// The same as in the state, for those who would not wait for its lock.
    has_rbac: AtomicBool,
    /// The tokens of servers, each with whom it lets in.
    tokens: Mutex<HashMap<String, Caller>>,
    signer: OnceLock<Option<Signer>>,
    /// Who has acted as somebody else.
    impersonators: Mutex<HashSet<String>>,
}

impl Cluster {
    pub(crate) fn new(name: String) -> Self {
        Self::bare(name).begun()
    }

    /// One that does the same again: by a clock that begins there, with uids and chances of a seed.
    pub(crate) fn replayed(name: String, at: Timestamp, seed: u64) -> Self {
        let random = Random::of_name(&name, seed);
        let cluster = Self { clock: Clock::start_at(at), ..Self::bare(name) };
        cluster.lock().random = random;
        cluster.faults.seed(seed);
        cluster.begun()
    }

    fn begun(self) -> Self {
        let cluster = self;
        for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            cluster.found(("", "namespaces"), json!({ "metadata": { "name": namespace } }));
        }
        cluster
    }

    /// A cluster without any object.
    pub(crate) fn bare(name: String) -> Self {
        let state = State::new(&name);
        Self {
            clock: Clock::start(),
            faults: Faults::default(),
            accesses: Arc::clone(&state.accesses),
            logs: Logs::default(),
            state: Mutex::new(state),
            authority: Mutex::default(),
            has_rbac: AtomicBool::new(false),
            tokens: Mutex::default(),
            signer: OnceLock::new(),
            impersonators: Mutex::default(),
            name,
        }
    }

    /// Goes on from where it was saved: with its key, at a time that is not before that.
    pub(crate) fn resume(&self, key: Option<Signer>, at: Timestamp) {
        if key.is_some() {
            let _ = self.signer.set(key);
        }
        let behind = at.duration_since(self.now());
        if behind.is_positive() {
            self.clock.jump(behind);
        }
    }

    /// Creates one of the objects that every cluster begins with, unless it is there.
    fn found(&self, (group, plural): (&str, &str), body: Value) {
        let state = &mut *self.lock();
        let Some(resource) = state.registry.find(group, plural) else { return };
        let name = object::name(&body).to_owned();
        let target = Target {
            resource,
            version: "v1".to_owned(),
            namespace: None,
            name: name.clone(),
            subresource: String::new(),
        };
        let call = Call { target, options: Options::of_manager("kube-apiserver"), now: self.now() };
        if let Err(refusal) = create::create(state, &call, body)
            && refusal.code != 409
        {
            tracing::error!(status = %refusal.status(), "cannot create {plural} {name}");
        }
    }

    /// From now on roles and bindings decide who may do what.
    pub(crate) fn enforce_rbac(&self) {
        for role in bootstrap::roles() {
            self.found((RBAC, "clusterroles"), role);
        }
        for binding in bootstrap::bindings() {
            self.found((RBAC, "clusterrolebindings"), binding);
        }
        self.lock().authorization = Mode::Rbac;
        self.has_rbac.store(true, Ordering::Release);
    }

    pub(crate) fn mode(&self) -> Mode {
        if self.has_rbac.load(Ordering::Acquire) { Mode::Rbac } else { Mode::AlwaysAllow }
    }

    /// Makes a token that lets somebody in.
    pub(crate) fn let_in(&self, caller: Caller) -> String {
        let token = {
            let random = &mut self.lock().random;
            format!("{:016x}{:016x}", random.next(), random.next())
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token.clone(), caller);
        token
    }

    /// Whom a server's token lets in.
    pub(crate) fn caller(&self, token: &str) -> Option<Caller> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// What signs service account tokens; nothing when the system has no randomness.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        self.signer.get_or_init(Signer::new).as_ref()
    }

    /// The same, if anybody has needed it yet.
    pub(crate) fn known_signer(&self) -> Option<&Signer> {
        self.signer.get()?.as_ref()
    }

    pub(crate) fn remember_impersonator(&self, name: &str) {
        let mut known = self.impersonators.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(name) {
            known.insert(name.to_owned());
        }
    }

    pub(crate) fn is_impersonator(&self, name: &str) -> bool {
        self.impersonators.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock, and wakes who waits for a time of it.
    pub(crate) fn jump_clock(&self, by: SignedDuration) {
        self.clock.jump(by);
        let state = self.lock();
        state.changed.send_replace(state.revision);
        state.tables.values().for_each(|it| it.changed.send_replace(it.changed.value()));
    }

    /// Adds to the log of a container of the Pod that has the name now; nobody could read that of none.
    pub(crate) fn append_log(&self, pod: &Key, container: &str, text: &str) {
        let uid = self
            .lock()
            .find("pods", pod)
            .map(|it| it.value.peek(|pod| object::uid(pod).to_owned()));
        if let Some(uid) = uid {
            self.logs.append((pod, &uid), container, (self.now(), text));
        }
        self.tidy_logs();
    }

    /// Removes the logs of Pods that are gone, now and then.
    pub(crate) fn tidy_logs(&self) {
        if !self.logs.are_many() {
            return;
        }
        let state = self.lock();
        self.logs.keep(|pod, uid| {
            state.find("pods", pod).is_some_and(|it| it.value.peek(|pod| object::uid(pod) == uid))
        });
    }

    /// The store. A panic under the lock is a bug of a test that has failed already: the rest of
    /// the process may still look.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who vouches for this cluster's servers; the same for all of them, until it is replaced.
    pub(crate) fn authority(&self) -> Result<Arc<Authority>, Error> {
        let mut known = self.authority.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let founded = Arc::new(Authority::found(&self.name)?);
        Ok(Arc::clone(known.insert(founded)))
    }

    /// Forgets who vouched: the next who asks founds another.
    pub(crate) fn forget_authority(&self) {
        *self.authority.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn record(&self, act: &Act<'_>) {
        self.lock().audit.record(act);
    }
}

impl Options {
    pub(crate) fn of_manager(manager: &str) -> Self {
        Self {
            effect: Effect::Real,
            manager: manager.to_owned(),
            force: false,
            strictness: Strictness::Warn,
            repeated: Vec::new(),
            user: None,
            broken: Broken::default(),
        }
    }
}
