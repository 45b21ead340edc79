//! Which sessions are kept? By login, each with what is open to it; gone when unused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::MutexGuard as Turn,
    time::{Instant, timeout},
};

use super::{
    session::{Leased, Session},
    target::Identity,
};

/// A kept session whose server is gone says nothing. A new connection takes less than this.
const STALE: Duration = Duration::from_secs(2);

/// All kept sessions.
#[derive(Default)]
pub(super) struct Slots {
    slots: Mutex<HashMap<Identity, Arc<Slot>>>,
}

/// The sessions of one login.
#[derive(Default)]
pub(super) struct Slot {
    sessions: Mutex<Vec<Arc<Session>>>,
    connecting: tokio::sync::Mutex<()>,
}

impl Slots {
    pub(super) fn of(&self, identity: Identity) -> Arc<Slot> {
        Arc::clone(lock(&self.slots).entry(identity).or_default())
    }

    /// Forgets a slot that the caller holds, if nobody else does and it keeps nothing.
    pub(super) fn forget_if_empty(&self, slot: &Arc<Slot>) {
        lock(&self.slots).retain(|_, it| {
            !Arc::ptr_eq(it, slot) || Arc::strong_count(it) > 2 || !lock(&it.sessions).is_empty()
        });
    }

    /// Ends the sessions that ended by themselves or were not used for so long; how many slots
    /// are left?
    pub(super) fn sweep(&self, idle: Duration) -> usize {
        let mut slots = lock(&self.slots);
        slots.retain(|_, slot| {
            let mut sessions = lock(&slot.sessions);
            sessions.retain(|it| it.is_alive() && it.idle().is_none_or(|since| since < idle));
            !sessions.is_empty() || Arc::strong_count(slot) > 1
        });
        slots.len()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.slots).len()
    }

    /// Ends the session that was not used for the longest time, if there is one.
    pub(super) fn drop_longest_idle(&self) {
        let slots = lock(&self.slots);
        let idle = slots.values().flat_map(|slot| {
            let sessions = lock(&slot.sessions);
            sessions.iter().filter_map(|it| Some((it.idle()?, Arc::clone(it)))).collect::<Vec<_>>()
        });
        if let Some((_, longest)) = idle.max_by_key(|(since, _)| *since) {
            for slot in slots.values() {
                slot.remove(&longest);
            }
        }
    }
}

impl Slot {
    pub(super) async fn connecting(&self) -> Turn<'_, ()> {
        self.connecting.lock().await
    }

    pub(super) fn keep(&self, session: Arc<Session>) {
        lock(&self.sessions).push(session);
    }

    /// A channel on a session that is kept. A session on which none opens is kept no longer; what
    /// is open on it stays open.
    pub(super) async fn lease(&self) -> Option<Leased> {
        let session = {
            let mut sessions = lock(&self.sessions);
            sessions.retain(|it| it.is_alive());
            sessions.iter().find(|it| it.has_room()).cloned()?
        };
        match timeout(STALE, session.lease()).await {
            Ok(Ok(leased)) => Some(leased),
            // Somebody else was quicker.
            Ok(Err(russh::Error::Pending)) => None,
            _ => {
                self.remove(&session);
                None
            }
        }
    }

    fn remove(&self, session: &Arc<Session>) {
        lock(&self.sessions).retain(|it| !Arc::ptr_eq(it, session));
    }
}

/// Since when nobody uses it.
pub(super) fn since(used: &Mutex<Instant>) -> Duration {
    lock(used).elapsed()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
