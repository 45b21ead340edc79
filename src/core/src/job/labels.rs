//! What is a run's Job called, and how is it found again?

use std::collections::BTreeMap;

use ger_api::schedule_trigger::ActionKind;

use super::{JobInput, env};
use crate::ledger::id;
use crate::plan::source_kind;
use crate::trace::TRACE_ID;

/// Everything under it is ours; an Action can set nothing there.
pub const PREFIX: &str = "git-events-runner.rs/";
/// Tells our Jobs from others'.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Who manages our Jobs.
pub const MANAGER: &str = "git-events-runner";
/// On every Job of ours: its run.
pub const RUN_ID: &str = "git-events-runner.rs/run-id";
/// On every Job of ours: the uid of its trigger.
pub const TRIGGER_UID: &str = "git-events-runner.rs/trigger-uid";
/// On every Job of ours: its trigger's kind.
pub const TRIGGER_KIND: &str = "git-events-runner.rs/trigger-kind";
/// On every Job of ours: its trigger's name, cut if it is long. The annotation of the same name has
/// it whole.
pub const TRIGGER_NAME: &str = "git-events-runner.rs/trigger-name";
/// The annotation on a suspended Job that nobody may start any more.
pub const WITHDRAWN: &str = "git-events-runner.rs/withdrawn";

/// The label by which Kueue admits a Job. It is set when the Job may start, and not before.
pub const KUEUE_QUEUE: &str = "kueue.x-k8s.io/queue-name";
/// The annotation that keeps the queue which the Action asks for until then.
pub const ASKED_QUEUE: &str = "git-events-runner.rs/queue-name";

/// What Kubernetes takes as a label's value.
const LONGEST_LABEL: usize = 63;
/// With the run id behind it and a pod's suffix behind that, the name fits into 63 characters.
const LONGEST_STEM: usize = 40;

/// The Job of a run has one name, whoever creates it.
pub fn name_of(trigger: &str, run_id: &str) -> String {
    let stem: String = trigger.replace('.', "-").chars().take(LONGEST_STEM).collect();
    format!("{}-{run_id}", stem.trim_matches('-'))
}

/// Whether a Job that already has a run's name is that run's: else the run fails.
pub fn is_of_run(labels: &BTreeMap<String, String>, trigger_uid: &str, run_id: &str) -> bool {
    let has = |key: &str, value: &str| labels.get(key).is_some_and(|it| it == value);
    has(TRIGGER_UID, trigger_uid) && has(RUN_ID, run_id) && has(MANAGED_BY, MANAGER)
}

/// A name as a label's value: whole, or cut and told apart by a hash.
pub fn label_value(name: &str) -> String {
    if name.len() <= LONGEST_LABEL {
        return name.to_owned();
    }
    let hash = id::short(&id::digest(&[name]), 8);
    let head = &name[..name.floor_char_boundary(LONGEST_LABEL - hash.len() - 1)];
    let head = head.trim_end_matches(|it: char| !it.is_ascii_alphanumeric());
    format!("{head}-{hash}")
}

pub(super) fn labels(input: &JobInput<'_>) -> BTreeMap<String, String> {
    let plan = input.plan;
    let ours = [
        (MANAGED_BY, MANAGER.to_owned()),
        (RUN_ID, input.run.id.clone()),
        (TRIGGER_UID, plan.uid.clone()),
        (TRIGGER_KIND, plan.key.kind.as_str().to_owned()),
        (TRIGGER_NAME, label_value(&plan.key.name)),
        ("git-events-runner.rs/source-kind", source_kind(plan.source_kind).to_owned()),
        ("git-events-runner.rs/source-name", label_value(&input.run.source)),
        ("git-events-runner.rs/action-kind", action_kind(input.action.kind).to_owned()),
        ("git-events-runner.rs/action-name", label_value(input.action.name)),
    ];
    with_ours(input.action.job.labels.as_ref(), ours)
}

pub(super) fn annotations(input: &JobInput<'_>) -> BTreeMap<String, String> {
    let (kind, name) = super::watched(input);
    let mut ours = vec![
        (TRIGGER_NAME, input.plan.key.name.clone()),
        ("git-events-runner.rs/reference", format!("{kind}/{name}")),
        ("git-events-runner.rs/reason", env::reason(input.run.reason).to_owned()),
    ];
    if let Some(commit) = &input.run.commit {
        ours.push(("git-events-runner.rs/commit", commit.clone()));
    }
    let theirs = input.action.job.labels.as_ref();
    if let Some(queue) = theirs.and_then(|it| it.get(KUEUE_QUEUE)) {
        ours.push((ASKED_QUEUE, queue.clone()));
    }
    if let Some(transitions) = input.shard_transitions {
        ours.push(("git-events-runner.rs/shard-transitions", transitions.to_string()));
    }
    ours.extend(input.trace.map(|it| (TRACE_ID, it.to_string())));
    with_ours(input.action.job.annotations.as_ref(), ours)
}

fn with_ours<'a>(
    theirs: Option<&BTreeMap<String, String>>,
    ours: impl IntoIterator<Item = (&'a str, String)>,
) -> BTreeMap<String, String> {
    let is_theirs = |key: &str| !key.starts_with(PREFIX) && key != MANAGED_BY && key != KUEUE_QUEUE;
    let theirs = theirs.into_iter().flatten().filter(|(key, _)| is_theirs(key));
    let mut all: BTreeMap<_, _> = theirs.map(|(key, value)| (key.clone(), value.clone())).collect();
    all.extend(ours.into_iter().map(|(key, value)| (key.to_owned(), value)));
    all
}

/// The kind as a manifest spells it.
pub fn action_kind(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Action => "Action",
        ActionKind::ClusterAction => "ClusterAction",
    }
}
