//! What is typed, and what is asked of the API by it; how a run goes on is told by the stories.

use std::time::Duration;

use clap::Parser as _;
use ger_api::{ScheduleTrigger, WebhookTrigger};
use ger_core::plan::{FORCE, RUN_AT, RUN_SOURCES};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use kube_sandbox::Sandbox;
use serde_json::json;

use super::*;

#[derive(Debug, clap::Parser)]
struct Typed {
    #[command(subcommand)]
    command: Command,
}

fn typed(line: &str) -> Run {
    let words = std::iter::once("trigger").chain(line.split_whitespace());
    match Typed::try_parse_from(words).unwrap().command {
        Command::Run(run) => run,
        Command::List(_) => panic!("not a run"),
    }
}

/// A cluster with one trigger, and nobody who looks at it.
async fn cluster(spec: &serde_json::Value) -> Client {
    let sandbox = Sandbox::new("hub");
    let client = Client::new(sandbox.client_router("test"), "default");
    for crd in ger_api::crd::all() {
        Api::all(client.clone()).create(&PostParams::default(), &crd).await.unwrap();
    }
    let mut trigger = json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "ScheduleTrigger",
        "metadata": { "name": "deploy", "namespace": "default" },
        "spec": {
            "sources": { "names": ["app", "lib"] }, "schedule": { "interval": "1h" },
            "action": { "name": "run" },
        },
    });
    for (key, value) in spec.as_object().unwrap() {
        trigger["spec"][key] = value.clone();
    }
    let trigger: ScheduleTrigger = serde_json::from_value(trigger).unwrap();
    Api::default_namespaced(client.clone()).create(&PostParams::default(), &trigger).await.unwrap();
    client
}

async fn asked(client: &Client, line: &str) -> (Result<u8, Error>, String) {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let mut out = Vec::new();
    let code = run(client, &clock, &typed(line), &mut out).await;
    (code, String::from_utf8(out).unwrap())
}

#[tokio::test(start_paused = true)]
async fn who_asks_sets_the_annotations_and_takes_back_what_was_asked_before() {
    let client = cluster(&json!({})).await;
    let triggers: Api<ScheduleTrigger> = Api::default_namespaced(client.clone());

    let (first, _) = asked(&client, "run deploy --source lib --source app --force").await;
    let of_first = triggers.get("deploy").await.unwrap();
    let (second, _) = asked(&client, "run deploy").await;
    let of_second = triggers.get("deploy").await.unwrap();

    // Nobody answers here.
    assert!(matches!(first, Err(Error::Unanswered { .. })), "{first:?}");
    assert!(matches!(second, Err(Error::Unanswered { .. })), "{second:?}");
    let annotations = of_first.annotations();
    assert_eq!(
        (annotations[FORCE].as_str(), annotations[RUN_SOURCES].as_str()),
        ("true", "lib,app")
    );
    assert!(annotations[RUN_AT].starts_with("2026-01-01T"));
    assert_eq!(of_second.annotations().keys().collect::<Vec<_>>(), [RUN_AT]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_run_is_said_before_anything_is_asked() {
    let client = cluster(&json!({ "suspend": true })).await;
    let triggers: Api<ScheduleTrigger> = Api::default_namespaced(client.clone());

    let (suspended, _) = asked(&client, "run deploy").await;
    let (missing, _) = asked(&client, "run other").await;
    let (elsewhere, _) = asked(&client, "run deploy --kind webhook").await;

    assert!(matches!(suspended, Err(Error::Suspended { .. })), "{suspended:?}");
    assert!(matches!(missing, Err(Error::Missing { .. })), "{missing:?}");
    assert!(matches!(elsewhere, Err(Error::Missing { .. })), "{elsewhere:?}");
    assert!(triggers.get("deploy").await.unwrap().annotations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_webhook_trigger_that_is_suspended_is_not_asked_either() {
    let client = cluster(&json!({})).await;
    let trigger: WebhookTrigger = serde_json::from_value(json!({
        "apiVersion": "git-events-runner.rs/v1alpha1", "kind": "WebhookTrigger",
        "metadata": { "name": "hooked", "namespace": "default" },
        "spec": {
            "sources": { "names": ["app"] }, "webhook": {}, "suspend": true,
            "action": { "name": "run" },
        },
    }))
    .unwrap();
    let triggers: Api<WebhookTrigger> = Api::default_namespaced(client.clone());
    triggers.create(&PostParams::default(), &trigger).await.unwrap();

    let (suspended, _) = asked(&client, "run hooked").await;

    assert!(matches!(suspended, Err(Error::Suspended { .. })), "{suspended:?}");
    assert!(triggers.get("hooked").await.unwrap().annotations().is_empty());
}

/// A webhook's call that comes before the check takes the place of what was asked for, which is kept beside it.
#[tokio::test(start_paused = true)]
async fn a_run_that_a_call_has_joined_is_still_the_one_that_was_asked_for() {
    let client = cluster(&json!({})).await;
    let triggers: Api<ScheduleTrigger> = Api::default_namespaced(client.clone());
    let answers = async {
        let value = loop {
            let asked = triggers.get("deploy").await.unwrap();
            match asked.annotations().get(RUN_AT) {
                Some(value) => break value.clone(),
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let run = |id: &str, also: &[&str]| {
            json!({
                "id": id, "source": "app", "reason": "Manual", "phase": "Requested",
                "occasion": format!("delivery-of-{id}"), "alsoAskedBy": also,
            })
        };
        let status = json!({
            "lastHandledRunAt": value, "sequence": 2,
            "runs": [run("others", &["earlier"]), run("ours", &["earlier", &value])],
        });
        let patch = Patch::Merge(json!({ "status": status }));
        triggers.patch_status("deploy", &PatchParams::default(), &patch).await.unwrap();
    };

    let ((code, said), ()) = tokio::join!(asked(&client, "run deploy"), answers);

    assert_eq!(code.unwrap(), 0);
    assert_eq!(said.trim_end(), "run ours of source app is requested");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_not_watched_is_named() {
    let client = cluster(&json!({})).await;

    let (refused, _) = asked(&client, "run deploy --source nope").await;

    let message = refused.unwrap_err().to_string();
    assert!(message.contains("nope") && message.contains("app, lib"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_list_has_a_line_for_each_trigger() {
    let client = cluster(&json!({ "suspend": true })).await;
    let mut out = Vec::new();

    list(&client, &List::default(), &mut out).await.unwrap();

    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with("NAMESPACE  KIND      NAME"), "{out}");
    assert!(lines[1].starts_with("default    schedule  deploy  Idle   suspended"), "{out}");
}
