//! What may be different now, cluster by cluster? A queue that no cluster can fill for another.
//!
//! Each event waits once, however often it comes; each cluster waits in a line of its own, and they are
//! served in turn. What makes its reader look at all triggers of a cluster is given seldom, and together.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ger_core::names::ClusterName;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Event;

/// Different events of one cluster that wait. A full line holds up the watches of its cluster alone.
const MOST: usize = 16_384;
/// What one cluster has read of it before the next one's turn.
const TURN: usize = 128;
/// From one look at all triggers of a cluster to the next: with 50,000 of them a look takes milliseconds.
const BROAD: Duration = Duration::from_millis(100);
/// After a rest so much of that time may be spent at once: a single change is told as it comes, for a
/// Job may be taken back only until the collector has seen it too.
const BURST: Duration = Duration::from_secs(1);

/// The queue. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Events {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<Lines>,
    arrived: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    of: BTreeMap<ClusterName, Line>,
    served_last: Option<ClusterName>,
}

#[derive(Debug, Default)]
struct Line {
    narrow: Waiting,
    broad: Waiting,
    /// When the next broad ones would be given at an even pace.
    broad_at: Option<Instant>,
}

/// Events in their order, each once.
#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<Event>,
    known: HashSet<Event>,
}

impl Waiting {
    fn push(&mut self, event: Event) {
        if self.known.insert(event.clone()) {
            self.order.push_back(event);
        }
    }

    fn take(&mut self, most: usize) -> Vec<Event> {
        let taken: Vec<Event> = self.order.drain(..most.min(self.order.len())).collect();
        for event in &taken {
            self.known.remove(event);
        }
        taken
    }
}

impl Line {
    fn is_full(&self) -> bool {
        self.narrow.order.len() + self.broad.order.len() >= MOST
    }

    fn holds(&self, event: &Event) -> bool {
        self.narrow.known.contains(event) || self.broad.known.contains(event)
    }

    fn is_broad_due(&self, now: Instant) -> bool {
        !self.broad.order.is_empty() && self.broad_at.is_none_or(|at| at <= now + BURST)
    }

    fn take(&mut self, now: Instant) -> Vec<Event> {
        let mut taken = self.narrow.take(TURN);
        if self.is_broad_due(now) {
            self.broad_at = Some(self.broad_at.map_or(now, |at| at.max(now)) + BROAD);
            taken.extend(self.broad.take(MOST));
        }
        taken
    }

    /// Whether nothing of it need be remembered.
    fn is_over(&self, now: Instant) -> bool {
        let rests = self.broad_at.is_some_and(|at| now < at);
        self.narrow.order.is_empty() && self.broad.order.is_empty() && !rests
    }
}

impl Lines {
    /// The next cluster's turn, if any has something to give.
    fn take(&mut self, now: Instant) -> Option<Vec<Event>> {
        let has = |(name, line): (&ClusterName, &Line)| {
            (!line.narrow.order.is_empty() || line.is_broad_due(now)).then(|| name.clone())
        };
        let after = match &self.served_last {
            Some(last) => self.of.range((Bound::Excluded(last.clone()), Bound::Unbounded)),
            None => self.of.range::<ClusterName, _>(..),
        };
        let name = after.into_iter().find_map(has).or_else(|| self.of.iter().find_map(has))?;
        let line = self.of.get_mut(&name)?;
        let taken = line.take(now);
        if line.is_over(now) {
            self.of.remove(&name);
        }
        self.served_last = Some(name);
        Some(taken)
    }

    fn next_broad(&self) -> Option<Instant> {
        let waiting = self.of.values().filter(|it| !it.broad.order.is_empty());
        waiting.filter_map(|it| it.broad_at?.checked_sub(BURST)).min()
    }
}

impl Events {
    /// Adds an event, once there is room for it in its cluster's line.
    pub(super) async fn push(&self, event: Event) {
        loop {
            let room = self.inner.room.notified();
            if self.try_push(&event) {
                self.inner.arrived.notify_one();
                return;
            }
            room.await;
        }
    }

    fn try_push(&self, event: &Event) -> bool {
        let mut lines = self.inner.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.of.contains_key(event.cluster()) {
            let now = Instant::now();
            lines.of.retain(|_, it| !it.is_over(now));
        }
        let line = lines.of.entry(event.cluster().clone()).or_default();
        if line.is_full() && !line.holds(event) {
            return false;
        }
        let waiting = if event.is_broad() { &mut line.broad } else { &mut line.narrow };
        waiting.push(event.clone());
        true
    }

    /// Some events of one cluster: never none. Safe to drop while it waits.
    pub async fn next(&self) -> Vec<Event> {
        loop {
            let arrived = self.inner.arrived.notified();
            let (taken, broad_at) = {
                let mut lines = self.inner.lines.lock().unwrap_or_else(PoisonError::into_inner);
                (lines.take(Instant::now()), lines.next_broad())
            };
            if let Some(taken) = taken {
                self.inner.room.notify_waiters();
                // Others may wait, and nobody tells of them again.
                self.inner.arrived.notify_one();
                return taken;
            }
            match broad_at {
                None => arrived.await,
                Some(at) => tokio::select! {
                    biased;
                    () = arrived => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use ger_api::schedule_trigger::SourceKind;
    use ger_core::names::{TriggerKey, TriggerKind};

    use super::*;

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse_spoke(name).unwrap()
    }

    fn changed(cluster_name: &str, number: usize) -> Event {
        Event::TriggerChanged(TriggerKey {
            cluster: cluster(cluster_name),
            kind: TriggerKind::Schedule,
            namespace: "apps".to_owned(),
            name: format!("deploy-{number}"),
        })
    }

    fn source(cluster_name: &str, number: usize) -> Event {
        Event::SourceChanged {
            cluster: cluster(cluster_name),
            namespace: Some("apps".to_owned()),
            kind: SourceKind::GitRepo,
            name: format!("app-{number}"),
        }
    }

    /// Law 4: one cluster's flood is not before another's word.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_cluster_is_before_another_s_event_for_one_turn_at_most() {
        let events = Events::default();
        for number in 0..10_000 {
            events.push(changed("flood", number)).await;
        }
        events.push(changed("quiet", 0)).await;

        let first_two = [events.next().await, events.next().await].concat();

        assert!(first_two.contains(&changed("quiet", 0)));
        assert!(first_two.len() <= TURN + 1, "{}", first_two.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_line_holds_up_its_own_cluster_and_no_other() {
        let events = Events::default();
        for number in 0..MOST {
            events.push(changed("flood", number)).await;
        }

        assert!(events.push(changed("flood", MOST)).now_or_never().is_none(), "it waits");
        assert!(events.push(changed("flood", 7)).now_or_never().is_some(), "it is there already");
        assert!(events.push(changed("quiet", 0)).now_or_never().is_some());

        let mut waiting = Box::pin(events.push(changed("flood", MOST)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        events.next().await;
        waiting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_makes_all_triggers_be_looked_at_comes_together_and_seldom() {
        let events = Events::default();
        let began = Instant::now();
        for _ in 0..11 {
            events.push(source("edge", 0)).await;
            assert_eq!(events.next().await, [source("edge", 0)]);
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "a few are told as they come");
        for number in 0..1000 {
            events.push(source("edge", number)).await;
            events.push(source("edge", number)).await;
        }
        events.push(changed("edge", 0)).await;

        assert_eq!(events.next().await, [changed("edge", 0)], "what is narrow does not wait");
        assert_eq!(events.next().await.len(), 1000, "each once");
        assert_eq!(began.elapsed(), BROAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_has_nothing_to_say_leaves_nothing_behind() {
        let events = Events::default();
        for number in 0..1000 {
            events.push(changed(&format!("edge-{number}"), 0)).await;
        }

        while events.next().now_or_never().is_some() {}

        assert!(events.inner.lines.lock().unwrap().of.is_empty());
    }
}
