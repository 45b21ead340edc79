//! What a cluster may cost, and what it may not do: too large, too old, not permitted, not served.

use std::time::Duration;

use kube::api::DeleteParams;
use kube_sandbox::FaultKind;
use serde_json::json;
use tokio::time::Instant;

use super::ground::{APPS, Fleet, LONG, data, kubeconfig, old_schema};
use crate::clusters::{Event, State};
use crate::config::{Each, Form, Limits, Pattern};

fn why(fleet: &Fleet, name: &str) -> String {
    fleet.find(name).and_then(|it| it.state().why().map(str::to_owned)).unwrap_or_default()
}

/// A cluster with more than may be held is refused, holds nothing, and is back when it has less.
#[tokio::test(start_paused = true)]
async fn d6_a_cluster_that_is_too_large_is_refused_and_the_hub_never_notices() {
    let limits = Limits { objects: 20, ..Limits::default() };
    let mut fleet = Fleet::with(&["east"], |it| {
        let clusters = Pattern::new("edge");
        let limits = Some(limits.clone());
        it.clusters.each = vec![Each { clusters, namespace_selector: None, weight: 1, limits }];
    })
    .await;
    for number in 0..19 {
        fleet.trigger("east", &format!("deploy-{number}")).await;
    }
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    fleet.drain();

    for number in 19..25 {
        fleet.trigger("east", &format!("deploy-{number}")).await;
    }

    let edge = fleet.in_state("edge", "Refused").await;
    assert_eq!(
        why(&fleet, "edge"),
        "too large: it has more than 20 objects for the controller to hold"
    );
    assert_eq!(edge.stores().schedule_triggers.len(), 0);
    let in_hub = fleet.trigger("hub", "here").await;
    fleet.event(&Event::TriggerChanged(in_hub)).await;
    assert_eq!(fleet.find("hub").unwrap().state(), State::Ready);

    for number in 10..25 {
        fleet.delete_trigger("east", &format!("deploy-{number}")).await;
    }
    let edge = fleet.in_state("edge", "Ready").await;
    assert_eq!(edge.stores().schedule_triggers.len(), 10);
    let reasons: Vec<_> = fleet.notices("edge").into_iter().map(|it| it.reason).collect();
    assert_eq!(reasons, ["Ready", "TooLarge", "Ready"]);
}

/// An answer without end is cut off, whatever it says.
#[tokio::test(start_paused = true)]
async fn d6_an_answer_that_is_too_large_is_not_read_to_its_end() {
    let most = 700_000;
    let fleet = Fleet::with(&["east"], |it| it.clusters.limits.response_bytes = most).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;
    let names: Vec<String> = (0..40).map(|it| format!("{it:0>200}")).collect();
    let spec = json!({
        "sources": { "kind": "GitRepo", "names": names },
        "schedule": { "interval": "1m" },
        "action": { "name": "act" },
    });
    for number in 0..100 {
        fleet.post_raw("east", &format!("deploy-{number}"), spec.clone()).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let edge = fleet.find("edge").unwrap();
    assert_eq!((edge.state(), edge.stores().schedule_triggers.len()), (State::Ready, 100));

    fleet.compact("east");
    fleet.fault("east", FaultKind::ExpireWatches);

    fleet.in_state("edge", "Refused").await;
    assert!(why(&fleet, "edge").contains("larger than 700000 bytes"), "{}", why(&fleet, "edge"));
    assert_eq!(fleet.find("hub").unwrap().state(), State::Ready);
}

/// A ledger in a status that drops it would run everything again: such a cluster is refused before
/// anything is recorded there, with what mends it, and taken once it is mended.
#[tokio::test(start_paused = true)]
async fn d4_crds_that_are_too_old_for_the_ledger_are_refused_until_they_are_replaced() {
    let mut fleet = Fleet::bare(&["east"]).await;
    for mut crd in ger_api::crd::all() {
        old_schema(&mut crd);
        fleet.install("east", &crd).await;
    }
    fleet.register("edge", "east").await;

    fleet.in_state("edge", "Refused").await;
    let said = why(&fleet, "edge");
    assert!(said.starts_with("CRDs are too old: ScheduleTrigger lacks status.runs"), "{said}");
    assert!(said.contains("git-events-runner crds | kubectl apply --server-side -f -"), "{said}");
    tokio::time::sleep(LONG).await;

    fleet.replace_all("east").await;
    fleet.in_state("edge", "Ready").await;
    let reasons: Vec<_> = fleet.notices("edge").into_iter().map(|it| it.reason).collect();
    assert_eq!(reasons, ["CrdsTooOld", "Ready"]);
}

/// CRDs may be set back under a cluster that works: who sees a record dropped says so.
#[tokio::test(start_paused = true)]
async fn crds_that_are_set_back_are_seen_when_somebody_doubts_them() {
    let fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    let edge = fleet.in_state("edge", "Ready").await;
    fleet.replace_with("east", old_schema).await;

    edge.doubt_crds();

    fleet.in_state("edge", "Refused").await;
    fleet.replace_all("east").await;
    fleet.in_state("edge", "Ready").await;
}

/// What works goes on, and the state says exactly which verb on which resource is missing.
#[tokio::test(start_paused = true)]
async fn d5_what_rbac_lacks_is_named_and_the_rest_goes_on() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    fleet
        .grant("east", |rules| {
            rules.retain(|it| it["resources"] != json!(["gitrepos"]));
            for rule in
                rules.iter_mut().filter(|it| it["resources"] == json!(["scheduletriggers/status"]))
            {
                rule["verbs"] = json!(["get"]);
            }
        })
        .await;
    fleet.fault("east", FaultKind::DropWatches);

    fleet.until(|it| why(it, "edge").contains("update")).await;
    let said = why(&fleet, "edge");
    for lack in [
        "list gitrepos.git-events-runner.rs",
        "watch gitrepos.git-events-runner.rs",
        "update scheduletriggers/status.git-events-runner.rs",
    ] {
        assert!(said.contains(lack), "{lack} in {said}");
    }
    assert!(!said.contains("clustergitrepos"), "{said}");
    let told = fleet.notices("edge").pop().unwrap();
    assert_eq!((told.reason, told.message.as_str()), ("Limited", said.as_str()));
    let again = fleet.handle.standing("edge").unwrap();
    assert_eq!((again.reason, again.message), ("Limited", format!("still: {said}")));
    let key = fleet.trigger("east", "deploy").await;
    fleet.event(&Event::TriggerChanged(key)).await;

    fleet.grant("east", |_| {}).await;
    fleet.in_state("edge", "Ready").await;
}

/// What is granted in single namespaces is named by the refusal itself; a quota's refusal is none.
#[tokio::test(start_paused = true)]
async fn d5_a_verb_that_is_missing_in_one_namespace_is_named_with_it() {
    let fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    let edge = fleet.in_state("edge", "Ready").await;
    fleet.grant("east", |_| {}).await;
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(edge.client().clone(), APPS);

    assert!(secrets.get("any").await.is_err());

    fleet.until(|it| why(it, "edge").contains("secrets")).await;
    assert!(fleet.find("edge").unwrap().state().works());
    assert!(
        why(&fleet, "edge").ends_with("get secrets in namespace apps"),
        "{}",
        why(&fleet, "edge")
    );
    fleet
        .grant("east", |it| {
            it.push(json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }));
        })
        .await;
    assert!(secrets.get_opt("any").await.unwrap().is_none());
    fleet.in_state("edge", "Ready").await;
}

/// A cluster that asks for much, or answers slowly, has its own places and its own pace; a webhook's caller waits
/// for neither.
#[tokio::test(start_paused = true)]
async fn requests_to_one_cluster_keep_its_pace_and_hold_up_no_other() {
    let fleet = Fleet::with(&["east"], |it| {
        it.clusters.limits.requests_in_flight = 4;
        it.clusters.limits.requests_per_second = 10;
    })
    .await;
    fleet.register("edge", "east").await;
    let edge = fleet.in_state("edge", "Ready").await;
    let hub = fleet.find("hub").unwrap();
    tokio::time::sleep(LONG).await;
    let began = Instant::now();

    let ask = |client: kube::Client| async move { client.apiserver_version().await.map(drop) };
    let all = (0..120).map(|_| ask(edge.client().clone()));
    let all = futures::future::join_all(all);
    let others = [ask(hub.client().clone()), ask(edge.client_for_calls().clone())];
    let ((), took) = tokio::join!(async { drop(all.await) }, async {
        for other in others {
            other.await.unwrap();
        }
        began.elapsed()
    });

    assert!(took < Duration::from_millis(10), "{took:?}");
    let all = began.elapsed();
    assert!(Duration::from_millis(9500) < all && all < Duration::from_millis(10_500), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn names_that_are_not_served_are_declined_and_said_once() {
    let mut fleet = Fleet::with(&["east", "west"], |it| {
        it.clusters.allow = vec![Pattern::new("prod-*")];
        it.clusters.deny = vec![Pattern::new("*-old")];
    })
    .await;
    fleet.register("prod-1", "east").await;
    fleet.register("prod-old", "west").await;
    fleet.register("test", "west").await;

    fleet.in_state("prod-1", "Ready").await;

    for name in ["prod-old", "test"] {
        assert_eq!(fleet.notice(name).await.reason, "ClusterNotAllowed");
        assert!(fleet.find(name).is_none());
        assert!(fleet.handle.refused().contains_key(name));
    }
    fleet.secrets().delete("test", &DeleteParams::default()).await.unwrap();
    fleet.until(|it| !it.handle.refused().contains_key("test")).await;
}

/// A hub that only manages has its spokes, and neither triggers nor a need for CRDs.
#[tokio::test(start_paused = true)]
async fn a_hub_that_is_not_watched_only_manages() {
    let mut fleet = Fleet::with(&["east"], |it| it.hub.watch = false).await;
    fleet.trigger("hub", "here").await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.register("edge", "east").await;

    let seen = fleet.event(&Event::TriggerChanged(key)).await;

    let hub = fleet.in_state("hub", "Ready").await;
    assert!(hub.stores().schedule_triggers.is_empty());
    let of_hub = |it: &&Event| matches!(it, Event::TriggerChanged(key) if key.cluster.is_hub());
    assert_eq!(seen.iter().filter(of_hub).count(), 0);
}

/// Only namespaces with the labels are served; labels come and go.
#[tokio::test(start_paused = true)]
async fn namespaces_are_served_by_their_labels() {
    let mut fleet = Fleet::with(&["east"], |it| {
        let selector = Some("team=a".to_owned());
        let clusters = Pattern::new("edge");
        it.clusters.each =
            vec![Each { clusters, namespace_selector: selector, weight: 1, limits: None }];
    })
    .await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.register("edge", "east").await;
    let edge = fleet.in_state("edge", "Ready").await;
    assert!(edge.stores().schedule_triggers.is_empty(), "the namespace has no label yet");

    fleet.label_namespace("east", json!({ "team": "a" })).await;
    fleet.event(&Event::TriggerChanged(key.clone())).await;
    let later = fleet.trigger("east", "later").await;
    fleet.event(&Event::TriggerChanged(later)).await;

    fleet.label_namespace("east", json!({ "team": "b" })).await;
    fleet.event(&Event::TriggerGone(key)).await;
    assert!(edge.stores().schedule_triggers.is_empty());
    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);
}

/// What Cluster API and Argo CD write is taken where that is switched on, and only then.
#[tokio::test(start_paused = true)]
async fn clusters_are_registered_by_the_forms_that_are_switched_on() {
    let mut fleet = Fleet::with(&["east", "west"], |it| {
        it.clusters.forms = vec![Form::Native, Form::ClusterApi, Form::ArgoCd];
    })
    .await;
    let capi = json!({ "cluster.x-k8s.io/cluster-name": "edge" });
    let kind = "cluster.x-k8s.io/secret";
    let value = json!({ "value": kubeconfig("east") });
    fleet.raw_secret("edge-kubeconfig", (kind, &capi), &value).await;
    fleet.raw_secret("edge-ca", (kind, &capi), &json!({ "tls.crt": "x" })).await;
    let argo = json!({ "argocd.argoproj.io/secret-type": "cluster" });
    let keys =
        json!({ "name": "far", "server": "https://west", "config": "{\"bearerToken\":\"t\"}" });
    fleet.raw_secret("cluster-west-123", ("Opaque", &argo), &keys).await;

    fleet.in_state("edge", "Ready").await;
    fleet.in_state("far", "Ready").await;
    assert_eq!(fleet.notice("edge-kubeconfig").await.reason, "Ready");
    assert!(fleet.handle.refused().is_empty(), "the other Secrets of Cluster API are no clusters");

    // The older Secret keeps the name.
    tokio::time::sleep(Duration::from_secs(5)).await;
    fleet.secret("edge", Some(data(&kubeconfig("west")))).await;
    assert_eq!(fleet.notice("edge").await.reason, "NameTaken");
    fleet.secrets().delete("edge-kubeconfig", &DeleteParams::default()).await.unwrap();
    fleet.until(|it| !it.handle.refused().contains_key("edge")).await;
}

#[tokio::test(start_paused = true)]
async fn forms_that_are_switched_off_register_nothing() {
    let fleet = Fleet::start(&["east"]).await;
    let capi = json!({ "cluster.x-k8s.io/cluster-name": "edge" });
    let value = json!({ "value": kubeconfig("east") });
    fleet.raw_secret("edge-kubeconfig", ("cluster.x-k8s.io/secret", &capi), &value).await;

    tokio::time::sleep(LONG).await;

    assert_eq!(fleet.handle.all().len(), 1, "the hub");
}

/// A spoke may repeat the uid of another; that takes nothing from the other.
#[tokio::test(start_paused = true)]
async fn d2_d6_a_spoke_that_says_it_is_another_takes_nothing_from_it() {
    let mut fleet = Fleet::start(&["east", "west"]).await;
    // The liar registered first: by rank alone it would win.
    fleet.register("liar", "west").await;
    fleet.in_state("liar", "Ready").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let key = fleet.trigger("east", "deploy").await;
    for number in 0..50 {
        fleet.trigger("west", &format!("noise-{number}")).await;
    }
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    let uid = fleet.find("edge").unwrap().uid().unwrap();
    fleet.pretend("west", &uid);
    let again = kubeconfig("west").replace("\"token\":\"t\"", "\"token\":\"new\"");
    fleet.edit_secret("liar", |it| it.string_data = Some(data(&again))).await;
    fleet.until(|it| it.find("liar").and_then(|it| it.uid()).as_ref() == Some(&uid)).await;
    tokio::time::sleep(LONG).await;

    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);
    assert_eq!(fleet.find("liar").unwrap().state(), State::Ready);
    let again = kubeconfig("east").replace("\"token\":\"t\"", "\"token\":\"new\"");
    fleet.edit_secret("edge", |it| it.string_data = Some(data(&again))).await;
    fleet.drain();
    fleet.event(&Event::TriggerChanged(key)).await;
    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);
    let reasons: Vec<_> = fleet.notices("edge").into_iter().map(|it| it.reason).collect();
    assert!(reasons.contains(&"SharedIdentity"), "{reasons:?}");
}

/// A cluster of ten seconds' latency is slow for itself.
#[tokio::test(start_paused = true)]
async fn d4_a_slow_cluster_is_slow_alone() {
    let mut fleet = Fleet::start(&["east", "west"]).await;
    fleet.fault("east", FaultKind::Latency(Duration::from_secs(10)));
    fleet.register("edge", "east").await;
    fleet.register("quick", "west").await;
    let began = Instant::now();

    fleet.in_state("quick", "Ready").await;

    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    fleet.in_state("edge", "Ready").await;
    let key = fleet.trigger("east", "deploy").await;
    fleet.event(&Event::TriggerChanged(key)).await;
}

/// A watch that ends with 410 again and again is listed anew, with pauses, and misses nothing.
#[tokio::test(start_paused = true)]
async fn d4_a_watch_that_is_always_gone_is_listed_anew_with_pauses() {
    let mut fleet = Fleet::start(&["east"]).await;
    fleet.register("edge", "east").await;
    fleet.in_state("edge", "Ready").await;

    for name in ["one", "two", "three"] {
        fleet.compact("east");
        fleet.fault("east", FaultKind::ExpireWatches);
        let key = fleet.trigger("east", name).await;
        fleet.event(&Event::TriggerChanged(key)).await;
    }

    assert_eq!(fleet.find("edge").unwrap().state(), State::Ready);
}
