//! What goes wrong on demand: between a client and the API, never inside the store.

use std::time::Duration;

use tokio::sync::watch;

use crate::refusal::{Refusal, Result};

/// Something that goes wrong for one client, or for all of them, until it is cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whom it happens to; `None` means every client.
    pub client: Option<String>,
    /// What happens.
    pub kind: FaultKind,
}

/// The ways in which an API fails its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Requests hang until this is cleared, and open watches go silent.
    Partition,
    /// Every answer is a `Status` with this code; nothing takes effect.
    Unavailable(u16),
    /// Every request takes this much longer.
    Latency(Duration),
    /// Open watches end, once; new ones work.
    DropWatches,
    /// A write takes effect, but the connection breaks before its answer.
    LoseResponse {
        /// `create`, `update`, `patch`, `delete` or `deletecollection`.
        verb: String,
        /// The plural, such as `jobs`.
        resource: String,
        /// How often.
        times: u32,
    },
    /// Updates and patches are refused as if somebody else had been faster.
    Conflict {
        /// The plural, such as `jobs`.
        resource: String,
        /// How often.
        times: u32,
    },
}

#[derive(Debug, Default)]
struct Active {
    faults: Vec<Fault>,
    /// How many drops of watches there have been, and whose.
    drops: Vec<Option<String>>,
}

/// The faults of a cluster.
#[derive(Debug)]
pub(crate) struct Faults {
    active: watch::Sender<Active>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { active: watch::Sender::new(Active::default()) }
    }
}

impl Faults {
    pub(crate) fn set(&self, fault: Fault) {
        self.active.send_modify(|it| match fault.kind {
            FaultKind::DropWatches => it.drops.push(fault.client),
            _ => it.faults.push(fault),
        });
    }

    pub(crate) fn clear(&self) {
        self.active.send_modify(|it| it.faults.clear());
    }

    fn any<T>(&self, client: &str, pick: impl Fn(&FaultKind) -> Option<T>) -> Option<T> {
        let active = self.active.borrow();
        let mut mine = active.faults.iter().filter(|it| hits(it.client.as_deref(), client));
        mine.find_map(|it| pick(&it.kind))
    }

    /// Waits as long as the client is cut off.
    pub(crate) async fn reach(&self, client: &str) {
        let mut changes = self.active.subscribe();
        let cut_off = |active: &Active| {
            active
                .faults
                .iter()
                .any(|it| it.kind == FaultKind::Partition && hits(it.client.as_deref(), client))
        };
        // The sender lives as long as the cluster, so this ends only when the client is back.
        let _ = changes.wait_for(|it| !cut_off(it)).await;
    }

    /// What a request meets before the API sees it.
    pub(crate) async fn enter(&self, client: &str) -> Result<()> {
        self.reach(client).await;
        let latency = self.any(client, |it| match it {
            FaultKind::Latency(latency) => Some(*latency),
            _ => None,
        });
        if let Some(latency) = latency {
            tokio::time::sleep(latency).await;
        }
        let code = self.any(client, |it| match it {
            FaultKind::Unavailable(code) => Some(*code),
            _ => None,
        });
        code.map_or(Ok(()), |it| Err(Refusal::of_code(it)))
    }

    /// Whether this update is to be refused; counts it.
    pub(crate) fn conflicts(&self, client: &str, resource: &str) -> bool {
        self.spend(client, |it| match it {
            FaultKind::Conflict { resource: of, times } if of == resource => Some(times),
            _ => None,
        })
    }

    /// Whether the answer to this write is to be lost; counts it.
    pub(crate) fn loses(&self, client: &str, verb: &str, resource: &str) -> bool {
        self.spend(client, |it| match it {
            FaultKind::LoseResponse { verb: when, resource: of, times }
                if when == verb && of == resource =>
            {
                Some(times)
            }
            _ => None,
        })
    }

    fn spend(&self, client: &str, pick: impl Fn(&mut FaultKind) -> Option<&mut u32>) -> bool {
        self.active.send_if_modified(|active| {
            let mut mine = active.faults.iter_mut().filter(|it| hits(it.client.as_deref(), client));
            let times = mine.find_map(|it| pick(&mut it.kind).filter(|times| **times > 0));
            times.map(|it| *it -= 1).is_some()
        })
    }

    /// Follows what happens to the watches of a client.
    pub(crate) fn follow(&self, client: &str) -> Follower {
        let changes = self.active.subscribe();
        let seen = changes.borrow().drops.len();
        Follower { changes, seen, client: client.to_owned() }
    }
}

/// Tells one watch what happens to it.
#[derive(Debug)]
pub(crate) struct Follower {
    changes: watch::Receiver<Active>,
    seen: usize,
    client: String,
}

impl Follower {
    /// Whether the watch has been dropped since it began.
    pub(crate) fn is_dropped(&self) -> bool {
        let active = self.changes.borrow();
        active.drops.iter().skip(self.seen).any(|it| hits(it.as_deref(), &self.client))
    }

    /// Waits for any change of the faults.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn hits(whom: Option<&str>, client: &str) -> bool {
    whom.is_none_or(|it| it == client)
}
