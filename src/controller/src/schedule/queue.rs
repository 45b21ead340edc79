//! Which trigger is worked next, and when? A timer queue with each key once, and never worked twice at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ger_core::names::TriggerKey;
use tokio::time::Instant;

/// The least time between two turns of a trigger that nobody woke.
const SHORTEST: Duration = Duration::from_millis(20);

/// The timers of the triggers of this replica's shards. Knows no clock: time is an argument.
#[derive(Debug)]
pub struct Queue<M> {
    // Boxed: a map has room for twice as many as it holds.
    entries: HashMap<Arc<TriggerKey>, Box<Entry<M>>>,
    due: BTreeSet<(Instant, Arc<TriggerKey>)>,
}

#[derive(Debug)]
struct Entry<M> {
    key: Arc<TriggerKey>,
    stage: Stage,
    /// What the last work left for the next, nothing of it durable.
    memory: M,
}

#[derive(Debug)]
enum Stage {
    /// Nothing to do until somebody wakes it.
    Idle,
    Waiting(Instant),
    Working(Meanwhile),
}

/// What happened to a trigger while it was worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// It changed: work it again at once.
    Woken,
    /// It is not ours any more: forget it when the work ends.
    Forgotten,
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self { entries: HashMap::new(), due: BTreeSet::new() }
    }
}

impl<M: Clone + Default> Queue<M> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn holds(&self, key: &TriggerKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Works `key` as soon as possible, unless it is held already.
    pub(crate) fn take_up(&mut self, key: &TriggerKey, now: Instant) {
        if !self.holds(key) {
            self.wake(key, now);
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &TriggerKey> {
        self.entries.keys().map(Arc::as_ref)
    }

    /// Works `key` as soon as possible: it is new, or something about it changed.
    pub fn wake(&mut self, key: &TriggerKey, now: Instant) {
        if !self.entries.contains_key(key) {
            let key = Arc::new(key.clone());
            let idle = Entry { key: Arc::clone(&key), stage: Stage::Idle, memory: M::default() };
            self.entries.insert(key, Box::new(idle));
        }
        let Some(entry) = self.entries.get_mut(key) else { return };
        let key = &entry.key;
        match &mut entry.stage {
            Stage::Working(meanwhile) => *meanwhile = Meanwhile::Woken,
            Stage::Waiting(at) if *at <= now => {}
            Stage::Waiting(at) => {
                self.due.remove(&(*at, Arc::clone(key)));
                self.due.insert((now, Arc::clone(key)));
                *at = now;
            }
            Stage::Idle => {
                self.due.insert((now, Arc::clone(key)));
                entry.stage = Stage::Waiting(now);
            }
        }
    }

    /// Drops `key`: it is gone or not ours any more. Work on it may still end.
    pub(crate) fn forget(&mut self, key: &TriggerKey) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match &mut entry.stage {
            Stage::Working(meanwhile) => {
                *meanwhile = Meanwhile::Forgotten;
                return;
            }
            Stage::Waiting(at) => {
                let at = *at;
                self.due.remove(&(at, Arc::clone(&entry.key)));
            }
            Stage::Idle => {}
        }
        self.entries.remove(key);
    }

    /// The next key whose time has come, with what its last work left. It is being worked from here on.
    pub fn take(&mut self, now: Instant) -> Option<(TriggerKey, M, Instant)> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (at, key) = self.due.pop_first()?;
        let entry = self.entries.get_mut(&key)?;
        entry.stage = Stage::Working(Meanwhile::Nothing);
        Some((key.as_ref().clone(), entry.memory.clone(), at))
    }

    /// The work on `key` ended: what it leaves, and when it wants to be worked again, if ever.
    pub fn done(&mut self, key: &TriggerKey, memory: M, again: Option<Instant>, now: Instant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        // A timer that is past as soon as it is set must not keep a worker busy.
        let again = again.map(|at| at.max(now + SHORTEST));
        let again = match entry.stage {
            Stage::Working(Meanwhile::Forgotten) => {
                self.entries.remove(key);
                return;
            }
            Stage::Working(Meanwhile::Woken) => Some(now),
            Stage::Working(Meanwhile::Nothing) => again,
            // Not being worked: a second end of the same work says nothing new.
            Stage::Idle | Stage::Waiting(_) => return,
        };
        entry.memory = memory;
        entry.stage = again.map_or(Stage::Idle, Stage::Waiting);
        if let Some(at) = again {
            self.due.insert((at, Arc::clone(&entry.key)));
        }
    }

    /// When the next key's time comes.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.due.first().map(|it| it.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ger_core::names::{ClusterName, TriggerKind};

    use super::*;

    #[tokio::test]
    async fn keys_come_in_the_order_of_their_times() {
        let (now, mut queue) = (Instant::now(), Queue::<u32>::default());
        for (name, seconds) in [("late", 9), ("soon", 1), ("later", 60)] {
            queue.wake(&key(name), now);
            let (taken, memory, _) = queue.take(now).unwrap();
            queue.done(&taken, memory, Some(now + Duration::from_secs(seconds)), now);
        }

        assert!(queue.take(now).is_none());
        assert_eq!(queue.next_at(), Some(now + Duration::from_secs(1)));
        let in_a_minute = now + Duration::from_mins(1);
        let order: Vec<String> =
            std::iter::from_fn(|| queue.take(in_a_minute)).map(|it| it.0.name).collect();
        assert_eq!(order, ["soon", "late", "later"]);
    }

    #[tokio::test]
    async fn a_key_is_never_worked_twice_at_once_and_no_wake_is_lost() {
        let (now, mut queue) = (Instant::now(), Queue::<u32>::default());
        queue.wake(&key("app"), now);
        assert!(queue.take(now).is_some());

        queue.wake(&key("app"), now);
        assert!(queue.take(now).is_none(), "it is being worked");

        queue.done(&key("app"), 7, None, now);
        let (_, memory, _) = queue.take(now).expect("it was woken meanwhile");
        assert_eq!(memory, 7);
    }

    #[tokio::test]
    async fn what_is_forgotten_while_it_is_worked_does_not_come_back() {
        let (now, mut queue) = (Instant::now(), Queue::<u32>::default());
        queue.wake(&key("app"), now);
        assert!(queue.take(now).is_some());

        queue.forget(&key("app"));
        queue.done(&key("app"), 1, Some(now), now);

        assert!(queue.take(now).is_none());
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn a_wake_moves_a_timer_forward_and_never_back() {
        let (now, mut queue) = (Instant::now(), Queue::<u32>::default());
        queue.wake(&key("app"), now);
        let taken = queue.take(now).unwrap();
        queue.done(&taken.0, 0, Some(now + Duration::from_hours(1)), now);

        queue.wake(&key("app"), now + Duration::from_secs(1));
        queue.wake(&key("app"), now + Duration::from_secs(2));

        assert_eq!(queue.next_at(), Some(now + Duration::from_secs(1)));
        assert!(queue.holds(&key("app")));
    }

    fn key(name: &str) -> TriggerKey {
        TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Schedule,
            namespace: "default".to_owned(),
            name: name.to_owned(),
        }
    }
}
