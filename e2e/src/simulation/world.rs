//! How does a fleet begin, and how is a script carried out?

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use kube_sandbox::Sandbox;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::calm::Troubles;
use super::door::{Common, Tally};
use super::forge::Forge;
use super::hands::{self, Hands, Place};
use super::script::Script;
use super::sentry::Sentry;
use super::sizes::Sizes;
use super::slots::{Mould, Slot};
use super::timeline::Timeline;
use super::truth::Truth;
use super::weather::Weather;
use super::yard::{APPS, Yard};
use crate::fleet::{HOME, create_namespace, install_crds, keep};

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) script: Script,
    pub(super) sandboxes: Vec<Sandbox>,
    pub(super) hands: Vec<Hands>,
    pub(super) yards: Vec<Arc<Yard>>,
    pub(super) forge: Arc<Forge>,
    pub(super) truth: Truth,
    pub(super) weather: Weather,
    pub(super) slots: Vec<Arc<Slot>>,
    pub(super) sentry: Arc<Sentry>,
    pub(super) common: Common,
    /// Why replicas ended that should not have.
    pub(super) ended: Arc<Mutex<Vec<String>>>,
    mould: Arc<Mould>,
}

impl World {
    /// What is there before anything happens.
    pub(super) fn new(seed: u64, sizes: &Sizes, trace: Option<Box<dyn Write + Send>>) -> Self {
        let script = Script::of(seed, sizes);
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().expect("it is a time");
        let timeline = Arc::new(Timeline::new(trace));
        let common = Common {
            timeline: Arc::clone(&timeline),
            troubles: Arc::new(Troubles::default()),
            tally: Arc::new(Tally::default()),
            ambush: Arc::default(),
            mutant: sizes.mutant,
        };
        let sandboxes: Vec<Sandbox> =
            script.clusters.iter().map(|it| Sandbox::replayed(it, start, seed)).collect();
        let forge = Arc::new(Forge::new(&script.repos, &timeline, seed));
        let slots: Vec<Arc<Slot>> = script
            .skews
            .iter()
            .enumerate()
            .map(|(it, skew)| Arc::new(Slot::new(it, *skew)))
            .collect();
        let mould = Mould {
            settings: Mould::settings(&script, sizes.shards),
            sandboxes: sandboxes.clone(),
            forge: Arc::clone(&forge),
            common: common.clone(),
            start,
        };
        Self {
            hands: sandboxes.iter().map(Hands::new).collect(),
            yards: sandboxes.iter().map(|it| Arc::new(Yard::new(it, &common, seed))).collect(),
            weather: Weather::new(&sandboxes, slots.len()),
            sentry: Arc::new(Sentry::new(
                (&script.clusters, sizes.shards),
                &timeline,
                &common.troubles,
                &slots,
            )),
            truth: Truth::default(),
            ended: Arc::default(),
            mould: Arc::new(mould),
            script,
            sandboxes,
            forge,
            slots,
            common,
        }
    }

    /// Lives the script to its end.
    pub(super) async fn live(&self, sizes: &Sizes) {
        let mut background = JoinSet::new();
        for cluster in 0..self.sandboxes.len() {
            self.found(cluster).await;
            background.spawn(Arc::clone(&self.yards[cluster]).run());
        }
        for (place, object) in self.script.clusters[1..].iter().map(|it| hands::registration(it)) {
            self.hands[0].create(&place, object).await;
        }
        for trigger in 0..self.script.triggers.len() {
            self.create_trigger(trigger).await;
        }
        for slot in &self.slots {
            let (mould, ended) = (Arc::clone(&self.mould), Arc::clone(&self.ended));
            background.spawn(Arc::clone(slot).keep(mould, ended));
        }
        background.spawn(Arc::clone(&self.sentry).run());
        for (at, act) in &self.script.acts {
            sleep_until(self.common.timeline.instant(*at)).await;
            self.act(act).await;
        }
        sleep_until(self.common.timeline.instant(sizes.life)).await;
    }

    /// What a cluster has before there are triggers.
    async fn found(&self, cluster: usize) {
        let client = kube::Client::new(self.sandboxes[cluster].client_router("people"), "default");
        install_crds(&client, keep).await;
        create_namespace(&client, APPS).await;
        if cluster == 0 {
            create_namespace(&client, HOME).await;
        }
        let hands = &self.hands[cluster];
        hands.create(&Place::action(), hands::action()).await;
        for (kind, repo) in self.sources(cluster) {
            let source = hands::source(&self.script, kind, repo);
            hands.create(&Place::source(kind, repo), source).await;
        }
        for repo in self.repos() {
            if let Some(token) = self.forge.token(repo) {
                let place = Place::secret(APPS, &hands::secret_name(repo));
                hands.create(&place, hands::token(&token)).await;
            }
        }
    }

    /// The sources that triggers of a cluster name.
    pub(super) fn sources(&self, cluster: usize) -> BTreeSet<(&'static str, usize)> {
        let of = self.script.triggers.iter().filter(|it| it.cluster == cluster);
        of.flat_map(|it| it.sources.repos.iter().map(|repo| (it.sources.kind, *repo))).collect()
    }

    /// How far the clocks of two machines ever were apart: so much later may he check first who takes over what
    /// somebody recorded whose clock was ahead.
    pub(super) fn apart(&self) -> Duration {
        let skews: Vec<_> = self.slots.iter().flat_map(|it| it.skews()).collect();
        let (least, most) = (skews.iter().min(), skews.iter().max());
        let apart = most.zip(least).map(|(most, least)| *most - *least).unwrap_or_default();
        apart.unsigned_abs()
    }

    /// All repositories: a source may be led to any.
    fn repos(&self) -> std::ops::Range<usize> {
        0..self.script.repos.len()
    }
}
