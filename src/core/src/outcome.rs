//! Why did a Job fail, and why does one that runs not get on? What its Pods say, in a word and a sentence.
//!
//! A worker's own words stay in its log: they may hold what nobody else is to read. The cloner's are ours.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Event, Pod,
};

use crate::ledger::JobSighting;
use crate::plan::cut;

#[cfg(test)]
mod tests;

/// What the cloner's lines of a reason begin with.
const CLONER_SAYS: &str = "gitrepo-cloner: ";
/// What tells the cloner from other init containers: a variable of its contract.
const CLONER_KNOWS: &str = "GER_CLONE_";
/// The kubelet's and the scheduler's word for an image that does not come.
const IMAGE: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
];
/// What the Job controller says of a Job that failed.
const FAILED: [&str; 5] = [
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "PodFailurePolicy",
    "FailedIndexes",
    "MaxFailedIndexesExceeded",
];
/// And of one that did not.
const COMPLETED: &str = "Completed";

/// A reason, fit for a condition, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub reason: String,
    pub message: String,
}

impl Why {
    fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }

    /// As a status keeps it.
    pub fn text(&self) -> String {
        format!("{}: {}", self.reason, self.message)
    }
}

/// How far a Job's Pods have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its worker was started.
    Works,
    /// Nothing to be said yet.
    Begins,
    /// Something hinders it, which somebody may mend.
    Hindered(Why),
}

/// Why a Job failed. `said` is what the Job says, as `Reason: message`; `before` what hindered it last.
pub fn why_failed(said: &str, before: Option<&str>, pods: &[Pod]) -> String {
    let is_late = said.starts_with("DeadlineExceeded");
    let newest = newest(pods);
    let of_pod = newest.and_then(of_failed).or_else(|| newest.and_then(hindrance));
    match of_pod {
        Some(why) if is_late => format!("{said}; {}", why.text()),
        Some(why) => why.text(),
        // The Pods of a Job that took too long are gone with it.
        None => match before.filter(|_| is_late) {
            Some(before) => format!("{said}; {before}"),
            None => said.to_owned(),
        },
    }
}

/// Whether a Job that was started gets on, by its Pods and by what was said of it.
pub fn progress(pods: &[Pod], events: &[Event]) -> Progress {
    let Some(pod) = newest(pods) else {
        let refused = events.iter().filter(|it| it.reason.as_deref() == Some("FailedCreate"));
        let last = refused.max_by_key(|it| said_at(it)).and_then(|it| it.message.as_deref());
        return last.map_or(Progress::Begins, |it| Progress::Hindered(not_created(it)));
    };
    let of_workers = statuses(pod.status.as_ref().and_then(|it| it.container_statuses.as_ref()));
    let has_begun = |it: &&ContainerStatus| {
        let state = it.state.as_ref();
        state.is_some_and(|it| it.running.is_some() || it.terminated.is_some())
    };
    if of_workers.iter().any(has_begun) {
        return Progress::Works;
    }
    hindrance(pod).map_or(Progress::Begins, Progress::Hindered)
}

/// How a Job ended that is gone, if the events about it say so.
pub fn evidence(events: &[Event]) -> Option<JobSighting> {
    let ends = |it: &&Event| {
        let reason = it.reason.as_deref().unwrap_or_default();
        reason == COMPLETED || FAILED.contains(&reason)
    };
    let last = events.iter().filter(ends).max_by_key(|it| said_at(it))?;
    let at = said_at(last);
    let reason = last.reason.as_deref().unwrap_or_default();
    if reason == COMPLETED {
        return Some(JobSighting::Succeeded { at });
    }
    let message = Why::new(reason, last.message.clone().unwrap_or_default()).text();
    Some(JobSighting::Failed { at, message })
}

fn said_at(event: &Event) -> Option<jiff::Timestamp> {
    let at = event.last_timestamp.as_ref().map(|it| it.0);
    at.or_else(|| event.event_time.as_ref().map(|it| it.0))
}

/// Why no Pod could be made, as the API server told the Job controller.
fn not_created(message: &str) -> Why {
    let reason = if message.contains("serviceaccount") && message.contains("not found") {
        "ServiceAccountMissing"
    } else if message.contains("exceeded quota") || message.contains("failed quota") {
        "QuotaExceeded"
    } else if message.contains("violates PodSecurity") {
        "PodSecurityViolated"
    } else {
        "PodRefused"
    };
    Why::new(reason, message)
}

fn newest(pods: &[Pod]) -> Option<&Pod> {
    pods.iter().max_by_key(|it| it.metadata.creation_timestamp.as_ref().map(|it| it.0))
}

fn statuses(of: Option<&Vec<ContainerStatus>>) -> Vec<&ContainerStatus> {
    of.into_iter().flatten().collect()
}

/// Why a Pod failed that has failed.
fn of_failed(pod: &Pod) -> Option<Why> {
    let status = pod.status.as_ref()?;
    for one in statuses(status.init_container_statuses.as_ref()) {
        if let Some(ended) = ended_badly(one) {
            return Some(if is_cloner(pod, &one.name) {
                clone_failed(ended)
            } else {
                container_failed(&one.name, ended)
            });
        }
    }
    for one in statuses(status.container_statuses.as_ref()) {
        if let Some(ended) = ended_badly(one) {
            return Some(container_failed(&one.name, ended));
        }
    }
    // Of the Pod as a whole: evicted, preempted, its node lost.
    let reason = status.reason.as_deref().filter(|it| is_word(it))?;
    Some(Why::new(reason, status.message.as_deref().unwrap_or("the Pod was ended")))
}

fn ended_badly(one: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let now = one.state.as_ref().and_then(|it| it.terminated.as_ref());
    let before = || one.last_state.as_ref().and_then(|it| it.terminated.as_ref());
    now.or_else(before).filter(|it| it.exit_code != 0)
}

fn is_cloner(pod: &Pod, name: &str) -> bool {
    let containers = pod.spec.as_ref().and_then(|it| it.init_containers.as_ref());
    let mut named = containers.into_iter().flatten().filter(|it| it.name == name);
    named.any(|it| it.env.iter().flatten().any(|it| it.name.starts_with(CLONER_KNOWS)))
}

fn clone_failed(ended: &ContainerStateTerminated) -> Why {
    if is_out_of_memory(ended) {
        return Why::new("OOMKilled", "the cloner took more memory than it may");
    }
    let said = ended.message.as_deref().unwrap_or_default();
    let last = said.lines().map(str::trim).rfind(|it| !it.is_empty());
    let message = match last {
        Some(line) => line.strip_prefix(CLONER_SAYS).unwrap_or(line).to_owned(),
        None => format!("the cloner ended with code {}", ended.exit_code),
    };
    Why::new("CloneFailed", message)
}

fn container_failed(name: &str, ended: &ContainerStateTerminated) -> Why {
    if is_out_of_memory(ended) {
        return Why::new("OOMKilled", format!("container {name} took more memory than it may"));
    }
    let reason = ended.reason.as_deref().unwrap_or_default();
    // What the runtime says is no output of the container.
    if matches!(reason, "StartError" | "ContainerCannotRun" | "RunContainerError") {
        let why = ended.message.as_deref().unwrap_or("no reason is given");
        return Why::new("StartError", format!("container {name} cannot be started: {why}"));
    }
    Why::new("ExitCode", format!("container {name} ended with code {}", ended.exit_code))
}

fn is_out_of_memory(ended: &ContainerStateTerminated) -> bool {
    ended.reason.as_deref() == Some("OOMKilled")
}

/// What keeps a Pod from working that has not ended.
fn hindrance(pod: &Pod) -> Option<Why> {
    let status = pod.status.as_ref()?;
    let init = statuses(status.init_container_statuses.as_ref());
    let main = statuses(status.container_statuses.as_ref());
    for one in init.into_iter().chain(main) {
        let waiting = one.state.as_ref().and_then(waiting);
        let Some((reason, message)) = waiting else { continue };
        let name = &one.name;
        if IMAGE.contains(&reason) {
            let text =
                format!("the image {} of container {name} cannot be had: {message}", one.image);
            return Some(Why::new("ImagePull", text));
        }
        if !matches!(reason, "PodInitializing" | "ContainerCreating" | "") {
            return Some(Why::new(reason, format!("container {name} waits: {message}")));
        }
    }
    let conditions = status.conditions.iter().flatten();
    let mut unscheduled =
        conditions.filter(|it| it.type_ == "PodScheduled" && it.status == "False");
    let unscheduled = unscheduled.next()?;
    let reason = unscheduled.reason.as_deref().filter(|it| is_word(it)).unwrap_or("Unschedulable");
    Some(Why::new(reason, unscheduled.message.as_deref().unwrap_or("no node takes the Pod")))
}

fn waiting(state: &ContainerState) -> Option<(&str, &str)> {
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().filter(|it| is_word(it)).unwrap_or_default();
    Some((reason, waiting.message.as_deref().unwrap_or("no reason is given")))
}

/// Whether a reason is fit for a condition.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// What a Job's condition says, as `Reason: message`.
pub fn said(reason: Option<&str>, message: Option<&str>) -> String {
    match (reason.filter(|it| !it.is_empty()), message.filter(|it| !it.is_empty())) {
        (Some(reason), Some(message)) if reason != message => format!("{}: {message}", cut(reason)),
        (Some(only), _) | (None, Some(only)) => only.to_owned(),
        (None, None) => "the Job says no reason".to_owned(),
    }
}
