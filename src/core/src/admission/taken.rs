//! Which places of a cluster are taken, and by which Jobs? What the watch shows, and what it does not show
//! yet: what was started here, what the last owner started, and a start of which no answer came.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::membership::Mono;
use crate::names::TriggerKey;

#[cfg(test)]
mod tests;

/// A watch that is further behind than this is begun anew, and with it comes a list.
const BEHIND: Duration = Duration::from_mins(1);

/// A Job as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight<'a> {
    pub uid: &'a str,
    pub job: &'a str,
    /// Its resourceVersion.
    pub version: &'a str,
    pub stage: Stage,
    /// Whose it says it is; needed of those that work.
    pub trigger: Option<TriggerKey>,
}

/// How far a Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is suspended, and was not given to Kueue.
    Waits,
    /// It runs, in a place of ours.
    Works,
    /// It has ended, or Kueue has it: its place is not ours.
    Elsewhere,
}

/// Where Jobs were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Read {
    /// Consistent: what is not in it is not there.
    List,
    #[default]
    Watch,
}

/// What may show that a Job that works is ours. Its labels do not: anybody can write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The ledger of its trigger has it.
    Ledger,
    /// Its trigger is gone, and an Action owns it.
    Owner,
}

/// The places that are taken, by the uid of the Job that has each.
#[derive(Debug, Default)]
pub struct Taken {
    places: BTreeMap<String, Place>,
    /// Where Jobs were read last.
    last: Read,
}

#[derive(Debug)]
struct Place {
    trigger: TriggerKey,
    by: By,
}

/// How it is known that a Job has its place.
#[derive(Debug)]
enum By {
    /// The watch has shown that it runs. Its place is its own until it is seen to have ended, whatever becomes
    /// of its trigger.
    Watch,
    /// A list said so when the slot was gained.
    List(Mono),
    /// It was started here; the watch still shows the version that was.
    Start { version: String },
    /// It was to be started here, and nobody knows whether it was.
    Asked { job: String, since: Mono },
}

/// A Job that was to be started and may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub trigger: TriggerKey,
    pub job: String,
    pub uid: String,
    pub since: Mono,
}

impl Taken {
    /// Takes in what was read of all Jobs; `shows` judges, by its position among them, one that works and had no
    /// place so far.
    ///
    /// Of Jobs whose trigger is gone a new owner, who reads a list, cannot know by any ledger that they are
    /// ours: it believes their owner, of half of `limit` at most, which is all that forged ones can take.
    pub fn on_seen(
        &mut self,
        (sights, read): (&[Sight<'_>], Read),
        limit: u32,
        now: Mono,
        mut shows: impl FnMut(usize, Evidence) -> bool,
    ) {
        self.last = read;
        let by_uid: BTreeMap<&str, &Sight<'_>> = sights.iter().map(|it| (it.uid, it)).collect();
        self.places.retain(|uid, it| it.by.holds(by_uid.get(uid.as_str()).copied(), read, now));
        let mut believed = if read == Read::List { limit.div_ceil(2) } else { 0 };
        let works = |it: &(usize, &Sight<'_>)| it.1.stage == Stage::Works;
        for (at, sight) in sights.iter().enumerate().filter(works) {
            let Some(trigger) = sight.trigger.clone() else { continue };
            let by = match read {
                Read::Watch => By::Watch,
                Read::List => By::List(now),
            };
            if let Some(place) = self.places.get_mut(sight.uid) {
                place.by = by;
            } else if shows(at, Evidence::Ledger) {
                self.take(sight, trigger, by);
            } else if believed > 0 && shows(at, Evidence::Owner) {
                believed -= 1;
                self.take(sight, trigger, by);
            }
        }
    }

    /// Before a start is asked for: whatever comes of it, the Job may have the place.
    pub fn ask(&mut self, sight: &Sight<'_>, trigger: &TriggerKey, now: Mono) {
        let job = sight.job.to_owned();
        let since = match self.places.get(sight.uid) {
            Some(Place { by: By::Asked { since, .. }, .. }) => *since,
            Some(_) | None => now,
        };
        self.take(sight, trigger.clone(), By::Asked { job, since });
    }

    /// It was started.
    pub fn started(&mut self, sight: &Sight<'_>, trigger: &TriggerKey, now: Mono) {
        let by = match self.last {
            Read::Watch => By::Start { version: sight.version.to_owned() },
            // The watch may show a version that is older than this one was.
            Read::List => By::List(now),
        };
        self.take(sight, trigger.clone(), by);
    }

    /// It runs, by a live read that is newer than what the watch shows.
    pub fn runs(&mut self, uid: &str, now: Mono) {
        if let Some(place) = self.places.get_mut(uid) {
            place.by = By::List(now);
        }
    }

    /// It was not started, or has ended.
    pub fn leave(&mut self, uid: &str) {
        self.places.remove(uid);
    }

    fn take(&mut self, sight: &Sight<'_>, trigger: TriggerKey, by: By) {
        self.places.insert(sight.uid.to_owned(), Place { trigger, by });
    }

    /// The Jobs that were to be started and may not have been.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = |(uid, place): (&String, &Place)| match &place.by {
            By::Asked { job, since } => {
                let (trigger, job) = (place.trigger.clone(), job.clone());
                Some(Asked { trigger, job, uid: uid.clone(), since: *since })
            }
            By::Watch | By::List(_) | By::Start { .. } => None,
        };
        self.places.iter().filter_map(asked).collect()
    }

    /// Whether a Job has a place.
    pub fn has(&self, uid: &str) -> bool {
        self.places.contains_key(uid)
    }

    /// How many places each trigger has.
    pub fn by_trigger(&self) -> BTreeMap<TriggerKey, usize> {
        let mut by_trigger = BTreeMap::new();
        for place in self.places.values() {
            *by_trigger.entry(place.trigger.clone()).or_default() += 1;
        }
        by_trigger
    }

    /// The uids of those that have a place.
    pub fn uids(&self) -> BTreeSet<String> {
        self.places.keys().cloned().collect()
    }
}

impl By {
    /// Whether a Job keeps its place, seen like this or not at all.
    fn holds(&self, sight: Option<&Sight<'_>>, read: Read, now: Mono) -> bool {
        let is_young = |since: &Mono| now.saturating_sub(*since) < BEHIND;
        let Some(sight) = sight else {
            // What the watch never showed it may not show yet.
            return match self {
                Self::List(since) => read == Read::Watch && is_young(since),
                Self::Asked { since, .. } => is_young(since),
                Self::Watch | Self::Start { .. } => false,
            };
        };
        match sight.stage {
            Stage::Works => return true,
            Stage::Elsewhere => return false,
            Stage::Waits => {}
        }
        match self {
            // Somebody suspended it.
            Self::Watch => false,
            Self::List(since) => read == Read::Watch && is_young(since),
            Self::Start { version } => read == Read::Watch && *version == sight.version,
            Self::Asked { since, .. } => is_young(since),
        }
    }
}
