//! What do calls of a trigger's URL make of its ledger? A `Requested` run each, or a note in the one that
//! waits already. Calls that came together are taken together, into one write.

use ger_api::TriggerStatus;
use ger_api::status::RunReason;
use jiff::Timestamp;

use super::Live;
use super::draft::{Asking, Draft};
use super::id;
use crate::names::Commit;
use crate::plan::{Forced, Plan};

/// A longer delivery id is kept as its digest: it is copied into each run.
const LONGEST_DELIVERY: usize = 128;

/// One call of a trigger's URL. Its caller has shown what it must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The uid and the generation of the trigger by whose spec it was judged.
    pub uid: String,
    pub generation: i64,
    /// What is to be checked; all of it or nothing.
    pub sources: Vec<String>,
    pub delivery: String,
    /// What its payload says is there now.
    pub hint: Option<Commit>,
}

impl Call {
    /// A delivery id that is fit for a status: short, and of visible characters.
    pub fn delivery_id(given: &[u8]) -> String {
        let text = std::str::from_utf8(given).unwrap_or_default();
        if (1..=LONGEST_DELIVERY).contains(&text.len())
            && text.bytes().all(|it| it.is_ascii_graphic())
        {
            return text.to_owned();
        }
        let text = String::from_utf8_lossy(given);
        id::short(&id::digest(&[&text]), 32)
    }
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// These runs are `Requested` once the status is written.
    Recorded {
        runs: Vec<String>,
    },
    /// The delivery was here before, and what it asked for is not finished.
    Repeated {
        runs: Vec<String>,
    },
    /// The trigger is another one than the call was judged by: judge again.
    Edited,
    Suspended,
    UnknownSource,
    /// The source has too many unfinished runs.
    Full {
        source: String,
    },
}

/// What a batch of calls makes of a ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The next status; none where the calls change nothing.
    pub status: Option<Box<TriggerStatus>>,
    /// What becomes of each call, in their order.
    pub taken: Vec<Taken>,
}

/// Takes calls into the ledger. Valid for one write on `live`; after a conflict, or a response that got
/// lost, ask again on what is read then.
pub fn call(plan: &Plan, live: &Live<'_>, calls: &[Call], now: Timestamp) -> Called {
    let mut draft = Draft::new(plan, live.status, now);
    let taken = calls.iter().map(|it| take(plan, live, &mut draft, it)).collect();
    Called { status: draft.called(), taken }
}

fn take(plan: &Plan, live: &Live<'_>, draft: &mut Draft<'_>, call: &Call) -> Taken {
    if call.uid != live.uid || call.generation != live.generation {
        return Taken::Edited;
    }
    if plan.suspend {
        return Taken::Suspended;
    }
    if call.sources.iter().any(|it| !plan.sources.contains(it)) {
        return Taken::UnknownSource;
    }
    let there: Vec<Option<String>> =
        call.sources.iter().map(|it| draft.asked_by(it, &call.delivery)).collect();
    if there.iter().all(Option::is_some) {
        return Taken::Repeated { runs: there.into_iter().flatten().collect() };
    }
    let joins = |draft: &Draft<'_>, source: &str| plan.on_change_only && draft.has_request(source);
    let mut new = call.sources.iter().zip(&there).filter(|(_, run)| run.is_none());
    if let Some((source, _)) = new.find(|(it, _)| !joins(draft, it) && !draft.has_room(it)) {
        return Taken::Full { source: source.clone() };
    }

    let asking = Asking {
        reason: RunReason::Webhook,
        occasion: &call.delivery,
        forced: Forced::No,
        // Whose commit it is, nobody says: the others would start late, waiting for what never comes to them.
        hint: call.hint.as_ref().filter(|_| plan.on_change_only || call.sources.len() == 1),
    };
    let mut ask = |source: &String| {
        let joined = if plan.on_change_only { draft.bump_request(source, &asking) } else { None };
        joined.unwrap_or_else(|| draft.request(source, &asking))
    };
    let sources = call.sources.iter().zip(there);
    let runs = sources.map(|(source, there)| there.unwrap_or_else(|| ask(source))).collect();
    Taken::Recorded { runs }
}

#[cfg(test)]
mod tests;
