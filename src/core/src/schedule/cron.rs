//! At which instants does a cron expression fire?
//!
//! The expression is searched on the civil clock alone, as if there were no zone; the zone's jumps
//! are dealt with here. A time that a jump skips fires at the jump; of a time that comes twice, a
//! fixed one fires once and a wildcard one (any `*` in its time of day) in both hours.

use croner::Cron;
use croner::parser::CronParser;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::Invalid;

/// The instants of one cron expression in one zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Times {
    cron: Cron,
    zone: TimeZone,
    hour: Field,
    time: Field,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Fixed,
    Wildcard,
}

impl Field {
    fn of(text: &str) -> Self {
        if text.contains('*') { Self::Wildcard } else { Self::Fixed }
    }
}

impl Times {
    pub(super) fn parse(text: &str, time_zone: Option<&str>) -> Result<Self, Invalid> {
        let (prefix, expression) = split_zone(text.trim());
        let name = prefix.or(time_zone).unwrap_or("UTC");
        let zone = TimeZone::get(name)
            .map_err(|_| Invalid::new(format!("cron {text:?}: no time zone is called {name:?}")))?;

        let expression = expand(expression);
        let cron = CronParser::new()
            .parse(&expression)
            .map_err(|error| Invalid::new(format!("cron {text:?}: {error}")))?;
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let fields = match fields.len() {
            5 => [&["0"], fields.as_slice()].concat(),
            _ => fields,
        };
        let (Some(time), Some(day_of_month), Some(day_of_week)) =
            (fields.get(..3), fields.get(3), fields.get(5))
        else {
            return Err(Invalid::new(format!("cron {text:?}: has too few fields")));
        };
        let is_restricted = |field: &str| !matches!(field, "*" | "?");
        if is_restricted(day_of_month) && is_restricted(day_of_week) {
            return Err(Invalid::new(format!(
                "cron {text:?}: day of month and day of week are both restricted, one must be `*`"
            )));
        }

        let hour = time.last().map_or(Field::Fixed, |it| Field::of(it));
        let times = Self { cron, zone, hour, time: Field::of(&time.concat()) };
        if times.search(DateTime::constant(1970, 1, 1, 0, 0, 0, 0), Bound::Included).is_none() {
            return Err(Invalid::new(format!("cron {text:?}: never matches")));
        }
        Ok(times)
    }

    /// The first instant after `after`.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut bound) = self.start(after)?;
        loop {
            let civil = self.search(from, bound)?;
            (from, bound) = match self.place(civil, after)? {
                Placed::At(instant) if instant > after => return Some(instant),
                Placed::At(_) => (civil, Bound::Excluded),
                Placed::Nowhere { until } => (until, Bound::Included),
            };
        }
    }

    /// The instant at which a match on the civil clock fires.
    fn place(&self, civil: DateTime, after: Timestamp) -> Option<Placed> {
        let instant = match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok()?,
            AmbiguousOffset::Gap { before, .. } => {
                let jump = self.jump_before(before.to_timestamp(civil).ok()?)?;
                // Every hour is none the less every hour when one is missing.
                if self.hour == Field::Wildcard {
                    return Some(Placed::Nowhere { until: self.zone.to_datetime(jump) });
                }
                jump
            }
            AmbiguousOffset::Fold { before, after: again } => {
                let once = before.to_timestamp(civil).ok()?;
                let fires_again = self.time == Field::Wildcard && once <= after;
                if fires_again { again.to_timestamp(civil).ok()? } else { once }
            }
        };
        Some(Placed::At(instant))
    }

    /// Where on the civil clock to start looking: where `after` is, except that at the end of an hour
    /// that comes twice the clock is put back for a wildcard.
    fn start(&self, after: Timestamp) -> Option<(DateTime, Bound)> {
        let civil = whole_seconds(self.zone.to_datetime(after));
        let here = (civil, Bound::Excluded);
        let AmbiguousOffset::Fold { before, .. } = self.zone.to_ambiguous_timestamp(civil).offset()
        else {
            return Some(here);
        };
        let is_first_time = self.zone.to_offset(after) == before;
        if self.time == Field::Fixed || !is_first_time {
            return Some(here);
        }
        let put_back = self.zone.following(after).next()?.timestamp();
        let is_over = self.search(civil, Bound::Excluded)? >= before.to_datetime(put_back);
        let again = (self.zone.to_datetime(put_back), Bound::Included);
        Some(if is_over { again } else { here })
    }

    /// The zone's last jump up to `instant`.
    fn jump_before(&self, instant: Timestamp) -> Option<Timestamp> {
        let until = instant.checked_add(SignedDuration::from_nanos(1)).ok()?;
        Some(self.zone.preceding(until).next()?.timestamp())
    }

    /// The next match on the civil clock.
    fn search(&self, from: DateTime, bound: Bound) -> Option<DateTime> {
        let from = from.to_zoned(TimeZone::UTC).ok()?;
        let found = self.cron.find_next_occurrence(&from, bound == Bound::Included);
        Some(found.ok()?.datetime())
    }
}

enum Placed {
    At(Timestamp),
    /// The clock jumps over it, up to here.
    Nowhere {
        until: DateTime,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Included,
    Excluded,
}

fn whole_seconds(civil: DateTime) -> DateTime {
    civil.with().subsec_nanosecond(0).build().unwrap_or(civil)
}

/// Parts `TZ=Area/City ` from the expression.
fn split_zone(text: &str) -> (Option<&str>, &str) {
    let is_prefix = text.get(..3).is_some_and(|it| it.eq_ignore_ascii_case("tz="));
    let zoned = text.get(3..).filter(|_| is_prefix);
    match zoned.and_then(|it| it.split_once(char::is_whitespace)) {
        Some((zone, expression)) => (Some(zone), expression.trim()),
        None => (None, text),
    }
}

/// The aliases of the original: `croner` does not know `@midnight`.
fn expand(expression: &str) -> String {
    let fields = match expression.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => expression,
    };
    fields.to_owned()
}
