//! Which runs are remembered, and how much is said of each?

use std::collections::{BTreeMap, BTreeSet};

use ger_api::TriggerStatus;
use ger_api::status::RunPhase;

use crate::plan::Kept;

/// How many runs are kept that ended neither way.
const KEPT_OTHERWISE: usize = 5;

/// What the schema lets a trigger keep at most.
pub(crate) const MOST_KEPT: Kept = Kept { succeeded: 50, failed: 50 };

/// A status is written whole, with every message in it.
const LONGEST_MESSAGE: usize = 256;

/// Forgets old finished runs: the few that succeeded last stay, the few that failed last, and the few that ended
/// otherwise. `before` is the status that this one is to replace: what ends with this write ended last, whatever
/// clocks say, so that its end is to be seen.
///
/// An unfinished run is never forgotten. Nor is a source's newest run while another of that source is
/// unfinished: it tells that the other is not the newest.
pub fn prune(status: &mut TriggerStatus, before: &TriggerStatus, keep: Kept) {
    let limits = [keep.succeeded, keep.failed, KEPT_OTHERWISE];
    let busy: BTreeSet<String> = super::unfinished(status).map(|it| it.source.clone()).collect();
    let newest = newest(status);

    let mut ends: [Vec<_>; 3] = Default::default();
    for (at, run) in status.runs.iter().enumerate() {
        if let Some(class) = class(run.phase) {
            let ends_now = super::unfinished(before).any(|it| it.id == run.id);
            ends[class].push((ends_now, run.finished_at, at));
        }
    }
    let mut forgotten = BTreeSet::new();
    for (mut ends, limit) in ends.into_iter().zip(limits) {
        ends.sort_unstable();
        let over = ends.len().saturating_sub(limit);
        forgotten.extend(ends.into_iter().take(over).map(|it| it.2));
    }
    let mut at = 0..;
    status.runs.retain(|run| {
        let at = at.next().unwrap_or_default();
        let tells = newest.contains(&at) && busy.contains(&run.source);
        tells || !forgotten.contains(&at)
    });
}

/// Where the newest run of each source is.
fn newest(status: &TriggerStatus) -> BTreeSet<usize> {
    let found = status.runs.iter().enumerate().filter(|it| it.1.commit.is_some());
    let by_source: BTreeMap<&str, usize> =
        found.map(|(at, run)| (run.source.as_str(), at)).collect();
    by_source.into_values().collect()
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
