//! What to run: `Action` in a namespace, `ClusterAction` for all of them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, EnvVar, LocalObjectReference, PodSecurityContext,
    ResourceRequirements, SecurityContext, Toleration, Volume, VolumeMount,
};
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::nullable::or_default;
use crate::schedule_trigger::{ClonedReference, Reference, SourceKind};
use crate::{bounds, rules};

/// A Job to run for a changed source.
#[expect(clippy::duplicated_attributes, reason = "each column has its own type and path")]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "git-events-runner.rs",
    version = "v1alpha1",
    kind = "Action",
    doc = "A Job to run for a changed source.",
    namespaced,
    shortname = "act",
    category = "git-events",
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.actionJob.actionImage"),
    printcolumn(
        name = "Service Account",
        type_ = "string",
        json_path = ".spec.actionJob.serviceAccount"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    crates(kube_core = "::kube_core"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct ActionSpec {
    /// Clone this source instead of the one that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_override: Option<SourceOverride>,
    /// How the Job looks; absent or null means the defaults of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_job: Option<ActionJob>,
}

/// A Job to run for a changed source, for triggers of every namespace.
#[expect(clippy::duplicated_attributes, reason = "each column has its own type and path")]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "git-events-runner.rs",
    version = "v1alpha1",
    kind = "ClusterAction",
    doc = "A Job to run for a changed source, for triggers of every namespace.",
    shortname = "cact",
    category = "git-events",
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.actionJob.actionImage"),
    printcolumn(
        name = "Service Account",
        type_ = "string",
        json_path = ".spec.actionJob.serviceAccount"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    crates(kube_core = "::kube_core"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterActionSpec {
    /// Clone this source instead of the one that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_override: Option<ClusterSourceOverride>,
    /// How the Job looks; absent or null means the defaults of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_job: Option<ActionJob>,
}

/// Another source for the Job than the one that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceOverride {
    /// The kind of the source; a `GitRepo` is looked up in the trigger's namespace.
    pub kind: SourceKind,
    /// The name of the source.
    #[schemars(length(max = 253))]
    pub name: String,
    /// What is cloned: exactly one of `branch`, `tag` and `commit`.
    #[schemars(with = "ClonedReference")]
    pub reference: Reference,
}

/// Another source for the Job; only a `ClusterGitRepo` is the same in every namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSourceOverride {
    /// The kind of the source.
    pub kind: ClusterSourceKind,
    /// The name of the source.
    #[schemars(length(max = 253))]
    pub name: String,
    /// What is cloned: exactly one of `branch`, `tag` and `commit`.
    #[schemars(with = "ClonedReference")]
    pub reference: Reference,
}

/// The kinds of source that a `ClusterAction` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClusterSourceKind {
    /// A repository that every namespace may watch.
    ClusterGitRepo,
}

/// How the Job looks; what is absent comes from the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::action_job()))]
pub struct ActionJob {
    /// Where the clone is, in both containers; the worker starts there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub workdir: Option<String>,
    /// The image that clones the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub cloner_image: Option<String>,
    /// The image that does the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub action_image: Option<String>,
    /// The worker's command, instead of its image's: a list; a lone string is taken as a list of one.
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "bounds::string_or_list")]
    pub command: Option<Vec<String>>,
    /// The arguments of the worker's command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 1024),
        inner(length(max = 131_072)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub args: Option<Vec<String>>,
    /// The service account of the Job's Pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_account: Option<String>,
    /// Added to the Job and to its Pod; ours cannot be overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 256), transform = bounds::map_values::<1024>)]
    pub labels: Option<BTreeMap<String, String>>,
    /// Added to the Job and to its Pod; ours cannot be overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 256), transform = bounds::map_values::<262_144>)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The Pod's tolerations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"), transform = bounds::fill)]
    pub tolerations: Option<Vec<Toleration>>,
    /// The Pod's affinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = bounds::fill)]
    pub affinity: Option<Affinity>,
    /// The labels that the Pod's node must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 256), transform = bounds::map_values::<1024>)]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// How long a finished Job is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// How long the Job may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub active_deadline_seconds: Option<i64>,
    /// How long the Job may wait for its turn before it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub job_waiting_timeout_seconds: Option<i64>,
    /// The cloner says more.
    #[serde(deserialize_with = "or_default")]
    pub enable_cloner_debug: bool,
    /// Leave `.git` in the clone.
    #[serde(deserialize_with = "or_default")]
    pub preserve_git_folder: bool,
    /// Variables of the worker, behind ours: `$(ACTION_JOB_TRIGGER_SOURCE_COMMIT)` is expanded in their
    /// values. None may be called like one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]),
        transform = bounds::fill
    )]
    pub env: Option<Vec<EnvVar>>,
    /// ConfigMaps and Secrets whose keys become variables of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "atomic"),
        transform = bounds::fill
    )]
    pub env_from: Option<Vec<EnvFromSource>>,
    /// What the worker and the cloner each may use, and what is reserved for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = bounds::fill)]
    pub resources: Option<ResourceRequirements>,
    /// Volumes for the worker. None may be called like one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]),
        transform = bounds::fill
    )]
    pub volumes: Option<Vec<Volume>>,
    /// Where the worker has which of `volumes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mountPath"]),
        transform = bounds::fill
    )]
    pub volume_mounts: Option<Vec<VolumeMount>>,
    /// Secrets with which both images are pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "atomic"),
        transform = bounds::fill
    )]
    pub image_pull_secrets: Option<Vec<LocalObjectReference>>,
    /// When both images are pulled; Kubernetes' default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// The Pod's priority class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub priority_class_name: Option<String>,
    /// The Pod's runtime class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub runtime_class_name: Option<String>,
    /// The worker's security context. What it leaves out stays as Pod security `restricted` wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = bounds::fill)]
    pub security_context: Option<SecurityContext>,
    /// The Pod's security context. What it leaves out stays as Pod security `restricted` wants it, and
    /// the cloner stays so whatever it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = bounds::fill)]
    pub pod_security_context: Option<PodSecurityContext>,
    /// How often Kubernetes makes a new Pod when one failed; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backoff_limit: Option<i32>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At each start.
    Always,
    /// Where the node does not have it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl ImagePullPolicy {
    /// As a Pod's manifest spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<OneOrMany>::deserialize(deserializer)?.map(|it| match it {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    }))
}
