//! How much longer does a request take?

use std::time::Duration;

use crate::random::Random;

/// How long is added to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Anything between the two, each equally likely.
    Uniform {
        /// The least.
        from: Duration,
        /// The most.
        to: Duration,
    },
    /// Half of the requests take less than the median, a quarter more than three times as much, one
    /// in eight more than seven times as much, and so on: most are quick, and a few are very slow.
    LongTailed {
        /// What half of them stay below.
        median: Duration,
        /// What none exceeds.
        most: Duration,
    },
}

impl Latency {
    pub(super) fn draw(self, random: &mut Random) -> Duration {
        match self {
            Self::Fixed(latency) => latency,
            Self::Uniform { from, to } => between(from, to, random),
            Self::LongTailed { median, most } => {
                // A coin is thrown until it shows heads: each tails doubles the span. Thirty are enough
                // for a median of a millisecond to become days.
                let tails = random.next().trailing_zeros().min(30);
                let at = |power: u32| median.saturating_mul((1_u32 << power) - 1);
                between(at(tails), at(tails + 1), random).min(most)
            }
        }
    }
}

fn between(from: Duration, to: Duration, random: &mut Random) -> Duration {
    let span = u64::try_from(to.saturating_sub(from).as_nanos()).unwrap_or(u64::MAX);
    from.saturating_add(Duration::from_nanos(random.below(span.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn drawn(latency: Latency) -> Vec<Duration> {
        let mut random = Random::seeded(1);
        let mut drawn: Vec<Duration> = (0..1000).map(|_| latency.draw(&mut random)).collect();
        drawn.sort();
        drawn
    }

    #[test]
    fn a_uniform_latency_stays_within_and_fills_its_span() {
        let drawn = drawn(Latency::Uniform { from: ms(10), to: ms(20) });

        assert!(drawn[0] >= ms(10) && drawn[0] < ms(11));
        assert!(drawn[999] <= ms(20) && drawn[999] > ms(19));
    }

    #[test]
    fn a_long_tail_has_its_median_and_its_end() {
        let drawn = drawn(Latency::LongTailed { median: ms(10), most: ms(500) });

        assert!(drawn[450] < ms(10) && drawn[550] > ms(10), "{:?}", drawn[500]);
        assert!(drawn[800] > ms(30), "{:?}", drawn[800]);
        assert_eq!(drawn[999], ms(500));
    }

    #[test]
    fn a_span_turned_round_is_its_beginning() {
        let mut random = Random::seeded(1);

        let latency = Latency::Uniform { from: ms(20), to: ms(10) }.draw(&mut random);

        assert_eq!(latency, ms(20));
    }
}
