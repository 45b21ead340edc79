//! How much may go out at once, and whom do we leave alone for a while?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ger_core::names::ClusterName;
use ger_git::Auth;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// No cluster holds more than a quarter of the slots, however many triggers it has.
const SHARES: usize = 4;
/// Hosts are named by tenants; what is forgotten costs one more request.
const MOST_PAUSED: usize = 4096;
/// Nobody is left alone for longer, whatever a `Retry-After` says.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// Whom a server knows us as: its limits count by credential.
type Caller = (String, Auth);

/// Slots for checks, shared by all clusters, and pauses that servers asked for.
#[derive(Debug)]
pub(crate) struct Limits {
    share: usize,
    clusters: Mutex<HashMap<ClusterName, Arc<Semaphore>>>,
    slots: Arc<Semaphore>,
    paused: Mutex<HashMap<Caller, Instant>>,
}

/// The right to have one request more in flight.
#[derive(Debug)]
pub(crate) struct Permit {
    // The semaphores are never closed, so this is always some.
    _held: Option<OwnedSemaphorePermit>,
}

impl Limits {
    /// `share` checks of one cluster at once, four times as many of all together.
    pub(crate) fn new(share: u8) -> Self {
        let share = usize::from(share.max(1));
        Self {
            share,
            clusters: Mutex::default(),
            slots: Arc::new(Semaphore::new(share * SHARES)),
            paused: Mutex::default(),
        }
    }

    /// Waits for a place within the cluster's share.
    pub(crate) async fn enter_share(&self, cluster: &ClusterName) -> Permit {
        let share = {
            let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
            let share = clusters.entry(cluster.clone());
            Arc::clone(share.or_insert_with(|| Arc::new(Semaphore::new(self.share))))
        };
        Permit { _held: share.acquire_owned().await.ok() }
    }

    /// Waits for a slot among all.
    pub(crate) async fn enter(&self) -> Permit {
        Permit { _held: Arc::clone(&self.slots).acquire_owned().await.ok() }
    }

    /// Remembers that `host` wants to be left alone by whoever holds `auth`.
    pub(crate) fn pause(&self, host: &str, auth: &Auth, wait: Duration, now: Instant) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.len() >= MOST_PAUSED {
            paused.retain(|_, until| *until > now);
        }
        if paused.len() < MOST_PAUSED {
            paused.insert((host.to_owned(), auth.clone()), now + wait.min(LONGEST_PAUSE));
        }
    }

    /// How long `host` is still to be left alone by whoever holds `auth`.
    pub(crate) fn paused(&self, host: &str, auth: &Auth, now: Instant) -> Option<Duration> {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = (host.to_owned(), auth.clone());
        let left = paused.get(&caller)?.checked_duration_since(now).filter(|it| !it.is_zero());
        if left.is_none() {
            paused.remove(&caller);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_cluster_never_holds_more_than_its_share() {
        let limits = Limits::new(16);
        let edge = ClusterName::parse_spoke("edge-1").unwrap();
        let mut held = Vec::new();
        for _ in 0..16 {
            held.push(limits.enter_share(&edge).await);
        }

        let more = futures::FutureExt::now_or_never(limits.enter_share(&edge));
        let hub = futures::FutureExt::now_or_never(limits.enter_share(&ClusterName::hub()));

        assert!(more.is_none(), "the share is used up");
        assert!(hub.is_some(), "the others have slots");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_for_the_one_who_was_told_and_ends() {
        let limits = Limits::new(16);
        let other = Auth::Token("another".into());
        let now = Instant::now();
        limits.pause("git.example.com", &Auth::None, Duration::from_secs(30), now);

        assert_eq!(
            limits.paused("git.example.com", &Auth::None, now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(limits.paused("git.example.com", &other, now), None);
        let later = now + Duration::from_secs(30);
        assert_eq!(limits.paused("git.example.com", &Auth::None, later), None);
    }
}
