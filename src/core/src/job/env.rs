//! What does the worker learn from its environment?

use ger_api::schedule_trigger::SourceKind;
use ger_api::status::RunReason;
use k8s_openapi::api::core::v1::EnvVar;

use super::JobInput;
use crate::plan::{reference_parts, source_kind};

/// What is behind the prefix in the name of each variable of ours.
const OURS: [&str; 19] = [
    "WORKDIR",
    "CLUSTER",
    "RUN_ID",
    "TRIGGER_KIND",
    "TRIGGER_NAME",
    "TRIGGER_NAMESPACE",
    "TRIGGER_REASON",
    "TRIGGER_SOURCE_KIND",
    "TRIGGER_SOURCE_NAME",
    "TRIGGER_SOURCE_NAMESPACE",
    "TRIGGER_SOURCE_COMMIT",
    "TRIGGER_SOURCE_PREVIOUS_COMMIT",
    "TRIGGER_SOURCE_REF_TYPE",
    "TRIGGER_SOURCE_REF_NAME",
    "ACTION_SOURCE_KIND",
    "ACTION_SOURCE_NAME",
    "ACTION_SOURCE_NAMESPACE",
    "ACTION_SOURCE_REF_TYPE",
    "ACTION_SOURCE_REF_NAME",
];

/// Whether a variable is called like one that we set, in this Job or in another.
pub(super) fn is_ours(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|it| OURS.contains(&it))
}

/// The worker's variables: ours, each under the configured prefix, and behind them the Action's, which
/// may so refer to ours.
pub(super) fn of_worker(input: &JobInput<'_>, workdir: &str) -> Vec<EnvVar> {
    let plan = input.plan;
    let run = input.run;
    let (reference_kind, reference) = super::watched(input);
    let mut env = vec![
        ("WORKDIR", workdir),
        ("CLUSTER", plan.key.cluster.as_str()),
        ("RUN_ID", &run.id),
        ("TRIGGER_KIND", plan.key.kind.as_str()),
        ("TRIGGER_NAME", &plan.key.name),
        ("TRIGGER_NAMESPACE", &plan.key.namespace),
        ("TRIGGER_REASON", reason(run.reason)),
        ("TRIGGER_SOURCE_KIND", source_kind(plan.source_kind)),
        ("TRIGGER_SOURCE_NAME", &run.source),
    ];
    if plan.source_kind == SourceKind::GitRepo {
        env.push(("TRIGGER_SOURCE_NAMESPACE", &plan.key.namespace));
    }
    env.push(("TRIGGER_SOURCE_COMMIT", run.commit.as_deref().unwrap_or_default()));
    if let Some(previous) = &run.previous_commit {
        env.push(("TRIGGER_SOURCE_PREVIOUS_COMMIT", previous));
    }
    env.push(("TRIGGER_SOURCE_REF_TYPE", reference_kind));
    env.push(("TRIGGER_SOURCE_REF_NAME", reference));
    if let Some(other) = &input.action.source_override {
        let (kind, name) = reference_parts(&other.reference);
        env.push(("ACTION_SOURCE_KIND", source_kind(other.kind)));
        env.push(("ACTION_SOURCE_NAME", &other.name));
        if other.kind == SourceKind::GitRepo {
            env.push(("ACTION_SOURCE_NAMESPACE", &plan.key.namespace));
        }
        env.push(("ACTION_SOURCE_REF_TYPE", kind));
        env.push(("ACTION_SOURCE_REF_NAME", name));
    }
    let prefix = &input.settings.variables_prefix;
    let ours = env.into_iter().map(|(name, value)| variable(format!("{prefix}{name}"), value));
    ours.chain(input.action.job.env.iter().flatten().cloned()).collect()
}

pub(super) fn variable(name: String, value: &str) -> EnvVar {
    // Kubernetes expands `$(NAME)` in values; what is passed on is passed on verbatim.
    EnvVar { name, value: Some(value.replace("$(", "$$(")), ..EnvVar::default() }
}

/// The reason as the status spells it.
pub(super) fn reason(reason: RunReason) -> &'static str {
    match reason {
        RunReason::Changed => "Changed",
        RunReason::Scheduled => "Scheduled",
        RunReason::Webhook => "Webhook",
        RunReason::Manual => "Manual",
    }
}
