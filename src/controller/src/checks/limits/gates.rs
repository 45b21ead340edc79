//! How many may pass at once, for each of many names? Names without number take bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// With more names than this, those that nobody uses are forgotten.
const SWEPT_AT: usize = 1024;

/// A gate for each name.
#[derive(Debug)]
pub(super) struct Gates<K> {
    width: usize,
    gates: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Gates<K> {
    pub(super) fn of(width: usize) -> Self {
        Self { width, gates: Mutex::default() }
    }

    /// Waits until one more may pass.
    pub(super) async fn enter(&self, name: K) -> Option<OwnedSemaphorePermit> {
        let gate = {
            let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
            if gates.len() >= SWEPT_AT {
                // Whoever is inside or waits holds it too.
                gates.retain(|_, it| Arc::strong_count(it) > 1);
            }
            let gate = gates.entry(name).or_insert_with(|| Arc::new(Semaphore::new(self.width)));
            Arc::clone(gate)
        };
        gate.acquire_owned().await.ok()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
