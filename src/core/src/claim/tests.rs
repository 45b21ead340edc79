//! One life after another, and two members against each other over a network that does anything.

mod contest;

use super::*;

const LEASE: Duration = Duration::from_secs(15);

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn settings() -> Settings {
    Settings {
        duration: LEASE,
        margin: secs(1),
        renew: secs(5),
        first_renewal: secs(3),
        drain: secs(5),
        retry: secs(1),
        takeover: Takeover::Enabled,
    }
}

/// A moment under a watch that was never stale.
pub(super) fn live(now: Mono) -> Moment {
    Moment { now, watched: now, is_live: true }
}

fn at(n: u64) -> Moment {
    live(secs(n))
}

fn me() -> MemberId {
    MemberId::new("me")
}

fn you() -> MemberId {
    MemberId::new("you")
}

fn lease(holder: Option<MemberId>, version: u64, transitions: i32) -> Observed {
    Observed { holder, version: version.to_string(), transitions }
}

fn new() -> Claim {
    Claim::new(me(), settings(), at(0))
}

/// Assigned to me, claimed at 0 with version 1, first renewal due at 3.
fn mine() -> Claim {
    let mut claim = new();
    claim.on_assigned(Some(me()), Some(you()));
    assert!(claim.next(at(0)).is_some());
    claim.on_answer(Answer::Stored(lease(Some(me()), 1, 0)), at(0));
    claim
}

fn write(intent: Intent, version: impl Into<Option<u64>>, transitions: i32) -> Command {
    let version = version.into().map(|it| it.to_string());
    Command::Write(Write { intent, version, transitions })
}

#[test]
fn a_lease_that_was_never_there_is_created() {
    let mut claim = new();
    claim.on_assigned(Some(me()), None);

    assert_eq!(claim.next(at(1)), Some(write(Intent::Claim, None, 0)));
    assert_eq!(claim.next(at(1)), None, "one write at a time");
    assert!(!claim.is_mine(secs(1)));

    claim.on_answer(Answer::Stored(lease(Some(me()), 1, 0)), at(2));
    assert!(claim.is_mine(secs(2)));
    assert_eq!(claim.mine_until(), Some(secs(1 + 14)), "from when it was sent");
}

#[test]
fn nothing_is_claimed_while_the_watch_is_stale() {
    let mut claim = new();
    claim.on_assigned(Some(me()), None);
    let blind = Moment { is_live: false, ..at(1) };

    assert_eq!(claim.next(blind), None);
    assert_eq!(claim.wake_at(blind), None);
    assert!(claim.next(at(1)).is_some());
}

#[test]
fn it_is_renewed_first_after_its_own_delay_and_then_regularly() {
    let mut claim = mine();
    assert_eq!(claim.next(at(2)), None);
    assert_eq!(claim.wake_at(at(2)), Some(secs(3)));

    assert_eq!(claim.next(at(3)), Some(write(Intent::Renew, 1, 0)));
    claim.on_answer(Answer::Stored(lease(Some(me()), 2, 0)), at(3));
    assert_eq!(claim.wake_at(at(3)), Some(secs(8)));
    assert_eq!(claim.mine_until(), Some(secs(3 + 14)));
}

#[test]
fn a_holder_that_cannot_renew_stops_before_its_lease_runs_out() {
    let mut claim = mine();
    for second in 3..=13 {
        if claim.next(at(second)).is_some() {
            claim.on_answer(Answer::Unknown, at(second));
        }
        assert!(claim.is_mine(secs(second)), "{second}");
    }

    assert!(!claim.is_mine(secs(14)));
    assert_eq!(claim.mine_until(), Some(secs(14)), "still known as the last holder");
}

#[test]
fn a_late_renewal_that_arrived_counts_from_when_it_was_sent() {
    let mut claim = mine();
    assert!(claim.next(at(3)).is_some());
    claim.on_answer(Answer::Unknown, at(6));
    assert!(claim.next(at(7)).is_some());
    claim.on_answer(Answer::Unknown, at(10));

    // One of the two was stored: nobody can say which.
    claim.on_observed(lease(Some(me()), 2, 0), at(10));
    assert_eq!(claim.mine_until(), Some(secs(3 + 14)));
}

#[test]
fn what_somebody_else_edits_renews_nothing() {
    let mut claim = mine();
    claim.on_observed(lease(Some(me()), 2, 0), at(2));

    assert_eq!(claim.mine_until(), Some(secs(14)));
    assert_eq!(claim.next(at(3)), Some(write(Intent::Renew, 2, 0)));
}

#[test]
fn an_older_version_changes_nothing() {
    let mut claim = mine();
    claim.on_observed(lease(Some(me()), 9, 0), at(1));

    assert_eq!(claim.on_observed(lease(Some(you()), 8, 0), at(1)), News::Old);
    claim.on_gone("8", &LastHolder::Unknown, at(1));
    assert!(claim.is_mine(secs(1)));
}

#[test]
fn another_holder_is_believed_at_once() {
    let mut claim = mine();
    claim.on_observed(lease(Some(you()), 2, 1), at(1));

    assert!(!claim.is_mine(secs(1)));
    assert_eq!(claim.mine_until(), None);
    assert_eq!(claim.transitions(), 1);
}

#[test]
fn a_held_lease_is_taken_over_only_when_it_stood_still_for_its_duration() {
    let mut claim = new();
    claim.on_assigned(Some(me()), None);
    claim.on_observed(lease(Some(you()), 7, 3), at(2));
    assert_eq!(claim.next(at(16)), None);
    claim.on_observed(lease(Some(you()), 8, 3), at(16));
    assert_eq!(claim.wake_at(at(16)), Some(secs(31)));
    assert_eq!(claim.next(at(30)), None);

    assert_eq!(claim.next(at(31)), Some(write(Intent::Claim, 8, 4)));
}

#[test]
fn without_takeover_an_expired_lease_stays_with_its_dead() {
    let settings = Settings { takeover: Takeover::Disabled, ..settings() };
    let mut claim = Claim::new(me(), settings, at(0));
    claim.on_assigned(Some(me()), None);
    claim.on_observed(lease(Some(you()), 7, 3), at(0));
    assert_eq!(claim.next(at(3600)), None);

    claim.on_observed(lease(None, 8, 3), at(3600));
    assert!(claim.next(at(3600)).is_some(), "what was released is free");
}

#[test]
fn a_released_lease_is_claimed_at_once() {
    let mut claim = new();
    claim.on_assigned(Some(me()), None);
    claim.on_observed(lease(Some(you()), 7, 3), at(2));
    claim.on_observed(lease(None, 8, 3), at(3));

    assert_eq!(claim.next(at(3)), Some(write(Intent::Claim, 8, 4)));
}

#[test]
fn a_shard_that_is_assigned_away_is_drained_and_released() {
    let mut claim = mine();
    claim.on_assigned(Some(you()), Some(me()));
    assert!(!claim.is_mine(secs(1)));

    assert_eq!(claim.next(at(1)), Some(Command::StopScheduling));
    assert_eq!(claim.next(at(1)), None);
    assert_eq!(claim.wake_at(at(1)), Some(secs(6)));
    claim.on_drained();
    assert_eq!(claim.next(at(2)), Some(write(Intent::Release, 1, 0)));

    claim.on_answer(Answer::Stored(lease(None, 2, 0)), at(2));
    assert_eq!(claim.next(at(2)), None);
    assert_eq!(claim.holder(), None);
}

#[test]
fn a_drain_that_does_not_end_is_cut_off() {
    let mut claim = mine();
    claim.on_assigned(Some(you()), None);
    assert_eq!(claim.next(at(1)), Some(Command::StopScheduling));

    assert_eq!(claim.next(at(5)), None);
    assert_eq!(claim.next(at(6)), Some(write(Intent::Release, 1, 0)));
}

#[test]
fn a_shard_that_comes_back_while_draining_is_kept() {
    let mut claim = mine();
    claim.on_assigned(Some(you()), None);
    assert_eq!(claim.next(at(1)), Some(Command::StopScheduling));
    claim.on_assigned(Some(me()), None);
    assert_eq!(claim.next(at(2)), None);
    assert!(claim.is_mine(secs(2)));

    claim.on_assigned(Some(you()), None);
    assert_eq!(claim.next(at(4)), Some(Command::StopScheduling), "drained anew");
    assert_eq!(claim.next(at(6)), None);
}

#[test]
fn after_a_release_was_sent_it_is_mine_only_by_a_new_write() {
    let mut claim = mine();
    claim.on_assigned(Some(you()), None);
    assert_eq!(claim.next(at(1)), Some(Command::StopScheduling));
    claim.on_drained();
    assert!(claim.next(at(1)).is_some());
    claim.on_answer(Answer::Unknown, at(3));
    claim.on_assigned(Some(me()), None);
    assert!(!claim.is_mine(secs(3)));

    assert_eq!(claim.next(at(4)), Some(write(Intent::Renew, 1, 0)));
    claim.on_answer(Answer::Stored(lease(Some(me()), 2, 0)), at(4));
    assert!(claim.is_mine(secs(4)));
}

#[test]
fn nobody_alive_means_that_everything_stays() {
    let mut claim = mine();
    claim.on_assigned(None, None);

    assert!(claim.is_mine(secs(1)));
}

#[test]
fn a_deleted_lease_of_mine_is_created_again_and_not_mine_meanwhile() {
    let mut claim = mine();
    claim.on_gone("2", &LastHolder::Known(Some(me())), at(1));
    assert!(!claim.is_mine(secs(1)));

    assert_eq!(claim.next(at(1)), Some(write(Intent::Claim, None, 1)));
}

#[test]
fn a_deleted_lease_of_another_is_free_only_after_its_duration() {
    let mut claim = new();
    claim.on_assigned(Some(me()), None);
    claim.on_observed(lease(Some(you()), 7, 3), at(2));
    claim.on_gone("8", &LastHolder::Known(Some(you())), at(3));

    assert_eq!(claim.next(at(17)), None);
    assert_eq!(claim.next(at(18)), Some(write(Intent::Claim, None, 4)));
}

#[test]
fn what_stays_free_for_twice_the_duration_goes_to_the_next() {
    let mut claim = new();
    claim.on_assigned(Some(you()), Some(me()));
    claim.on_observed(lease(None, 5, 0), at(1));
    assert_eq!(claim.next(at(30)), None);
    assert_eq!(claim.wake_at(at(30)), Some(secs(31)));

    assert_eq!(claim.next(at(31)), Some(write(Intent::Claim, 5, 1)));
    claim.on_answer(Answer::Stored(lease(Some(me()), 6, 1)), at(31));
    assert!(claim.is_mine(secs(31)), "although it is assigned to another");

    claim.on_assigned(Some(MemberId::new("third")), Some(you()));
    assert_eq!(claim.next(at(32)), Some(Command::StopScheduling), "until somebody else shall");
}

#[test]
fn who_stepped_in_gives_it_back_after_a_while() {
    let mut claim = new();
    claim.on_assigned(Some(you()), Some(me()));
    assert!(claim.next(at(30)).is_some());
    claim.on_answer(Answer::Stored(lease(Some(me()), 1, 0)), at(30));
    let renewal = claim.next(at(179));
    assert!(matches!(renewal, Some(Command::Write(Write { intent: Intent::Renew, .. }))));
    claim.on_answer(Answer::Stored(lease(Some(me()), 2, 0)), at(179));
    assert_eq!(claim.wake_at(at(179)), Some(secs(180)));

    assert_eq!(claim.next(at(180)), Some(Command::StopScheduling));
    claim.on_drained();
    assert_eq!(claim.next(at(180)), Some(write(Intent::Release, 2, 0)));
}

#[test]
fn a_refused_write_is_tried_again_with_what_is_seen_then() {
    let mut claim = mine();
    assert!(claim.next(at(3)).is_some());
    claim.on_answer(Answer::Refused, at(3));
    assert_eq!(claim.next(at(3)), None);
    claim.on_observed(lease(Some(me()), 2, 0), at(3));

    assert_eq!(claim.next(at(3)), Some(write(Intent::Renew, 2, 0)));
}

#[test]
fn leaving_releases_and_never_claims_again() {
    let mut claim = mine();
    claim.on_leave();
    assert_eq!(claim.next(at(1)), Some(Command::StopScheduling));
    claim.on_drained();
    assert_eq!(claim.next(at(1)), Some(write(Intent::Release, 1, 0)));
    assert!(!claim.is_over());
    claim.on_answer(Answer::Stored(lease(None, 2, 0)), at(1));

    assert!(claim.is_over());
    assert_eq!(claim.next(at(60)), None);
}
