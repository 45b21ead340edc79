//! Members on one hub, in virtual time: who owns what, whatever happens to them and to the API.

mod fixture;
mod library;

use std::time::Duration;

use kube_sandbox::FaultKind;
use tokio::time::Instant;

use self::fixture::{Hub, ms, secs};

/// The shards are all held, each by one member, and evenly enough.
#[tokio::test(start_paused = true)]
async fn three_members_divide_the_shards() {
    let mut hub = Hub::new();
    for name in ["a", "b", "c"] {
        hub.join(name);
    }

    hub.until("all three hold shards", secs(60), |hub| hub.is_settled(3)).await;

    for name in ["a", "b", "c"] {
        let held = hub.member(name).handle.snapshot().mine.len();
        assert!((10..=27).contains(&held), "{name} holds {held} of 64");
    }
}

/// Leases only: a handover is a release and a claim, not a wait for expiry.
#[tokio::test(start_paused = true)]
async fn a_member_that_joins_gets_its_share_within_a_second() {
    let mut hub = Hub::settled(["a", "b"]).await;
    hub.join("c");
    hub.until("c has announced itself", secs(15), |hub| hub.member("c").handle.has_joined()).await;

    hub.until("c holds its share", secs(1), |hub| hub.is_settled(3)).await;
}

/// The Lease of the dead member is still there, and its shards are taken over already: the newcomer
/// must not count on the dead when it says what is its own.
#[tokio::test(start_paused = true)]
async fn a_member_that_joins_after_a_crash_leaves_no_shard_unowned() {
    let mut hub = Hub::settled(["a", "b", "c"]).await;
    hub.crash("b");
    hub.until("the others hold all", secs(20), |hub| hub.is_settled(2)).await;
    hub.join("d");
    hub.until("d has announced itself", secs(30), |hub| hub.member("d").handle.has_joined()).await;

    hub.until("d holds its share", secs(1), |hub| hub.is_settled(3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_hands_over_within_a_second() {
    let mut hub = Hub::settled(["a", "b", "c"]).await;
    hub.stop("b");

    hub.until("the others hold all", secs(1), |hub| hub.is_settled(2)).await;

    hub.until_ended("b", secs(5)).await;
    assert!(!hub.has_lease("member-b").await);
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_taken_over_within_twenty_seconds() {
    let mut hub = Hub::settled(["a", "b", "c"]).await;
    let before = Instant::now();
    hub.crash("b");

    hub.until("the others hold all", secs(20), |hub| hub.is_settled(2)).await;

    assert!(before.elapsed() > secs(9), "not before the Leases ran out");
}

/// The switch of the exercise that proves that exercises can fail.
#[tokio::test(start_paused = true)]
async fn without_takeover_a_crashed_members_shards_stay_unowned() {
    let mut hub = Hub::new();
    hub.takeover = super::Takeover::Disabled;
    for name in ["a", "b"] {
        hub.join(name);
    }
    hub.until("both hold shards", secs(60), |hub| hub.is_settled(2)).await;
    hub.crash("b");

    hub.watch_for(secs(120)).await;

    assert!(!hub.is_settled(1));
}

#[tokio::test(start_paused = true)]
async fn deleted_leases_are_created_again() {
    let hub = Hub::settled(["a", "b"]).await;
    let of_a = *hub.member("a").handle.snapshot().mine.first().unwrap();
    let shard = format!("shard-64-{of_a}");
    hub.delete(&shard).await;
    hub.delete("member-b").await;

    hub.until("both hold shards again", secs(20), |hub| hub.is_settled(2)).await;
    assert!(hub.has_lease(&shard).await);
    assert!(hub.has_lease("member-b").await);
    hub.watch_for(secs(30)).await;
    assert!(hub.is_settled(2));
}

/// Who is cut off is sure of nothing any more before others take over.
#[tokio::test(start_paused = true)]
async fn a_member_that_is_cut_off_lets_go_before_its_leases_run_out() {
    let hub = Hub::settled(["a", "b", "c"]).await;
    hub.fault("b", FaultKind::Partition);
    let cut = Instant::now();

    hub.until("b is sure of nothing", secs(15), |hub| hub.sure("b") == 0).await;
    assert!(cut.elapsed() < secs(14) + ms(100), "{:?}", cut.elapsed());
    assert_eq!(hub.sure("a") + hub.sure("c"), hub.held_before("b", 64), "nobody took over yet");
    hub.until("the others hold all", secs(20), |hub| hub.sure("a") + hub.sure("c") == 64).await;

    // What it last knew it goes on checking, until it hears better.
    assert!(hub.owned("b") > 0);
    hub.heal();
    hub.until("all three hold shards", secs(30), |hub| hub.is_settled(3)).await;
    assert_eq!(hub.owned("b"), hub.sure("b"));
}

/// Nobody could renew, so nobody is declared dead.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_api_moves_no_shards() {
    let hub = Hub::settled(["a", "b", "c"]).await;
    let before = hub.holders();
    hub.fault_all(FaultKind::Unavailable(503));
    hub.watch_for(secs(120)).await;
    assert_eq!(hub.sure("a"), 0);
    assert!(hub.owned("a") > 0, "checks go on");

    hub.heal();

    hub.until("all three hold shards", secs(15), |hub| hub.is_settled(3)).await;
    assert_eq!(hub.holders(), before);
}

/// Slow writes of whoever contends never make two owners.
#[tokio::test(start_paused = true)]
async fn a_slow_contender_takes_nothing_that_is_held() {
    let mut hub = Hub::settled(["a", "b"]).await;
    hub.fault("c", FaultKind::Latency(ms(1500)));
    hub.join("c");
    hub.crash("b");

    hub.until("a and c hold all", secs(40), |hub| hub.is_settled(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_out() {
    let hub = Hub::settled(["a", "b"]).await;
    let loses = |verb: &str| FaultKind::LoseResponse {
        verb: verb.to_owned(),
        resource: "leases".to_owned(),
        times: 40,
    };
    hub.fault("a", loses("update"));

    hub.watch_for(secs(60)).await;

    assert!(hub.is_settled(2), "renewals whose answers were lost count");
}

/// Expiry is judged by who observes: what the holder's clock says is not read.
#[tokio::test(start_paused = true)]
async fn a_holder_whose_clock_is_wrong_keeps_its_shards() {
    let mut hub = Hub::new();
    hub.join_with_clock("a", "2020-01-01T00:00:00Z".parse().unwrap());
    hub.join("b");
    hub.until("both hold shards", secs(60), |hub| hub.is_settled(2)).await;
    let before = hub.holders();

    hub.watch_for(secs(60)).await;

    assert_eq!(hub.holders(), before);
}

/// A shard is not given away under work in flight; but no longer than for 5 s.
#[tokio::test(start_paused = true)]
async fn work_in_flight_delays_the_handover_of_its_shard() {
    let mut hub = Hub::settled(["a"]).await;
    let works: Vec<_> = (0..500).filter_map(|i| hub.begin("a", i)).collect();
    hub.join("b");
    hub.until("b has announced itself", secs(15), |hub| hub.member("b").handle.has_joined()).await;

    hub.watch_for(secs(4)).await;
    assert!(!hub.is_settled(2));
    assert!(works.iter().all(super::Work::still_mine), "nobody else has them yet");

    hub.until("b holds its share all the same", secs(2), |hub| hub.is_settled(2)).await;
    let over = works.iter().filter(|it| !it.still_mine()).count();
    assert!(over > 0 && over < works.len(), "{over} of {}", works.len());
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_frees_its_shard_at_once() {
    let mut hub = Hub::settled(["a"]).await;
    let works: Vec<_> = (0..500).filter_map(|i| hub.begin("a", i)).collect();
    hub.join("b");
    hub.until("b has announced itself", secs(15), |hub| hub.member("b").handle.has_joined()).await;
    drop(works);

    hub.until("b holds its share", secs(1), |hub| hub.is_settled(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_announces_itself_only_when_it_is_ready_and_working() {
    let mut hub = Hub::settled(["a"]).await;
    hub.join("b");
    hub.member("b").ready.send_replace(false);
    hub.watch_for(secs(30)).await;
    assert!(hub.is_settled(1), "b is not ready");
    hub.member("b").ready.send_replace(true);
    hub.until("b holds its share", secs(5), |hub| hub.is_settled(2)).await;

    hub.hang_workers("b");
    hub.until("b has let go", secs(60), |hub| hub.is_settled(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_members_shard_count_is_followed() {
    let mut hub = Hub::settled(["a"]).await;
    hub.shards = 16;
    hub.join("b");
    hub.until("both hold shards", secs(30), |hub| hub.is_settled(2)).await;
    assert_eq!(hub.member("b").handle.snapshot().shards.get(), 64);

    hub.stop("a");
    hub.until("b holds its own", secs(10), |hub| {
        let snapshot = hub.member("b").handle.snapshot();
        snapshot.shards.get() == 16 && snapshot.mine.len() == 16
    })
    .await;
}

/// The budget of DESIGN: S = 64, N = 3, under 15 writes a second in all, and no bursts.
#[tokio::test(start_paused = true)]
async fn renewals_are_few_and_spread() {
    let hub = Hub::settled(["a", "b", "c"]).await;
    hub.watch_for(secs(10)).await;
    let before = hub.sandbox.audit().len();
    let mut peak = 0;
    for _ in 0..60 {
        let at = hub.sandbox.audit().len();
        hub.watch_for(secs(1)).await;
        peak = peak.max(hub.sandbox.audit().len() - at);
    }

    let writes = hub.sandbox.audit().len() - before;
    assert!(writes < 60 * 15, "{writes} writes in a minute");
    assert!(writes > 60 * 12, "{writes} writes in a minute: nothing was renewed?");
    assert!(peak < 40, "{peak} writes in one second");
}

#[tokio::test(start_paused = true)]
async fn changes_tell_of_gains_and_losses_alone() {
    let mut hub = Hub::settled(["a"]).await;
    let mut changes = hub.member("a").handle.changes();
    changes.mark_unchanged();
    hub.watch_for(secs(60)).await;
    assert!(!changes.has_changed().unwrap());

    hub.join("b");
    hub.until("both hold shards", secs(30), |hub| hub.is_settled(2)).await;
    assert!(changes.has_changed().unwrap());
}

/// A claim raises the count; a renewal does not.
#[tokio::test(start_paused = true)]
async fn work_knows_under_which_claim_it_is_done() {
    let mut hub = Hub::settled(["a"]).await;
    let first = hub.begin("a", 1).unwrap();
    hub.watch_for(secs(30)).await;
    assert!(first.still_mine());
    hub.crash("a");
    hub.join("b");
    hub.until("b holds all", secs(40), |hub| hub.is_settled(1)).await;

    let second = hub.begin("b", 1).unwrap();
    assert_eq!(second.shard(), first.shard());
    assert_eq!(second.transitions(), first.transitions() + 1);
}

/// One of all, who gives it back. (Its library reads the wall clock: no takeover in virtual time.)
#[tokio::test(start_paused = true)]
async fn there_is_one_steward() {
    let mut hub = Hub::settled(["a", "b"]).await;
    hub.until("somebody is", secs(60), |hub| hub.stewards().len() == 1).await;
    let steward = hub.stewards().remove(0);
    assert_eq!(hub.holder("steward").await.as_ref(), Some(&steward));
    hub.stop(&steward);

    hub.until_ended(&steward, secs(5)).await;
    assert_eq!(hub.holder("steward").await, None);
    assert!(!hub.stewards().contains(&steward));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_or_expires_is_taken_up_again() {
    let mut hub = Hub::settled(["a", "b"]).await;
    hub.sandbox.compact();
    hub.fault_all(FaultKind::DropWatches);
    hub.watch_for(secs(30)).await;
    assert!(hub.is_settled(2));

    hub.stop("b");
    hub.until("a holds all", secs(1), |hub| hub.is_settled(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_owns_any_more_is_deleted_after_an_hour() {
    let mut hub = Hub::new();
    hub.shards = 8;
    hub.join("a");
    hub.join("b");
    hub.until("both hold shards", secs(60), |hub| hub.is_settled(2)).await;
    hub.until("somebody is the steward", secs(60), |hub| !hub.stewards().is_empty()).await;
    let steward = hub.stewards().remove(0);
    let other = if steward == "a" { "b" } else { "a" };
    hub.crash(other);
    let lease = format!("member-{other}");

    hub.pass(Duration::from_mins(58)).await;
    assert!(hub.has_lease(&lease).await);
    hub.pass(Duration::from_mins(5)).await;
    assert!(!hub.has_lease(&lease).await);
}
