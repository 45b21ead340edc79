//! What happens in a seed's life? All of it is decided before it begins: who is there, what people and
//! remotes do, and what goes wrong. Only when within a request it strikes depends on the requests.

mod begin;
mod people;
mod troubles;

use std::time::Duration;

use jiff::SignedDuration;

pub(super) use self::people::FROM as JOINED;
use super::chance::Chance;
use super::sizes::Sizes;
use super::timeline::At;

/// The life of a fleet.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The hub first.
    pub(super) clusters: Vec<String>,
    pub(super) repos: Vec<Repo>,
    pub(super) triggers: Vec<Wish>,
    /// How wrong the clock of each replica's machine is.
    pub(super) skews: Vec<SignedDuration>,
    pub(super) max_running: u32,
    /// How long a finished Job is kept, in seconds.
    pub(super) ttl: i32,
    /// How long a Job may wait to be started, in seconds.
    pub(super) waiting: u32,
    /// In the order in which they happen.
    pub(super) acts: Vec<(At, Act)>,
}

/// A repository as it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repo {
    /// Only who shows the token of its Secret is answered.
    pub(super) is_guarded: bool,
    /// One of its two mirrors learns of a push so much later.
    pub(super) lag: Duration,
}

/// A trigger as its author wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) cluster: usize,
    pub(super) sources: Sources,
    pub(super) branch: &'static str,
    pub(super) times: Times,
    pub(super) fires: Fires,
}

/// Which repositories a trigger names, by sources of which kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) kind: &'static str,
    pub(super) repos: Vec<usize>,
}

/// When a trigger looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Every(Duration),
    /// At each minute that is divisible by this.
    Minutes(u64),
}

impl Times {
    /// The longest time from one look to the next.
    pub(super) fn longest(self) -> Duration {
        match self {
            Self::Every(interval) => interval,
            Self::Minutes(minutes) => Duration::from_mins(minutes),
        }
    }
}

/// When a look becomes a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fires {
    OnChange,
    Always,
}

/// The branches there are.
pub(super) const BRANCHES: [&str; 2] = ["main", "dev"];

/// Something that happens at its time.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Remote {
        repo: usize,
        what: Remote,
    },
    Person {
        trigger: usize,
        what: Person,
    },
    Object {
        cluster: usize,
        what: Object,
    },
    /// A fault begins; the number is its own.
    Break {
        number: usize,
        cluster: usize,
        slot: Option<usize>,
        trouble: Trouble,
    },
    Mend {
        number: usize,
    },
    /// Watches end, or history is forgotten.
    Watches {
        cluster: usize,
        slot: Option<usize>,
        how: Ending,
    },
    Replica {
        slot: usize,
        what: Process,
    },
    /// The first replica that comes to this moment freezes.
    Ambush {
        at: Moment,
        length: Duration,
    },
    /// A replica reaches a cluster no more, and others do.
    CutOff {
        cluster: usize,
        slot: usize,
    },
    /// The clock of a cluster is set.
    Clock {
        cluster: usize,
        by: SignedDuration,
    },
    Unregister {
        cluster: usize,
    },
    Register {
        cluster: usize,
    },
}

/// What happens to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    Push(&'static str),
    /// A force-push to the commit that many before.
    Rewind(&'static str, usize),
    /// A branch is deleted, and comes back where it was.
    Delete(&'static str),
    Restore(&'static str),
    /// Answers take so long, and tell what was so when they were asked for.
    Slow(Duration),
    Quick,
    Fail(Failing),
    Recover,
    /// The server takes another token from now on; the Secrets follow with `Reveal`.
    Guard,
    Reveal,
}

/// How a repository fails to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    Silent,
    Status(u16),
    /// 429, and when to come back.
    Busy(Duration),
}

/// What the author of a trigger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Person {
    Times(Times),
    Branch(&'static str),
    Suspend,
    Resume,
    Delete,
    Create,
    /// Asks for a run by the annotation.
    Ask(Urge),
}

/// Whether a run that was asked for is to be although nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urge {
    IfChanged,
    Anyway,
}

/// What the owner of an Action or a source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    DeleteAction,
    CreateAction,
    DeleteSource(usize),
    CreateSource(usize),
    /// The source of a repository leads to another one, and back.
    Repoint(usize, usize),
}

/// What goes wrong between replicas and a cluster, until it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Partition,
    Latency(Duration),
    Tail(Duration),
    Unavailable(u16),
    Sometimes(u16, u32),
    DoneButRefused(u32),
    DoneButUnheard(u32),
    Unconnected(u32),
    StallWatches,
    RefuseConnections,
    Conflicts,
}

/// How watches end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Dropped,
    Expired,
    Compacted,
}

/// What befalls a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// It dies at a request, before or after it is done, and is started again after a rest.
    Crash { at: Moment, rest: Duration },
    /// It freezes at a request for so long.
    Freeze { at: Moment, length: Duration },
    /// It is asked to stop, and is started again after a rest.
    Stop { rest: Duration },
    /// The clock of its machine is set.
    Clock(SignedDuration),
}

/// A point between two requests of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) call: Call,
    /// So many such requests pass first.
    pub(super) skip: usize,
    pub(super) side: Side,
}

/// The requests that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Any,
    /// The status of a trigger that first holds a run: before it is written, it is tried.
    Record,
    /// Any other status of a trigger.
    Status,
    /// The creation of a Job.
    Create,
    /// A change of a Job: its start, or its withdrawal.
    Start,
    Lease,
}

impl Call {
    pub(super) const ALL: [Self; 6] =
        [Self::Any, Self::Record, Self::Status, Self::Create, Self::Start, Self::Lease];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

impl Script {
    /// The life that a seed means.
    pub(super) fn of(seed: u64, sizes: &Sizes) -> Self {
        let mut script = begin::begin(&mut Chance::of(seed, "begin"), sizes);
        people::act(&mut script, &mut Chance::of(seed, "people"), sizes);
        troubles::befall(&mut script, &mut Chance::of(seed, "troubles"), sizes);
        // Stable: what is at one time stays in the order in which it was thought of.
        script.acts.sort_by_key(|it| it.0);
        script
    }

    fn add(&mut self, at: At, act: Act) {
        self.acts.push((at, act));
    }
}
