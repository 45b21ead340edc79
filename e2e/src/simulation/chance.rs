//! What happens by chance? One generator decides everything of a seed, and decides it again the same.

use std::ops::Range;
use std::time::Duration;

/// `SplitMix64`: tiny, and every seed begins a sequence of its own.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// A generator of its own for a part, so that what one part draws moves none of the others.
    pub(super) fn of(seed: u64, part: &str) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let part = part.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
        let mut mixed = Self(seed ^ part);
        mixed.next();
        Self(mixed.next() ^ part)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// Whether something happens that does in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A time within, in milliseconds.
    pub(super) fn between(&mut self, span: Range<Duration>) -> Duration {
        let width = span.end.saturating_sub(span.start).as_millis();
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        span.start + Duration::from_millis(u64::try_from(self.below(width)).unwrap_or_default())
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_part_decide_and_others_decide_otherwise() {
        let drawn = |seed, part| {
            let mut chance = Chance::of(seed, part);
            [chance.next(), chance.next()]
        };

        assert_eq!(drawn(1, "people"), drawn(1, "people"));
        assert_ne!(drawn(1, "people"), drawn(2, "people"));
        assert_ne!(drawn(1, "people"), drawn(1, "remotes"));
    }

    #[test]
    fn a_time_lies_within_its_span() {
        let mut chance = Chance::of(7, "spans");
        let (from, to) = (Duration::from_secs(2), Duration::from_secs(3));

        assert!((0..1000).all(|_| (from..to).contains(&chance.between(from..to))));
    }
}
