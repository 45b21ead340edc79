//! Who reads what is said of clusters? It is published by one replica for all, the steward, and no cluster
//! that does not take its Events holds up another's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ger_core::ledger as core_ledger;
use ger_core::names::ClusterName;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Fleet, events};
use crate::clusters::{self, Notice};

/// A notice waits this long for this replica to become the steward: at the start nobody is yet.
const STEWARD_IN: Duration = Duration::from_secs(30);
/// Notices of one cluster that wait. They are courtesies: the oldest give way.
const MOST: usize = 64;
/// How each spoke is, is said again so often: an Event goes after an hour, and who asks later finds none.
const AGAIN: Duration = Duration::from_mins(20);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Publishes until `stop`.
pub(crate) async fn publish(
    fleet: Arc<Fleet>,
    hub: kube::Client,
    mut notices: mpsc::Receiver<Notice>,
    stop: CancellationToken,
) -> Result<(), JoinError> {
    let (waiting, again) = (BTreeMap::new(), BTreeSet::new());
    let mut desk = Desk { fleet, hub, waiting, again, telling: JoinSet::new() };
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let mut again = tokio::time::interval_at(Instant::now() + AGAIN, AGAIN);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = look.tick() => {}
            _ = again.tick() => desk.again = desk.fleet.clusters.spoken_of(),
            Some(told) = desk.telling.join_next() => desk.told(&told?),
            notice = notices.recv() => match notice {
                Some(notice) => desk.take(notice),
                None => return Ok(()),
            }
        }
        desk.tell();
    }
}

/// What is to be said, by the cluster in which it is said.
struct Desk {
    fleet: Arc<Fleet>,
    hub: kube::Client,
    waiting: BTreeMap<ClusterName, Line>,
    /// The Secrets of whose clusters it is said again how they are.
    again: BTreeSet<String>,
    telling: JoinSet<ClusterName>,
}

#[derive(Default)]
struct Line {
    notices: VecDeque<(Instant, Notice)>,
    is_telling: bool,
}

impl Desk {
    fn take(&mut self, notice: Notice) {
        if notice.severity == clusters::Severity::Warning {
            let labels = [notice.cluster.as_str(), notice.reason];
            self.fleet.metrics.problems_total.with_label_values(&labels).inc();
        }
        let line = self.waiting.entry(notice.cluster.clone()).or_default();
        if line.notices.len() >= MOST {
            line.notices.pop_front();
        }
        line.notices.push_back((Instant::now() + STEWARD_IN, notice));
    }

    /// Begins to say what can be said now: one notice of each cluster at a time.
    fn tell(&mut self) {
        let is_steward = self.fleet.shards.is_steward();
        let now = Instant::now();
        for (name, line) in &mut self.waiting {
            if !is_steward {
                // One that waited long enough was published by whoever is the steward.
                line.notices.retain(|(until, _)| *until > now);
            } else if !line.is_telling
                && let Some((_, notice)) = line.notices.pop_front()
            {
                line.is_telling = true;
                let (fleet, hub) = (Arc::clone(&self.fleet), self.hub.clone());
                self.telling.spawn(tell_in_time(fleet, hub, (name.clone(), notice)));
            }
        }
        self.tell_again();
        self.waiting.retain(|_, it| it.is_telling || !it.notices.is_empty());
    }

    /// What is said again waits for all that is new.
    fn tell_again(&mut self) {
        let hub = ClusterName::hub();
        if !self.fleet.shards.is_steward() {
            // Another says it.
            self.again.clear();
        }
        if !self.is_silent(&hub) {
            return;
        }
        while let Some(about) = self.again.pop_first() {
            if let Some(notice) = self.fleet.clusters.standing(&about) {
                self.waiting.entry(hub.clone()).or_default().is_telling = true;
                let fleet = Arc::clone(&self.fleet);
                self.telling.spawn(tell_in_time(fleet, self.hub.clone(), (hub, notice)));
                return;
            }
        }
    }

    fn is_silent(&self, name: &ClusterName) -> bool {
        self.waiting.get(name).is_none_or(|it| !it.is_telling && it.notices.is_empty())
    }

    fn told(&mut self, name: &ClusterName) {
        if let Some(line) = self.waiting.get_mut(name) {
            line.is_telling = false;
        }
    }
}

async fn tell_in_time(
    fleet: Arc<Fleet>,
    hub: kube::Client,
    (name, notice): (ClusterName, Notice),
) -> ClusterName {
    if timeout(PATIENCE, tell(&fleet, &hub, notice)).await.is_err() {
        tracing::debug!(cluster = %name, "an Event was not taken in time");
    }
    name
}

async fn tell(fleet: &Fleet, hub: &kube::Client, notice: Notice) {
    let told = core_ledger::Notice {
        severity: match notice.severity {
            clusters::Severity::Normal => core_ledger::Severity::Normal,
            clusters::Severity::Warning => core_ledger::Severity::Warning,
        },
        reason: notice.reason.to_owned(),
        message: notice.message,
    };
    let cluster = fleet.clusters.cluster(&notice.cluster);
    let client = cluster.as_ref().map_or(hub, |it| it.client());
    events::publish(client, &notice.about, &told).await;
}
