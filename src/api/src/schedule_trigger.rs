//! When to look: `ScheduleTrigger`, and what both triggers share: sources, reference, action.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nullable::{or_default, or_true};
use crate::rules;
use crate::status::TriggerStatus;

/// Checks its sources by interval or cron, and runs an action when they changed.
#[expect(clippy::duplicated_attributes, reason = "each column has its own type and path")]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "git-events-runner.rs",
    version = "v1alpha1",
    kind = "ScheduleTrigger",
    doc = "Checks its sources by interval or cron, and runs an action when they changed.",
    namespaced,
    shortname = "st",
    category = "git-events",
    status = "TriggerStatus",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    // The wildcard prints the one of `interval` and `cron` that is there.
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule.*"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Last Run", type_ = "date", json_path = ".status.lastRun"),
    // A column of type date prints a time to come as `<invalid>`.
    printcolumn(name = "Next Run", type_ = "string", json_path = ".status.nextRun"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    crates(kube_core = "::kube_core"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleTriggerSpec {
    /// What is watched.
    pub sources: Sources,
    /// When it is checked: exactly one of `interval` and `cron`.
    pub schedule: Schedule,
    /// What runs when a source changed.
    pub action: ActionRef,
    /// The IANA zone of a cron schedule without a `TZ=` prefix; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"))]
    pub time_zone: Option<String>,
    /// While true, nothing is checked and nothing runs.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub suspend: bool,
    /// What becomes of a run while an earlier one of its source is not finished.
    #[serde(default, deserialize_with = "or_default")]
    pub concurrency_policy: ConcurrencyPolicy,
    /// How late a fire of `cron` that was missed is made up for, in seconds; however late when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,
    /// How many runs that succeeded the status remembers; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub successful_runs_history_limit: Option<i32>,
    /// How many runs that failed the status remembers; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub failed_runs_history_limit: Option<i32>,
}

/// What becomes of a run while an earlier one of its source is not finished.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum ConcurrencyPolicy {
    /// It runs beside the earlier one.
    #[default]
    Allow,
    /// It is skipped, and recorded as `Skipped`.
    Forbid,
    /// The earlier one's Job is deleted, and once that is gone it runs.
    Replace,
    /// It runs when the earlier ones have finished, in their order.
    Queue,
}

/// What a trigger watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sources {
    /// The kind of all the sources that are named.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: SourceKind,
    /// Each is checked and run on its own. At least one and at most 64, each once.
    #[schemars(
        length(max = 1024),
        inner(length(max = 1024)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub names: Vec<String>,
    /// What counts as a change.
    #[serde(default, deserialize_with = "or_default")]
    pub watch_on: WatchOn,
}

/// The kinds of source.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum SourceKind {
    #[default]
    /// A repository of the trigger's namespace.
    GitRepo,
    /// A repository that every namespace may watch.
    ClusterGitRepo,
}

/// What counts as a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchOn {
    /// False: run at every firing, changed or not.
    #[serde(default = "default_true", deserialize_with = "or_true")]
    pub on_change_only: bool,
    /// What is watched in the repository: exactly one of `branch`, `tag`, `commit` and `semver`.
    #[serde(default, deserialize_with = "or_default")]
    pub reference: Reference,
    /// gitignore patterns: only a change of the matching files (path, mode or contents) counts. `docs/` is
    /// all that is in it, `!*.md` takes out what an earlier pattern let in. At most 256, each of at most
    /// 1024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 1024),
        inner(length(max = 4096)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub files: Option<Vec<String>>,
}

impl Default for WatchOn {
    fn default() -> Self {
        Self { on_change_only: true, reference: Reference::default(), files: None }
    }
}

/// What is watched in a repository: exactly one of a branch, a tag, a commit or a range of versions.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Reference {
    /// A branch, by its name.
    Branch(#[schemars(length(max = 1024))] String),
    /// A tag, by its name; an annotated one means its commit.
    Tag(#[schemars(length(max = 1024))] String),
    /// A commit, by its full id in lower case.
    Commit(#[schemars(length(max = 1024))] String),
    /// The highest tag in a range of versions: `>=1.2 <2`, `1.x`, `^2.3`. A `v` may stand before a
    /// tag's version; pre-releases count only where the range names one.
    Semver(#[schemars(length(max = 256))] String),
}

/// What an action may clone in place of the source that changed.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "a schema only: `Reference` is what is read")]
pub(crate) enum ClonedReference {
    /// A branch, by its name.
    Branch(#[schemars(length(max = 1024))] String),
    /// A tag, by its name; an annotated one means its commit.
    Tag(#[schemars(length(max = 1024))] String),
    /// A commit, by its full id in lower case.
    Commit(#[schemars(length(max = 1024))] String),
}

impl Default for Reference {
    fn default() -> Self {
        Self::Branch("main".to_owned())
    }
}

/// When: exactly one of an interval or a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::schedule_edit()))]
pub enum Schedule {
    /// `10s`, `5m`, `1h 30m`: from the end of one check to the next; at least one second.
    Interval(#[schemars(length(max = 1024))] String),
    /// Five fields, six with seconds first or seven with years last; `TZ=Area/City ` may stand before.
    Cron(#[schemars(length(max = 1024))] String),
}

/// Which action runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionRef {
    /// The kind of the action.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: ActionKind,
    /// The action's name; an `Action` is looked up in the trigger's namespace.
    #[schemars(length(max = 1024))]
    pub name: String,
}

/// The kinds of action.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum ActionKind {
    #[default]
    /// An action of the trigger's namespace.
    Action,
    /// An action that every namespace may use.
    ClusterAction,
}

fn default_true() -> bool {
    true
}
