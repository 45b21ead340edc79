//! Which faults of the clusters are active? Each begins and ends by itself, where a sandbox can only end all
//! of its faults at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube_sandbox::{Failure, Fault, FaultKind, Latency, Mishap, Requests, Sandbox};

use super::calm::Place;
use super::door::{Common, client_name};
use super::script::{Ending, Trouble};

/// Every request takes a little, so that others come between.
const USUAL: Latency =
    Latency::Uniform { from: Duration::from_millis(1), to: Duration::from_millis(12) };
/// No single request hangs for longer than this by chance.
const LONGEST: Duration = Duration::from_secs(20);

/// The faults of all clusters.
#[derive(Debug)]
pub(super) struct Weather {
    sandboxes: Vec<Sandbox>,
    replicas: usize,
    active: Mutex<BTreeMap<usize, Active>>,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    cluster: usize,
    slot: Option<usize>,
    trouble: Trouble,
}

/// Whom a fault of a cluster touches.
pub(super) fn place(cluster: usize) -> Place {
    if cluster == 0 { Place::Fleet } else { Place::Cluster(cluster) }
}

impl Weather {
    pub(super) fn new(sandboxes: &[Sandbox], replicas: usize) -> Self {
        let weather = Self { sandboxes: sandboxes.to_vec(), replicas, active: Mutex::default() };
        (0..sandboxes.len()).for_each(|it| weather.apply(it));
        weather
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(
        &self,
        common: &Common,
        number: usize,
        (cluster, slot): (usize, Option<usize>),
        trouble: Trouble,
    ) {
        common.troubles.begin(place(cluster), number, common.timeline.now());
        let whom = slot.map_or_else(|| "all".to_owned(), client_name);
        let name = self.sandboxes[cluster].name();
        common.timeline.tell(format!("{name} for {whom}: {trouble:?} begins"));
        for slot in self.deafened(cluster, slot, trouble) {
            common.troubles.begin(Place::Ear(slot), number, common.timeline.now());
        }
        self.lock().insert(number, Active { cluster, slot, trouble });
        self.apply(cluster);
    }

    /// Cuts one replica off from a cluster, for good. Others reach it, and after a while that must do: so it
    /// is the cluster's trouble for a moment alone.
    pub(super) fn cut_off(&self, common: &Common, (cluster, slot): (usize, usize)) {
        let now = common.timeline.now();
        common.troubles.span(place(cluster), now, now);
        common.troubles.begin(Place::Way(cluster, slot), 0, now);
        let (name, whom) = (self.sandboxes[cluster].name(), client_name(slot));
        common.timeline.tell(format!("{name} for {whom}: out of reach from now on"));
        let active = Active { cluster, slot: Some(slot), trouble: Trouble::Partition };
        self.lock().insert(usize::MAX, active);
        self.apply(cluster);
    }

    pub(super) fn end(&self, common: &Common, number: usize) {
        let Some(active) = self.lock().remove(&number) else { return };
        let Active { cluster, slot, trouble } = active;
        common.troubles.end(&place(cluster), number, common.timeline.now());
        for slot in self.deafened(cluster, slot, trouble) {
            common.troubles.end(&Place::Ear(slot), number, common.timeline.now());
        }
        let whom = slot.map_or_else(|| "all".to_owned(), client_name);
        let name = self.sandboxes[cluster].name();
        common.timeline.tell(format!("{name} for {whom}: {trouble:?} is over"));
        self.apply(cluster);
    }

    /// Ends watches at once.
    pub(super) fn end_watches(
        &self,
        common: &Common,
        (cluster, slot): (usize, Option<usize>),
        how: Ending,
    ) {
        let now = common.timeline.now();
        common.troubles.span(place(cluster), now, now);
        let sandbox = &self.sandboxes[cluster];
        common.timeline.tell(format!("{}: watches are {how:?}", sandbox.name()));
        let kind = match how {
            Ending::Dropped => FaultKind::DropWatches,
            Ending::Expired => FaultKind::ExpireWatches,
            Ending::Compacted => {
                sandbox.compact();
                FaultKind::DropWatches
            }
        };
        for client in self.clients(slot) {
            sandbox.set_fault(Fault::of(&client, kind.clone()));
        }
    }

    /// The replicas that hear nothing of the hub while this lasts. Who alone is refused goes on hearing by the watch
    /// that it has; where all are, nobody writes, and a watch that is silent is given up.
    fn deafened(
        &self,
        cluster: usize,
        slot: Option<usize>,
        trouble: Trouble,
    ) -> impl Iterator<Item = usize> + use<> {
        let is_deaf = match trouble {
            Trouble::Partition => true,
            Trouble::Unavailable(_) | Trouble::RefuseConnections => slot.is_none(),
            _ => false,
        };
        let is_deaf = is_deaf && cluster == 0;
        (0..self.replicas).filter(move |it| is_deaf && slot.is_none_or(|slot| slot == *it))
    }

    fn clients(&self, slot: Option<usize>) -> Vec<String> {
        let all = 0..self.replicas;
        all.filter(|it| slot.is_none_or(|slot| slot == *it)).map(client_name).collect()
    }

    /// Sets what is active in a cluster, and nothing else.
    fn apply(&self, cluster: usize) {
        let sandbox = &self.sandboxes[cluster];
        sandbox.clear_faults();
        for client in self.clients(None) {
            sandbox.set_fault(Fault::of(&client, Requests::all().meet(Mishap::Delayed(USUAL))));
        }
        for active in self.lock().values().filter(|it| it.cluster == cluster) {
            let faults = self.clients(active.slot).into_iter().flat_map(|client| {
                kinds(active.trouble).into_iter().map(move |kind| Fault::of(&client, kind))
            });
            for fault in faults {
                sandbox.set_fault(fault);
            }
        }
    }
}

fn kinds(trouble: Trouble) -> Vec<FaultKind> {
    let sometimes =
        |percent: u32, what: Mishap| vec![Requests::all().chance(percent, 100).meet(what)];
    match trouble {
        Trouble::Partition => vec![FaultKind::Partition],
        Trouble::Latency(by) => vec![FaultKind::Latency(by)],
        Trouble::Tail(median) => {
            vec![
                Requests::all()
                    .meet(Mishap::Delayed(Latency::LongTailed { median, most: LONGEST })),
            ]
        }
        Trouble::Unavailable(code) => vec![FaultKind::Unavailable(code)],
        Trouble::Sometimes(code, percent) => {
            let failure = Failure::code(code);
            let failure = if code == 429 { failure.retry_after(2) } else { failure };
            sometimes(percent, Mishap::Refused(failure))
        }
        Trouble::DoneButRefused(percent) => {
            sometimes(percent, Mishap::DoneButRefused(Failure::code(500)))
        }
        Trouble::DoneButUnheard(percent) => sometimes(percent, Mishap::DoneButUnheard),
        Trouble::Unconnected(percent) => sometimes(percent, Mishap::Unconnected),
        Trouble::StallWatches => vec![FaultKind::StallWatches],
        Trouble::RefuseConnections => vec![FaultKind::RefuseConnections],
        Trouble::Conflicts => ["scheduletriggers", "jobs", "leases"]
            .map(|it| FaultKind::Conflict { resource: it.to_owned(), times: 20 })
            .to_vec(),
    }
}
