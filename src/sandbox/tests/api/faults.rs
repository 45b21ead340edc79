//! Faults: what a client sees when the API, or the way to it, fails.

mod requests;
mod watches;

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams, WatchParams},
};
use kube_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{config_map, job, refusal};

/// One cluster, and the same API for two clients of it.
fn two() -> (Sandbox, Api<ConfigMap>, Api<ConfigMap>) {
    let sandbox = Sandbox::new("test");
    let api = |it: &str| Api::default_namespaced(Client::new(sandbox.client_router(it), "default"));
    let (one, other) = (api("one"), api("other"));
    (sandbox, one, other)
}

fn fault(client: &str, kind: FaultKind) -> Fault {
    Fault { client: Some(client.to_owned()), kind }
}

#[tokio::test(start_paused = true)]
async fn a_partition_silences_one_client_until_it_heals() {
    let (sandbox, one, other) = two();
    let mut events = one.watch(&WatchParams::default(), "0").await.unwrap().boxed();

    sandbox.set_fault(fault("one", FaultKind::Partition));
    let second = Duration::from_secs(1);
    assert!(timeout(second, one.get("a")).await.is_err());
    other.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert!(timeout(second, events.next()).await.is_err());
    sandbox.clear_faults();

    assert!(one.get("a").await.is_ok());
    let mut heard = Vec::new();
    while !matches!(heard.last(), Some(kube::api::WatchEvent::Added(_))) {
        heard.push(events.next().await.unwrap().unwrap());
    }
    // What comes first says that nothing was there.
    assert!(matches!(heard.as_slice(), [kube::api::WatchEvent::Bookmark(_), _]));
}

#[tokio::test]
async fn an_unavailable_api_answers_its_code_and_does_nothing() {
    let (sandbox, one, other) = two();

    sandbox.set_fault(fault("one", FaultKind::Unavailable(429)));
    let (code, reason, _) =
        refusal(one.create(&PostParams::default(), &config_map("a", "1")).await);

    assert_eq!((code, reason.as_str()), (429, "TooManyRequests"));
    assert_eq!(refusal(other.get("a").await).0, 404);
    assert!(sandbox.creations("configmaps").is_empty());
}

#[tokio::test(start_paused = true)]
async fn latency_takes_its_time() {
    let (sandbox, one, _other) = two();

    sandbox.set_fault(Fault { client: None, kind: FaultKind::Latency(Duration::from_secs(3)) });
    let start = Instant::now();
    one.list(&kube::api::ListParams::default()).await.unwrap();

    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn a_lost_response_hides_a_write_that_took_effect() {
    let sandbox = Sandbox::new("test");
    let client = Client::new(sandbox.router(), "default");
    let api: Api<Job> = Api::default_namespaced(client);
    let lost = FaultKind::LoseResponse { verb: "create".into(), resource: "jobs".into(), times: 1 };
    sandbox.set_fault(Fault { client: None, kind: lost });

    let answer = api.create(&PostParams::default(), &job("a")).await.unwrap_err();

    assert!(!matches!(answer, kube::Error::Api(_)), "{answer:?}");
    assert_eq!(sandbox.creations("jobs").len(), 1);
    assert_eq!(refusal(api.create(&PostParams::default(), &job("a")).await).0, 409);
    assert!(api.create(&PostParams::default(), &job("b")).await.is_ok());
}

#[tokio::test]
async fn conflicts_come_as_often_as_asked_and_write_nothing() {
    let (sandbox, one, _other) = two();
    one.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let kind = FaultKind::Conflict { resource: "configmaps".into(), times: 2 };
    sandbox.set_fault(fault("one", kind));
    let patch = Patch::Merge(json!({"data": {"k": "2"}}));

    for _ in 0..2 {
        let (code, reason, _) = refusal(one.patch("a", &PatchParams::default(), &patch).await);
        assert_eq!((code, reason.as_str()), (409, "Conflict"));
    }
    assert_eq!(one.get("a").await.unwrap().data.unwrap()["k"], "1");
    one.patch("a", &PatchParams::default(), &patch).await.unwrap();

    let codes: Vec<u16> = sandbox.audit().iter().map(|it| it.code).collect();
    assert_eq!(codes, [201, 409, 409, 200]);
}
