//! How many writes a second?

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_sandbox::Sandbox;
use rustix::time::{ClockId, clock_gettime};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt as _;

/// How long each kind of write is repeated.
const EFFORT: Duration = Duration::from_secs(3);

/// By a current-thread runtime: what one core does.
pub(crate) async fn in_process() -> anyhow::Result<String> {
    let mut text = String::new();
    let started = Instant::now();
    let sandbox = Sandbox::new("bench");
    let client = Client::new(sandbox.router(), "default");
    writeln!(text, "| a cluster begins | {:.2} ms |", started.elapsed().as_secs_f64() * 1e3)?;

    let router = sandbox.client_router("bench");
    let rate = bare_lease_writes(&router).await?;
    writeln!(text, "| Lease updates, as requests to the service | {rate:.0}/s |")?;
    let rate = bare_status_writes(&router, &client).await?;
    writeln!(text, "| Job status patches, as requests to the service | {rate:.0}/s |")?;
    text += &by_one(&client).await?;
    Ok(text)
}

/// By one client that waits for each answer.
pub(crate) async fn by_one(client: &Client) -> anyhow::Result<String> {
    let mut text = String::new();
    let leases = Api::<Lease>::default_namespaced(client.clone());
    let mut lease: Lease = leases.create(&PostParams::default(), &from(lease("typed"))?).await?;
    let mut count = 0;
    let rate = rate(async || {
        count += 1;
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(Timestamp::from_microsecond(count)?));
        }
        lease = leases.replace("typed", &PostParams::default(), &lease).await?;
        Ok(())
    })
    .await?;
    writeln!(text, "| Lease updates by kube's client | {rate:.0}/s |")?;

    let jobs = Api::<Job>::default_namespaced(client.clone());
    jobs.create(&PostParams::default(), &from(job("typed"))?).await?;
    let mut count = 0;
    let rate = self::rate(async || {
        count += 1;
        let patch = Patch::Merge(json!({ "status": { "active": count } }));
        jobs.patch_status("typed", &PatchParams::default(), &patch).await?;
        Ok(())
    })
    .await?;
    writeln!(text, "| Job status patches by kube's client | {rate:.0}/s |")?;
    Ok(text)
}

/// Requests and answers are text: what is measured is the sandbox, and hardly the one who asks.
async fn bare_lease_writes(router: &Router) -> anyhow::Result<f64> {
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/bare";
    // A Lease that does not exist is created by an update.
    let mut lease = lease("bare").to_string();
    let mut count = 0;
    rate(async || {
        count += 1;
        let request = Request::put(path).header("content-type", "application/json");
        let answer = router.clone().oneshot(request.body(Body::from(lease.clone()))?).await?;
        let answer = axum::body::to_bytes(answer.into_body(), usize::MAX).await?;
        lease = renewed(std::str::from_utf8(&answer)?, count)?;
        Ok(())
    })
    .await
}

/// The Lease as it was read, another time later.
fn renewed(lease: &str, count: u32) -> anyhow::Result<String> {
    const FIELD: &str = r#""renewTime":"2026-01-01T00:00:00.000000"#;
    let at = lease.find(r#""renewTime":""#).with_context(|| lease.to_owned())?;
    let (before, rest) = lease.split_at(at);
    let rest = rest.get(FIELD.len()..).context("a time of six digits")?;
    Ok(format!("{before}\"renewTime\":\"2026-01-01T00:00:00.{:06}{rest}", count % 1_000_000))
}

async fn bare_status_writes(router: &Router, client: &Client) -> anyhow::Result<f64> {
    let jobs = Api::<Job>::default_namespaced(client.clone());
    jobs.create(&PostParams::default(), &from(job("bare"))?).await?;
    let path = "/apis/batch/v1/namespaces/default/jobs/bare/status";
    let mut count = 0;
    rate(async || {
        count += 1;
        let body = format!(r#"{{"status":{{"active":{count}}}}}"#);
        let request = Request::patch(path).header("content-type", "application/merge-patch+json");
        let answer = router.clone().oneshot(request.body(Body::from(body))?).await?;
        anyhow::ensure!(answer.status() == 200, "{}", answer.status());
        Ok(())
    })
    .await
}

/// How often a second of CPU is enough for something, all threads of this process counted.
pub(crate) async fn rate(
    mut write: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    for _ in 0..100 {
        write().await?;
    }
    let (began, mut done) = (Instant::now(), 0_u32);
    let before = cpu();
    while began.elapsed() < EFFORT {
        for _ in 0..50 {
            write().await?;
        }
        done += 50;
    }
    let spent = if tokio::runtime::Handle::current().metrics().num_workers() == 1 {
        cpu().saturating_sub(before)
    } else {
        began.elapsed()
    };
    Ok(f64::from(done) / spent.as_secs_f64())
}

/// What this process has used so far, all threads together.
pub(crate) fn cpu() -> Duration {
    let it = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(it.tv_sec), u32::try_from(it.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

pub(crate) fn lease(name: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name },
        "spec": {
            "holderIdentity": "replica-0", "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z",
        },
    })
}

pub(crate) fn job(name: &str) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name },
        "spec": { "suspend": true, "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "main", "image": "busybox:1" }],
        } } },
    })
}

pub(crate) fn from<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(value)?)
}
