//! What does a trigger's spec ask for, and can it be carried out?
//!
//! The one place that judges a spec. What is a `Plan` or a `Source` needs no second look; what is
//! not says what to fix.

use std::time::Duration;

use ger_api::schedule_trigger::{ActionRef, ConcurrencyPolicy, Reference, SourceKind, Sources};
use ger_api::{ScheduleTrigger, WebhookTrigger};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::ledger::id;
use crate::names::{ClusterName, TriggerKey, TriggerKind, is_subdomain};
use crate::schedule::Schedule;

mod files;
mod hook;
mod reference;
mod source;
#[cfg(test)]
mod tests;
mod uri;

pub use files::patterns_digest;
pub use hook::{Hook, HookAuth};
pub(crate) use reference::check as check_reference;
pub use source::{AuthKind, CaSource, Caution, CredentialKey, Source, SourceAuth, SourceTls};

/// The annotation whose every new value makes a trigger run now.
pub const RUN_AT: &str = "git-events-runner.rs/run-at";
/// The annotation that makes such a run happen even if nothing changed.
pub const FORCE: &str = "git-events-runner.rs/force";

/// The annotation that names, with commas between them, the only sources that such a run is for.
pub const RUN_SOURCES: &str = "git-events-runner.rs/run-sources";

/// A source costs a record in the status and a check at each firing.
const MOST_SOURCES: usize = 64;
/// A longer `run-at` is kept as its digest: it is copied into the status and into each run.
const LONGEST_RUN_AT: usize = 128;

/// What a trigger asks for, judged and found good.
#[derive(Clone, Debug)]
pub struct Plan {
    pub key: TriggerKey,
    pub uid: String,
    pub generation: i64,
    pub sources: Vec<String>,
    pub source_kind: SourceKind,
    pub reference: Reference,
    /// gitignore patterns: a change counts only if the matching files changed. None: each counts.
    pub files: Option<Vec<String>>,
    pub on_change_only: bool,
    pub action: ActionRef,
    /// None for a trigger that only runs when asked.
    pub schedule: Option<Schedule>,
    /// None for a trigger that nobody calls.
    pub hook: Option<Hook>,
    pub suspend: bool,
    pub run_at: Option<RunAt>,
    /// What becomes of a run while an earlier one of its source is not finished.
    pub concurrency: ConcurrencyPolicy,
    /// How late a missed fire of a cron is made up for; None: however late.
    pub starting_deadline: Option<Duration>,
    /// How many finished runs are remembered.
    pub kept: Kept,
}

/// How many finished runs of each kind a status remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub succeeded: usize,
    pub failed: usize,
}

impl Default for Kept {
    /// The original keeps none; CronJobs keep 3 and 1.
    fn default() -> Self {
        Self { succeeded: 5, failed: 5 }
    }
}

/// A wish to run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAt {
    pub value: String,
    pub forced: Forced,
    /// None: every source.
    pub sources: Option<Vec<String>>,
}

impl RunAt {
    /// Whether a source is meant.
    pub fn is_for(&self, source: &str) -> bool {
        self.sources.as_ref().is_none_or(|it| it.iter().any(|it| it == source))
    }
}

/// Whether a run happens although nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    No,
    Yes,
}

/// Why something cannot be carried out, and what to fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WrongConfig {
    pub reason: Reason,
    pub message: String,
}

/// What is wrong, as a condition's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    InvalidSources,
    InvalidReference,
    InvalidFiles,
    InvalidSchedule,
    InvalidAction,
    InvalidSource,
    InvalidWebhook,
    /// Not an object that an API server gave.
    InvalidObject,
}

impl Reason {
    /// CamelCase, for a condition or an Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSources => "InvalidSources",
            Self::InvalidReference => "InvalidReference",
            Self::InvalidFiles => "InvalidFiles",
            Self::InvalidSchedule => "InvalidSchedule",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidSource => "InvalidSource",
            Self::InvalidWebhook => "InvalidWebhook",
            Self::InvalidObject => "InvalidObject",
        }
    }
}

impl WrongConfig {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Plan {
    /// What a `ScheduleTrigger` asks for.
    pub fn of_schedule(
        cluster: &ClusterName,
        trigger: &ScheduleTrigger,
    ) -> Result<Self, WrongConfig> {
        let identity = Identity::of(cluster, TriggerKind::Schedule, &trigger.metadata)?;
        let spec = &trigger.spec;
        let schedule = Schedule::parse(&spec.schedule, spec.time_zone.as_deref())
            .map_err(|it| WrongConfig::new(Reason::InvalidSchedule, it.to_string()))?;
        let mut plan = identity.plan(&spec.sources, &spec.action)?;
        plan.schedule = Some(schedule);
        plan.suspend = spec.suspend;
        plan.concurrency = spec.concurrency_policy;
        let seconds = spec.starting_deadline_seconds.and_then(|it| u64::try_from(it).ok());
        plan.starting_deadline = seconds.map(Duration::from_secs);
        let limit =
            |it: Option<i32>, default| it.map_or(default, |it| usize::try_from(it).unwrap_or(0));
        plan.kept = Kept {
            succeeded: limit(spec.successful_runs_history_limit, plan.kept.succeeded),
            failed: limit(spec.failed_runs_history_limit, plan.kept.failed),
        };
        Ok(plan)
    }

    /// What a `WebhookTrigger` asks for.
    pub fn of_webhook(
        cluster: &ClusterName,
        trigger: &WebhookTrigger,
    ) -> Result<Self, WrongConfig> {
        let identity = Identity::of(cluster, TriggerKind::Webhook, &trigger.metadata)?;
        let spec = &trigger.spec;
        let hook = Hook::judge(&spec.webhook)?;
        let mut plan = identity.plan(&spec.sources, &spec.action)?;
        plan.hook = Some(hook);
        plan.suspend = spec.suspend;
        plan.concurrency = spec.concurrency_policy;
        Ok(plan)
    }

    /// Digest of what is watched. A run whose fingerprint is another one is about something else. The
    /// patterns of `files` are not in it: whichever files made a run due, it is about its commit.
    pub fn fingerprint(&self, source: &str, uri: &str) -> String {
        let kind = source_kind(self.source_kind);
        let (reference_kind, name) = reference_parts(&self.reference);
        id::short(&id::digest(&[kind, source, uri, reference_kind, name]), 16)
    }

    /// See [`patterns_digest`]. None: every change counts.
    pub fn patterns_digest(&self) -> Option<String> {
        self.files.as_deref().map(patterns_digest)
    }
}

/// Who a trigger is, apart from what it asks for.
struct Identity {
    key: TriggerKey,
    uid: String,
    generation: i64,
    run_at: Option<RunAt>,
}

impl Identity {
    fn of(cluster: &ClusterName, kind: TriggerKind, it: &ObjectMeta) -> Result<Self, WrongConfig> {
        let (Some(namespace), Some(name), Some(uid)) = (&it.namespace, &it.name, &it.uid) else {
            let message = "the object has no namespace, name or uid";
            return Err(WrongConfig::new(Reason::InvalidObject, message));
        };
        let key = TriggerKey {
            cluster: cluster.clone(),
            kind,
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let generation = it.generation.unwrap_or_default();
        Ok(Self { key, uid: uid.clone(), generation, run_at: run_at(it) })
    }

    fn plan(self, sources: &Sources, action: &ActionRef) -> Result<Plan, WrongConfig> {
        check_names(&sources.names)?;
        reference::check(&sources.watch_on.reference)?;
        let files = files::judge(sources.watch_on.files.as_deref())?;
        if !is_subdomain(&action.name) {
            let message =
                format!("action.name {:?} is not the name of an object", cut(&action.name));
            return Err(WrongConfig::new(Reason::InvalidAction, message));
        }
        Ok(Plan {
            key: self.key,
            uid: self.uid,
            generation: self.generation,
            sources: sources.names.clone(),
            source_kind: sources.kind,
            reference: sources.watch_on.reference.clone(),
            files,
            on_change_only: sources.watch_on.on_change_only,
            action: action.clone(),
            schedule: None,
            hook: None,
            suspend: false,
            run_at: self.run_at,
            concurrency: ConcurrencyPolicy::default(),
            starting_deadline: None,
            kept: Kept::default(),
        })
    }
}

fn run_at(metadata: &ObjectMeta) -> Option<RunAt> {
    let annotations = metadata.annotations.as_ref()?;
    let value = annotations.get(RUN_AT).filter(|it| !it.is_empty())?;
    let value = if value.len() > LONGEST_RUN_AT {
        id::short(&id::digest(&[value]), 32)
    } else {
        value.clone()
    };
    let forced = if annotations.get(FORCE).is_some_and(|it| it == "true") {
        Forced::Yes
    } else {
        Forced::No
    };
    let sources = annotations.get(RUN_SOURCES).filter(|it| !it.is_empty());
    let sources = sources.map(|it| it.split(',').map(|it| it.trim().to_owned()).collect());
    Some(RunAt { value, forced, sources })
}

fn check_names(names: &[String]) -> Result<(), WrongConfig> {
    let wrong = |message: String| Err(WrongConfig::new(Reason::InvalidSources, message));
    if names.is_empty() {
        return wrong("sources.names is empty: name at least one source".to_owned());
    }
    if names.len() > MOST_SOURCES {
        let count = names.len();
        return wrong(format!(
            "sources.names has {count} names, at most {MOST_SOURCES} are allowed"
        ));
    }
    for (index, name) in names.iter().enumerate() {
        if !is_subdomain(name) {
            return wrong(format!(
                "sources.names has {:?}, which is not the name of an object",
                cut(name)
            ));
        }
        if names[..index].contains(name) {
            return wrong(format!("sources.names has {name:?} twice: remove one"));
        }
    }
    Ok(())
}

/// The kind as a manifest spells it.
pub fn source_kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::GitRepo => "GitRepo",
        SourceKind::ClusterGitRepo => "ClusterGitRepo",
    }
}

/// A reference's kind (`branch`, `tag`, `commit`, `semver`) and its name.
pub fn reference_parts(reference: &Reference) -> (&'static str, &str) {
    match reference {
        Reference::Branch(name) => ("branch", name),
        Reference::Tag(name) => ("tag", name),
        Reference::Commit(name) => ("commit", name),
        Reference::Semver(range) => ("semver", range),
    }
}

/// Enough of a user's text to recognise it by.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
