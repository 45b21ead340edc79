//! What goes wrong on demand: between a client and the API, never inside the store.

mod latency;
mod mishap;
mod requests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) use self::mishap::{Fate, Turn};
pub use self::{
    latency::Latency,
    mishap::{Failure, Mishap},
    requests::Requests,
};
use crate::{
    auth::Attributes,
    random::Random,
    refusal::Refusal,
    signal::{Bell, Ear},
};

/// Something that goes wrong for one client, or for all of them, until it is cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whom it happens to; `None` means every client.
    pub client: Option<String>,
    /// What happens.
    pub kind: FaultKind,
}

impl Fault {
    /// For one client: a name given with the router, a token's name, or a user agent.
    pub fn of(client: &str, kind: FaultKind) -> Self {
        Self { client: Some(client.to_owned()), kind }
    }

    /// For every client.
    pub fn of_all(kind: FaultKind) -> Self {
        Self { client: None, kind }
    }
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
    /// Open watches say 410 and end, once, as those do that fell behind a compaction.
    ExpireWatches,
    /// Watches go silent until this is cleared, and say then what they held back; other requests
    /// are answered.
    StallWatches,
    /// Nobody gets a connection: requests break with nothing done, while open watches go on. For
    /// every client, a server on TCP closes each new connection at once.
    RefuseConnections,
    /// Some requests meet something: [`Requests::meet`] makes this.
    Sometimes {
        /// Which.
        on: Requests,
        /// What.
        what: Mishap,
    },
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

impl FaultKind {
    /// What it does to open watches at the one moment of it.
    fn ends_watches(&self) -> Option<End> {
        match self {
            Self::DropWatches => Some(End::Dropped),
            Self::ExpireWatches => Some(End::Expired),
            _ => None,
        }
    }
}

/// How a watch ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Dropped,
    Expired,
}

#[derive(Debug)]
struct Active {
    faults: Vec<Fault>,
    /// How watches were ended, and whose.
    ends: Vec<(Option<String>, End)>,
    random: Random,
}

impl Active {
    fn of<'a>(&'a self, client: &'a str) -> impl Iterator<Item = &'a FaultKind> {
        self.faults.iter().filter(|it| hits(it.client.as_deref(), client)).map(|it| &it.kind)
    }

    fn fate(&mut self, client: &str, asked: &Attributes<'_>) -> Fate {
        let mut fate = Fate::default();
        let Self { faults, random, .. } = self;
        for fault in faults.iter_mut().filter(|it| hits(it.client.as_deref(), client)) {
            let FaultKind::Sometimes { on, what } = &mut fault.kind else { continue };
            if fate.has_room(what) && on.strike(asked, random) {
                fate.add(what, random);
            }
        }
        fate
    }
}

/// The faults of a cluster.
#[derive(Debug)]
pub(crate) struct Faults {
    active: Arc<Mutex<Active>>,
    moved: Bell,
}

impl Default for Faults {
    fn default() -> Self {
        let random = Random::seeded(0);
        let active = Active { faults: Vec::new(), ends: Vec::new(), random };
        Self { active: Arc::new(Mutex::new(active)), moved: Bell::new(0) }
    }
}

impl Faults {
    pub(crate) fn set(&self, fault: Fault) {
        self.change(|it| match fault.kind.ends_watches() {
            Some(end) => it.ends.push((fault.client, end)),
            None => it.faults.push(fault),
        });
    }

    pub(crate) fn clear(&self) {
        self.change(|it| it.faults.clear());
    }

    pub(crate) fn seed(&self, seed: u64) {
        self.lock().random = Random::seeded(seed);
    }

    /// Whether all is well, as it is nearly always.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lock().faults.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Active> {
        locked(&self.active)
    }

    /// Changes what is active, and wakes whoever waits for that.
    fn change(&self, change: impl FnOnce(&mut Active)) {
        change(&mut self.lock());
        self.moved.send_replace(0);
    }

    fn any<T>(&self, client: &str, pick: impl Fn(&FaultKind) -> Option<T>) -> Option<T> {
        self.lock().of(client).find_map(pick)
    }

    /// Waits while something is the matter with a client.
    async fn wait_out(&self, client: &str, is_matter: impl Fn(&FaultKind) -> bool) {
        if self.is_quiet() {
            return;
        }
        let mut moved = self.moved.subscribe();
        // The bell lives as long as the cluster, so this ends only when it is over.
        while self.lock().of(client).any(&is_matter) && moved.changed().await.is_ok() {}
    }

    /// Waits as long as the client is cut off.
    pub(crate) async fn reach(&self, client: &str) {
        self.wait_out(client, |it| *it == FaultKind::Partition).await;
    }

    /// Waits as long as watches of the client are silent.
    pub(crate) async fn flow(&self, client: &str) {
        let silent = |it: &FaultKind| matches!(it, FaultKind::Partition | FaultKind::StallWatches);
        self.wait_out(client, silent).await;
    }

    /// Casts the lot for a request, in the order in which the faults were set.
    pub(crate) fn fate(&self, client: &str, asked: &Attributes<'_>) -> Fate {
        self.lock().fate(client, asked)
    }

    /// What a request meets before the API sees it; what it meets afterwards, if it gets there.
    pub(crate) async fn enter(&self, client: &str, fate: Fate) -> Result<Option<Turn>, Turn> {
        self.reach(client).await;
        let latency = self.any(client, |it| match it {
            FaultKind::Latency(latency) => Some(*latency),
            _ => None,
        });
        let latency = latency.unwrap_or_default() + fate.delay;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let turn = self.any(client, |it| match it {
            FaultKind::Unavailable(code) => Some(Turn::Refused(Refusal::of_code(*code))),
            FaultKind::RefuseConnections => Some(Turn::Broken),
            _ => None,
        });
        turn.or(fate.before).map_or(Ok(fate.after), Err)
    }

    /// Whether nobody at all gets a connection.
    pub(crate) fn refuses_all(&self) -> bool {
        let active = self.lock();
        let mut faults = active.faults.iter();
        faults.any(|it| it.client.is_none() && it.kind == FaultKind::RefuseConnections)
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
        let mut active = self.lock();
        let mut mine = active.faults.iter_mut().filter(|it| hits(it.client.as_deref(), client));
        let times = mine.find_map(|it| pick(&mut it.kind).filter(|times| **times > 0));
        times.map(|it| *it -= 1).is_some()
    }

    /// Follows what happens to the watches of a client.
    pub(crate) fn follow(&self, client: &str) -> Follower {
        let (active, moved) = (Arc::clone(&self.active), self.moved.subscribe());
        let seen = self.lock().ends.len();
        Follower { active, moved, seen, client: client.to_owned() }
    }
}

fn locked(active: &Mutex<Active>) -> MutexGuard<'_, Active> {
    active.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells one watch what happens to it.
#[derive(Debug)]
pub(crate) struct Follower {
    active: Arc<Mutex<Active>>,
    moved: Ear,
    seen: usize,
    client: String,
}

impl Follower {
    /// How the watch was ended since this was last asked.
    pub(crate) fn end(&mut self) -> Option<End> {
        let active = locked(&self.active);
        let seen = std::mem::replace(&mut self.seen, active.ends.len());
        let mut ends = active.ends.iter().skip(seen);
        ends.find(|(whom, _)| hits(whom.as_deref(), &self.client)).map(|(_, end)| *end)
    }

    /// Waits for any change of the faults.
    pub(crate) async fn changed(&mut self) {
        if self.moved.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn hits(whom: Option<&str>, client: &str) -> bool {
    whom.is_none_or(|it| it == client)
}
