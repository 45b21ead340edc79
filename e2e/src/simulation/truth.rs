//! What was there to be seen? Which triggers lived when, what each wanted, and which commits stood at what
//! it watched: known from what was done, and not from what the product says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::forge::Forge;
use super::script::{Fires, Sources, Times, Wish};
use super::timeline::At;

/// Where sources lead to, from a time on: nowhere while they are not there.
type Leads = BTreeMap<(usize, usize), Vec<(At, Option<usize>)>>;

/// What is known beside the repositories themselves.
#[derive(Debug, Default)]
pub(super) struct Truth {
    lives: Mutex<Vec<Life>>,
    /// By cluster and repository: where the source of that name leads to, from a time on.
    leads: Mutex<Leads>,
}

/// A trigger from its creation to its end.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) trigger: usize,
    pub(super) cluster: usize,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) from: At,
    pub(super) to: Option<At>,
    /// What it was told to do, from a time on.
    pub(super) specs: Vec<(At, Spec)>,
}

#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) sources: Sources,
    pub(super) branch: &'static str,
    pub(super) times: Times,
    pub(super) fires: Fires,
    pub(super) is_suspended: bool,
}

impl Spec {
    pub(super) fn of(wish: &Wish) -> Self {
        Self {
            sources: wish.sources.clone(),
            branch: wish.branch,
            times: wish.times,
            fires: wish.fires,
            is_suspended: false,
        }
    }
}

/// A commit that stood at a source, and when: it may have been out of sight in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) commit: String,
    pub(super) seen: Vec<(At, At)>,
}

impl Episode {
    pub(super) fn from(&self) -> At {
        self.seen.first().map_or(At::ZERO, |it| it.0)
    }
}

impl Truth {
    pub(super) fn lives(&self) -> MutexGuard<'_, Vec<Life>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leads(&self) -> MutexGuard<'_, Leads> {
        self.leads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A trigger was created.
    pub(super) fn born(&self, trigger: usize, wish: &Wish, uid: &str, now: At) {
        self.lives().push(Life {
            trigger,
            cluster: wish.cluster,
            name: wish.name.clone(),
            uid: uid.to_owned(),
            from: now,
            to: None,
            specs: vec![(now, Spec::of(wish))],
        });
    }

    /// A trigger was deleted.
    pub(super) fn died(&self, trigger: usize, now: At) {
        if let Some(life) = self.living(&mut self.lives(), trigger) {
            life.to = Some(now);
        }
    }

    /// A trigger was edited; false if there is none.
    pub(super) fn edited(&self, trigger: usize, now: At, edit: impl FnOnce(&mut Spec)) -> bool {
        let mut lives = self.lives();
        let Some(life) = self.living(&mut lives, trigger) else { return false };
        let Some((_, last)) = life.specs.last() else { return false };
        let mut spec = last.clone();
        edit(&mut spec);
        life.specs.push((now, spec));
        true
    }

    #[expect(clippy::unused_self, reason = "it is about what this holds")]
    fn living<'a>(&self, lives: &'a mut [Life], trigger: usize) -> Option<&'a mut Life> {
        lives.iter_mut().rev().find(|it| it.trigger == trigger && it.to.is_none())
    }

    /// Whether the trigger is there.
    pub(super) fn lives_now(&self, trigger: usize) -> bool {
        self.living(&mut self.lives(), trigger).is_some()
    }

    /// The source of a repository's name leads there from now on, or is gone.
    pub(super) fn leads_to(&self, (cluster, source): (usize, usize), to: Option<usize>, now: At) {
        self.leads().entry((cluster, source)).or_default().push((now, to));
    }

    fn lead(&self, (cluster, source): (usize, usize), at: At) -> Option<usize> {
        let leads = self.leads();
        let Some(of_source) = leads.get(&(cluster, source)) else { return Some(source) };
        let last = of_source.iter().rev().find(|it| it.0 <= at);
        last.map_or(Some(source), |it| it.1)
    }

    /// The repositories that a source led to at any time: their troubles are its troubles.
    pub(super) fn led(&self, cluster: usize, source: usize) -> Vec<usize> {
        let leads = self.leads();
        let others = leads.get(&(cluster, source)).into_iter().flatten().filter_map(|it| it.1);
        std::iter::once(source).chain(others).collect()
    }

    /// What stood at a source of a trigger, one after the other.
    pub(super) fn episodes(
        &self,
        forge: &Forge,
        life: &Life,
        source: usize,
        end: At,
    ) -> Vec<Episode> {
        let end = life.to.unwrap_or(end);
        let mut moments = vec![life.from];
        moments.extend(life.specs.iter().map(|it| it.0));
        moments
            .extend(self.leads().get(&(life.cluster, source)).into_iter().flatten().map(|it| it.0));
        let mut histories = BTreeMap::new();
        for repo in self.led(life.cluster, source) {
            for (_, spec) in &life.specs {
                let history = forge.history(repo, spec.branch);
                moments.extend(history.iter().map(|it| it.from));
                histories.insert((repo, spec.branch), history);
            }
        }
        moments.retain(|it| *it >= life.from && *it < end);
        moments.sort_unstable();
        moments.dedup();
        let mut episodes: Vec<Episode> = Vec::new();
        for (index, from) in moments.iter().enumerate() {
            let to = moments.get(index + 1).copied().unwrap_or(end);
            let spec = life.specs.iter().rev().find(|it| it.0 <= *from).map(|it| &it.1);
            let shown =
                spec.zip(self.lead((life.cluster, source), *from)).and_then(|(spec, repo)| {
                    let history = &histories[&(repo, spec.branch)];
                    history.iter().rev().find(|it| it.from <= *from)?.commit.clone()
                });
            let Some(commit) = shown else { continue };
            match episodes.last_mut() {
                Some(last) if last.commit == commit => last.seen.push((*from, to)),
                _ => episodes.push(Episode { commit, seen: vec![(*from, to)] }),
            }
        }
        episodes
    }
}
