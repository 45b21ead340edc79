//! What is a commit that a webhook named good for? It is never believed: the run is for what the remote
//! says. But a remote that does not have it yet is asked again for a little while, since hosts send
//! webhooks before their replicas know the commit, and nobody would call a second time.

use std::time::Duration;

use ger_api::TriggerStatus;
use ger_api::status::Run;
use jiff::{SignedDuration, Timestamp};

use crate::change::Head;
use crate::names::Commit;

/// How long: the hosts that we know of have it everywhere within seconds.
const AWAITED: SignedDuration = SignedDuration::from_secs(30);
/// The shortest time between two looks; each next one is twice as long.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// How many commits a run expects beside the last that was named.
const ALSO_EXPECTED: usize = 16;

/// Lets a run expect the commit, from now on, beside what it expects already: deliveries overtake each
/// other, so that the last need not name the newest.
pub(super) fn expect(run: &mut Run, hint: Option<&Commit>, now: Timestamp) {
    let Some(hint) = hint.map(|it| it.as_str().to_owned()) else { return };
    run.expected_until = now.checked_add(AWAITED).ok();
    run.also_expected.retain(|it| *it != hint);
    let before = run.expected_commit.replace(hint.clone());
    if let Some(before) = before.filter(|it| *it != hint) {
        run.also_expected.push(before);
        let surplus = run.also_expected.len().saturating_sub(ALSO_EXPECTED);
        run.also_expected.drain(..surplus);
    }
}

/// Lets a run no longer expect what the head is.
pub(super) fn meet(run: &mut Run, head: &Head) {
    run.also_expected.retain(|it| !is_it(it, head));
    if run.expected_commit.take_if(|it| is_it(it, head)).is_some() {
        run.expected_commit = run.also_expected.pop();
    }
    if run.expected_commit.is_none() {
        run.expected_until = None;
    }
}

fn is_it(expected: &str, head: &Head) -> bool {
    let is_tag = head.tag_object.as_ref().is_some_and(|it| it.as_str() == expected);
    head.commit.as_str() == expected || is_tag
}

/// Whether the run still waits for something else than this head.
pub(super) fn is_awaited(status: &TriggerStatus, run: &Run, head: &Head, now: Timestamp) -> bool {
    let mut rest = run.clone();
    meet(&mut rest, head);
    left(status, &rest, now).is_some()
}

/// When the source is to be asked again because a caller saw a commit there that the remote did not
/// have; none if there is no such call.
pub fn look_again(status: &TriggerStatus, source: &str, now: Timestamp) -> Option<Duration> {
    // Also a run that is done: a Job may be faster than the remote.
    let of_source = status.runs.iter().filter(|it| it.source == source);
    let left = of_source.filter_map(|it| left(status, it, now)).min()?;
    let age = Duration::try_from(AWAITED).unwrap_or_default().saturating_sub(left);
    // The last look is just after the end: what asks is then answered by whatever is there.
    Some(age.max(FIRST_LOOK).min(left + Duration::from_millis(10)))
}

/// How long a run's commits are still waited for. One that was seen there before does not come anew: the
/// delivery is an old one.
fn left(status: &TriggerStatus, run: &Run, now: Timestamp) -> Option<Duration> {
    let left = run.expected_until?.duration_since(now);
    // Longer than it ever is: another machine's clock is wrong.
    if left <= SignedDuration::ZERO || left > AWAITED {
        return None;
    }
    let mut expected = run.expected_commit.iter().chain(&run.also_expected);
    let comes = expected.any(|it| !is_known(status, &run.source, it));
    if comes { Duration::try_from(left).ok() } else { None }
}

/// Whether a commit was seen at a source.
fn is_known(status: &TriggerStatus, source: &str, commit: &str) -> bool {
    let record = status.checked_sources.get(source);
    let is_on_record = record.is_some_and(|it| {
        it.commit_hash.as_deref() == Some(commit) || it.previous_commit.as_deref() == Some(commit)
    });
    let mut runs = status.runs.iter().filter(|it| it.source == source);
    is_on_record || runs.any(|it| it.commit.as_deref() == Some(commit))
}
