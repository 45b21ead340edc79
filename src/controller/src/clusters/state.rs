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
            Self::Unreachable { .. } => "Unreachable",
            Self::Refused { .. } => "Refused",
        }
    }
}

/// What kind of trouble; people are told once per kind, not once per wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    Unreachable,
    Unauthorized,
    Forbidden,
    CrdsMissing,
    Duplicate,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::CrdsMissing => "CrdsMissing",
            Self::Duplicate => "Duplicate",
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

/// A cluster is unreachable when a stream failed so often in a row: a single connection may
/// break at any time, and is back before anybody need hear of it.
pub(super) const PATIENCE: u32 = 2;

/// The conditions of a cluster's steps and streams.
#[derive(Debug)]
pub(super) struct Board {
    conditions: BTreeMap<&'static str, Condition>,
    told: Option<(&'static str, Option<Reason>)>,
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
        let key = (state.word(), reason);
        let is_news = state != State::Connecting && self.told != Some(key);
        if is_news {
            self.told = Some(key);
        }
        Verdict { state, reason, is_news }
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
        match before {
            State::Ready => (State::Ready, None),
            State::Unreachable { .. } if !waiting => (before.clone(), Some(Reason::Unreachable)),
            State::Connecting | State::Unreachable { .. } | State::Refused { .. } => {
                (State::Connecting, None)
            }
        }
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

    fn refused(&self) -> Option<(Reason, String)> {
        let refusals = |of: Option<Reason>| {
            self.conditions.iter().filter_map(move |(step, it)| match it {
                Condition::Failing { trouble, .. }
                    if trouble.reason != Reason::Unreachable
                        && of.is_none_or(|reason| reason == trouble.reason) =>
                {
                    Some((*step, trouble))
                }
                Condition::Waiting | Condition::Working | Condition::Failing { .. } => None,
            })
        };
        let (_, first) = refusals(None).next()?;
        if first.reason != Reason::CrdsMissing {
            return Some((first.reason, first.text.clone()));
        }
        let missing: Vec<_> = refusals(Some(Reason::CrdsMissing)).map(|(step, _)| step).collect();
        Some((first.reason, format!("CRDs are not installed: {}", missing.join(", "))))
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
