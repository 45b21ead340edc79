//! Which objects are due when, though nothing changes?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::store::Key;

/// One time for each object, the earliest at hand.
#[derive(Debug, Default)]
pub(super) struct Timers {
    times: BTreeMap<Key, Timestamp>,
    order: BTreeSet<(Timestamp, Key)>,
}

impl Timers {
    /// Sets or takes away the time of an object.
    pub(super) fn set(&mut self, key: &Key, at: Option<Timestamp>) {
        if let Some(known) = self.times.remove(key) {
            self.order.remove(&(known, key.clone()));
        }
        if let Some(at) = at {
            self.times.insert(key.clone(), at);
            self.order.insert((at, key.clone()));
        }
    }

    /// Takes those whose time has come, in the order of their times.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Key> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.order.first()
            && *at <= now
            && let Some((_, key)) = self.order.pop_first()
        {
            self.times.remove(&key);
            due.push(key);
        }
        due
    }

    /// How long until the next one.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let (at, _) = self.order.first()?;
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_last_time_of_an_object_counts() {
        let (one, two) = (Key::new("a", "one"), Key::new("a", "two"));
        let mut timers = Timers::default();
        timers.set(&one, Some(at(10)));
        timers.set(&two, Some(at(20)));
        timers.set(&one, Some(at(30)));

        let early = timers.take_due(at(15));
        let left = timers.next(at(15));
        let all = timers.take_due(at(30));

        assert_eq!((early, left), (Vec::new(), Some(Duration::from_secs(5))));
        assert_eq!(all, [two, one]);
        assert_eq!(timers.next(at(30)), None);
    }

    #[test]
    fn a_time_that_is_taken_away_never_comes() {
        let one = Key::new("a", "one");
        let mut timers = Timers::default();
        timers.set(&one, Some(at(10)));

        timers.set(&one, None);

        assert_eq!(timers.take_due(at(10)), []);
    }
}
