//! Faults of watches: they fall silent, or hear that what they follow is forgotten.

use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube_sandbox::{Fault, FaultKind};
use tokio::time::timeout;

use super::two;
use crate::support::config_map;

type Event = WatchEvent<ConfigMap>;

/// The next event that is not only about how far the watch is.
async fn next(events: &mut (impl Stream<Item = kube::Result<Event>> + Unpin)) -> Option<Event> {
    loop {
        match events.next().await?.unwrap() {
            WatchEvent::Bookmark(_) => {}
            event => return Some(event),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stalled_watches_are_silent_while_requests_go_on() {
    let (sandbox, one, other) = two();
    let mut stalled = one.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let mut well = other.watch(&WatchParams::default(), "0").await.unwrap().boxed();

    sandbox.set_fault(Fault::of("one", FaultKind::StallWatches));
    one.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();

    assert!(matches!(next(&mut well).await, Some(WatchEvent::Added(_))));
    assert!(timeout(Duration::from_hours(2), next(&mut stalled)).await.is_err());
    sandbox.clear_faults();
    assert!(matches!(next(&mut stalled).await, Some(WatchEvent::Added(_))));
}

#[tokio::test(start_paused = true)]
async fn an_expired_watch_says_so_and_ends_while_new_ones_work() {
    let (sandbox, one, other) = two();
    let mut old = one.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let mut well = other.watch(&WatchParams::default(), "0").await.unwrap().boxed();

    sandbox.set_fault(Fault::of("one", FaultKind::ExpireWatches));
    one.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();

    match next(&mut old).await {
        Some(WatchEvent::Error(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        other => panic!("{other:?}"),
    }
    assert!(next(&mut old).await.is_none());
    assert!(matches!(next(&mut well).await, Some(WatchEvent::Added(_))));
    let mut new = one.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    assert!(matches!(next(&mut new).await, Some(WatchEvent::Added(_))));
}

#[tokio::test(start_paused = true)]
async fn dropped_watches_end_without_a_word() {
    let (sandbox, one, _other) = two();
    let mut events = one.watch(&WatchParams::default(), "0").await.unwrap().boxed();

    sandbox.set_fault(Fault::of("one", FaultKind::DropWatches));

    assert!(next(&mut events).await.is_none());
}
