//! Who is there when a seed's life begins?

use std::time::Duration;

use jiff::SignedDuration;

use super::{BRANCHES, Fires, Repo, Script, Sources, Times, Wish};
use crate::simulation::chance::Chance;
use crate::simulation::sizes::Sizes;

/// A repository is watched by so many triggers, about.
const SHARING: usize = 6;
/// Clocks of two machines differ by five minutes at the most.
const MOST_WRONG: i64 = 150_000;
const INTERVALS: [u64; 8] = [60, 60, 90, 120, 180, 300, 600, 900];

pub(super) fn begin(chance: &mut Chance, sizes: &Sizes) -> Script {
    let clusters = std::iter::once("hub".to_owned())
        .chain((1..sizes.clusters).map(|it| format!("spoke-{it}")))
        .collect();
    let count = (sizes.triggers / SHARING).max(3);
    let repos: Vec<Repo> = (0..count).map(|_| repo(chance)).collect();
    let triggers = (0..sizes.triggers).map(|it| wish(chance, sizes, (it, count))).collect();
    let is_skewed = chance.percent(60);
    let width = if is_skewed { MOST_WRONG } else { 0 };
    let skews = (0..sizes.replicas).map(|_| skew(chance, width)).collect();
    // A life in which Jobs queue, or are gone as soon as they have finished, is one in three each.
    let max_running = *chance.pick(&[2, 16, 16]);
    let ttl = *chance.pick(&[0, 30, 3600]);
    let waiting = *chance.pick(&[120, 300]);
    let acts = Vec::new();
    Script { clusters, repos, triggers, skews, max_running, ttl, waiting, acts }
}

fn repo(chance: &mut Chance) -> Repo {
    let lag = if chance.percent(20) { 4000 } else { 0 };
    Repo { is_guarded: chance.percent(25), lag: Duration::from_millis(lag) }
}

fn wish(chance: &mut Chance, sizes: &Sizes, (number, repos): (usize, usize)) -> Wish {
    let kind = if chance.percent(15) { "ClusterGitRepo" } else { "GitRepo" };
    let mut named = vec![chance.below(repos)];
    while named.len() < 3 && chance.percent(20) {
        let other = chance.below(repos);
        if !named.contains(&other) {
            named.push(other);
        }
    }
    let fires = if chance.percent(12) { Fires::Always } else { Fires::OnChange };
    Wish {
        name: format!("deploy-{number}"),
        cluster: number % sizes.clusters,
        sources: Sources { kind, repos: named },
        branch: if chance.percent(80) { BRANCHES[0] } else { BRANCHES[1] },
        times: times(chance, sizes),
        fires,
    }
}

pub(super) fn times(chance: &mut Chance, sizes: &Sizes) -> Times {
    let longest = sizes.longest.as_secs();
    if chance.percent(15) {
        let minutes = [1, 2, 5].into_iter().filter(|it| it * 60 <= longest).collect::<Vec<u64>>();
        return Times::Minutes(*chance.pick(&minutes));
    }
    Times::Every(Duration::from_secs((*chance.pick(&INTERVALS)).min(longest)))
}

fn skew(chance: &mut Chance, width: i64) -> SignedDuration {
    let drawn = chance.below(usize::try_from(width * 2).unwrap_or_default());
    SignedDuration::from_millis(i64::try_from(drawn).unwrap_or_default() - width)
}
