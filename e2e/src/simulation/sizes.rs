//! How large is a simulated fleet, and for how long does it live?

use std::time::Duration;

use super::mutant::Mutant;

/// What a seed is simulated with.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Replicas that are to run at any time.
    pub replicas: usize,
    /// The hub among them.
    pub clusters: usize,
    /// In all clusters together.
    pub triggers: usize,
    pub shards: u16,
    /// How long the fleet lives, with all that befalls it.
    pub life: Duration,
    /// The longest interval of a schedule: it must be seen to fire.
    pub longest: Duration,
    /// A law that is off, to see that it is noticed.
    pub mutant: Option<Mutant>,
}

impl Sizes {
    /// What a night's thousand seeds are made of: 3 replicas, 5 clusters, 200 triggers, two hours.
    pub fn nightly() -> Self {
        Self {
            replicas: 3,
            clusters: 5,
            triggers: 200,
            shards: 16,
            life: Duration::from_hours(2),
            longest: Duration::from_mins(15),
            mutant: None,
        }
    }

    /// Small and short, for a test: the same chances in a fleet that fits into a second.
    pub fn short() -> Self {
        Self {
            replicas: 3,
            clusters: 2,
            triggers: 6,
            shards: 4,
            // Half of it is the calm at its end, which is as long as the longest interval and recovery want.
            life: Duration::from_mins(12),
            longest: Duration::from_secs(90),
            mutant: None,
        }
    }

    /// The end of a life is calm: long enough for the slowest schedule to see the last change.
    pub(super) fn calm(&self) -> Duration {
        self.longest + super::calm::RECOVERY + Duration::from_mins(2)
    }
}
