//! Which places of a cluster are taken, and by which Jobs? What the watch shows, and what it does not show
//! yet: what was started here, what the last owner started, and a start of which no answer came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ger_core::ledger::JobSighting;
use ger_core::names::{ClusterName, TriggerKey};
use tokio::time::Instant;

use crate::clusters::{JobView, KueueQueue};

/// A watch that is further behind than this is begun anew, and with it comes a list.
const BEHIND: Duration = Duration::from_mins(1);

/// The places that are taken, by the uid of the Job that has each.
#[derive(Debug, Default)]
pub(super) struct Taken {
    places: BTreeMap<String, Place>,
    /// Where Jobs were read last.
    last: Read,
}

#[derive(Debug)]
struct Place {
    trigger: TriggerKey,
    by: By,
}

/// How it is known that a Job has its place.
#[derive(Debug)]
enum By {
    /// The watch has shown that it runs. Its place is its own until it is seen to have ended, whatever becomes
    /// of its trigger.
    Watch,
    /// A list said so when the slot was gained.
    List(Instant),
    /// It was started here; the watch still shows the version that was.
    Start { version: String },
    /// It was to be started here, and nobody knows whether it was.
    Asked { job: String, since: Instant },
}

/// A Job that was to be started and may not have been.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) trigger: TriggerKey,
    pub(super) job: String,
    pub(super) uid: String,
    pub(super) since: Instant,
}

/// Where Jobs were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Read {
    /// Consistent: what is not in it is not there.
    List,
    #[default]
    Watch,
}

impl Taken {
    /// Takes in what was read of all Jobs; `is_ours` judges one that runs and had no place so far. Forged
    /// labels take none.
    pub(super) fn on_seen(
        &mut self,
        cluster: &ClusterName,
        (views, read): (&[Arc<JobView>], Read),
        mut is_ours: impl FnMut(&JobView) -> bool,
    ) {
        self.last = read;
        let by_uid: BTreeMap<&str, &JobView> =
            views.iter().map(|it| (it.uid.as_str(), it.as_ref())).collect();
        self.places.retain(|uid, it| it.by.holds(by_uid.get(uid.as_str()).copied(), read));
        for view in views.iter().filter(|it| runs(it)) {
            let Some(trigger) = key(cluster, view) else { continue };
            let by = match read {
                Read::Watch => By::Watch,
                Read::List => By::List(Instant::now()),
            };
            match self.places.get_mut(&view.uid) {
                Some(place) => place.by = by,
                None if is_ours(view) => self.take(view, trigger, by),
                None => {}
            }
        }
    }

    /// Before a start is asked for: whatever comes of it, the Job may have the place.
    pub(super) fn ask(&mut self, view: &JobView, trigger: &TriggerKey) {
        let job = view.name.clone();
        let since = match self.places.get(&view.uid) {
            Some(Place { by: By::Asked { since, .. }, .. }) => *since,
            Some(_) | None => Instant::now(),
        };
        self.take(view, trigger.clone(), By::Asked { job, since });
    }

    /// It was started.
    pub(super) fn started(&mut self, view: &JobView, trigger: &TriggerKey) {
        let by = match self.last {
            Read::Watch => By::Start { version: view.resource_version.clone() },
            // The watch may show a version that is older than this one was.
            Read::List => By::List(Instant::now()),
        };
        self.take(view, trigger.clone(), by);
    }

    /// It runs, by a live read that is newer than what the watch shows.
    pub(super) fn runs(&mut self, uid: &str) {
        if let Some(place) = self.places.get_mut(uid) {
            place.by = By::List(Instant::now());
        }
    }

    /// It was not started, or has ended.
    pub(super) fn leave(&mut self, uid: &str) {
        self.places.remove(uid);
    }

    fn take(&mut self, view: &JobView, trigger: TriggerKey, by: By) {
        self.places.insert(view.uid.clone(), Place { trigger, by });
    }

    /// The Jobs that were to be started and may not have been.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let asked = |(uid, place): (&String, &Place)| match &place.by {
            By::Asked { job, since } => {
                let (trigger, job) = (place.trigger.clone(), job.clone());
                Some(Asked { trigger, job, uid: uid.clone(), since: *since })
            }
            By::Watch | By::List(_) | By::Start { .. } => None,
        };
        self.places.iter().filter_map(asked).collect()
    }

    pub(super) fn has(&self, uid: &str) -> bool {
        self.places.contains_key(uid)
    }

    /// How many places each trigger has.
    pub(super) fn by_trigger(&self) -> BTreeMap<TriggerKey, usize> {
        let mut by_trigger = BTreeMap::new();
        for place in self.places.values() {
            *by_trigger.entry(place.trigger.clone()).or_default() += 1;
        }
        by_trigger
    }

    /// The uids of those that have a place.
    pub(super) fn uids(&self) -> BTreeSet<String> {
        self.places.keys().cloned().collect()
    }
}

impl By {
    /// Whether a Job keeps its place, seen like this or not at all.
    fn holds(&self, view: Option<&JobView>, read: Read) -> bool {
        let Some(view) = view else {
            // What the watch never showed it may not show yet.
            return match self {
                Self::List(since) => read == Read::Watch && since.elapsed() < BEHIND,
                Self::Asked { since, .. } => since.elapsed() < BEHIND,
                Self::Watch | Self::Start { .. } => false,
            };
        };
        if view.queue == KueueQueue::HandedOver || !matches!(view.sighting, JobSighting::Suspended)
        {
            return runs(view);
        }
        match self {
            // Somebody suspended it.
            Self::Watch => false,
            Self::List(since) => read == Read::Watch && since.elapsed() < BEHIND,
            Self::Start { version } => read == Read::Watch && *version == view.resource_version,
            Self::Asked { since, .. } => since.elapsed() < BEHIND,
        }
    }
}

/// Whether a Job runs; what Kueue admits has its place there.
fn runs(view: &JobView) -> bool {
    matches!(view.sighting, JobSighting::Running { .. }) && view.queue != KueueQueue::HandedOver
}

fn key(cluster: &ClusterName, view: &JobView) -> Option<TriggerKey> {
    let (kind, name) = view.trigger.clone()?;
    Some(TriggerKey { cluster: cluster.clone(), kind, namespace: view.namespace.clone(), name })
}

#[cfg(test)]
mod tests {
    use ger_core::names::TriggerKind;

    use super::*;

    fn view(uid: &str, version: &str, sighting: JobSighting) -> JobView {
        JobView {
            namespace: "apps".to_owned(),
            name: format!("deploy-{uid}"),
            uid: uid.to_owned(),
            resource_version: version.to_owned(),
            suspended: sighting == JobSighting::Suspended,
            run_id: uid.to_owned(),
            trigger: Some((TriggerKind::Schedule, "deploy".to_owned())),
            trigger_uid: Some("t".to_owned()),
            created: None,
            started: None,
            sighting,
            deleting: false,
            owner_uid: None,
            withdrawn: false,
            queue: KueueQueue::None,
        }
    }

    fn waits(uid: &str, version: &str) -> JobView {
        view(uid, version, JobSighting::Suspended)
    }

    fn works(uid: &str, version: &str) -> JobView {
        view(uid, version, JobSighting::Running { started: None })
    }

    /// What has a place after this was read, where nothing new is ours unless it says so.
    fn seen(taken: &mut Taken, read: Read, views: Vec<JobView>, ours: &[&str]) -> Vec<String> {
        let views: Vec<_> = views.into_iter().map(Arc::new).collect();
        let is_ours = |it: &JobView| ours.contains(&it.uid.as_str());
        taken.on_seen(&ClusterName::hub(), (&views, read), is_ours);
        taken.uids().into_iter().collect()
    }

    fn trigger() -> TriggerKey {
        key(&ClusterName::hub(), &waits("a", "1")).unwrap()
    }

    /// Its trigger may be deleted, or created anew: the Job runs on.
    #[tokio::test]
    async fn what_had_a_place_keeps_it_until_it_ends() {
        let mut taken = Taken::default();
        seen(&mut taken, Read::Watch, vec![works("a", "2"), works("forged", "2")], &["a"]);

        let unknown = seen(&mut taken, Read::Watch, vec![works("a", "3"), works("b", "1")], &[]);
        let done = view("a", "4", JobSighting::Succeeded { at: None });
        let ended = seen(&mut taken, Read::Watch, vec![done], &[]);

        assert_eq!((unknown, ended), (vec!["a".to_owned()], vec![]));
    }

    #[tokio::test]
    async fn what_somebody_suspends_or_deletes_leaves_its_place() {
        let mut taken = Taken::default();
        seen(&mut taken, Read::Watch, vec![works("a", "2"), works("b", "2")], &["a", "b"]);

        assert!(seen(&mut taken, Read::Watch, vec![waits("a", "3")], &[]).is_empty());
    }

    /// What the last owner started counts although the watch lags, and not for ever.
    #[tokio::test(start_paused = true)]
    async fn what_the_list_showed_counts_until_the_watch_shows_it() {
        let mut taken = Taken::default();
        seen(&mut taken, Read::List, vec![works("a", "5"), works("b", "5")], &["a", "b"]);

        let behind = seen(&mut taken, Read::Watch, vec![waits("a", "1")], &[]);
        let shown = seen(&mut taken, Read::Watch, vec![works("a", "5")], &[]);
        tokio::time::advance(BEHIND).await;
        let later = seen(&mut taken, Read::Watch, vec![works("a", "5")], &[]);

        assert_eq!((behind.len(), shown.len()), (2, 2));
        assert_eq!(later, ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_started_here_counts_for_as_long_as_the_watch_shows_what_was_before() {
        let mut taken = Taken::default();
        taken.started(&waits("a", "1"), &trigger());
        tokio::time::advance(BEHIND * 9).await;

        assert_eq!(seen(&mut taken, Read::Watch, vec![waits("a", "1")], &[]), ["a"]);
        assert!(seen(&mut taken, Read::Watch, vec![waits("a", "3")], &[]).is_empty());
    }

    /// What is started by a list may be newer than all that the watch shows.
    #[tokio::test(start_paused = true)]
    async fn what_was_started_by_the_first_list_counts_although_the_watch_is_behind_it() {
        let mut taken = Taken::default();
        seen(&mut taken, Read::List, vec![waits("a", "5")], &[]);
        taken.started(&waits("a", "5"), &trigger());

        assert_eq!(seen(&mut taken, Read::Watch, vec![waits("a", "3")], &[]), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_without_an_answer_counts_for_a_while() {
        let mut taken = Taken::default();
        taken.ask(&waits("a", "1"), &trigger());

        assert_eq!(taken.asked().len(), 1);
        assert_eq!(seen(&mut taken, Read::Watch, vec![waits("a", "1")], &[]), ["a"]);
        tokio::time::advance(BEHIND).await;
        assert!(seen(&mut taken, Read::Watch, vec![waits("a", "1")], &[]).is_empty());
    }
}
