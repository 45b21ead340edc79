//! When is a trigger due?
//!
//! Everything follows from the record: a restart, a handover or an edited schedule makes nothing due
//! by itself.

mod cron;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ger_api::schedule_trigger as api;
use jiff::{SignedDuration, Timestamp};

use crate::names::TriggerKey;
use crate::ring::stable_hash;

/// A schedule that cannot be followed. Its text is for the trigger's author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    pub message: String,
}

impl Invalid {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Below this a trigger would keep a check slot to itself.
const SHORTEST: Duration = Duration::from_secs(1);

/// Over how long the first checks of new triggers are spread: a hundred triggers applied together
/// ask their remotes one after another, and nobody waits long to see his trigger work.
const FIRST_SPREAD: Duration = Duration::from_secs(10);

/// Over how long overdue checks are spread after a takeover, which has been waited for already.
const OVERDUE_SPREAD: Duration = Duration::from_secs(2);

/// A record from further in the future than this comes from a wrong clock, and counts as now.
const FUTURE: SignedDuration = SignedDuration::from_mins(5);

/// When a trigger is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    times: Times,
}

#[derive(Clone, Debug, PartialEq)]
enum Times {
    Every(Duration),
    At(Box<cron::Times>),
}

impl Schedule {
    /// Understands what a trigger says; `time_zone` is for a cron that names none itself.
    pub fn parse(schedule: &api::Schedule, time_zone: Option<&str>) -> Result<Self, Invalid> {
        let times = match schedule {
            api::Schedule::Interval(text) => Times::Every(parse_interval(text)?),
            api::Schedule::Cron(text) => Times::At(Box::new(cron::Times::parse(text, time_zone)?)),
        };
        Ok(Self { times })
    }

    /// When to check first, having just become responsible for `key`.
    ///
    /// A trigger that was never checked is checked soon: by interval at its own phase within
    /// seconds, by cron at once. Otherwise its record decides; what was missed is made up for once.
    pub fn first(
        &self,
        key: &TriggerKey,
        last_run: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        match (&self.times, last_run) {
            (Times::Every(interval), None) => later(now, phase(key, FIRST_SPREAD.min(*interval))),
            (Times::At(_), None) => now,
            (Times::Every(interval), Some(last)) => {
                let due = self.next(believed(last, now));
                if due <= now { later(now, phase(key, OVERDUE_SPREAD.min(*interval))) } else { due }
            }
            (Times::At(_), Some(last)) => self.next(believed(last, now)).max(now),
        }
    }

    /// The same where what was missed is made up for only if it is no older than `deadline`. Of an
    /// interval nothing is ever missed: it counts from the last check.
    pub fn first_within(
        &self,
        key: &TriggerKey,
        last_run: Option<Timestamp>,
        (now, deadline): (Timestamp, Option<Duration>),
    ) -> Timestamp {
        let first = self.first(key, last_run, now);
        let (Times::At(_), Some(deadline), Some(last)) = (&self.times, deadline, last_run) else {
            return first;
        };
        let oldest = now.checked_sub(deadline).unwrap_or(Timestamp::MIN).max(believed(last, now));
        if first <= now && self.next(oldest) > now { self.next(now) } else { first }
    }

    /// When to check next, after a check that ended at `after`: always later than that. The end of
    /// time if never.
    pub fn next(&self, after: Timestamp) -> Timestamp {
        match &self.times {
            Times::Every(interval) => later(after, *interval),
            Times::At(times) => times.next(after).unwrap_or(Timestamp::MAX),
        }
    }

    /// Whether a check is due at all: asked again of the record just before anything is recorded.
    pub fn is_due(&self, last_run: Option<Timestamp>, now: Timestamp) -> bool {
        last_run.is_none_or(|last| self.next(believed(last, now)) <= now)
    }

    /// Whether nothing will ever be due after `now`: a cron whose years have passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.next(now) == Timestamp::MAX
    }

    /// The nominal time that a firing after `last_run` stands for, as text: the same for all who see
    /// the same record, however late they are.
    pub fn nominal(&self, last_run: Option<Timestamp>) -> String {
        match last_run {
            None => "first".to_owned(),
            Some(last) => format!("{:.0}", self.next(last)),
        }
    }
}

fn parse_interval(text: &str) -> Result<Duration, Invalid> {
    let interval = humantime::parse_duration(text)
        .map_err(|error| Invalid::new(format!("interval {text:?}: {error}")))?;
    if interval < SHORTEST {
        return Err(Invalid::new(format!("interval {text:?}: is under one second")));
    }
    Ok(interval)
}

/// What the record says, unless a wrong clock wrote it.
fn believed(last_run: Timestamp, now: Timestamp) -> Timestamp {
    if last_run.duration_since(now) > FUTURE { now } else { last_run }
}

fn later(than: Timestamp, by: Duration) -> Timestamp {
    than.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A trigger's own place in `spread`.
fn phase(key: &TriggerKey, spread: Duration) -> Duration {
    let hash = stable_hash("phase", &[key.to_string().as_bytes()]);
    let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(hash % millis.max(1))
}
