//! What is told about an object, and what would be too much? The same is told once in a while, and nobody's
//! Events are drowned by one object that goes wrong all the time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ledger::Severity;
use crate::membership::Mono;

/// The same reason and words are told again after this.
const AGAIN_AFTER: Duration = Duration::from_mins(10);
/// So many things of each severity may be told of an object at once.
const BURST: u32 = 30;
/// And one more each time that this has passed.
const REFILL: Duration = Duration::from_secs(30);
/// An object of which nothing was told for so long has all its tokens back.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(30);
/// Objects that are remembered. Beyond, those of which was told longest ago are forgotten.
const MOST_OBJECTS: usize = 10_000;
/// Different things that are remembered of one object.
const MOST_THINGS: usize = 64;

/// What is to be done about something that somebody wants to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Tell it. It was wanted so often since it was last told.
    Now { repeated: u32 },
    /// It was told a moment ago.
    Repeats,
    /// Too much was told of this object.
    TooMuch,
}

/// What was told, of which objects. Never told anything by a clock: time is an argument.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    objects: BTreeMap<String, Object>,
    tidied: Mono,
}

#[derive(Clone, Debug, Default)]
struct Object {
    last: Mono,
    normal: Bucket,
    warning: Bucket,
    things: BTreeMap<(String, String), Thing>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Thing {
    told: Mono,
    repeated: u32,
}

/// Tokens that were taken, and when the last one came back.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    taken: u32,
    since: Mono,
}

impl Telling {
    /// Judges what is wanted to be told of an object; what is told from here on counts.
    pub fn on_notice(
        &mut self,
        object: &str,
        (severity, reason, message): (Severity, &str, &str),
        now: Mono,
    ) -> Tell {
        self.tidy(now);
        let object = self.objects.entry(object.to_owned()).or_default();
        object.last = now;
        let key = (reason.to_owned(), message.to_owned());
        let known = object.things.get_mut(&key);
        let mut repeated = 0;
        if let Some(thing) = known {
            thing.repeated = thing.repeated.saturating_add(1);
            if now.saturating_sub(thing.told) < AGAIN_AFTER {
                return Tell::Repeats;
            }
            repeated = thing.repeated.saturating_sub(1);
        }
        let bucket = match severity {
            Severity::Normal => &mut object.normal,
            Severity::Warning => &mut object.warning,
        };
        if !bucket.take(now) {
            return Tell::TooMuch;
        }
        object.things.retain(|_, it| now.saturating_sub(it.told) < AGAIN_AFTER);
        if object.things.len() < MOST_THINGS {
            object.things.insert(key, Thing { told: now, repeated: 0 });
        }
        Tell::Now { repeated }
    }

    fn tidy(&mut self, now: Mono) {
        let is_full = self.objects.len() >= MOST_OBJECTS;
        if !is_full && now.saturating_sub(self.tidied) < FORGOTTEN_AFTER {
            return;
        }
        self.tidied = now;
        self.objects.retain(|_, it| now.saturating_sub(it.last) < FORGOTTEN_AFTER);
        if self.objects.len() >= MOST_OBJECTS {
            let mut lasts: Vec<Mono> = self.objects.values().map(|it| it.last).collect();
            lasts.sort_unstable();
            let middle = lasts.get(lasts.len() / 2).copied().unwrap_or_default();
            self.objects.retain(|_, it| it.last > middle);
        }
    }
}

impl Bucket {
    fn take(&mut self, now: Mono) -> bool {
        while self.taken > 0 && now.saturating_sub(self.since) >= REFILL {
            self.taken -= 1;
            self.since = self.since.saturating_add(REFILL);
        }
        if self.taken == 0 {
            self.since = now;
        }
        let has_room = self.taken < BURST;
        self.taken += u32::from(has_room);
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: (Severity, &str, &str) = (Severity::Warning, "Unreachable", "no answer");

    fn at(seconds: u64) -> Mono {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_same_is_told_once_in_a_while_and_says_how_often_it_was() {
        let mut telling = Telling::default();

        assert_eq!(telling.on_notice("a", SAID, at(0)), Tell::Now { repeated: 0 });
        for second in 1..=5 {
            assert_eq!(telling.on_notice("a", SAID, at(second)), Tell::Repeats);
        }
        assert_eq!(telling.on_notice("a", SAID, at(700)), Tell::Now { repeated: 5 });
        assert_eq!(telling.on_notice("b", SAID, at(700)), Tell::Now { repeated: 0 });
        let other = (Severity::Warning, "Unreachable", "no route");
        assert_eq!(telling.on_notice("a", other, at(700)), Tell::Now { repeated: 0 });
    }

    #[test]
    fn one_object_does_not_drown_the_others_nor_its_own_warnings() {
        let mut telling = Telling::default();
        let texts: Vec<String> = (0..100).map(|it| format!("run {it}")).collect();
        let tell = |telling: &mut Telling, index: usize, now| {
            let said = (Severity::Normal, "RunRecorded", texts[index].as_str());
            telling.on_notice("busy", said, now)
        };

        let told = (0..60).filter(|it| tell(&mut telling, *it, at(0)) != Tell::TooMuch).count();

        assert_eq!(told, 30);
        assert_eq!(telling.on_notice("busy", SAID, at(0)), Tell::Now { repeated: 0 });
        assert_eq!(telling.on_notice("other", SAID, at(0)), Tell::Now { repeated: 0 });
        assert_eq!(tell(&mut telling, 61, at(29)), Tell::TooMuch);
        assert_eq!(tell(&mut telling, 62, at(30)), Tell::Now { repeated: 0 });
        assert_eq!(tell(&mut telling, 63, at(31)), Tell::TooMuch);
        let later =
            (64..99).filter(|it| tell(&mut telling, *it, at(3600)) != Tell::TooMuch).count();
        assert_eq!(later, 30, "who was quiet for long has all of it back");
    }

    #[test]
    fn objects_without_number_take_bounded_memory() {
        let mut telling = Telling::default();

        for number in 0..30_000_u64 {
            telling.on_notice(&number.to_string(), SAID, Duration::from_millis(number));
        }
        assert!(telling.objects.len() <= MOST_OBJECTS, "{}", telling.objects.len());
        telling.on_notice("last", SAID, at(100_000));

        assert_eq!(telling.objects.len(), 1);
    }
}
