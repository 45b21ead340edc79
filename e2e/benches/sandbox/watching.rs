//! How soon, and how much, do watchers hear?

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::OBJECTS;

const WATCHERS: usize = 100;
/// Writes that all of them hear of.
const TOLD: usize = 1000;
/// Writes whose way to one watcher is timed.
const TIMED: usize = 1000;

/// 10,000 objects created and listed, a hundred watchers told.
pub(crate) async fn by_many(client: &Client) -> anyhow::Result<String> {
    let mut text = String::new();
    let api = Api::<ConfigMap>::default_namespaced(client.clone());

    let began = Instant::now();
    let made = futures::stream::iter(0..OBJECTS).map(|at| create(&api, at));
    made.buffer_unordered(32).try_collect::<Vec<_>>().await?;
    let rate = ratio(OBJECTS, began.elapsed());
    writeln!(text, "| {OBJECTS} objects created, 32 at a time | {rate:.0}/s |")?;

    let began = Instant::now();
    let listed = api.list(&ListParams::default()).await?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    writeln!(text, "| {} objects listed | {took:.1} ms |", listed.items.len())?;
    let version = listed.metadata.resource_version.context("a list has a version")?;

    let rate = fanned_out(&api, &version).await?;
    writeln!(text, "| events fanned out to {WATCHERS} watchers | {rate:.0}/s |")?;
    let (half, most) = latency(&api).await?;
    let (half, most) = (half.as_secs_f64() * 1e6, most.as_secs_f64() * 1e6);
    writeln!(text, "| from the write's beginning to a watcher, p50 | {half:.0} µs |")?;
    writeln!(text, "| the same, p99 | {most:.0} µs |")?;
    Ok(text)
}

async fn create(api: &Api<ConfigMap>, at: usize) -> anyhow::Result<()> {
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("many-{at:05}") },
        "data": { "key": "a value that is neither long nor short" },
    });
    api.create(&PostParams::default(), &serde_json::from_value(body)?).await?;
    Ok(())
}

async fn touch(api: &Api<ConfigMap>, at: usize) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({ "data": { "at": at.to_string() } }));
    api.patch("many-00000", &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Events a second, over all watchers together.
async fn fanned_out(api: &Api<ConfigMap>, version: &str) -> anyhow::Result<f64> {
    let mut watchers = JoinSet::new();
    let (ready, mut readies) = mpsc::channel(WATCHERS);
    for _ in 0..WATCHERS {
        let stream = api.watch(&WatchParams::default(), version).await?.boxed();
        let ready = ready.clone();
        watchers.spawn(async move {
            ready.send(()).await?;
            hear(stream, TOLD).await
        });
    }
    for _ in 0..WATCHERS {
        readies.recv().await;
    }
    let began = Instant::now();
    for at in 0..TOLD {
        touch(api, at).await?;
    }
    while let Some(heard) = watchers.join_next().await {
        heard??;
    }
    Ok(ratio(TOLD * WATCHERS, began.elapsed()))
}

async fn hear(
    mut stream: futures::stream::BoxStream<'static, kube::Result<WatchEvent<ConfigMap>>>,
    count: usize,
) -> anyhow::Result<()> {
    let mut heard = 0;
    while heard < count {
        match stream.try_next().await?.context("the watch ended")? {
            WatchEvent::Modified(_) => heard += 1,
            WatchEvent::Bookmark(_) => {}
            other => anyhow::bail!("{other:?}"),
        }
    }
    Ok(())
}

/// Half of the writes, and all but a hundredth, are heard of within these.
async fn latency(api: &Api<ConfigMap>) -> anyhow::Result<(Duration, Duration)> {
    let version = api.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
    let version = version.context("a list has a version")?;
    let mut stream = api.watch(&WatchParams::default(), &version).await?.boxed();
    let mut taken = Vec::with_capacity(TIMED);
    for at in 0..TIMED {
        let began = Instant::now();
        let (written, heard) = tokio::join!(touch(api, TOLD + at), stream.try_next());
        written?;
        heard?.context("the watch ended")?;
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    Ok((taken[TIMED / 2], taken[TIMED * 99 / 100]))
}

#[expect(clippy::cast_precision_loss, reason = "a count of events, to three digits")]
fn ratio(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
