//! Faults of some requests: by verb, by resource, by chance, before and after they took effect.

use std::time::Duration;

use http::{Request, StatusCode, header};
use jiff::SignedDuration;
use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
    client::Body,
};
use kube_sandbox::{Failure, Fault, FaultKind, Latency, Mishap, Requests, Sandbox};
use tokio::time::Instant;

use super::two;
use crate::support::{cluster, config_map, job, refusal};

#[tokio::test]
async fn only_the_requests_meant_are_refused() {
    let (sandbox, one, other) = two();
    let creates = Requests::all().verb("create").resource("configmaps").times(1);
    sandbox.set_fault(Fault::of("one", creates.meet(Mishap::Refused(Failure::code(503)))));

    let refused = refusal(one.create(&PostParams::default(), &config_map("a", "1")).await);

    assert_eq!((refused.0, refused.1.as_str()), (503, "ServiceUnavailable"));
    assert!(other.create(&PostParams::default(), &config_map("a", "1")).await.is_ok());
    assert!(one.get("a").await.is_ok());
    assert!(one.create(&PostParams::default(), &config_map("b", "1")).await.is_ok());
}

#[tokio::test]
async fn a_refusal_says_when_to_try_again_if_it_was_told_to() {
    let (sandbox, client) = cluster();
    let throttled = |it: Failure| Fault::of_all(Requests::all().times(1).meet(Mishap::Refused(it)));
    let ask = || client.send(Request::get("/api/v1/namespaces").body(Body::empty()).unwrap());

    sandbox.set_fault(throttled(Failure::code(429).retry_after(7)));
    let advised = ask().await.unwrap();
    sandbox.set_fault(throttled(Failure::code(429)));
    let unadvised = ask().await.unwrap();

    assert_eq!(advised.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(advised.headers()[header::RETRY_AFTER], "7");
    assert_eq!(unadvised.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!unadvised.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn an_error_after_the_write_hides_that_it_took_effect() {
    let (sandbox, one, _other) = two();
    let creates = Requests::all().verb("create").times(1);
    let timeout = Mishap::DoneButRefused(Failure::code(504));
    sandbox.set_fault(Fault::of("one", creates.meet(timeout)));

    let refused = refusal(one.create(&PostParams::default(), &config_map("a", "1")).await);

    assert_eq!((refused.0, refused.1.as_str()), (504, "Timeout"));
    assert_eq!(sandbox.creations("configmaps").len(), 1);
    let again = refusal(one.create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!(again.1, "AlreadyExists");
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_the_write() {
    let (sandbox, client) = cluster();
    let api: Api<Job> = Api::default_namespaced(client);
    let creates = || Requests::all().verb("create").resource("jobs").times(1);

    sandbox.set_fault(Fault::of_all(creates().meet(Mishap::Unconnected)));
    let before = api.create(&PostParams::default(), &job("before")).await.unwrap_err();
    sandbox.set_fault(Fault::of_all(creates().meet(Mishap::DoneButUnheard)));
    let after = api.create(&PostParams::default(), &job("after")).await.unwrap_err();

    assert!(!matches!(before, kube::Error::Api(_)), "{before:?}");
    assert!(!matches!(after, kube::Error::Api(_)), "{after:?}");
    let created: Vec<_> = sandbox.creations("jobs").into_iter().map(|it| it.name).collect();
    assert_eq!(created, ["after"]);
}

#[tokio::test(start_paused = true)]
async fn delays_are_drawn_and_add_up() {
    let (sandbox, one, _other) = two();
    let second = Duration::from_secs(1);
    let spread = Latency::Uniform { from: second, to: 2 * second };
    let tail = Latency::LongTailed { median: second, most: 60 * second };
    let lists = || Requests::all().verb("list");
    sandbox.set_fault(Fault::of_all(lists().meet(Mishap::Delayed(Latency::Fixed(second)))));
    sandbox.set_fault(Fault::of_all(lists().meet(Mishap::Delayed(spread))));
    sandbox.set_fault(Fault::of_all(lists().chance(1, 2).meet(Mishap::Delayed(tail))));

    let mut took = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        one.list(&ListParams::default()).await.unwrap();
        took.push(start.elapsed());
    }

    assert!(took.iter().all(|it| (2 * second..64 * second).contains(it)), "{took:?}");
    assert!(took.iter().any(|it| *it > 3 * second), "{took:?}");
    assert!(took.iter().any(|it| *it < 3 * second), "{took:?}");
}

/// What ten requests of a cluster with flaky reads come to.
async fn fates(seed: u64) -> Vec<bool> {
    let (sandbox, one, _other) = two();
    sandbox.seed_faults(seed);
    let flaky = Requests::all().verb("list").chance(1, 2);
    sandbox.set_fault(Fault::of_all(flaky.meet(Mishap::Refused(Failure::code(500)))));

    let mut fates = Vec::new();
    for _ in 0..20 {
        fates.push(one.list(&ListParams::default()).await.is_ok());
    }
    fates
}

#[tokio::test]
async fn a_seed_has_the_same_faults_every_time() {
    let (first, again, other) = (fates(7).await, fates(7).await, fates(8).await);

    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!(first.contains(&true) && first.contains(&false));
}

#[tokio::test]
async fn what_is_not_meant_costs_no_lot() {
    let (sandbox, one, _other) = two();
    let flaky = Requests::all().verb("list").chance(1, 2);
    sandbox.set_fault(Fault::of_all(flaky.meet(Mishap::Refused(Failure::code(500)))));
    sandbox.seed_faults(7);

    let mut seen = Vec::new();
    for _ in 0..20 {
        one.get("none").await.unwrap_err();
        seen.push(one.list(&ListParams::default()).await.is_ok());
    }

    assert_eq!(seen, fates(7).await);
}

#[tokio::test]
async fn refused_connections_do_nothing_until_they_are_accepted_again() {
    let (sandbox, one, other) = two();

    sandbox.set_fault(Fault::of("one", FaultKind::RefuseConnections));
    let refused = one.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();

    assert!(!matches!(refused, kube::Error::Api(_)), "{refused:?}");
    assert_eq!(refusal(other.get("a").await).0, 404);
    sandbox.clear_faults();
    assert!(one.create(&PostParams::default(), &config_map("a", "1")).await.is_ok());
}

#[tokio::test]
async fn a_server_closes_the_connections_that_are_refused() {
    let sandbox = Sandbox::new("test");
    let server = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let config = kube::config::Kubeconfig::from_yaml(&server.kubeconfig_for("one")).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await.unwrap();
    let api = |config: kube::Config| {
        Api::<ConfigMap>::default_namespaced(Client::try_from(config).unwrap())
    };
    let list = async |config: &kube::Config| api(config.clone()).list(&ListParams::default()).await;

    sandbox.set_fault(Fault::of_all(FaultKind::RefuseConnections));
    let at_the_door = list(&config).await.unwrap_err();
    sandbox.clear_faults();
    sandbox.set_fault(Fault::of("one", FaultKind::RefuseConnections));
    let once_known = list(&config).await.unwrap_err();
    sandbox.clear_faults();

    assert!(!matches!(at_the_door, kube::Error::Api(_)), "{at_the_door:?}");
    assert!(!matches!(once_known, kube::Error::Api(_)), "{once_known:?}");
    assert!(list(&config).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_clock_jumps_forwards_and_back() {
    let (sandbox, one, _other) = two();
    let born = async |name: &str| {
        let made = one.create(&PostParams::default(), &config_map(name, "1")).await.unwrap();
        made.metadata.creation_timestamp.unwrap().0
    };

    let before = born("a").await;
    sandbox.jump_clock(SignedDuration::from_hours(2));
    let ahead = born("b").await;
    sandbox.jump_clock(SignedDuration::from_hours(-3));
    let behind = born("c").await;

    assert_eq!(ahead.duration_since(before).as_hours(), 2);
    assert_eq!(behind.duration_since(before).as_hours(), -1);
}
