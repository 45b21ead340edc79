//! Credentials that are replaced, expire or are refused: nothing is missed, and nobody is hammered.

use std::time::Duration;

use kube::api::DeleteParams;
use kube_sandbox::{Fault, FaultKind};

use super::ground::{CONTROLLER, Fleet, LONG, data, kubeconfig};
use crate::clusters::{Event, State};

fn with_token(token: &str) -> String {
    kubeconfig("east").replace("\"token\":\"t\"", &format!("\"token\":\"{token}\""))
}

/// A token that expires while it is watched with is replaced by the Secret's next.
#[tokio::test(start_paused = true)]
async fn d3_a_token_that_expired_is_replaced_and_no_event_is_missed() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    fleet.fault("east", FaultKind::Unavailable(401));
    fleet.fault("east", FaultKind::DropWatches);
    fleet.in_state("edge", "Refused").await;
    let missed = fleet.trigger("east", "missed").await;
    let why = fleet.find("edge").unwrap().state().why().unwrap_or_default().to_owned();
    assert!(why.contains("401"), "{why}");
    fleet.edit_secret("edge", |it| it.string_data = Some(data(&with_token("new")))).await;

    fleet.event(&Event::TriggerChanged(missed)).await;
    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);
}

/// The new credentials connect before the old are dropped: not even one event comes late.
#[tokio::test(start_paused = true)]
async fn d3_a_token_that_is_rotated_in_time_is_never_unready() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    for round in 0..20 {
        let token = format!("token-{round}");
        fleet.edit_secret("edge", |it| it.string_data = Some(data(&with_token(&token)))).await;
        let key = fleet.trigger("east", &format!("deploy-{round}")).await;
        let events = fleet.event(&Event::TriggerChanged(key)).await;
        let gone = events.iter().any(|it| matches!(it, Event::TriggerGone(_)));
        assert!(!gone && fleet.find("edge").unwrap().state() == State::Ready, "{events:?}");
    }
    tokio::time::sleep(LONG).await;
    let edge = fleet.find("edge").unwrap();
    assert_eq!(edge.stores().schedule_triggers.len(), 20);
}

/// Who is refused asks seldom: a storm of 401 is not answered by a storm.
#[tokio::test(start_paused = true)]
async fn d3_a_refused_token_is_not_shown_again_and_again() {
    let fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    fleet.fault("east", FaultKind::Unavailable(401));
    fleet.fault("east", FaultKind::DropWatches);
    fleet.in_state("edge", "Refused").await;
    tokio::time::sleep(LONG).await;

    let before = fleet.requests("edge", "401");
    tokio::time::sleep(Duration::from_mins(10)).await;

    let asked = fleet.requests("edge", "401") - before;
    assert!((50..400).contains(&asked), "{asked} requests in ten minutes");
}

/// The old credentials stay in use while the new do not work, and people are told which.
#[tokio::test(start_paused = true)]
async fn d3_new_credentials_that_are_refused_do_not_end_the_old() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    fleet.notice("edge").await;
    let refused = Fault::of(&format!("{CONTROLLER}-bad"), FaultKind::Unavailable(401));
    fleet.set_fault("east", refused);

    fleet.edit_secret("edge", |it| it.string_data = Some(data(&with_token("bad")))).await;
    let said = fleet.notice("edge").await;

    assert!(said.message.starts_with("the new credentials do not work yet"), "{}", said.message);
    let key = fleet.trigger("east", "deploy").await;
    fleet.event(&Event::TriggerChanged(key)).await;
    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);
}

/// A slip of the pen stops no cluster: the old one is left once the new one answers.
#[tokio::test(start_paused = true)]
async fn d2_a_secret_that_points_to_a_cluster_which_does_not_answer_keeps_the_old_one() {
    let mut fleet = Fleet::start(&["east", "west"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    fleet.notice("edge").await;
    fleet.cut_off("west");

    fleet.edit_secret("edge", |it| it.string_data = Some(data(&kubeconfig("west")))).await;
    let said = fleet.notice("edge").await;
    tokio::time::sleep(LONG).await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.event(&Event::TriggerChanged(key.clone())).await;
    assert!(said.message.starts_with("the new credentials do not work yet"), "{}", said.message);
    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);

    fleet.reconnect("west");
    fleet.event(&Event::TriggerGone(key)).await;
    assert_eq!(fleet.in_state("edge", "Ready").await.stores().schedule_triggers.len(), 0);
}

/// A Secret that was deleted and created again is another registration, whatever it holds and however little
/// of that was seen: every replica comes to the same answer as to who is first.
#[tokio::test(start_paused = true)]
async fn a_secret_that_was_created_again_unseen_stands_behind_older_ones() {
    let fleet = Fleet::start(&["east"]).await;
    fleet.register("first", "east").await;
    fleet.in_state("first", "Ready").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    fleet.register("second", "east").await;
    fleet.in_state("second", "Refused").await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    fleet.cut_off("hub");
    fleet.fault("hub", FaultKind::DropWatches);
    fleet.secrets().delete("first", &DeleteParams::default()).await.unwrap();
    fleet.register("first", "east").await;
    fleet.compact("hub");
    fleet.reconnect("hub");

    fleet.in_state("second", "Ready").await;
    fleet.in_state("first", "Refused").await;
}
