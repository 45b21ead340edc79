//! What does the traffic of a fleet cost, request by request? In paused time, as simulations have it: three
//! clients renew Leases and watch them, while the cluster's own controllers run among many objects.

use std::fmt::Write as _;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::WatchParams;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::ObjectMeta;
use kube::{Api, Client};
use kube_sandbox::{Sandbox, Succeed};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::writes::{cpu, from, job};

/// As many as a fleet has shards.
const LEASES: usize = 64;
const REPLICAS: usize = 3;
const RENEWALS: usize = 100;
/// What lies about: nothing that happens to the others concerns it.
const BYSTANDERS: usize = 2000;
const JOBS: usize = 500;

const LABELLED: &str = "bench=shard";

/// CPU time of the whole process for each request, in microseconds.
pub(crate) async fn of_a_fleet() -> anyhow::Result<String> {
    tokio::time::pause();
    let mut text = String::new();
    let sandbox = Sandbox::new("fleet");
    let client = Client::new(sandbox.router(), "default");
    for (watchers, title) in [(0, "nobody watches"), (REPLICAS, "three watch by a label")] {
        let each = renewals(&client, watchers).await?;
        writeln!(text, "| a Lease renewed by kube's client, {title} | {each:.1} µs |")?;
    }

    let mut controllers = JoinSet::new();
    controllers.spawn(sandbox.run_controllers());
    controllers.spawn(sandbox.run_pods(Succeed));
    bystanders(&client).await?;
    sleep(Duration::from_secs(10)).await;
    let each = renewals(&client, REPLICAS).await?;
    writeln!(text, "| the same among {BYSTANDERS} objects, controllers running | {each:.1} µs |")?;
    let each = jobs(&client).await?;
    writeln!(text, "| a Job from its creation to its end and deletion | {each:.0} µs |")?;
    Ok(text)
}

/// Each Lease again and again, a second of the cluster's time between the rounds.
async fn renewals(client: &Client, watchers: usize) -> anyhow::Result<f64> {
    let api = Api::<Lease>::default_namespaced(client.clone());
    let mut leases = Vec::new();
    for at in 0..LEASES {
        let metadata = json!({ "name": format!("shard-{at}"), "labels": { "bench": "shard" } });
        let body = json!({ "metadata": metadata, "spec": { "holderIdentity": "replica-0" } });
        let patch = Patch::Merge(&body);
        let lease = match api.patch(&format!("shard-{at}"), &PatchParams::default(), &patch).await {
            Ok(lease) => lease,
            Err(_) => api.create(&PostParams::default(), &from(body)?).await?,
        };
        leases.push(lease);
    }
    let version = api.list(&ListParams::default()).await?.metadata.resource_version;
    let version = version.unwrap_or_default();
    let mut watching = JoinSet::new();
    for _ in 0..watchers {
        let stream = api.watch(&WatchParams::default().labels(LABELLED), &version).await?.boxed();
        watching.spawn(stream.try_for_each(|_| std::future::ready(Ok(()))));
    }
    let before = cpu();
    for round in 0..RENEWALS {
        for lease in &mut leases {
            let name = lease.metadata.name.clone().unwrap_or_default();
            if let Some(spec) = &mut lease.spec {
                let at = Timestamp::from_microsecond(i64::try_from(round)?)?;
                spec.renew_time = Some(MicroTime(at));
            }
            *lease = api.replace(&name, &PostParams::default(), lease).await?;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let spent = cpu().saturating_sub(before);
    Ok(micros(spent, LEASES * RENEWALS))
}

async fn bystanders(client: &Client) -> anyhow::Result<()> {
    let api = Api::<ConfigMap>::default_namespaced(client.clone());
    for at in 0..BYSTANDERS {
        let name = Some(format!("bystander-{at}"));
        let map = ConfigMap {
            metadata: ObjectMeta { name, ..ObjectMeta::default() },
            ..ConfigMap::default()
        };
        api.create(&PostParams::default(), &map).await?;
    }
    Ok(())
}

/// Jobs run by the cluster, one after the other.
async fn jobs(client: &Client) -> anyhow::Result<f64> {
    let api = Api::<Job>::default_namespaced(client.clone());
    let before = cpu();
    for at in 0..JOBS {
        let name = format!("job-{at}");
        let mut body = job(&name);
        body["spec"]["suspend"] = false.into();
        api.create(&PostParams::default(), &from(body)?).await?;
        loop {
            sleep(Duration::from_secs(1)).await;
            let status = api.get(&name).await?.status;
            if status.is_some_and(|it| it.completion_time.is_some()) {
                break;
            }
        }
        // Half of them stay.
        if at % 2 == 0 {
            let policy = Some(PropagationPolicy::Background);
            let params = DeleteParams { propagation_policy: policy, ..DeleteParams::default() };
            api.delete(&name, &params).await?;
        }
    }
    Ok(micros(cpu().saturating_sub(before), JOBS))
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests, to three digits")]
fn micros(spent: Duration, count: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / count as f64
}
