//! Floods hold up themselves; who was told to wait waits, and nobody else does.

use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::*;

const HOST: &str = "git.example.com";

fn edge() -> ClusterName {
    ClusterName::parse_spoke("edge-1").unwrap()
}

fn anonymous() -> Caller {
    (HOST.to_owned(), Auth::None)
}

#[tokio::test]
async fn one_cluster_never_holds_more_than_its_share() {
    let limits = Limits::new(16, &Weights::default());
    let mut held = Vec::new();
    for n in 0..16 {
        held.push(limits.enter_share(&edge(), &format!("host-{n}")).await);
    }

    assert!(limits.enter_share(&edge(), HOST).now_or_never().is_none(), "its share is used up");
    let hub = limits.enter_share(&ClusterName::hub(), HOST).now_or_never();
    assert!(hub.is_some(), "the others have slots");
}

#[tokio::test]
async fn a_flood_of_one_cluster_leaves_the_host_s_slots_to_others() {
    let limits = Limits::new(16, &Weights::default());
    let mut held = Vec::new();
    for _ in 0..OF_CLUSTER_AT_HOST {
        held.push(limits.enter_share(&edge(), HOST).await);
        held.push(limits.enter(&edge(), &anonymous()).await);
    }

    assert!(limits.enter_share(&edge(), HOST).now_or_never().is_none(), "it waits for itself");
    let elsewhere = limits.enter_share(&edge(), "other.example.com").now_or_never();
    assert!(elsewhere.is_some(), "and holds none of its own share meanwhile");
    assert!(limits.enter_share(&ClusterName::hub(), HOST).now_or_never().is_some());
    assert!(
        limits.enter(&edge(), &anonymous()).now_or_never().is_some(),
        "the host has slots for others"
    );
}

#[tokio::test]
async fn a_credential_has_eight_requests_at_a_host_in_flight() {
    let limits = Limits::new(16, &Weights::default());
    let mut held = Vec::new();
    for _ in 0..OF_CALLER {
        held.push(limits.enter(&edge(), &anonymous()).await);
    }

    assert!(limits.enter(&edge(), &anonymous()).now_or_never().is_none());
    let other = (HOST.to_owned(), Auth::Token("another".into()));
    assert!(limits.enter(&edge(), &other).now_or_never().is_some());
}

#[tokio::test]
async fn trees_are_fetched_for_many_clusters_at_once() {
    let limits = Limits::new(16, &Weights::default());
    let held = [limits.enter_trees(&edge(), "a").await, limits.enter_trees(&edge(), "b").await];

    assert!(limits.enter_trees(&edge(), "c").now_or_never().is_none());
    assert!(limits.enter_trees(&ClusterName::hub(), "c").now_or_never().is_some());
    drop(held);
}

#[tokio::test]
async fn who_waits_for_a_tree_holds_up_no_check_at_the_host() {
    let (limits, edge) = (Limits::new(16, &Weights::default()), edge());
    let held = [limits.enter_trees(&edge, HOST).await, limits.enter_trees(&edge, HOST).await];
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(limits.enter_trees(&edge, HOST))).collect();

    for one in &mut waiting {
        assert!(futures::poll!(one.as_mut()).is_pending());
    }

    assert!(limits.enter_share(&edge, HOST).now_or_never().is_some());
    drop(held);
}

#[tokio::test]
async fn names_without_number_take_bounded_memory() {
    let limits = Limits::new(16, &Weights::default());

    for n in 0..5000 {
        drop(limits.enter(&edge(), &(format!("host-{n}"), Auth::None)).await);
    }

    assert!(limits.callers.len() <= 1024, "{}", limits.callers.len());
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_for_the_one_who_was_told_and_ends() {
    let pauses = Pauses::default();
    let other = (HOST.to_owned(), Auth::Token("another".into()));
    let now = Instant::now();
    pauses.strike(&anonymous(), Some(Duration::from_secs(30)), now);

    assert_eq!(pauses.left(&anonymous(), now), Some(Duration::from_secs(30)));
    assert_eq!((pauses.left(&other, now), pauses.count(now)), (None, 1));
    let later = now + Duration::from_secs(30);
    assert_eq!((pauses.left(&anonymous(), later), pauses.count(later)), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_how_long_is_left_alone_longer_each_time() {
    let pauses = Pauses::default();
    let mut now = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..12 {
        pauses.strike(&anonymous(), None, now);
        waits.push(pauses.left(&anonymous(), now).unwrap());
        now += *waits.last().unwrap();
    }

    assert_eq!(waits[0], Duration::from_secs(1));
    for (n, wait) in (0..).zip(&waits) {
        let whole = Duration::from_secs(1 << n).min(Duration::from_mins(5));
        assert!(*wait <= whole && *wait >= whole * 3 / 4 || n == 0, "{waits:?}");
    }
    let again = Pauses::default();
    again.strike(&anonymous(), None, now);
    assert_eq!(again.left(&anonymous(), now), Some(waits[0]), "the same in each replay");

    pauses.forgive(&anonymous(), now);
    pauses.strike(&anonymous(), None, now);
    assert_eq!(pauses.left(&anonymous(), now), Some(waits[0]), "an answer ends the row");
}

/// Eight are in flight when the first is told to stay away.
#[tokio::test(start_paused = true)]
async fn what_was_in_flight_neither_ends_a_pause_nor_makes_it_longer() {
    let pauses = Pauses::default();
    let now = Instant::now();
    for _ in 0..8 {
        pauses.strike(&anonymous(), None, now);
        pauses.forgive(&anonymous(), now);
    }
    assert_eq!(pauses.left(&anonymous(), now), Some(Duration::from_secs(1)));

    pauses.strike(&anonymous(), Some(Duration::from_secs(30)), now);
    pauses.strike(&anonymous(), Some(Duration::from_secs(9)), now);
    assert_eq!(pauses.left(&anonymous(), now), Some(Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_left_alone_for_hours() {
    let pauses = Pauses::default();
    let now = Instant::now();

    pauses.strike(&anonymous(), Some(Duration::from_hours(9)), now);

    assert_eq!(pauses.left(&anonymous(), now), Some(Duration::from_mins(10)));
}
