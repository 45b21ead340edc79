//! How is a cluster doing? From what each of its streams reports, what is to be said of the whole.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;

/// How a cluster is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not everything was seen yet.
    Connecting,
    /// All that is watched was listed, and is being watched.
    Ready,
    /// It works, but for what its RBAC does not let us do.
    Limited { why: String },
    /// It does not answer. What was last known of it is kept.
    Unreachable { since: Instant, why: String },
    /// It answers, and what it answers does not let us work. Retried until that is mended.
    Refused { why: String },
}

impl State {
    /// The state without its details, as a metric or a column shows it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Connecting => "Connecting",
            Self::Ready => "Ready",
            Self::Limited { .. } => "Limited",
            Self::Unreachable { .. } => "Unreachable",
            Self::Refused { .. } => "Refused",
        }
    }

    /// Whether triggers of the cluster are worked.
    pub fn works(&self) -> bool {
        match self {
            Self::Ready | Self::Limited { .. } => true,
            Self::Connecting | Self::Unreachable { .. } | Self::Refused { .. } => false,
        }
    }

    /// What people should know of it, if anything.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Limited { why } | Self::Unreachable { why, .. } | Self::Refused { why } => {
                Some(why)
            }
            Self::Connecting | Self::Ready => None,
        }
    }
}

/// What kind of trouble; people are told once per kind, not once per wording. Where there are several, the
/// first in this order is the one to mend first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    Unreachable,
    Duplicate,
    Unauthorized,
    TooLarge,
    CrdsMissing,
    CrdsTooOld,
    Forbidden,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Duplicate => "Duplicate",
            Self::Unauthorized => "Unauthorized",
            Self::TooLarge => "TooLarge",
            Self::CrdsMissing => "CrdsMissing",
            Self::CrdsTooOld => "CrdsTooOld",
            Self::Forbidden => "Forbidden",
        }
    }
}

/// Why a step or a stream does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: Reason,
    pub(super) text: String,
}

/// How one step or stream of a cluster is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Waiting,
    Working,
    Failing { failures: u32, since: Instant, trouble: Trouble },
}

/// The step that comes before every stream: which cluster is this?
pub(super) const IDENTITY: &str = "identity";

/// Whether the CRDs there hold what we record.
pub(super) const SCHEMA: &str = "schema";

/// What we may do there.
pub(super) const PERMISSIONS: &str = "permissions";

/// Streams without which nothing can be done: all of one row are needed.
const NEEDED: [&[&str]; 3] = [&[IDENTITY], &["jobs"], &["scheduletriggers", "webhooktriggers"]];

/// What installs the CRDs, or newer ones.
const INSTALL: &str =
    "install them in that cluster: git-events-runner crds | kubectl apply --server-side -f -";

/// A cluster is unreachable when a stream failed so often in a row: a single connection may
/// break at any time, and is back before anybody need hear of it.
pub(super) const PATIENCE: u32 = 2;

/// The conditions of a cluster's steps and streams.
#[derive(Debug)]
pub(super) struct Board {
    conditions: BTreeMap<&'static str, Condition>,
    told: Option<(&'static str, Option<Reason>, Option<String>)>,
}

impl Board {
    pub(super) fn new(steps: impl IntoIterator<Item = &'static str>) -> Self {
        let conditions = steps.into_iter().map(|it| (it, Condition::Waiting)).collect();
        Self { conditions, told: None }
    }

    /// Takes a report, and answers what is now to be said of the cluster.
    pub(super) fn report(
        &mut self,
        step: &'static str,
        condition: Condition,
        before: &State,
    ) -> Verdict {
        self.conditions.insert(step, condition);
        let (state, reason) = self.judge(before);
        // What RBAC lacks is named, and is said again when it is something else.
        let lacks = matches!(state, State::Limited { .. }).then(|| state.why().map(str::to_owned));
        let key = Some((state.word(), reason, lacks.flatten()));
        let is_news = state != State::Connecting && self.told != key;
        if is_news {
            self.told = key;
        }
        Verdict { state, reason, is_news }
    }

    /// What was said last, as far as nothing changed.
    pub(super) fn verdict(&self, now: &State) -> Verdict {
        let (_, reason) = self.judge(now);
        Verdict { state: now.clone(), reason, is_news: false }
    }

    fn judge(&self, before: &State) -> (State, Option<Reason>) {
        if let Some((since, why)) = self.unreachable() {
            return (State::Unreachable { since, why }, Some(Reason::Unreachable));
        }
        let waiting = self.conditions.values().any(|it| *it == Condition::Waiting);
        let identified = self.conditions.get(IDENTITY) == Some(&Condition::Working);
        // While others still wait, the first refusal is not the whole story.
        if let Some((reason, why)) = self.refused().filter(|_| !(identified && waiting)) {
            return (State::Refused { why }, Some(reason));
        }
        if self.conditions.values().all(|it| *it == Condition::Working) {
            return (State::Ready, None);
        }
        if let Some(why) = self.limited() {
            return (State::Limited { why }, Some(Reason::Forbidden));
        }
        match before {
            State::Ready => (State::Ready, None),
            State::Limited { .. } => (before.clone(), Some(Reason::Forbidden)),
            State::Unreachable { .. } if !waiting => (before.clone(), Some(Reason::Unreachable)),
            State::Connecting | State::Unreachable { .. } | State::Refused { .. } => {
                (State::Connecting, None)
            }
        }
    }

    /// What RBAC does not permit, where everything else works.
    fn limited(&self) -> Option<String> {
        let mut lacks = Vec::new();
        for (step, condition) in &self.conditions {
            match condition {
                Condition::Working => {}
                Condition::Failing { trouble, .. } if trouble.reason == Reason::Forbidden => {
                    lacks.push((*step, trouble.text.as_str()));
                }
                Condition::Waiting | Condition::Failing { .. } => return None,
            }
        }
        // Who was asked what he permits says it all; else each stream says what it met.
        let asked = lacks.iter().find(|it| it.0 == PERMISSIONS).map(|it| vec![it.1]);
        let texts = asked.unwrap_or_else(|| lacks.iter().map(|it| it.1).collect());
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    fn unreachable(&self) -> Option<(Instant, String)> {
        let lost = self.conditions.values().filter_map(|it| match it {
            Condition::Failing { failures, since, trouble }
                if trouble.reason == Reason::Unreachable && *failures >= PATIENCE =>
            {
                Some((*since, trouble.text.clone()))
            }
            Condition::Waiting | Condition::Working | Condition::Failing { .. } => None,
        });
        lost.min_by_key(|(since, _)| *since)
    }

    /// What keeps everything from being done, the first to mend of it.
    fn refused(&self) -> Option<(Reason, String)> {
        let all: Vec<_> = self
            .conditions
            .iter()
            .filter_map(|(step, it)| match it {
                Condition::Failing { trouble, .. } if trouble.reason != Reason::Unreachable => {
                    Some((*step, trouble))
                }
                Condition::Waiting | Condition::Working | Condition::Failing { .. } => None,
            })
            .collect();
        let is_forbidden =
            |step: &&str| all.iter().any(|it| it.0 == *step && it.1.reason == Reason::Forbidden);
        let stops = |row: &&[&'static str]| {
            let there: Vec<&str> =
                row.iter().copied().filter(|it| self.conditions.contains_key(it)).collect();
            !there.is_empty() && there.iter().all(is_forbidden)
        };
        let is_stopped = NEEDED.iter().any(stops);
        let counts = |it: &&(&str, &Trouble)| it.1.reason != Reason::Forbidden || is_stopped;
        let (_, first) = all.iter().filter(counts).min_by_key(|it| it.1.reason)?;
        let of_kind = |reason: Reason| all.iter().filter(move |it| it.1.reason == reason);
        let why = match first.reason {
            Reason::CrdsMissing => {
                let missing: Vec<_> = of_kind(Reason::CrdsMissing).map(|it| it.0).collect();
                format!("CRDs are not installed: {}; {INSTALL}", missing.join(", "))
            }
            Reason::CrdsTooOld => format!("{}; {INSTALL}", first.text),
            _ => first.text.clone(),
        };
        Some((first.reason, why))
    }
}

/// What a report means for the cluster.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) reason: Option<Reason>,
    /// Whether people have not been told of this yet.
    pub(super) is_news: bool,
}

/// How long to wait before try number `attempt` (from 1): 0.8 s doubling to 30 s, as kube's watcher
/// does, with up to as much again on top so that streams do not return in step.
///
/// The spread comes from a hash and not from a generator, so that a simulated fleet replays.
pub(super) fn backoff(attempt: u32, salt: (&str, &str, u64)) -> Duration {
    let exponent = attempt.saturating_sub(1).min(6);
    let base = FIRST_DELAY.saturating_mul(1 << exponent).min(LAST_DELAY);
    let mut hasher = DefaultHasher::new();
    (salt, attempt).hash(&mut hasher);
    let spread = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    base + base * spread / 1000
}

const FIRST_DELAY: Duration = Duration::from_millis(800);
const LAST_DELAY: Duration = Duration::from_secs(30);
