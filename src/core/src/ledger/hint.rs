//! What is a commit that a webhook named good for? It is never believed: the run is for what the remote
//! says. But a remote that does not have it yet is asked again for a little while, since hosts send
//! webhooks before their replicas know the commit, and nobody would call a second time.

use std::time::Duration;

use ger_api::TriggerStatus;
use ger_api::status::Run;
use jiff::{SignedDuration, Timestamp};

use super::unfinished;
use crate::change::Head;
use crate::names::Commit;

/// How long: the hosts that we know of have it everywhere within seconds.
const AWAITED: SignedDuration = SignedDuration::from_secs(30);
/// The shortest time between two looks; each next one is twice as long.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Lets a run expect the commit, from now on.
pub(super) fn expect(run: &mut Run, hint: Option<&Commit>, now: Timestamp) {
    if let Some(hint) = hint {
        run.expected_commit = Some(hint.as_str().to_owned());
        run.expected_until = now.checked_add(AWAITED).ok();
    }
}

/// Whether the head is what the run expects, or it expects nothing.
pub(super) fn is_met(run: &Run, head: &Head) -> bool {
    let Some(expected) = run.expected_commit.as_deref() else { return true };
    let is_tag = head.tag_object.as_ref().is_some_and(|it| it.as_str() == expected);
    head.commit.as_str() == expected || is_tag
}

/// Whether the run still waits for something else than this head.
pub(super) fn is_awaited(status: &TriggerStatus, run: &Run, head: &Head, now: Timestamp) -> bool {
    !is_met(run, head) && left(status, run, now).is_some()
}

/// When the source is to be asked again because a caller saw a commit there that the remote did not
/// have; none if there is no such call.
pub fn look_again(status: &TriggerStatus, source: &str, now: Timestamp) -> Option<Duration> {
    let of_source = unfinished(status).filter(|it| it.source == source);
    let left = of_source.filter_map(|it| left(status, it, now)).min()?;
    let age = Duration::try_from(AWAITED).unwrap_or_default().saturating_sub(left);
    // The last look is just after the end: what asks is then answered by whatever is there.
    Some(age.max(FIRST_LOOK).min(left + Duration::from_millis(10)))
}

/// How long a run's commit is still waited for. One that was seen there before does not come anew: the
/// delivery is an old one.
fn left(status: &TriggerStatus, run: &Run, now: Timestamp) -> Option<Duration> {
    let (expected, until) = (run.expected_commit.as_deref()?, run.expected_until?);
    let left = until.duration_since(now);
    // Longer than it ever is: another machine's clock is wrong.
    if left <= SignedDuration::ZERO || left > AWAITED {
        return None;
    }
    let record = status.checked_sources.get(&run.source);
    let is_on_record = record.is_some_and(|it| {
        it.commit_hash.as_deref() == Some(expected)
            || it.previous_commit.as_deref() == Some(expected)
    });
    let mut runs = status.runs.iter().filter(|it| it.source == run.source);
    let is_known = is_on_record || runs.any(|it| it.commit.as_deref() == Some(expected));
    if is_known { None } else { Duration::try_from(left).ok() }
}
