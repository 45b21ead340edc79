//! A hub and spokes in virtual time: what comes, goes, breaks and comes back.

use std::time::Duration;

use ger_api::crd;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use kube_sandbox::FaultKind;
use serde_json::json;
use tokio::time::timeout;

use super::ground::{APPS, Fleet, LONG, alive_tasks, data, kubeconfig, open_schema};
use crate::clusters::{Event, Severity, State};

#[tokio::test(start_paused = true)]
async fn a_registered_spoke_becomes_ready_and_its_triggers_are_seen() {
    let mut fleet = Fleet::start(&["east"]).await;
    let key = fleet.trigger("east", "deploy").await;

    fleet.register("edge", "east").await;

    fleet.event(&Event::TriggerChanged(key)).await;
    let edge = fleet.in_state("edge", "Ready").await;
    assert!(edge.stores().schedule_triggers.find(Some(APPS), "deploy").is_some());
    assert!(edge.stores().jobs.is_synced());
    assert!(edge.uid().is_some());
    let said = fleet.notice("edge").await;
    assert_eq!((said.severity, said.reason), (Severity::Normal, "Ready"));
    assert_eq!(said.about.kind.as_deref(), Some("Secret"));
}

#[tokio::test(start_paused = true)]
async fn what_changes_in_a_spoke_is_said_and_can_be_read() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    let edge = fleet.in_state("edge", "Ready").await;

    let key = fleet.trigger("east", "deploy").await;
    fleet.event(&Event::TriggerChanged(key.clone())).await;
    let held = edge.stores().schedule_triggers.find(Some(APPS), "deploy").unwrap();
    let held = held.unfold().unwrap();
    assert_eq!(held.spec.action.name, "act");
    assert!(held.metadata.managed_fields.is_none());

    fleet.delete_trigger("east", "deploy").await;
    fleet.event(&Event::TriggerGone(key)).await;
    assert!(edge.stores().schedule_triggers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_spoke_whose_secret_is_deleted_is_forgotten_and_left_alone() {
    let mut fleet = Fleet::start(&["east"]).await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    fleet.secrets().delete("edge", &DeleteParams::default()).await.unwrap();

    fleet.event(&Event::TriggerGone(key)).await;
    fleet.until(|it| it.find("edge").is_none()).await;
    assert!(fleet.triggers("east").get("deploy").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn d2_a_spoke_whose_label_is_taken_away_is_forgotten() {
    let mut fleet = Fleet::start(&["east"]).await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    fleet.edit_secret("edge", |it| it.metadata.labels = None).await;

    fleet.event(&Event::TriggerGone(key)).await;
    fleet.until(|it| it.find("edge").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn d2_a_spoke_whose_kubeconfig_no_longer_parses_is_forgotten_and_that_is_said_once() {
    let mut fleet = Fleet::start(&["east"]).await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    fleet.notice("edge").await;

    fleet.edit_secret("edge", |it| it.string_data = Some(data("a: ["))).await;

    fleet.event(&Event::TriggerGone(key)).await;
    fleet.until(|it| it.find("edge").is_none()).await;
    let said = fleet.notice("edge").await;
    assert_eq!((said.severity, said.reason), (Severity::Warning, "KubeconfigRefused"));
    assert!(said.message.contains("not readable YAML"), "{}", said.message);

    // Touched, and still wrong in the same way: nothing new is said. Mended: it is back.
    fleet.edit_secret("edge", |it| drop(it.annotations_mut().insert("a".into(), "b".into()))).await;
    tokio::time::sleep(LONG).await;
    assert!(fleet.handle.refused().contains_key("edge"));
    fleet.edit_secret("edge", |it| it.string_data = Some(data(&kubeconfig("east")))).await;
    fleet.in_state("edge", "Ready").await;
    assert_eq!(fleet.notice("edge").await.reason, "Ready");
    assert!(fleet.handle.refused().is_empty());
}

#[tokio::test(start_paused = true)]
async fn secrets_that_cannot_be_clusters_are_refused_by_name_once_and_hold_up_nobody() {
    let mut fleet = Fleet::start(&["east"]).await;
    let exec = kubeconfig("east").replace("\"token\":\"t\"", "\"exec\":{\"command\":\"touch\"}");

    fleet.secret("hub", Some(data(&kubeconfig("east")))).await;
    fleet.secret("keyless", None).await;
    fleet.secret("runner", Some(data(&exec))).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    tokio::time::sleep(LONG).await;
    for (name, said) in [("hub", "reserved"), ("keyless", "neither a key"), ("runner", "exec")] {
        let notice = fleet.notice(name).await;
        assert!(notice.message.contains(said), "{}", notice.message);
        assert!(fleet.find(name).is_none() || name == "hub");
    }
    fleet.quiet().await;
    assert_eq!(fleet.handle.refused().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_spoke_that_is_cut_off_becomes_unreachable_while_the_hub_goes_on_and_misses_nothing() {
    let mut fleet = Fleet::start(&["east"]).await;
    let kept = fleet.trigger("east", "kept").await;
    let removed = fleet.trigger("east", "removed").await;
    fleet.register("edge", "east").await;
    let edge = fleet.in_state("edge", "Ready").await;
    fleet.drain();

    fleet.cut_off("east");
    fleet.in_state("edge", "Unreachable").await;
    assert!(edge.since_last_contact() > Duration::from_mins(1));
    assert!(edge.stores().schedule_triggers.find(Some(APPS), "kept").is_some());
    let in_hub = fleet.trigger("hub", "here").await;
    fleet.event(&Event::TriggerChanged(in_hub)).await;
    assert_eq!(fleet.find("hub").unwrap().state(), State::Ready);

    fleet.delete_trigger("east", "removed").await;
    let added = fleet.trigger("east", "added").await;
    fleet.reconnect("east");

    fleet.events(&[Event::TriggerGone(removed), Event::TriggerChanged(added)]).await;
    fleet.in_state("edge", "Ready").await;
    assert!(edge.since_last_contact() < Duration::from_mins(2));
    assert!(edge.stores().schedule_triggers.find(Some(APPS), &kept.name).is_some());
    let reasons: Vec<_> = fleet.notices("edge").into_iter().map(|it| it.reason).collect();
    assert_eq!(reasons, ["Ready", "Unreachable", "Ready"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_cluster_under_two_names_is_refused_under_the_younger_until_the_older_is_gone() {
    let fleet = Fleet::start(&["east"]).await;
    fleet.trigger("east", "deploy").await;
    fleet.register("first", "east").await;
    fleet.in_state("first", "Ready").await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    fleet.register("again", "east").await;

    let again = fleet.in_state("again", "Refused").await;
    let why = "this cluster is already here under the name first".to_owned();
    assert_eq!(again.state(), State::Refused { why });
    assert!(again.stores().schedule_triggers.is_empty());

    fleet.secrets().delete("first", &DeleteParams::default()).await.unwrap();
    let again = fleet.in_state("again", "Ready").await;
    assert_eq!(again.stores().schedule_triggers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_hub_as_its_own_spoke_is_refused() {
    let fleet = Fleet::start(&[]).await;

    fleet.register("mirror", "hub").await;

    let mirror = fleet.in_state("mirror", "Refused").await;
    let why = "this cluster is already here under the name hub".to_owned();
    assert_eq!(mirror.state(), State::Refused { why });
}

#[tokio::test(start_paused = true)]
async fn an_object_that_does_not_decode_is_told_once_and_stops_none_of_its_kind() {
    let mut fleet = Fleet::bare(&["east"]).await;
    for mut crd in crd::all() {
        open_schema(&mut crd);
        fleet.install("east", &crd).await;
    }
    fleet.post_raw("east", "broken", json!({ "sources": 17 })).await;
    let key = fleet.trigger("east", "whole").await;

    fleet.register("edge", "east").await;

    fleet.event(&Event::TriggerChanged(key)).await;
    let edge = fleet.in_state("edge", "Ready").await;
    assert!(edge.stores().schedule_triggers.find(Some(APPS), "broken").is_none());
    let said = fleet.notice("broken").await;
    assert_eq!((said.reason, said.about.kind.as_deref()), ("Undecodable", Some("ScheduleTrigger")));
    assert_eq!(said.cluster.as_str(), "edge");

    let later = fleet.trigger("east", "later").await;
    fleet.event(&Event::TriggerChanged(later)).await;
    fleet.delete_trigger("east", "broken").await;
    let last = fleet.trigger("east", "last").await;
    fleet.event(&Event::TriggerChanged(last)).await;
    assert!(fleet.notices("broken").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_spoke_without_crds_is_refused_and_picked_up_once_they_are_there() {
    let mut fleet = Fleet::bare(&["east"]).await;
    fleet.register("edge", "east").await;

    let edge = fleet.in_state("edge", "Refused").await;
    let State::Refused { why } = edge.state() else { panic!("refused") };
    assert!(why.starts_with("CRDs are not installed: actions, clusteractions"), "{why}");
    tokio::time::sleep(LONG).await;

    fleet.install_all("east").await;
    fleet.in_state("edge", "Ready").await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.event(&Event::TriggerChanged(key)).await;
    let reasons: Vec<_> = fleet.notices("edge").into_iter().map(|it| it.reason).collect();
    assert_eq!(reasons, ["CrdsMissing", "Ready"]);
}

#[tokio::test(start_paused = true)]
async fn changed_credentials_take_over_when_they_work_and_nothing_is_forgotten() {
    let mut fleet = Fleet::start(&["east"]).await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.register("edge", "east").await;
    let before = fleet.in_state("edge", "Ready").await;
    fleet.drain();

    // Credentials that lead nowhere: the old stay in use.
    fleet.edit_secret("edge", |it| it.string_data = Some(data(&kubeconfig("nowhere")))).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);
    let later = fleet.trigger("east", "later").await;
    fleet.event(&Event::TriggerChanged(later)).await;

    let rotated = kubeconfig("east").replace("\"token\":\"t\"", "\"token\":\"rotated\"");
    fleet.edit_secret("edge", |it| it.string_data = Some(data(&rotated))).await;
    let event = fleet.event(&Event::TriggerChanged(key.clone())).await;

    assert!(!event.contains(&Event::TriggerGone(key)), "{event:?}");
    let after = fleet.find("edge").unwrap();
    assert_ne!(before.incarnation(), after.incarnation());
    assert_eq!(after.stores().schedule_triggers.len(), 2);
    assert!(fleet.handle.refused().is_empty());
}

#[tokio::test(start_paused = true)]
async fn d2_a_secret_that_points_to_another_cluster_brings_that_one_and_takes_the_old_triggers() {
    let mut fleet = Fleet::start(&["east", "west"]).await;
    let old = fleet.trigger("east", "old").await;
    let new = fleet.trigger("west", "new").await;
    fleet.register("edge", "east").await;
    fleet.event(&Event::TriggerChanged(old.clone())).await;

    fleet.edit_secret("edge", |it| it.string_data = Some(data(&kubeconfig("west")))).await;

    fleet.events(&[Event::TriggerChanged(new), Event::TriggerGone(old)]).await;
    assert_eq!(fleet.find("edge").unwrap().stores().schedule_triggers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_fleet_is_synced_once_every_spoke_of_the_start_is_seen_or_took_too_long() {
    let mut fleet = Fleet::prepare(&["east", "west"]).await;
    fleet.register("good", "east").await;
    fleet.register("silent", "west").await;
    fleet.cut_off("west");
    let before = tokio::time::Instant::now();

    fleet.run();

    let mut synced = fleet.handle.synced();
    synced.wait_for(|it| *it).await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(30), "{:?}", before.elapsed());
    assert!(before.elapsed() < Duration::from_secs(31), "{:?}", before.elapsed());
    assert_eq!(fleet.find("good").unwrap().state(), State::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_comings_and_goings_leave_nothing_behind() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.trigger("east", "deploy").await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    fleet.secrets().delete("edge", &DeleteParams::default()).await.unwrap();
    fleet.until(|it| it.find("edge").is_none()).await;
    tokio::time::sleep(LONG).await;
    let (tasks, clients) = (alive_tasks(), fleet.clients_alive());
    let mut ends: Vec<Box<dyn Fn() -> bool>> = Vec::new();

    for round in 0..1000 {
        fleet.register("edge", "east").await;
        // Some go while they are still connecting.
        if round % 3 > 0 {
            ends.push(Box::new(fleet.in_state("edge", "Ready").await.watch_end()));
        }
        fleet.secrets().delete("edge", &DeleteParams::default()).await.unwrap();
        fleet.until(|it| it.find("edge").is_none()).await;
        fleet.drain();
    }

    tokio::time::sleep(LONG).await;
    assert_eq!(fleet.clients_alive(), clients);
    assert!(alive_tasks() <= tasks, "{} tasks, and {tasks} before", alive_tasks());
    assert_eq!(fleet.handle.all().len(), 1);
    assert!(ends.len() > 600 && ends.iter().all(|is_over| is_over()), "its stores are still held");
    assert!(!fleet.has_series_of("edge"), "its metrics are still there");
}

#[tokio::test(start_paused = true)]
async fn everything_ends_when_it_is_told_to_stop() {
    let mut fleet = Fleet::start(&["east", "west"]).await;
    fleet.register("good", "east").await;
    fleet.register("silent", "west").await;
    fleet.in_state("good", "Ready").await;
    fleet.cut_off("west");

    fleet.stop.cancel();

    let ended = timeout(Duration::from_secs(1), fleet.tasks.join_next()).await;
    assert!(matches!(ended, Ok(Some(Ok(())))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_registrations_the_first_in_rank_wins_whichever_connected_first() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("zeta", "east").await;
    fleet.in_state("zeta", "Ready").await;

    // Created in the same second, so that the name decides, as it does in every other replica.
    fleet.register("alpha", "east").await;

    fleet.in_state("alpha", "Ready").await;
    let zeta = fleet.in_state("zeta", "Refused").await;
    assert!(zeta.stores().schedule_triggers.is_empty());
    assert_eq!(fleet.notice("alpha").await.reason, "Ready");
}

#[tokio::test(start_paused = true)]
async fn watches_that_are_dropped_go_on_where_they_were_and_nobody_is_told() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    fleet.notice("edge").await;

    for name in ["one", "two", "three"] {
        fleet.fault("east", FaultKind::DropWatches);
        let key = fleet.trigger("east", name).await;
        fleet.event(&Event::TriggerChanged(key)).await;
    }

    fleet.quiet().await;
    assert!(fleet.notices("edge").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_happened_in_versions_that_are_compacted_away_is_found_by_a_new_list() {
    let mut fleet = Fleet::start(&["east"]).await;
    let removed = fleet.trigger("east", "removed").await;
    fleet.register("edge", "east").await;
    fleet.event(&Event::TriggerChanged(removed.clone())).await;

    fleet.cut_off("east");
    fleet.in_state("edge", "Unreachable").await;
    fleet.delete_trigger("east", "removed").await;
    let added = fleet.trigger("east", "added").await;
    fleet.compact("east");
    fleet.reconnect("east");

    fleet.events(&[Event::TriggerGone(removed), Event::TriggerChanged(added)]).await;
    fleet.in_state("edge", "Ready").await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_do_not_let_us_work_are_told_apart_and_outlived() {
    let fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;

    for (code, word) in
        [(401, "Refused"), (403, "Refused"), (429, "Unreachable"), (503, "Unreachable")]
    {
        fleet.in_state("edge", "Ready").await;
        fleet.fault("east", FaultKind::Unavailable(code));
        fleet.fault("east", FaultKind::DropWatches);
        fleet.in_state("edge", word).await;
        fleet.reconnect("east");
    }
    fleet.in_state("edge", "Ready").await;
}
