//! Who is served next, of many who wait? Whoever was served least so far, by weight.
//!
//! Start-time fair queueing: serving costs time, and who has spent least has the next turn. Who comes back
//! from a rest begins where the others are: nobody saves up.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What a turn costs at least, and what is charged when it begins: else many could begin in the same
/// moment before any has cost something.
const QUANTUM: Duration = Duration::from_millis(100);

/// Those who wait, by whom they wait for.
#[derive(Clone, Debug)]
pub struct Turns<K, T> {
    lines: BTreeMap<K, Line<T>>,
    /// What whoever was served last had spent.
    floor: Duration,
}

#[derive(Clone, Debug)]
struct Line<T> {
    waiting: VecDeque<T>,
    /// Divided by its weight.
    spent: Duration,
    /// Turns that have begun and not ended.
    served: usize,
}

impl<K, T> Default for Turns<K, T> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), floor: Duration::ZERO }
    }
}

impl<K: Clone + Ord, T: PartialEq> Turns<K, T> {
    /// One more waits for `key`.
    pub fn wait(&mut self, key: K, ticket: T) {
        self.line(key).waiting.push_back(ticket);
    }

    /// One waits no longer.
    pub fn leave(&mut self, key: &K, ticket: &T) {
        if let Some(line) = self.lines.get_mut(key) {
            line.waiting.retain(|it| it != ticket);
        }
        self.forget_idle();
    }

    /// Whose turn it is, which begins.
    pub fn next(&mut self, weight: impl Fn(&K) -> u32) -> Option<(K, T)> {
        let waiting = self.lines.iter().filter(|(_, it)| !it.waiting.is_empty());
        let (key, _) = waiting.min_by_key(|(_, it)| it.spent)?;
        let key = key.clone();
        let ticket = self.lines.get_mut(&key)?.waiting.pop_front()?;
        self.begin(key.clone(), weight(&key));
        Some((key, ticket))
    }

    /// A turn begins that nobody had to wait for.
    pub fn begin(&mut self, key: K, weight: u32) {
        let line = self.line(key);
        let spent = line.spent;
        line.served += 1;
        line.spent += QUANTUM / weight.max(1);
        self.floor = self.floor.max(spent);
    }

    /// A turn ends that took so long.
    pub fn end(&mut self, key: &K, took: Duration, weight: u32) {
        if let Some(line) = self.lines.get_mut(key) {
            line.served = line.served.saturating_sub(1);
            line.spent += took.saturating_sub(QUANTUM) / weight.max(1);
        }
        self.forget_idle();
    }

    /// For how many keys something is remembered.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nobody waits, is served, or was served more than others.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn line(&mut self, key: K) -> &mut Line<T> {
        let floor = self.floor;
        let new = || Line { waiting: VecDeque::new(), spent: floor, served: 0 };
        let line = self.lines.entry(key).or_insert_with(new);
        if line.waiting.is_empty() && line.served == 0 {
            line.spent = line.spent.max(floor);
        }
        line
    }

    /// Who rests and has nothing to make up for is as good as new.
    fn forget_idle(&mut self) {
        let floor = self.floor;
        self.lines.retain(|_, it| !it.waiting.is_empty() || it.served > 0 || it.spent > floor);
        if self.lines.values().all(|it| it.waiting.is_empty() && it.served == 0) {
            self.lines.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn one(_: &&'static str) -> u32 {
        1
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn who_comes_alone_does_not_wait_behind_a_flood() {
        let mut turns = Turns::default();
        for ticket in 0..50_000 {
            turns.wait("flood", ticket);
        }
        for _ in 0..10 {
            turns.next(one);
        }

        turns.wait("quiet", 7);

        assert_eq!(turns.next(one), Some(("quiet", 7)));
    }

    /// A cluster whose checks take ten seconds has a tenth of the turns, and the same time.
    #[test]
    fn the_time_is_shared_and_not_the_turns() {
        let mut turns = Turns::default();
        let mut served = BTreeMap::from([("slow", 0), ("fast", 0)]);
        for ticket in 0..2000 {
            turns.wait("slow", ticket);
            turns.wait("fast", ticket);
        }

        for _ in 0..1100 {
            let (key, _) = turns.next(one).unwrap();
            *served.get_mut(key).unwrap() += 1;
            turns.end(&key, secs(if key == "slow" { 10 } else { 1 }), 1);
        }

        assert!((99..=101).contains(&served["slow"]), "{served:?}");
    }

    #[test]
    fn twice_the_weight_is_twice_the_share() {
        let weight = |key: &&str| if *key == "heavy" { 2 } else { 1 };
        let mut turns = Turns::default();
        let mut served = BTreeMap::from([("heavy", 0), ("light", 0)]);
        for ticket in 0..1000 {
            turns.wait("heavy", ticket);
            turns.wait("light", ticket);
        }

        for _ in 0..300 {
            let (key, _) = turns.next(weight).unwrap();
            *served.get_mut(key).unwrap() += 1;
            turns.end(&key, secs(1), weight(&key));
        }

        assert!((199..=201).contains(&served["heavy"]), "{served:?}");
    }

    #[test]
    fn a_rest_saves_up_nothing() {
        let mut turns = Turns::default();
        turns.wait("rested", 0);
        turns.next(one);
        turns.end(&"rested", secs(1), 1);
        for ticket in 0..100 {
            turns.wait("busy", ticket);
            turns.next(one);
            turns.end(&"busy", secs(1), 1);
        }
        for ticket in 0..100 {
            turns.wait("busy", ticket);
            turns.wait("rested", ticket);
        }

        let mut rested = 0;
        for _ in 0..20 {
            let (key, _) = turns.next(one).unwrap();
            rested += usize::from(key == "rested");
            turns.end(&key, secs(1), 1);
        }

        assert!((10..=11).contains(&rested), "{rested}");
    }

    #[test]
    fn who_left_has_no_turn_and_leaves_nothing_behind() {
        let mut turns = Turns::default();
        turns.wait("edge", 1);
        turns.wait("edge", 2);
        turns.leave(&"edge", &1);

        assert_eq!(turns.next(one), Some(("edge", 2)));
        turns.end(&"edge", secs(5), 1);
        assert!(turns.is_empty());
    }

    proptest! {
        /// Whatever the others do, whoever waits has a turn within one of each of the others.
        #[test]
        fn nobody_waits_for_more_than_one_turn_of_each(others in 1_u32..30, waiting in 1_u32..40) {
            let mut turns = Turns::default();
            for other in 0..others {
                for ticket in 0..waiting {
                    turns.wait(other, ticket);
                }
            }
            for _ in 0..others {
                turns.next(|_| 1);
            }

            turns.wait(u32::MAX, 0);

            let mut before = 0;
            while turns.next(|_| 1).is_some_and(|it| it.0 != u32::MAX) {
                before += 1;
            }
            prop_assert!(before <= others, "{before} turns of {others} others");
        }
    }
}
