//! What is written to a trigger's status, and what may follow what?
//!
//! A run exists from the moment when the status that holds it was written, with the resourceVersion
//! that was read. Deciding twice on one status gives one run: the second sees the first's record.

use std::time::Duration;

use ger_api::TriggerStatus;
use ger_api::status::{CheckedSource, Run, RunPhase};
use jiff::Timestamp;

use crate::broken::{self, Law};
use crate::change::{Change, Head};
use crate::plan::{Caution, Plan, RunAt};

mod calls;
mod cautions;
mod concurrency;
mod conditions;
mod draft;
mod due;
mod hindered;
mod hint;
pub(crate) mod id;
#[cfg(test)]
mod model;
mod phase;
mod prune;
#[cfg(test)]
mod tests;

pub use calls::{Call, Called, Taken, call};
pub use concurrency::{Place, place, replaced, replacing, skipped};
pub use conditions::{accepted, slim, wrong_config};
pub use due::over;
pub use hindered::{began, hindered};
pub use hint::look_again;
pub use id::run_id;
pub use phase::{
    JobSighting, Transition, back_to_pending, blocked, expired, failed, holds_queued,
    is_superseded, may_follow, observed, queued, superseded, turn,
};
pub use prune::prune;

use draft::{Asking, Draft};

/// How many runs of one source may be unfinished. More would not start any sooner.
pub const MOST_UNFINISHED: usize = 10;

/// A move back to the previous commit is asked about again after this: as long as a mirror that
/// lags a little needs, and short enough that a true revert runs at once.
const CONFIRM_AFTER: Duration = Duration::from_secs(5);

/// What was known of a source when its check was sent. The answer counts only against this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    uid: String,
    generation: i64,
    source: String,
    fingerprint: String,
    record: Option<CheckedSource>,
    requested: Vec<Requested>,
}

/// A run that waits for a check. A further request changes its occasion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    id: String,
    occasion: Option<String>,
}

/// Why a check was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Firing {
    /// The schedule says so; `nominal` is [`crate::schedule::Schedule::nominal`].
    Tick { nominal: String },
    /// Runs are `Requested`.
    Requested,
    /// An earlier check found the source back at its previous commit; `nominal` is that check's.
    Confirm { nominal: Option<String> },
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Head(Head),
    /// Nothing: why, as a condition's reason and as a sentence, and how often in a row by now.
    Unavailable {
        reason: &'static str,
        message: String,
        failures: i64,
    },
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub basis: Basis,
    pub firing: Firing,
    pub answer: Answer,
    /// What is to be said of the trigger's sources, of all of them as they are now.
    pub cautions: Vec<(String, Caution)>,
}

/// A trigger as just read. What is decided is valid for a write on exactly this resourceVersion.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    pub uid: &'a str,
    pub generation: i64,
    pub status: &'a TriggerStatus,
}

/// What to do about a trigger's status.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Nothing,
    /// A source has [`MOST_UNFINISHED`] runs: this firing is dropped and nothing is recorded, so
    /// that what changed is seen again. A condition says so already.
    Coalesced,
    /// Write this; then, and only then, the recorded runs exist and the notices are true.
    Write {
        status: Box<TriggerStatus>,
        recorded: Vec<String>,
        events: Vec<Notice>,
    },
    /// What was known when the check was sent is no longer so: ask again.
    CheckAgain,
    /// The source seems to be back at its previous commit: ask again after this, as
    /// [`Firing::Confirm`].
    ConfirmAfter(Duration),
    /// This is another trigger of the same name.
    Gone,
}

/// Something to tell the user, once, as an Event on the trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub severity: Severity,
    pub reason: String,
    pub message: String,
}

/// The two types of Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

/// What is known of a source now, to be kept with the check that is about to be sent.
pub fn basis(plan: &Plan, status: &TriggerStatus, source: &str, fingerprint: &str) -> Basis {
    Basis {
        uid: plan.uid.clone(),
        generation: plan.generation,
        source: source.to_owned(),
        fingerprint: fingerprint.to_owned(),
        record: status.checked_sources.get(source).map(|it| it.as_ref().clone()),
        requested: requested(status, source),
    }
}

impl Basis {
    /// The source that was asked about.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// Takes what a check found into the ledger.
///
/// `fingerprint` is of the source as it is known now. Valid for one write on `live`; after a
/// conflict, or a response that got lost, decide again on what is read then.
pub fn decide(
    plan: &Plan,
    live: &Live<'_>,
    fingerprint: &str,
    check: &Check,
    now: Timestamp,
) -> Verdict {
    let basis = &check.basis;
    if live.uid != basis.uid {
        return Verdict::Gone;
    }
    let record = live.status.checked_sources.get(&basis.source).map(Box::as_ref);
    let is_as_known = live.generation == basis.generation
        && plan.generation == basis.generation
        && fingerprint == basis.fingerprint
        && (record == basis.record.as_ref() || broken::is_off(Law::Basis));
    if !is_as_known {
        return Verdict::CheckAgain;
    }
    if plan.suspend || !plan.sources.contains(&basis.source) {
        return Verdict::Nothing;
    }
    let mut draft = Draft::new(plan, live.status, now);
    draft.caution(&check.cautions);
    match &check.answer {
        Answer::Head(head) => found(draft, check, head),
        Answer::Unavailable { reason, message, failures } => {
            draft.unavailable(&basis.source, &format!("{reason}: {message}"), *failures)
        }
    }
}

fn found(mut draft: Draft<'_>, check: &Check, head: &Head) -> Verdict {
    let basis = &check.basis;
    let change = draft.compare(&basis.source, head);
    let nominal = match &check.firing {
        Firing::Tick { nominal } => Some(nominal.as_str()),
        Firing::Requested => None,
        Firing::Confirm { nominal } => nominal.as_deref(),
    };
    if change == Change::Back && !matches!(check.firing, Firing::Confirm { .. }) {
        return Verdict::ConfirmAfter(CONFIRM_AFTER);
    }

    draft.answer_requests(basis, head);
    if draft.is_due(&basis.source, head, nominal) {
        if !draft.has_room(&basis.source) {
            return draft.coalesced(&basis.source);
        }
        draft.record(basis, head, nominal);
    }
    draft.reached(&basis.source, head)
}

/// Turns a new value of the `run-at` annotation into `Requested` runs, one for each source.
///
/// With `onChangeOnly` a source has one at most: a further request is noted in it, so that a check
/// in flight, which was sent before the request, does not answer it.
pub fn request(plan: &Plan, live: &Live<'_>, run_at: &RunAt, now: Timestamp) -> Verdict {
    if live.uid != plan.uid {
        return Verdict::Gone;
    }
    let is_handled = live.status.last_handled_run_at.as_deref() == Some(run_at.value.as_str());
    if is_handled || plan.suspend {
        return Verdict::Nothing;
    }
    if plan.generation != live.generation {
        return Verdict::CheckAgain;
    }
    let mut draft = Draft::new(plan, live.status, now);
    let asking = Asking::by_annotation(run_at);
    for source in plan.sources.iter().filter(|it| run_at.is_for(it)) {
        if plan.on_change_only && draft.bump_request(source, &asking).is_some() {
            continue;
        }
        if !draft.has_room(source) {
            return Verdict::Coalesced;
        }
        draft.request(source, &asking);
    }
    draft.handled(run_at)
}

/// The runs that are not finished, oldest first.
pub fn unfinished(status: &TriggerStatus) -> impl Iterator<Item = &Run> {
    status.runs.iter().filter(|it| !it.phase.is_final())
}

/// The requests of a source that wait for a check.
pub fn requested(status: &TriggerStatus, source: &str) -> Vec<Requested> {
    let of_source = |it: &&Run| it.source == source && it.phase == RunPhase::Requested;
    let requested = |it: &Run| Requested { id: it.id.clone(), occasion: it.occasion.clone() };
    status.runs.iter().filter(of_source).map(requested).collect()
}
