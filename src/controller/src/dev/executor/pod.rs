//! What does a Pod of a Job look like, and what does its status say while its containers run?

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{
            Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
            ContainerStateWaiting, ContainerStatus, Pod, PodCondition, PodStatus,
        },
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

/// What Kubernetes makes random suffixes of: no vowels, no words.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest name that leaves room for a dash and a suffix.
const LONGEST_BASE: usize = 58;

/// The label by which a Job's pods are found.
pub(super) const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

/// The Pod that the Job controller would create, under a name that is always the same.
pub(super) fn build(job: &Job, attempt: u32) -> Pod {
    let uid = job.uid().unwrap_or_default();
    let job_name = job.name_any();
    let template = job.spec.as_ref().map(|it| it.template.clone()).unwrap_or_default();
    let from = template.metadata.unwrap_or_default();
    let mut labels = from.labels.unwrap_or_default();
    for (name, value) in [
        (CONTROLLER_UID, &uid),
        ("batch.kubernetes.io/job-name", &job_name),
        ("controller-uid", &uid),
        ("job-name", &job_name),
    ] {
        labels.insert(name.to_owned(), value.clone());
    }
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: job_name.clone(),
        uid: uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    Pod {
        metadata: ObjectMeta {
            name: Some(name(&job_name, &uid, attempt)),
            namespace: job.namespace(),
            labels: Some(labels),
            annotations: from.annotations,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// Whether the Pod belongs to this very Job.
pub(super) fn is_of(pod: &Pod, job: &Job) -> bool {
    pod.owner_references().iter().any(|it| Some(&it.uid) == job.uid().as_ref())
}

fn name(job: &str, uid: &str, attempt: u32) -> String {
    let digest = Sha256::digest(format!("{uid}/{attempt}"));
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    let suffix: String = digest.iter().take(5).map(letter).collect();
    let base: String = job.chars().take(LONGEST_BASE - 1).collect();
    format!("{base}-{suffix}")
}

/// Which container of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Init(usize),
    Main(usize),
}

/// How one container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: i32,
    /// Set if the container could not even start.
    pub(super) problem: Option<String>,
    /// What the process saw.
    pub(super) env: BTreeMap<String, String>,
}

/// Where a pod is on its way.
#[derive(Debug)]
pub(super) struct Progress {
    start: Timestamp,
    init: Vec<Step>,
    main: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: String,
    image: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running { since: Timestamp },
    Over { code: i32, problem: Option<String>, since: Timestamp, until: Timestamp },
}

impl Progress {
    pub(super) fn new(pod: &Pod, start: Timestamp) -> Self {
        let steps = |containers: &[Container]| containers.iter().map(Step::new).collect();
        let spec = pod.spec.as_ref();
        Self {
            start,
            init: steps(spec.and_then(|it| it.init_containers.as_deref()).unwrap_or_default()),
            main: steps(spec.map(|it| it.containers.as_slice()).unwrap_or_default()),
        }
    }

    pub(super) fn wait(&mut self, place: Place, problem: String) {
        let reason = "CreateContainerConfigError";
        self.set(place, State::Waiting { reason, message: Some(problem) });
    }

    pub(super) fn start(&mut self, place: Place, now: Timestamp) {
        self.set(place, State::Running { since: now });
    }

    pub(super) fn end(&mut self, place: Place, ended: &Ended, now: Timestamp) {
        let since = match self.step(place).map(|it| &it.state) {
            Some(State::Running { since }) => *since,
            _ => now,
        };
        let over =
            State::Over { code: ended.code, problem: ended.problem.clone(), since, until: now };
        self.set(place, over);
    }

    fn step(&mut self, place: Place) -> Option<&mut Step> {
        match place {
            Place::Init(index) => self.init.get_mut(index),
            Place::Main(index) => self.main.get_mut(index),
        }
    }

    fn set(&mut self, place: Place, state: State) {
        if let Some(step) = self.step(place) {
            step.state = state;
        }
    }

    /// The whole status, as a kubelet would write it.
    pub(super) fn status(&self) -> PodStatus {
        let statuses = |steps: &[Step]| steps.iter().map(Step::status).collect::<Vec<_>>();
        let phase = self.phase();
        let initialized = self.init.iter().all(Step::succeeded);
        let ready = phase == "Running" && self.main.iter().all(Step::is_running);
        let truth = |it| if it { "True" } else { "False" };
        let init = statuses(&self.init);
        PodStatus {
            phase: Some(phase.to_owned()),
            start_time: Some(Time(self.start)),
            conditions: Some(vec![
                condition("PodScheduled", truth(true)),
                condition("Initialized", truth(initialized)),
                condition("ContainersReady", truth(ready)),
                condition("Ready", truth(ready)),
            ]),
            init_container_statuses: (!init.is_empty()).then_some(init),
            container_statuses: Some(statuses(&self.main)),
            ..PodStatus::default()
        }
    }

    fn phase(&self) -> &'static str {
        if self.init.iter().any(Step::failed) {
            return "Failed";
        }
        if self.main.iter().all(Step::is_over) {
            return if self.main.iter().any(Step::failed) { "Failed" } else { "Succeeded" };
        }
        if self.main.iter().all(Step::is_waiting) { "Pending" } else { "Running" }
    }
}

impl Step {
    fn new(container: &Container) -> Self {
        Self {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            state: State::Waiting { reason: "PodInitializing", message: None },
        }
    }

    fn failed(&self) -> bool {
        matches!(self.state, State::Over { code, .. } if code != 0)
    }

    fn succeeded(&self) -> bool {
        matches!(self.state, State::Over { code: 0, .. })
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Over { .. })
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    fn status(&self) -> ContainerStatus {
        let mut state = ContainerState::default();
        match &self.state {
            State::Waiting { reason, message } => {
                state.waiting = Some(ContainerStateWaiting {
                    reason: Some((*reason).to_owned()),
                    message: message.clone(),
                });
            }
            State::Running { since } => {
                state.running = Some(ContainerStateRunning { started_at: Some(Time(*since)) });
            }
            State::Over { code, problem, since, until } => {
                let reason = match (code, problem) {
                    (_, Some(_)) => "StartError",
                    (0, None) => "Completed",
                    (_, None) => "Error",
                };
                state.terminated = Some(ContainerStateTerminated {
                    exit_code: *code,
                    reason: Some(reason.to_owned()),
                    message: problem.clone(),
                    started_at: Some(Time(*since)),
                    finished_at: Some(Time(*until)),
                    ..ContainerStateTerminated::default()
                });
            }
        }
        ContainerStatus {
            name: self.name.clone(),
            image: self.image.clone(),
            ready: self.is_running() || self.succeeded(),
            started: Some(self.is_running()),
            state: Some(state),
            ..ContainerStatus::default()
        }
    }
}

fn condition(kind: &str, status: &str) -> PodCondition {
    PodCondition { type_: kind.to_owned(), status: status.to_owned(), ..PodCondition::default() }
}
