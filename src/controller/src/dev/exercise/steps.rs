//! The steps of the exercise, in order; each begins where the last one ended.

use std::time::Duration;

use kube_sandbox::{Fault, FaultKind};
use tokio::time::Instant;

use super::{Exercise, Outcome};
use crate::dev::samples;
use crate::dev::world::{CLUSTERS, Running, until};

/// How many steps there are.
pub(super) const COUNT: usize = 10;

/// A change is seen, cloned and worked on within this where nothing is in the way.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// A crash is noticed when its Leases run out; then the change is seen.
const AFTER_CRASH: Duration = Duration::from_secs(45);
/// DESIGN's bound from a crash to the takeover of its shards.
const TAKEOVER: Duration = Duration::from_secs(20);
/// The bound of a graceful handover.
const HANDOVER: Duration = Duration::from_secs(1);
/// Checks without a change after which a commit counts as settled.
const INTERVALS: u64 = 10;

impl Exercise<'_> {
    /// Does the step of that number, and names it.
    pub(super) async fn step(&mut self, number: usize) -> (&'static str, Outcome) {
        match number {
            0 => ("the replicas divide the shards", self.divide().await),
            1 => ("the samples run once at first sight", self.first_sight().await),
            2 => ("a commit runs once in each cluster", self.change().await),
            3 => ("no second Job over ten intervals", self.quiet().await),
            4 => ("a replica crashes: its shards are taken over", self.crash().await),
            5 => ("a replica stops: its shards move at once", self.graceful().await),
            6 => ("a spoke is cut off and returns", self.cut_off().await),
            7 => ("a spoke is removed and added again", self.remove().await),
            8 => ("a webhook runs once, whoever receives it", self.hooked().await),
            _ => ("every commit ran once, by the API's record", self.counts()),
        }
    }

    async fn divide(&mut self) -> Outcome {
        // Who begins first may hold them all for a moment.
        let idle = || self.world.replicas.iter().find(|(_, it)| it.shards() == 0);
        if !until(SOON, || idle().is_none()).await
            && let Some((name, _)) = idle()
        {
            return Err(format!("{name} holds nothing: {}", self.holdings()));
        }
        if self.all_shards_held(SOON).await {
            Ok(self.holdings())
        } else {
            Err(format!("shards are not all held: {}", self.holdings()))
        }
    }

    /// The first creation's answer is lost on the way: the second attempt must find the first's Job.
    async fn first_sight(&mut self) -> Outcome {
        let verb = "create".to_owned();
        let kind = FaultKind::LoseResponse { verb, resource: "jobs".to_owned(), times: 1 };
        self.world.site("edge-1").sandbox.set_fault(Fault { client: None, kind });
        let applied = samples::apply(self.world).await;
        applied.map_err(|error| format!("{error:#}"))?;
        let head = self.world.git.git_in(samples::REPOSITORY, &["rev-parse", "main"], b"").await;
        let head = head.map_err(|error| format!("cannot read the first commit: {error}"))?;
        self.commits.push(head.trim().to_owned());
        let commit = self.commits[0].clone();
        let ran = self.has_run(&commit, &CLUSTERS, SOON).await?;
        Ok(format!("{ran}; the answer to a creation was lost on edge-1"))
    }

    async fn change(&mut self) -> Outcome {
        let commit = self.push().await?;
        self.has_run(&commit, &CLUSTERS, SOON).await
    }

    async fn quiet(&mut self) -> Outcome {
        let before = CLUSTERS.map(|it| self.unchanged(it));
        let limit = SOON * 2;
        let passed = until(limit, || {
            CLUSTERS.iter().zip(before).all(|(it, before)| self.unchanged(it) >= before + INTERVALS)
        })
        .await;
        if !passed {
            return Err(format!("not {INTERVALS} checks in each cluster within {limit:?}"));
        }
        self.counts()
    }

    async fn crash(&mut self) -> Outcome {
        let victim = self.busiest()?;
        let Some(replica) = self.world.replicas.remove(&victim) else {
            return Err("no replica".to_owned());
        };
        let lost = replica.shards();
        replica.kill().await;
        let killed = Instant::now();
        let commit = self.push().await?;
        if !self.all_shards_held(TAKEOVER).await {
            return Err(format!(
                "{victim}'s {lost} shards were not taken over: {}",
                self.holdings()
            ));
        }
        let taken = killed.elapsed().as_secs_f64();
        self.has_run(&commit, &CLUSTERS, AFTER_CRASH).await?;
        let counts = self.counts()?;
        Ok(format!("{victim} held {lost}, taken over in {taken:.1} s; {counts}"))
    }

    async fn graceful(&mut self) -> Outcome {
        let started = self.world.start_replica().map_err(|error| error.to_string())?;
        let joined =
            until(SOON, || self.world.replicas.get(&started).is_some_and(|it| it.shards() > 0))
                .await;
        if !joined || !self.all_shards_held(SOON).await {
            return Err(format!("{started} did not join: {}", self.holdings()));
        }
        let victim = self.busiest()?;
        let Some(replica) = self.world.replicas.remove(&victim) else {
            return Err("no replica".to_owned());
        };
        let held = replica.shards();
        let stopping = Instant::now();
        let ((), moved) = tokio::join!(replica.stop(), async {
            self.all_shards_held(SOON).await.then(|| stopping.elapsed())
        });
        let Some(moved) = moved else {
            return Err(format!("{victim}'s {held} shards did not move: {}", self.holdings()));
        };
        if moved > HANDOVER {
            return Err(format!("{victim}'s {held} shards moved in {:.2} s", moved.as_secs_f64()));
        }
        let commit = self.push().await?;
        self.has_run(&commit, &CLUSTERS, SOON).await?;
        Ok(format!("{victim}'s {held} shards moved in {:.3} s", moved.as_secs_f64()))
    }

    async fn cut_off(&mut self) -> Outcome {
        self.world.cut_off("edge-2");
        let commit = self.push().await?;
        let others = self.has_run(&commit, &["hub", "edge-1"], SOON).await;
        let missed = self.jobs("edge-2", &commit).await?;
        self.world.mend("edge-2");
        let others = others?;
        if !missed.is_empty() {
            return Err("edge-2: a Job was created while it was cut off".to_owned());
        }
        let mended = Instant::now();
        self.has_run(&commit, &["edge-2"], AFTER_CRASH).await?;
        self.counts()?;
        Ok(format!("{others}; edge-2 {:.1} s after its return", mended.elapsed().as_secs_f64()))
    }

    async fn remove(&mut self) -> Outcome {
        self.world.unregister("edge-1").await.map_err(|error| error.to_string())?;
        let forgotten = until(SOON, || {
            let name = ger_core::names::ClusterName::parse_spoke("edge-1").ok();
            let knows = |it: &Running| {
                name.as_ref().is_some_and(|name| it.handle.clusters().cluster(name).is_some())
            };
            !self.world.replicas.values().any(knows)
        })
        .await;
        if !forgotten {
            return Err("edge-1 is still watched after its Secret is gone".to_owned());
        }
        let commit = self.push().await?;
        self.has_run(&commit, &["hub", "edge-2"], SOON).await?;
        let settled = [self.unchanged("hub"), self.unchanged("edge-2")];
        until(SOON, || {
            self.unchanged("hub") >= settled[0] + 3 && self.unchanged("edge-2") >= settled[1] + 3
        })
        .await;
        if !self.jobs("edge-1", &commit).await?.is_empty() {
            return Err("edge-1: a Job was created although it is no spoke".to_owned());
        }
        self.world.register("edge-1").await.map_err(|error| error.to_string())?;
        let added = Instant::now();
        self.has_run(&commit, &["edge-1"], SOON).await?;
        Ok(format!(
            "edge-1 ran what it missed {:.1} s after its return",
            added.elapsed().as_secs_f64()
        ))
    }

    /// Waits until each shard is held by exactly one of the replicas.
    async fn all_shards_held(&self, limit: Duration) -> bool {
        until(limit, || {
            let mut held = std::collections::BTreeMap::<_, usize>::new();
            let mine = |it: &Running| it.handle.shards().snapshot().mine;
            for shard in self.world.replicas.values().flat_map(mine) {
                *held.entry(shard).or_default() += 1;
            }
            held.len() == SHARDS && held.values().all(|it| *it == 1)
        })
        .await
    }

    fn holdings(&self) -> String {
        let each: Vec<String> = self
            .world
            .replicas
            .iter()
            .map(|(name, it)| format!("{name} {}", it.shards()))
            .collect();
        each.join(", ")
    }

    /// The replica with the sample trigger of the hub, so that its loss is felt.
    fn busiest(&self) -> Result<String, String> {
        let key = ger_core::names::TriggerKey {
            cluster: ger_core::names::ClusterName::hub(),
            kind: ger_core::names::TriggerKind::Schedule,
            namespace: samples::NAMESPACE.to_owned(),
            name: samples::REPOSITORY.to_owned(),
        };
        let owner = self.world.replicas.iter().find(|(_, it)| it.handle.shards().owns(&key));
        owner.map(|(name, _)| name.clone()).ok_or_else(|| format!("nobody owns {key}"))
    }

    /// How many checks of a cluster's sources found nothing new so far, in all replicas.
    fn unchanged(&self, cluster: &str) -> u64 {
        let count = |it: &Running| {
            it.handle.metrics().check_results_total.with_label_values(&[cluster, "unchanged"]).get()
        };
        self.world.replicas.values().map(count).sum()
    }
}

/// The default number of shards.
const SHARDS: usize = 64;
