//! What does a fleet of processes use? All replicas are started at once, and each says of itself what it takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::Sizes;
use super::clusters::Clusters;
use super::replica::{Order, Use};
use super::seeds::Seeds;
use crate::measure::Peer;

/// How many triggers share a repository.
pub(super) const SHARING: usize = 20;
/// Replicas that have just joined take over from each other for a while.
const SETTLES: Duration = Duration::from_secs(30);

pub(super) fn measure(sizes: Sizes) -> anyhow::Result<String> {
    let clusters = Clusters::start(&spokes(sizes))?;
    let order = |number: usize| Order {
        hub: clusters.hub().to_owned(),
        member: format!("git-events-runner-7f9c6d5b8-{number:05}"),
        shards: sizes.shards,
        clusters: sizes.spokes + 1,
        triggers: sizes.all(),
    };
    let peers = (0..sizes.replicas).map(|it| order(it).start());
    let mut peers = peers.collect::<anyhow::Result<Vec<Peer>>>()?;
    let joined = of_all(&mut peers, "synced")?;
    thread::sleep(SETTLES);
    // Each was checked once since it was taken over.
    thread::sleep(Duration::from_secs(sizes.interval.min(120)));
    let used = of_all(&mut peers, &format!("use {}", sizes.window().as_secs()))?;
    let used = used.into_iter().map(serde_json::from_value);
    report(sizes, &joined, &used.collect::<Result<Vec<Use>, _>>()?)
}

/// What the spokes hold.
pub(super) fn spokes(sizes: Sizes) -> Vec<Seeds> {
    let of = |number: usize| Seeds {
        cluster: format!("spoke-{number}"),
        triggers: sizes.triggers,
        sharing: SHARING,
        interval: sizes.interval,
    };
    (1..=sizes.spokes).map(of).collect()
}

/// Asks all of them at the same time.
fn of_all(peers: &mut [Peer], question: &str) -> anyhow::Result<Vec<Value>> {
    thread::scope(|scope| {
        let asking: Vec<_> =
            peers.iter_mut().map(|it| scope.spawn(move || it.ask(question))).collect();
        let answers =
            asking.into_iter().map(|it| it.join().ok().context("a question ended badly")?);
        answers.collect()
    })
}

fn report(sizes: Sizes, joined: &[Value], used: &[Use]) -> anyhow::Result<String> {
    let most = |key: &str| joined.iter().filter_map(|it| it[key].as_f64()).fold(0.0, f64::max);
    let mut text = format!("{}, over TCP and TLS:\n\n", sizes.told());
    writeln!(text, "| what | figure |\n| --- | ---: |")?;
    writeln!(
        text,
        "| all listed by every replica, all started at once | {:.1} s |",
        most("listed")
    )?;
    writeln!(text, "| all joined | {:.1} s |", most("joined"))?;
    let memory: u64 = used.iter().map(|it| it.memory).sum();
    let each = memory / used.len().max(1) as u64;
    writeln!(text, "| memory of a replica, on average | {} MiB |", each / 1_048_576)?;
    writeln!(text, "| of that for each trigger | {} bytes |", each / sizes.all().max(1) as u64)?;
    let cores: f64 = used.iter().map(|it| it.cores).sum();
    writeln!(text, "| CPU of all replicas | {:.1} % of a core |", cores * 100.0)?;
    let checks: f64 = used.iter().map(|it| it.checks).sum();
    writeln!(text, "| questions to remotes a second, all replicas | {checks:.1} |")?;
    let mut verbs: BTreeMap<&str, f64> = BTreeMap::new();
    for (verb, rate) in used.iter().flat_map(|it| &it.requests) {
        *verbs.entry(verb).or_default() += rate;
    }
    for (verb, rate) in verbs {
        writeln!(text, "| requests `{verb}` a second, all replicas | {rate:.2} |")?;
    }
    Ok(text)
}
