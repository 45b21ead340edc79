//! What does the Job of a run look like?
//!
//! A cloner fills the working directory, a worker works in it. The Job is created suspended: it is
//! admission that starts it, once the ledger holds its uid.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use ger_api::action::{ActionJob, ClusterSourceKind, SourceOverride};
use ger_api::schedule_trigger::{ActionKind, Reference, SourceKind};
use ger_api::status::Run;
use ger_api::{GROUP, VERSION};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, PodSpec, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::plan::{Plan, Reason, Source, WrongConfig, reference_parts};
use crate::trace;

mod cloner;
mod credentials;
mod env;
mod labels;
mod refused;
mod security;
mod settings;
#[cfg(test)]
mod tests;
mod worker;

pub use cloner::CREDENTIALS;
pub use credentials::{CopyPart, SecretCopy};
pub use labels::{
    ASKED_QUEUE, KUEUE_QUEUE, MANAGED_BY, MANAGER, PREFIX, RUN_ID, TRIGGER_KIND, TRIGGER_NAME,
    TRIGGER_UID, WITHDRAWN, action_kind, is_of_run, label_value, name_of,
};
pub use security::PodSecurity;
#[expect(
    clippy::module_name_repetitions,
    reason = "`Settings` says nothing beside the others of its kind"
)]
pub use settings::JobSettings;
pub use settings::Unusable;

/// An `Action` or `ClusterAction`.
#[derive(Clone, Debug)]
pub struct Action<'a> {
    pub kind: ActionKind,
    pub name: &'a str,
    pub uid: &'a str,
    pub source_override: Option<SourceOverride>,
    pub job: &'a ActionJob,
}

/// What an Action without `actionJob` asks for: the configuration's defaults.
static DEFAULTS: LazyLock<ActionJob> = LazyLock::new(ActionJob::default);

impl<'a> Action<'a> {
    /// What an `Action` asks for.
    pub fn of(action: &'a ger_api::Action) -> Result<Self, WrongConfig> {
        let (name, uid) = identity(&action.metadata)?;
        let job = action.spec.action_job.as_ref().unwrap_or(&DEFAULTS);
        let source_override = action.spec.source_override.clone();
        Ok(Self { kind: ActionKind::Action, name, uid, source_override, job })
    }

    /// What a `ClusterAction` asks for.
    pub fn of_cluster(action: &'a ger_api::ClusterAction) -> Result<Self, WrongConfig> {
        let (name, uid) = identity(&action.metadata)?;
        let job = action.spec.action_job.as_ref().unwrap_or(&DEFAULTS);
        let source_override = action.spec.source_override.as_ref().map(|it| SourceOverride {
            kind: match it.kind {
                ClusterSourceKind::ClusterGitRepo => SourceKind::ClusterGitRepo,
            },
            name: it.name.clone(),
            reference: it.reference.clone(),
        });
        Ok(Self { kind: ActionKind::ClusterAction, name, uid, source_override, job })
    }

    /// How long its Jobs may wait before they start.
    pub fn waiting_timeout(&self, settings: &JobSettings) -> Duration {
        let own = self.job.job_waiting_timeout_seconds.and_then(|it| u64::try_from(it).ok());
        own.map_or(settings.waiting_timeout, Duration::from_secs)
    }
}

fn identity(metadata: &ObjectMeta) -> Result<(&str, &str), WrongConfig> {
    metadata
        .name
        .as_deref()
        .zip(metadata.uid.as_deref())
        .ok_or_else(|| WrongConfig::new(Reason::InvalidObject, "the action has no name or uid"))
}

/// All that a Job is made of.
#[expect(
    clippy::module_name_repetitions,
    reason = "`Input` says nothing beside the others of its kind"
)]
#[derive(Clone, Copy, Debug)]
pub struct JobInput<'a> {
    pub plan: &'a Plan,
    pub run: &'a Run,
    pub action: &'a Action<'a>,
    /// What is cloned: the source of the Action's override, else the run's.
    pub source: &'a Source,
    pub settings: &'a JobSettings,
    /// The cloner's contract as variables; the credentials are under [`CREDENTIALS`].
    pub cloner_env: &'a [(String, String)],
    /// How often the shard changed hands: under which claim this Job was made.
    pub shard_transitions: Option<i32>,
    /// The trace that tells of the run, where traces are told.
    pub trace: Option<trace::Id>,
}

/// A Job, and what must exist before it may start.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    pub job: Job,
    /// Made after the Job, owned by it, and before the run is `Queued`.
    pub secret_copy: Option<SecretCopy>,
}

/// Builds the Job of a run that has a commit.
pub fn build(input: &JobInput<'_>) -> Result<Built, WrongConfig> {
    check(input)?;
    refused::check(input)?;
    let plan = input.plan;
    let job = input.action.job;
    let settings = input.settings;
    let name = name_of(&plan.key.name, &input.run.id);
    let workdir = job.workdir.as_deref().unwrap_or(&settings.workdir);
    let copy = credentials::copy(input.source, &plan.key.namespace, &name);

    let mut volumes = vec![Volume {
        name: settings.workdir_volume.clone(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }];
    volumes.extend(credentials::volume(input.source, copy.as_ref()));
    let cloner = cloner::container(input, workdir, &volumes);
    // Behind ours, and not for the cloner.
    volumes.extend(job.volumes.clone().unwrap_or_default());
    let pod = PodSpec {
        init_containers: Some(vec![cloner]),
        containers: vec![worker::container(input, workdir)],
        volumes: Some(volumes),
        image_pull_secrets: job.image_pull_secrets.clone(),
        priority_class_name: job.priority_class_name.clone(),
        runtime_class_name: job.runtime_class_name.clone(),
        restart_policy: Some("Never".to_owned()),
        service_account_name: job
            .service_account
            .clone()
            .or_else(|| settings.default_service_account.clone()),
        node_selector: job.node_selector.clone(),
        affinity: job.affinity.clone(),
        tolerations: job.tolerations.clone(),
        security_context: Some(security::of_pod(job.pod_security_context.as_ref())),
        ..PodSpec::default()
    };
    let (labels, annotations) = (labels::labels(input), labels::annotations(input));
    let job = Job {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(plan.key.namespace.clone()),
            owner_references: Some(vec![owner(input.action)]),
            ..metadata(&labels, &annotations)
        },
        spec: Some(spec(input, metadata(&labels, &annotations), pod)),
        status: None,
    };
    Ok(Built { job, secret_copy: copy })
}

fn metadata(
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> ObjectMeta {
    ObjectMeta {
        labels: Some(labels.clone()),
        annotations: Some(annotations.clone()),
        ..ObjectMeta::default()
    }
}

fn spec(input: &JobInput<'_>, metadata: ObjectMeta, pod: PodSpec) -> JobSpec {
    let (job, settings) = (input.action.job, input.settings);
    let deadline = job.active_deadline_seconds.unwrap_or(settings.active_deadline_seconds);
    let ttl = job.ttl_seconds_after_finished.unwrap_or(settings.ttl_seconds_after_finished);
    JobSpec {
        suspend: Some(true),
        backoff_limit: Some(job.backoff_limit.unwrap_or(0)),
        parallelism: Some(1),
        active_deadline_seconds: Some(deadline),
        ttl_seconds_after_finished: Some(ttl),
        template: PodTemplateSpec { metadata: Some(metadata), spec: Some(pod) },
        ..JobSpec::default()
    }
}

/// What would make a Job that cannot be, or one that reaches into our volumes.
fn check(input: &JobInput<'_>) -> Result<(), WrongConfig> {
    let invalid = |message: String| Err(WrongConfig::new(Reason::InvalidAction, message));
    if input.run.commit.is_none() {
        return Err(WrongConfig::new(Reason::InvalidObject, "the run has no commit yet"));
    }
    let action = input.action;
    let workdir = action.job.workdir.as_deref().unwrap_or(&input.settings.workdir);
    if let Some(why) = workdir_problem(workdir) {
        return invalid(why);
    }
    if let Some(other) = &action.source_override {
        crate::plan::check_reference(&other.reference)?;
        if matches!(other.reference, Reference::Semver(_)) {
            let message = "sourceOverride.reference is a range of versions: name one of branch, \
                           tag and commit";
            return invalid(message.to_owned());
        }
        if other.kind != input.source.kind || other.name != input.source.name {
            let message = "the source is not the one that the action's sourceOverride names";
            return Err(WrongConfig::new(Reason::InvalidObject, message));
        }
    }
    Ok(())
}

/// Why a clone cannot be there.
fn workdir_problem(workdir: &str) -> Option<String> {
    if !workdir.starts_with('/') || workdir.contains(':') || workdir.split('/').any(|it| it == "..")
    {
        return Some(format!(
            "workdir {workdir:?} is not an absolute path without `..` and colons"
        ));
    }
    if is_within(CREDENTIALS, workdir) || is_within(workdir, CREDENTIALS) {
        return Some(format!(
            "workdir {workdir:?} covers the cloner's credentials: choose another"
        ));
    }
    None
}

/// What the run is about: the reference's kind and name, or the tag that a range of versions chose.
fn watched<'a>(input: &JobInput<'a>) -> (&'static str, &'a str) {
    match &input.run.tag {
        Some(tag) => ("tag", tag),
        None => reference_parts(&input.plan.reference),
    }
}

fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path == folder || path.strip_prefix(folder).is_some_and(|it| it.starts_with('/'))
}

fn owner(action: &Action<'_>) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/{VERSION}"),
        kind: action_kind(action.kind).to_owned(),
        name: action.name.to_owned(),
        uid: action.uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}
