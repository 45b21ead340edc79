//! How many may pass at once, for each of many names? Names without number take bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use ger_core::names::ClusterName;

use super::Weights;
use super::fair::{Fair, Pass};

/// With more names than this, those that nobody uses are forgotten.
const SWEPT_AT: usize = 1024;

/// A gate for each name.
#[derive(Debug)]
pub(super) struct Gates<K> {
    width: usize,
    weights: Weights,
    by_name: Mutex<HashMap<K, Arc<Fair>>>,
}

impl<K: Eq + Hash> Gates<K> {
    pub(super) fn of(width: usize, weights: &Weights) -> Self {
        Self { width, weights: weights.clone(), by_name: Mutex::default() }
    }

    /// Waits until one more may pass, and it is the cluster's turn.
    pub(super) async fn enter(&self, name: K, cluster: &ClusterName) -> Pass {
        let gate = {
            let mut gates = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            if gates.len() >= SWEPT_AT {
                // Whoever is inside or waits holds it too.
                gates.retain(|_, it| Arc::strong_count(it) > 1);
            }
            let gate =
                gates.entry(name).or_insert_with(|| Fair::new(self.width, self.weights.clone()));
            Arc::clone(gate)
        };
        gate.enter(cluster).await
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
