//! Jobs get Pods, follow them, and end: a Job controller with the rules of Kubernetes' own.
//! ```text
//! Job and Pods -> tally (what became of them) -> plan (what is needed) -> report (what is said)
//! ```

mod backoff;
mod birth;
pub(crate) mod indexes;
mod plan;
mod pod;
mod policy;
mod report;
mod roster;
mod tally;

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use self::{
    backoff::Backoff,
    plan::Plan,
    pod::{Pod, TRACKING},
    report::Report,
    roster::Roster,
    tally::Sight,
};
use crate::{
    api::delete::{Deletion, Propagation},
    breakage::Breakage,
    cluster::Cluster,
    controllers::{
        events::{News, Recorder},
        hand::Hand,
    },
    label_selector, object,
    registry::Resource,
    store::Key,
};

const NAME: &str = "job-controller";
/// When to try again what the API has refused, if nothing changes before.
const RETRY: Duration = Duration::from_secs(10);

/// What the controller remembers between two looks.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    recorder: Recorder,
    roster: Roster,
    /// By the uid of the Job.
    backoffs: HashMap<String, Backoff>,
}

/// The two kinds it deals with.
struct Kinds {
    jobs: Arc<Resource>,
    pods: Arc<Resource>,
}

impl Jobs {
    /// Looks at the Jobs that something happened to; when to look again though nothing changes.
    pub(super) fn round(&mut self, cluster: &Cluster, now: Timestamp) -> Option<Duration> {
        let state = &mut *cluster.lock();
        let jobs = state.registry.find("batch", "jobs")?;
        let pods = state.registry.find("", "pods")?;
        let kinds = Kinds { jobs, pods };
        self.roster.learn(state);
        for uid in self.roster.take_ended() {
            self.backoffs.remove(&uid);
        }
        let mut hand = Hand { state, now, client: NAME };
        for key in self.roster.take_due(now) {
            let Some(job) = hand.state.find(&kinds.jobs.table, &key) else { continue };
            let pods = self.pods_of(&mut hand, &kinds, &job.value);
            let next = self.look(&mut hand, &kinds, (&job.value, pods));
            self.roster.set_timer(&key, next.and_then(|it| now.checked_add(it).ok()));
        }
        for key in self.roster.take_strays() {
            let pod = hand.state.find(&kinds.pods.table, &key).map(Pod);
            let stray = pod.filter(|it| it.is_tracked() && !self.roster.is_counted(it.value()));
            if let Some(pod) = stray {
                release(&mut hand, &kinds, &pod);
            }
        }
        self.roster.next(now)
    }

    /// The Pods of a Job. Those that match become its own, those that no longer do are let go.
    fn pods_of(&self, hand: &mut Hand<'_>, kinds: &Kinds, job: &Value) -> Vec<Pod> {
        let uid = object::uid(job);
        let owned = self.roster.owned(hand.state, uid).into_iter().map(Pod);
        if object::is_deleting(job) || !is_ours(job) {
            return owned.collect();
        }
        let fits = |pod: &Pod| {
            let labels = &pod.value()["metadata"]["labels"];
            pod.value()["metadata"]["namespace"] == job["metadata"]["namespace"]
                && label_selector::matches(&job["spec"]["selector"], labels)
        };
        let (mut pods, others): (Vec<Pod>, Vec<Pod>) = owned.partition(fits);
        for pod in &others {
            disown(hand, kinds, (pod, uid));
        }
        let free = self.roster.free(hand.state, object::meta(job, "namespace"));
        for pod in free.into_iter().map(Pod).filter(|it| !it.is_deleting() && fits(it)) {
            pods.extend(adopt(hand, kinds, (&pod, job)));
        }
        pods
    }

    fn look(
        &mut self,
        hand: &mut Hand<'_>,
        kinds: &Kinds,
        (job, pods): (&Value, Vec<Pod>),
    ) -> Option<Duration> {
        if !is_ours(job) {
            return None;
        }
        if has_ended(job) {
            for pod in pods.iter().filter(|it| it.is_tracked()) {
                release(hand, kinds, pod);
            }
            return None;
        }
        let woken = hand.state.broken.has(Breakage::RestlessJobs).then(|| {
            let mut job = job.clone();
            job["spec"]["suspend"] = false.into();
            job
        });
        let job = woken.as_ref().unwrap_or(job);
        let sight = Sight { job, pods: &pods, now: hand.now };
        let known = self.backoffs.get(object::uid(job)).copied().unwrap_or_default();
        let mut plan = Plan::of(sight, known);
        self.backoffs.insert(object::uid(job).to_owned(), plan.backoff);
        self.act(hand, kinds, (job, &mut plan));
        let report = Report::of(sight, &plan);
        if !self.report(hand, kinds, (job, &report)) {
            self.roster.put_off(&Key::of(job));
            return Some(RETRY);
        }
        plan.wake
    }

    /// Makes and deletes Pods.
    fn act(&mut self, hand: &mut Hand<'_>, kinds: &Kinds, (job, plan): (&Value, &mut Plan)) {
        for pod in &plan.dismissed {
            release(hand, kinds, pod);
        }
        for pod in plan.dismissed.iter().chain(&plan.killed) {
            let deletion = Deletion::of(pod.uid(), Propagation::Background);
            if hand.delete(&kinds.pods, pod.value(), &deletion).is_ok() {
                let message = format!("Deleted pod: {}", pod.name());
                self.tell(hand, job, ("Normal", "SuccessfulDelete", &message));
            }
        }
        for (done, birth) in plan.births.iter().enumerate() {
            match hand.create(&kinds.pods, birth::pod(job, *birth)) {
                Ok(pod) => {
                    let message = format!("Created pod: {}", object::name(&pod.value));
                    self.tell(hand, job, ("Normal", "SuccessfulCreate", &message));
                }
                Err(refusal) => {
                    let message = refusal.status()["message"].as_str().unwrap_or_default();
                    let message = format!("Error creating: {message}");
                    self.tell(hand, job, ("Warning", "FailedCreate", &message));
                    plan.active -= plan.births.len() - done;
                    plan.wake = plan.wake.into_iter().chain([RETRY]).min();
                    self.roster.put_off(&Key::of(job));
                    return;
                }
            }
        }
    }

    /// Writes the status, and lets go of the Pods that it counts; whether the API took it.
    fn report(
        &mut self,
        hand: &mut Hand<'_>,
        kinds: &Kinds,
        (job, report): (&Value, &Report),
    ) -> bool {
        if report.counts() && !write(hand, kinds, (job, &report.before)) {
            return false;
        }
        for pod in &report.released {
            release(hand, kinds, pod);
        }
        if !write(hand, kinds, (job, &report.after)) {
            return false;
        }
        for (kind, reason, message) in &report.news {
            self.tell(hand, job, (kind, reason, message));
        }
        true
    }

    fn tell(
        &mut self,
        hand: &mut Hand<'_>,
        job: &Value,
        (kind, reason, message): (&'static str, &str, &str),
    ) {
        self.recorder.tell(hand, job, &News { kind, reason, message });
    }
}

fn controller(object: &Value) -> Option<&Value> {
    object::items(object, "/metadata/ownerReferences").find(|it| it["controller"] == true)
}

/// A Job may name another controller as its own.
fn is_ours(job: &Value) -> bool {
    let manager = &job["spec"]["managedBy"];
    manager.is_null() || manager == "kubernetes.io/job-controller"
}

fn has_ended(job: &Value) -> bool {
    object::items(job, "/status/conditions")
        .any(|it| (it["type"] == "Complete" || it["type"] == "Failed") && it["status"] == "True")
}

/// What the store has of a Pod now, if it is still the same one.
fn current(hand: &Hand<'_>, kinds: &Kinds, pod: &Pod) -> Option<Value> {
    let key = Key::of(pod.value());
    let stored = hand.state.find(&kinds.pods.table, &key)?;
    (object::uid(&stored.value) == pod.uid()).then(|| stored.value.clone())
}

fn untrack(object: &mut Value) {
    let kept: Vec<&str> =
        object::finalizers(object).into_iter().filter(|it| *it != TRACKING).collect();
    let kept = (!kept.is_empty()).then(|| json!(kept));
    object::set_meta(object, "finalizers", kept);
}

/// Takes the finalizer from a Pod: its end is counted, or counts no more.
fn release(hand: &mut Hand<'_>, kinds: &Kinds, pod: &Pod) {
    let Some(mut object) =
        current(hand, kinds, pod).filter(|it| object::finalizers(it).contains(&TRACKING))
    else {
        return;
    };
    untrack(&mut object);
    let _released = hand.update(&kinds.pods, object, "");
}

/// Lets go of a Pod that the Job's selector no longer takes.
fn disown(hand: &mut Hand<'_>, kinds: &Kinds, (pod, uid): (&Pod, &str)) {
    let Some(mut object) = current(hand, kinds, pod) else { return };
    untrack(&mut object);
    let kept: Vec<Value> = object::items(&object, "/metadata/ownerReferences")
        .filter(|it| it["uid"] != uid)
        .cloned()
        .collect();
    object::set_meta(&mut object, "ownerReferences", (!kept.is_empty()).then(|| kept.into()));
    let _disowned = hand.update(&kinds.pods, object, "");
}

/// Makes a Pod that nobody controls the Job's own.
fn adopt(hand: &mut Hand<'_>, kinds: &Kinds, (pod, job): (&Pod, &Value)) -> Option<Pod> {
    let mut object = current(hand, kinds, pod)?;
    let owners = object::metadata(&mut object).entry("ownerReferences").or_insert(json!([]));
    owners.as_array_mut()?.push(birth::reference(job));
    if !pod.has_ended() || pod.is_tracked() {
        let finalizers = object::metadata(&mut object).entry("finalizers").or_insert(json!([]));
        let list = finalizers.as_array_mut()?;
        if !list.iter().any(|it| it == TRACKING) {
            list.push(TRACKING.into());
        }
    }
    hand.update(&kinds.pods, object, "").ok().map(Pod)
}

/// Writes the status where it is another one; whether the API took it.
fn write(hand: &mut Hand<'_>, kinds: &Kinds, (job, status): (&Value, &Value)) -> bool {
    let key = Key::of(job);
    let Some(stored) = hand.state.find(&kinds.jobs.table, &key) else { return true };
    if stored.value["status"] == *status {
        return true;
    }
    let mut object = stored.value.clone();
    object["status"] = status.clone();
    let written = hand.update(&kinds.jobs, object, "status");
    if let Err(refusal) = &written {
        tracing::warn!(job = object::name(job), status = %refusal.status(), "a status was refused");
    }
    written.is_ok()
}
