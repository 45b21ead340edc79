//! What does this member do about one shard's Lease?
//!
//! ```text
//!            assigned to me and free           assigned to another
//!   not mine ───────────────────────▶ mine ───────────────────────▶ draining ──▶ released
//!      ▲      claim (PUT, by version)  │ renew       drained, or 5 s   (holder emptied)
//!      └───────────────────────────────┘ not renewed in time, or the Lease names another
//! ```
//!
//! What is mine counts from when the write that made it mine was *sent*: whoever takes it over counts
//! from when that write was *seen*, which is later, whatever was delayed or lost between.

use std::time::Duration;

use crate::membership::{Moment, Mono, is_newer};
use crate::names::MemberId;

/// For how many durations who stepped in keeps a shard, before its assignee may try again. Should he
/// still not claim it, it is nobody's for two durations out of twelve.
const STANDS_IN_FOR: u32 = 10;

/// The times a claim lives by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a Lease is good for after a write.
    pub duration: Duration,
    /// How long before that its holder stops relying on it: for clocks that run unequally fast.
    pub margin: Duration,
    /// From one renewal to the next.
    pub renew: Duration,
    /// From a claim to its first renewal: differs from shard to shard, so that shards which were
    /// claimed together are not renewed together.
    pub first_renewal: Duration,
    /// How long the checks in flight may take when a shard is handed over.
    pub drain: Duration,
    /// From a write that did not succeed to the next.
    pub retry: Duration,
    pub takeover: Takeover,
}

/// Whether a shard is taken from a holder whose Lease ran out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    #[default]
    Enabled,
    /// Never: for the exercise that proves that its exercises can fail.
    Disabled,
}

/// A Lease, as far as a claim is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub holder: Option<MemberId>,
    pub version: String,
    pub transitions: i32,
}

/// Who held a Lease when it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastHolder {
    Known(Option<MemberId>),
    /// It is missing from a LIST.
    Unknown,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start nothing more for this shard, and say when what was started has ended.
    StopScheduling,
    /// Write the Lease, once, and say what became of it.
    Write(Write),
}

/// One write of the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub intent: Intent,
    /// The version to replace; none: create.
    pub version: Option<String>,
    pub transitions: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Claim,
    Renew,
    Release,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Stored(Observed),
    /// Certainly not stored: another version is there, or it is forbidden.
    Refused,
    /// Perhaps stored, perhaps later.
    Unknown,
}

/// One shard's life, as one member sees it.
#[derive(Clone, Debug)]
pub struct Claim {
    me: MemberId,
    settings: Settings,
    lease: Lease,
    transitions: i32,
    assigned: Option<MemberId>,
    stand_in: Option<MemberId>,
    /// It was claimed although assigned to another, who left it free for too long: until when.
    stands_in: Option<Mono>,
    leaves: bool,
    /// When the last write was sent that made or kept it mine.
    valid_from: Option<Mono>,
    renew_at: Mono,
    retry_at: Mono,
    in_flight: Option<Flight>,
    /// When the first of those claims or renewals was sent that may yet replace the known version.
    unanswered: Option<Mono>,
    drain: Option<Drain>,
}

#[derive(Clone, Debug)]
enum Lease {
    Unseen { since: Mono },
    Seen { observed: Observed, since: Mono },
    Gone { version: String, free_at: Mono },
}

#[derive(Clone, Debug)]
struct Flight {
    intent: Intent,
    sent: Mono,
    /// The version it replaces.
    base: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Drain {
    Since(Mono),
    Done,
}

impl Claim {
    /// A shard whose Lease was not seen since `at`, if it exists.
    pub fn new(me: MemberId, settings: Settings, at: Moment) -> Self {
        Self {
            me,
            settings,
            lease: Lease::Unseen { since: at.watched },
            transitions: -1,
            assigned: None,
            stand_in: None,
            stands_in: None,
            leaves: false,
            valid_from: None,
            renew_at: Mono::ZERO,
            retry_at: Mono::ZERO,
            in_flight: None,
            unanswered: None,
            drain: None,
        }
    }

    /// Whether the shard is mine beyond doubt.
    pub fn is_mine(&self, now: Mono) -> bool {
        self.mine_until().is_some_and(|until| now < until)
    }

    /// Until when it is mine if nothing more is heard; none when it is not mine. This may be past:
    /// then it was mine as last observed, and nobody is known to have taken it.
    pub fn mine_until(&self) -> Option<Mono> {
        self.held_until().filter(|_| self.is_wanted())
    }

    /// As `mine_until`, but also while it is drained to be handed over: nobody else has it yet.
    pub fn held_until(&self) -> Option<Mono> {
        let from = self.valid_from.filter(|_| self.is_named())?;
        Some(from + self.settings.duration.saturating_sub(self.settings.margin))
    }

    /// The claims so far, of whomever: tells under which of them something was done.
    pub fn transitions(&self) -> i32 {
        self.transitions.max(0)
    }

    /// Who holds the Lease, as last observed.
    pub fn holder(&self) -> Option<&MemberId> {
        match &self.lease {
            Lease::Seen { observed, .. } => observed.holder.as_ref(),
            Lease::Unseen { .. } | Lease::Gone { .. } => None,
        }
    }

    /// Whether a write is under way.
    pub fn is_writing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether there is nothing left to do: it was left, and nothing is under way.
    pub fn is_over(&self) -> bool {
        self.leaves && self.in_flight.is_none() && !self.is_named()
    }

    /// The Lease was seen. Says whether that was news.
    pub fn on_observed(&mut self, observed: Observed, at: Moment) -> News {
        let is_news = match &self.lease {
            Lease::Unseen { .. } => true,
            Lease::Seen { observed: known, .. } => is_newer(&observed.version, &known.version),
            Lease::Gone { version, .. } => is_newer(&observed.version, version),
        };
        if !is_news {
            return News::Old;
        }
        self.transitions = self.transitions.max(observed.transitions);
        if observed.holder.as_ref() == Some(&self.me) {
            self.confirm();
        } else {
            self.lose();
        }
        // Whatever was sent to replace an older version either did so or never will.
        self.unanswered = None;
        self.retry_at = self.retry_at.min(at.now);
        self.lease = Lease::Seen { observed, since: at.watched };
        News::New
    }

    /// The Lease is not there any more, as of `version`.
    ///
    /// Whoever held it may not know yet: except when that was nobody, or me, it is free only after
    /// its duration.
    pub fn on_gone(&mut self, version: &str, last: &LastHolder, at: Moment) {
        let (known_version, known_holder) = match &self.lease {
            Lease::Unseen { .. } => (None, None),
            Lease::Seen { observed, .. } => (Some(&observed.version), observed.holder.as_ref()),
            Lease::Gone { .. } => return,
        };
        if known_version.is_some_and(|known| !is_newer(version, known)) {
            return;
        }
        let was_mine = known_holder == Some(&self.me);
        let is_free = match last {
            LastHolder::Known(holder) => holder.as_ref().is_none_or(|it| *it == self.me),
            LastHolder::Unknown => was_mine,
        };
        let wait = if is_free { Duration::ZERO } else { self.settings.duration };
        self.lose();
        self.retry_at = self.retry_at.min(at.now);
        self.lease = Lease::Gone { version: version.to_owned(), free_at: at.watched + wait };
    }

    /// Who shall hold it, and who may step in. None: nobody is alive, so it stays where it is.
    pub fn on_assigned(&mut self, to: Option<MemberId>, stand_in: Option<MemberId>) {
        if to.is_none() {
            return;
        }
        if self.assigned != to {
            self.stands_in = None;
        }
        self.assigned = to;
        self.stand_in = stand_in;
    }

    /// Renews it as soon as it can be: what the Lease says beside its holder is not true any more.
    pub fn on_stale_text(&mut self, at: Moment) {
        self.renew_at = self.renew_at.min(at.now);
    }

    /// What was started before `StopScheduling` has ended.
    pub fn on_drained(&mut self) {
        if self.drain.is_some() {
            self.drain = Some(Drain::Done);
        }
    }

    /// Hand it over, and never claim it again.
    pub fn on_leave(&mut self) {
        self.leaves = true;
    }

    /// A write has come to its end.
    pub fn on_answer(&mut self, answer: Answer, at: Moment) -> News {
        let Some(flight) = self.in_flight.take() else { return News::Old };
        match answer {
            Answer::Stored(observed) => self.on_stored(&flight, observed, at),
            Answer::Refused => {
                self.retry_at = at.now + self.settings.retry;
                News::Old
            }
            Answer::Unknown => {
                self.retry_at = at.now + self.settings.retry;
                if flight.intent != Intent::Release && flight.base.as_deref() == self.version() {
                    self.unanswered = Some(self.unanswered.unwrap_or(flight.sent).min(flight.sent));
                }
                News::Old
            }
        }
    }

    fn on_stored(&mut self, flight: &Flight, stored: Observed, at: Moment) -> News {
        let version = stored.version.clone();
        let news = self.on_observed(stored, at);
        let is_newest =
            matches!(&self.lease, Lease::Seen { observed, .. } if observed.version == version);
        if flight.intent == Intent::Release || !is_newest {
            return news;
        }
        self.valid_from = self.valid_from.max(Some(flight.sent));
        self.renew_at = flight.sent
            + match flight.intent {
                Intent::Claim => self.settings.first_renewal,
                Intent::Renew | Intent::Release => self.settings.renew,
            };
        news
    }

    /// What to do now, if anything. Asked again until it is nothing.
    pub fn next(&mut self, at: Moment) -> Option<Command> {
        self.stands_in = self.stands_in.filter(|until| at.now < *until);
        if self.is_wanted() {
            self.drain = None;
        }
        if self.is_named() && !self.is_wanted() && self.drain.is_none() {
            self.drain = Some(Drain::Since(at.now));
            return Some(Command::StopScheduling);
        }
        if self.in_flight.is_some() || at.now < self.retry_at {
            return None;
        }
        if !self.is_named() {
            return self.claim(at);
        }
        if self.is_wanted() {
            let is_due = self.valid_from.is_none() || self.renew_at <= at.now;
            return is_due.then(|| self.write(Intent::Renew, at));
        }
        if self.drains_until().is_some_and(|until| at.now < until) {
            return None;
        }
        // From here on it is not mine, whether or not the release arrives.
        self.valid_from = None;
        Some(self.write(Intent::Release, at))
    }

    /// When `next` may have something to say although nothing happened.
    pub fn wake_at(&self, at: Moment) -> Option<Mono> {
        if self.in_flight.is_some() {
            return None;
        }
        let due = if !self.is_named() {
            let free_for = self.claims_after().filter(|_| at.is_live)?;
            at.now + (self.free_at()? + free_for).saturating_sub(at.watched)
        } else if self.is_wanted() {
            self.renew_at.min(self.stands_in.unwrap_or(self.renew_at))
        } else {
            self.drains_until().unwrap_or(at.now)
        };
        Some(due.max(self.retry_at))
    }

    /// The newest Lease that was observed names me.
    fn is_named(&self) -> bool {
        self.holder() == Some(&self.me)
    }

    fn is_wanted(&self) -> bool {
        !self.leaves && (self.stands_in.is_some() || self.assigned.as_ref() == Some(&self.me))
    }

    fn claim(&mut self, at: Moment) -> Option<Command> {
        let free_for = at.watched.checked_sub(self.free_at()?)?;
        if !at.is_live || free_for < self.claims_after()? {
            return None;
        }
        let stands_in = self.assigned.as_ref() != Some(&self.me);
        self.stands_in = stands_in.then(|| at.now + STANDS_IN_FOR * self.settings.duration);
        Some(self.write(Intent::Claim, at))
    }

    /// How long it has to be free before I claim it; none: it is not for me.
    fn claims_after(&self) -> Option<Duration> {
        if self.leaves {
            None
        } else if self.assigned.as_ref() == Some(&self.me) {
            Some(Duration::ZERO)
        } else if self.stand_in.as_ref() == Some(&self.me) {
            Some(2 * self.settings.duration)
        } else {
            None
        }
    }

    /// From when on anybody may claim it, in watched time.
    fn free_at(&self) -> Option<Mono> {
        match &self.lease {
            Lease::Unseen { since } => Some(*since),
            Lease::Gone { free_at, .. } => Some(*free_at),
            Lease::Seen { observed, since } => match (&observed.holder, self.settings.takeover) {
                (None, _) => Some(*since),
                (Some(_), Takeover::Enabled) => Some(*since + self.settings.duration),
                (Some(_), Takeover::Disabled) => None,
            },
        }
    }

    fn drains_until(&self) -> Option<Mono> {
        match self.drain {
            Some(Drain::Since(since)) => Some(since + self.settings.drain),
            Some(Drain::Done) | None => None,
        }
    }

    fn write(&mut self, intent: Intent, at: Moment) -> Command {
        let version = self.version().map(str::to_owned);
        self.in_flight = Some(Flight { intent, sent: at.now, base: version.clone() });
        let transitions = match intent {
            Intent::Claim => self.transitions + 1,
            Intent::Renew | Intent::Release => self.transitions,
        };
        Command::Write(Write { intent, version, transitions })
    }

    /// The version that a write would replace.
    fn version(&self) -> Option<&str> {
        match &self.lease {
            Lease::Seen { observed, .. } => Some(&observed.version),
            Lease::Unseen { .. } | Lease::Gone { .. } => None,
        }
    }

    /// A write of mine replaced the known version: which one is not told, so it counts from the
    /// first that it can be. A release that was sent meanwhile came too late.
    fn confirm(&mut self) {
        let can_be =
            |it: &&Flight| it.intent != Intent::Release && it.base.as_deref() == self.version();
        let flying = self.in_flight.as_ref().filter(can_be);
        let sent = [self.unanswered, flying.map(|it| it.sent)].into_iter().flatten().min();
        self.valid_from = self.valid_from.max(sent);
    }

    fn lose(&mut self) {
        self.valid_from = None;
        self.drain = None;
        self.stands_in = None;
    }
}

/// Whether an observation was newer than what was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    New,
    Old,
}

#[cfg(test)]
mod tests;
