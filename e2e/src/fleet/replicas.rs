//! How do replicas come and go? As tasks, each behind a gate of its own.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ger_core::claim::Takeover;
use ger_core::names::MemberId;
use git_events_runner::clock::Clock;
use git_events_runner::config::{Action, Flags, Settings};
use git_events_runner::replica::{self, Pace, Parts};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::builder::Hooks;
use super::{Builder, Fleet, HOME};
use crate::gate::{Fate, Gate, Step};
use crate::reach::Routes;
use crate::remotes::Host;
use crate::scene::Scene;

/// A replica announces itself this soon: stories begin when it has.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);
/// A trap is sprung within this, or the story does not do what it says.
const SPRUNG: Duration = Duration::from_mins(2);

/// What every replica of a fleet is made by.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) shards: u16,
    lease: (u64, u64),
    action: Action,
    hooks: Hooks,
    clock: Clock,
    host: Host,
    scene: Weak<Scene>,
    started: std::sync::atomic::AtomicU32,
}

/// A replica that runs.
#[derive(Debug)]
pub struct Replica {
    pub name: String,
    pub handle: replica::Handle,
    pub(crate) gate: Gate,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Recipe {
    pub(super) fn new(builder: &Builder, now: Timestamp, scene: &Arc<Scene>, host: &Host) -> Self {
        Self {
            shards: builder.shard_count(),
            lease: builder.lease(),
            action: builder.action(),
            hooks: builder.hooks.clone(),
            clock: Clock::virtual_from(now),
            host: host.clone(),
            scene: Arc::downgrade(scene),
            started: std::sync::atomic::AtomicU32::new(0),
        }
    }

    fn settings(&self) -> Settings {
        let flags = Flags {
            shards: Some(self.shards),
            lease_duration: Some(self.lease.0),
            lease_renew: Some(self.lease.1),
            action: Some(self.action.clone()),
            hooks_rrl_global: self.hooks.global.clone(),
            hooks_rrl_trigger: self.hooks.trigger.clone(),
            hooks_rrl_source: self.hooks.source.clone(),
            hooks_rrl_caller: self.hooks.caller.clone(),
            webhooks_trusted_proxies: self.hooks.proxies.clone(),
            ..Flags::default()
        };
        Settings::from_flags(flags).expect("the harness's settings fit together")
    }
}

impl Fleet {
    /// Starts one more replica, and gives its name. It joins within seconds.
    pub fn start_replica(&self) -> String {
        let number = self.recipe.started.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let name = format!("replica-{number}");
        let sandboxes = self.scene.sites.values().map(|it| it.sandbox.clone()).collect();
        let gate = Gate::new(&name, sandboxes);
        let (own, scene) = (gate.clone(), Weak::clone(&self.recipe.scene));
        let routes = Routes::new(move |cluster: &str| {
            let scene = scene.upgrade()?;
            Some(own.client(&scene.sites.get(cluster)?.sandbox, HOME))
        });
        let parts = Parts {
            settings: self.recipe.settings(),
            namespace: HOME.to_owned(),
            member: MemberId::new(format!("git-events-runner-{name}")),
            hub: routes.clients("hub").expect("every scene has a hub"),
            connect: Arc::new(routes),
            remotes: Arc::new(self.recipe.host.clone()),
            clock: self.recipe.clock.clone(),
            utility: None,
            webhooks: None,
            pace: Pace { announce_after: ANNOUNCE_AFTER },
            takeover: Takeover::Enabled,
            pod: None,
        };
        let stop = CancellationToken::new();
        let (handle, running) =
            replica::start(parts, stop.clone()).expect("metrics can be registered");
        let mut task = JoinSet::new();
        let abort = task.spawn(async move {
            let ended = running.await;
            ended.expect("a replica ends when it is asked to, and not before");
        });
        gate.guards(abort);
        let replica = Replica { name: name.clone(), handle, gate, stop, task };
        self.scene.replicas().insert(name.clone(), replica);
        name
    }

    fn take(&self, name: &str) -> Replica {
        let replica = self.scene.replicas().remove(name);
        replica.unwrap_or_else(|| panic!("no replica {name} runs"))
    }

    fn gate(&self, name: &str) -> Gate {
        let replicas = self.scene.replicas();
        let replica = replicas.get(name).unwrap_or_else(|| panic!("no replica {name} runs"));
        replica.gate.clone()
    }

    /// Where a replica is called.
    pub(crate) fn hooks(&self, name: &str) -> git_events_runner::webhooks::Handle {
        let replicas = self.scene.replicas();
        let replica = replicas.get(name).unwrap_or_else(|| panic!("no replica {name} runs"));
        replica.handle.webhooks().clone()
    }

    /// How many requests for single Secrets and WebhookTriggers a replica has made.
    pub fn asked(&self, name: &str) -> u64 {
        self.gate(name).asked()
    }

    /// What a replica counts: a line for each series, without its value.
    pub fn metrics(&self, name: &str) -> String {
        let replicas = self.scene.replicas();
        let replica = replicas.get(name).unwrap_or_else(|| panic!("no replica {name} runs"));
        let families = replica.handle.metrics().registry().gather();
        let lines = families.iter().flat_map(|family| {
            family.get_metric().iter().map(|metric| {
                let labels = metric.get_label().iter();
                let labels = labels.map(|it| format!("{}={:?}", it.name(), it.value()));
                format!("{}{{{}}}\n", family.name(), labels.collect::<Vec<_>>().join(","))
            })
        });
        lines.collect()
    }

    /// Ends a replica as a power failure does.
    pub async fn kill(&self, name: &str) {
        self.take(name).task.shutdown().await;
    }

    /// Ends a replica as SIGTERM does, and says how long it took.
    pub async fn stop(&self, name: &str) -> Duration {
        let mut replica = self.take(name);
        let begun = Instant::now();
        replica.stop.cancel();
        while let Some(ended) = replica.task.join_next().await {
            ended.expect("a replica that is asked to stop does so without a panic");
        }
        begun.elapsed()
    }

    /// Lets a replica do the next such step, and die before it hears of it.
    pub fn crash(&self, name: &str, step: Step) {
        self.gate(name).set(step, Fate::Crash);
    }

    /// Lets whichever replica does the next such step lose the answer.
    pub fn lose_answer(&self, name: &str, step: Step) {
        self.gate(name).set(step, Fate::LoseAnswer);
    }

    /// Lets a replica fall asleep just before the next such step; it does it when it wakes.
    pub fn sleep_before(&self, name: &str, step: Step) {
        self.gate(name).set(step, Fate::Sleep);
    }

    /// Sets the wall clocks of all replicas ahead.
    pub fn set_clocks(&self, ahead: Duration) {
        self.recipe.clock.jump(jiff::SignedDuration::try_from(ahead).expect("a short time"));
    }

    /// Wakes a replica that fell asleep; ends every fault of every cluster.
    pub fn wake(&self, name: &str) {
        self.gate(name).wake();
    }

    /// Waits until what was set for a step has happened. A replica that crashed is gone then.
    pub async fn sprung(&self, name: &str, step: Step) {
        let gate = self.gate(name);
        let what = format!("{name} comes to {step:?}");
        let is_sprung = async || gate.sprung().contains(&step).then_some(());
        self.until(SPRUNG, &what, is_sprung).await;
        if gate.is_dead() {
            self.kill(name).await;
        }
    }
}
