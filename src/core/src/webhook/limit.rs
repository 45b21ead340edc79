//! How often may something happen? `burst/seconds`, as the original writes it.

use std::num::NonZeroU32;
use std::time::Duration;

/// So many at once; and all of them come back, one by one, in this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub burst: NonZeroU32,
    pub seconds: NonZeroU32,
}

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not burst/seconds, such as 60/60: two whole numbers above 0")]
pub struct InvalidRate {
    text: String,
}

impl Rate {
    pub fn parse(text: &str) -> Result<Self, InvalidRate> {
        let read = |it: &str| it.trim().parse::<NonZeroU32>().ok();
        let parts = text.split_once('/');
        parts
            .and_then(|(burst, seconds)| {
                Some(Self { burst: read(burst)?, seconds: read(seconds)? })
            })
            .ok_or_else(|| InvalidRate { text: text.chars().take(80).collect() })
    }

    /// How long until one more is allowed, when none is left.
    pub fn period(self) -> Duration {
        let all = Duration::from_secs(u64::from(self.seconds.get()));
        // It is not zero.
        all.checked_div(self.burst.get()).unwrap_or(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_burst_and_the_seconds_in_which_it_comes_back() {
        let rate = Rate::parse("4/2").unwrap();

        assert_eq!((rate.burst.get(), rate.seconds.get()), (4, 2));
        assert_eq!(rate.period(), Duration::from_millis(500));
        for text in ["", "4", "/", "0/1", "1/0", "-1/1", "1/1s", "1/2/3", "4294967296/1"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
