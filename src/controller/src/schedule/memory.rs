//! What does one work on a trigger leave for the next? Nothing that must not be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use ger_api::status::CheckedSource;
use ger_core::ledger::Requested;
use ger_core::schedule::Schedule;
use jiff::Timestamp;
use tokio::time::Instant;

/// The first retry; doubled at each further failure.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// A remote that is mended is noticed within this.
const LAST_RETRY: Duration = Duration::from_mins(2);

/// What a replica remembers of a trigger that it works. Lost at a handover, and found again.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Whose memory it is: a trigger that was created anew under the name begins anew.
    uid: Box<str>,
    /// The schedule that `next_check` was computed for.
    pub(super) schedule: Option<Schedule>,
    pub(super) next_check: Option<Timestamp>,
    /// When the last check ended, for an edited schedule to count from.
    pub(super) last_check: Option<Timestamp>,
    /// Of the sources that fail or wait for something: none of most triggers.
    pub(super) sources: BTreeMap<String, OfSource>,
    /// Since when each run waits for its Job to be made, by this replica's monotonic clock.
    pub(super) pending: BTreeMap<String, Pending>,
    /// When each Job that was started is looked after.
    pub(super) looks: BTreeMap<String, Look>,
    /// How often in a row the cluster did not take what was to be written.
    pub(super) failures: u32,
}

impl Memory {
    /// The memory of this trigger: another one's is forgotten.
    pub(super) fn of(self, uid: &str) -> Self {
        if *self.uid == *uid { self } else { Self { uid: uid.into(), ..Self::default() } }
    }

    /// Drops what says nothing: a replica remembers many triggers, and a map that was emptied keeps a
    /// node with room for eleven.
    pub(super) fn tidy(&mut self) {
        self.sources.retain(|_, it| *it != OfSource::default());
        if self.sources.is_empty() {
            self.sources = BTreeMap::new();
        }
        if self.pending.is_empty() {
            self.pending = BTreeMap::new();
        }
        if self.looks.is_empty() {
            self.looks = BTreeMap::new();
        }
    }
}

/// The trigger and the source's object, as they were when the source was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) generation: i64,
    pub(super) version: String,
}

/// What is remembered of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OfSource {
    pub(super) failures: u32,
    /// What was asked by when the check failed: anything else is worth a try at once.
    pub(super) failed_with: Option<Seen>,
    /// When a move back to the previous commit is asked about again, and for which nominal time.
    pub(super) confirm: Option<(Instant, Option<String>)>,
    /// When a failed check is tried again.
    pub(super) retry_at: Option<Instant>,
    /// What of it was recorded and given up before it started, in a row.
    pub(super) given_up: Option<GivenUp>,
    /// When the source is asked again for a commit that a webhook named and it did not have; and the
    /// requests that wait for it. A further one does not.
    pub(super) awaited: Option<(Instant, Vec<Requested>)>,
}

/// How often in a row a source's record was cleared, because its newest run came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// The last of those records, and what it was asked by: who edits either has perhaps mended it.
    at: Option<Timestamp>,
    seen: Seen,
    times: u32,
}

impl OfSource {
    /// Takes in what is recorded of the source. A record that was cleared makes it due: at once for the first
    /// time, and later and later while nothing of it starts.
    pub(super) fn on_record(&mut self, record: Option<&CheckedSource>, seen: &Seen) {
        let Some(record) = record.filter(|it| was_cleared(it)) else { return };
        let times = match &self.given_up {
            Some(known) if known.at == record.checked_at => return,
            Some(known) if known.seen == *seen => known.times.saturating_add(1),
            Some(_) | None => 1,
        };
        if times > 1 {
            self.retry_at = Some(Instant::now() + backoff(times - 1));
        }
        self.given_up = Some(GivenUp { at: record.checked_at, seen: seen.clone(), times });
    }
}

/// Whether a record says that what it was at came to nothing.
pub(super) fn was_cleared(record: &CheckedSource) -> bool {
    record.commit_hash.is_none() && (record.checked_at.is_some() || record.changed.is_some())
}

/// What is remembered of a run without a Job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) since: Instant,
    pub(super) attempts: u32,
    pub(super) tried_at: Instant,
    pub(super) retry_at: Instant,
}

/// What is remembered of a Job that was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// When it is looked at; never again once it works.
    pub(super) at: Option<Instant>,
    pub(super) pause: Duration,
}

/// How long to wait after the `failures`-th failure in a row.
pub(super) fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_says_something_is_kept() {
        let mut memory = Memory::default().of("uid");
        let failing = OfSource { failures: 1, ..OfSource::default() };
        memory.sources.insert("fails".to_owned(), failing.clone());
        memory.sources.insert("works".to_owned(), OfSource::default());

        memory.tidy();

        assert_eq!(memory.sources, BTreeMap::from([("fails".to_owned(), failing)]));
        assert_eq!(*memory.of("uid").uid, *"uid");
    }

    fn cleared(second: i64) -> CheckedSource {
        let checked_at = Some(Timestamp::from_second(second).unwrap());
        CheckedSource { checked_at, ..CheckedSource::default() }
    }

    /// A waiting time of 0 and a cluster that is full: each run is given up at first sight.
    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_again_and_again_is_tried_later_and_later() {
        let seen = Seen { generation: 1, version: "1".to_owned() };
        let mut source = OfSource::default();
        let mut waits = Vec::new();

        for second in 0..5 {
            source.retry_at = None;
            source.on_record(Some(&cleared(second)), &seen);
            source.on_record(Some(&cleared(second)), &seen);
            waits.push(source.retry_at.map(|it| (it - Instant::now()).as_secs()));
        }

        assert_eq!(waits, [None, Some(2), Some(4), Some(8), Some(16)]);
        source.retry_at = None;
        let edited = Seen { generation: 2, ..seen };
        source.on_record(Some(&cleared(9)), &edited);
        assert_eq!(source.retry_at, None);
    }

    #[test]
    fn retries_come_apart_up_to_the_limit() {
        let waits: Vec<u64> = (1..=9).map(|it| backoff(it).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 120, 120, 120]);
        assert_eq!(backoff(u32::MAX), LAST_RETRY);
    }
}
