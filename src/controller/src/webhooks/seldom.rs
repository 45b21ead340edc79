//! What is said only now and then? What strangers can cause as often as they like: once in a while for each
//! thing, with how often it happened.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The same is said again after this.
const EVERY: Duration = Duration::from_secs(5);
/// Things that are remembered to have been said.
const MOST: usize = 4096;

/// Counts what happens, and lets it be said now and then.
#[derive(Debug)]
pub(super) struct Seldom<K> {
    /// When each was said, and how often it happened since.
    said: Mutex<HashMap<K, (Instant, u64)>>,
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self { said: Mutex::default() }
    }
}

impl<K: Hash + Eq> Seldom<K> {
    /// It happened. How often since it was said last, if it is to be said now.
    pub(super) fn happened(&self, what: K) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, times)) = said.get_mut(&what) {
            *times += 1;
            if at.elapsed() < EVERY {
                return None;
            }
            *at = Instant::now();
            return Some(std::mem::take(times));
        }
        if said.len() >= MOST {
            said.retain(|_, (at, _)| at.elapsed() < EVERY);
        }
        if said.len() >= MOST {
            return None;
        }
        said.insert(what, (Instant::now(), 0));
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_once_in_a_while_with_how_often_it_happened() {
        let seldom = Seldom::default();

        let at_once: Vec<_> = (0..1000).filter_map(|_| seldom.happened("wrong")).collect();
        let another = seldom.happened("missing");
        tokio::time::advance(EVERY).await;
        let later = seldom.happened("wrong");

        assert_eq!((at_once, another, later), (vec![1], Some(1), Some(1000)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let seldom = Seldom::default();

        let said = (0..3 * MOST).filter(|it| seldom.happened(*it).is_some()).count();
        tokio::time::advance(EVERY).await;

        assert_eq!(said, MOST);
        assert_eq!(seldom.happened(3 * MOST), Some(1), "the old ones are forgotten");
    }
}
