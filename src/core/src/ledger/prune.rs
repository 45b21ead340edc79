//! Which runs are remembered, and how much is said of each?

use std::collections::BTreeSet;

use ger_api::TriggerStatus;
use ger_api::status::{Run, RunPhase};

use crate::plan::Kept;

/// How many runs are kept that ended neither way.
const KEPT_OTHERWISE: usize = 5;

/// What the schema lets a trigger keep at most.
pub(crate) const MOST_KEPT: Kept = Kept { succeeded: 50, failed: 50 };

/// A status is written whole, with every message in it.
const LONGEST_MESSAGE: usize = 256;

/// Forgets old finished runs: the newest few that succeeded stay, the newest few that failed, and the
/// newest few that ended otherwise.
///
/// An unfinished run is never forgotten. Nor is a source's newest run while another of that source is
/// unfinished: it tells that the other is not the newest.
pub fn prune(status: &mut TriggerStatus, keep: Kept) {
    let limits = [keep.succeeded, keep.failed, KEPT_OTHERWISE];
    let mut kept = [0_usize; 3];
    let mut seen = BTreeSet::new();
    let busy: BTreeSet<String> = super::unfinished(status).map(|it| it.source.clone()).collect();

    let mut runs: Vec<Run> = Vec::with_capacity(status.runs.len());
    for run in std::mem::take(&mut status.runs).into_iter().rev() {
        let is_newest = run.commit.is_some() && seen.insert(run.source.clone());
        let must_stay = class(run.phase).is_none() || (is_newest && busy.contains(&run.source));
        let has_room = class(run.phase).is_some_and(|it| {
            kept[it] += 1;
            kept[it] <= limits[it]
        });
        if must_stay || has_room {
            runs.push(run);
        }
    }
    runs.reverse();
    status.runs = runs;
}

fn class(phase: RunPhase) -> Option<usize> {
    match phase {
        RunPhase::Requested | RunPhase::Pending | RunPhase::Queued | RunPhase::Running => None,
        RunPhase::Succeeded => Some(0),
        RunPhase::Failed => Some(1),
        RunPhase::Expired | RunPhase::Deleted | RunPhase::Skipped | RunPhase::Unchanged => Some(2),
    }
}

/// As much of a message as is kept, whole characters only.
pub(crate) fn shorten(message: &str) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    let ellipsis = '…';
    let end = message.floor_char_boundary(LONGEST_MESSAGE - ellipsis.len_utf8());
    format!("{}{ellipsis}", &message[..end])
}
