//! The ledger's shape: what a trigger's status holds, kept whole even where a newer release added to it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounds;
use crate::nullable::or_default;

/// What is known of a trigger, and the record of its runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    /// What the trigger is doing.
    #[serde(default, deserialize_with = "or_default")]
    pub state: TriggerState,
    /// When a run was last recorded or a check last ended. The original's `Never` reads as absent.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub last_run: Option<Timestamp>,
    /// When the trigger fires next, for a schedule.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub next_run: Option<Timestamp>,
    /// The last known state of each source, by its name.
    // Boxed: a map's node has room for eleven values, and most triggers have one source.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1024))]
    pub checked_sources: BTreeMap<String, Box<CheckedSource>>,
    /// How many runs were recorded so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: i64,
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled` and `SourcesReachable`, as kstatus understands them; and
    /// while there is cause for it `TlsVerified` and `SecretNamespaceIgnored`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]),
        transform = bounds::fill
    )]
    pub conditions: Vec<Condition>,
    /// The last value of the `run-at` annotation that was turned into runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_run_at: Option<String>,
    /// The runs that are not finished, and the last ones that are.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub runs: Vec<Run>,
    /// Fields that this release does not know, written back as they were read.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// What the trigger is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerState {
    /// No run is under way.
    #[default]
    Idle,
    /// A run is not finished.
    Running,
    /// The spec cannot be carried out as it is; the `Ready` condition says why.
    WrongConfig,
}

/// What was last found at a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckedSource {
    /// The commit that the source was at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub commit_hash: Option<String>,
    /// Digest of the watched files at that commit, where `files` are watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub file_hash: Option<String>,
    /// When the source was last found changed.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub changed: Option<Timestamp>,
    /// When the source was last asked for its state.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub checked_at: Option<Timestamp>,
    /// How many checks failed in a row, as of the last write.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// What a person should know, above all what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// The commit before the last change; a move back to it is doubted at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub previous_commit: Option<String>,
    /// Fields that this release does not know, written back as they were read.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// One decision to execute an action for one source at one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Names the run in its trigger; the same change has the same id, whoever records it.
    #[schemars(length(max = 128))]
    pub id: String,
    /// The source, by its name.
    #[schemars(length(max = 1024))]
    pub source: String,
    /// Absent while the run is `Requested`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub commit: Option<String>,
    /// Why the run was recorded.
    pub reason: RunReason,
    /// Why exactly: the nominal time, the delivery id or the `run-at` value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub occasion: Option<String>,
    /// How far the run is.
    pub phase: RunPhase,
    /// The name of its Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub job: Option<String>,
    /// The uid of its Job, once that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub job_uid: Option<String>,
    /// When it was recorded.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub requested_at: Option<Timestamp>,
    /// When its Job started.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub finished_at: Option<Timestamp>,
    /// What a person should know, above all what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// Run even if nothing changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// The commit that the source was at before this run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub previous_commit: Option<String>,
    /// The tag that a `semver` range chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub tag: Option<String>,
    /// The commit that a webhook's payload named: a hint that is waited for until `expectedUntil`, and
    /// never believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub expected_commit: Option<String>,
    /// Until when a remote that does not have `expectedCommit` yet is asked again.
    #[serde(default, deserialize_with = "time_or_none", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub expected_until: Option<Timestamp>,
    /// Further commits that are expected, of deliveries that came before: they may overtake each other.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(max = 128)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub also_expected: Vec<String>,
    /// Further deliveries that asked for the same before it was checked, the newest last.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub also_asked_by: Vec<String>,
    /// Digest of what was watched (source, URI, reference) when the run was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub fingerprint: Option<String>,
    /// Fields that this release does not know, written back as they were read.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// Why a run was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunReason {
    /// A check found the source changed.
    Changed,
    /// The schedule fired, and runs whether or not something changed.
    Scheduled,
    /// The trigger's URL was called.
    Webhook,
    /// Somebody asked for it with the `run-at` annotation.
    Manual,
}

/// How far a run is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum RunPhase {
    /// Asked for; the commit is not known yet.
    Requested,
    /// Recorded; its Job may or may not exist.
    Pending,
    /// Its Job exists, suspended, with the uid that is recorded.
    Queued,
    /// Its Job was started.
    Running,
    /// Its Job completed.
    Succeeded,
    /// Its Job failed, or could not be created.
    Failed,
    /// Its Job waited too long and was removed before it started.
    Expired,
    /// Its Job was removed by somebody else.
    Deleted,
    /// Not started because of the concurrency policy.
    Skipped,
    /// Asked for, checked, and nothing had changed.
    Unchanged,
}

impl RunPhase {
    /// Whether nothing more happens to the run.
    pub fn is_final(self) -> bool {
        match self {
            Self::Requested | Self::Pending | Self::Queued | Self::Running => false,
            Self::Succeeded
            | Self::Failed
            | Self::Expired
            | Self::Deleted
            | Self::Skipped
            | Self::Unchanged => true,
        }
    }
}

/// The original writes the word `Never` where there is no time; what is no time is absent.
fn time_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|it| it.parse().ok()))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
