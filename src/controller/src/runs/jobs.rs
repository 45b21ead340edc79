//! How does a recorded run get its Job? Created suspended, found again by its name, deleted by its uid.

mod refusal;

use std::collections::BTreeMap;
use std::time::Duration;

use ger_api::schedule_trigger::{ActionKind, Reference as Watched, SourceKind};
use ger_api::status::Run;
use ger_core::job::{self, Built, CopyPart, JobInput};
use ger_core::ledger::{self, JobSighting};
use ger_core::plan::{AuthKind, Plan, Source, SourceAuth, SourceTls, WrongConfig};
use ger_git::RepoUri;
use ger_git::contract::{self, CloneSpec, CloneTls};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use serde_json::{Value, json};

use super::error::Error;
use super::{Fleet, copies, sources};
use crate::checks::{self, Placed};
use crate::clusters::{Cluster, JobView};

/// A credential that ends is good for this long at least when a Job gets it: as long as a Pod may take to begin
/// on a cluster that makes a node for it.
const PENDING: Duration = Duration::from_mins(30);

/// What came of making a run's Job.
#[derive(Debug)]
pub(crate) enum Made {
    /// It is there, suspended, with all that it needs.
    Ready { name: String, uid: String },
    /// It cannot be made now; somebody may mend that.
    Blocked { reason: &'static str, message: String },
    /// It can never be made.
    Refused { message: String },
    /// The run is about something that is no longer watched.
    Superseded,
}

impl Made {
    pub(super) fn blocked(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Blocked { reason, message: message.into() }
    }

    /// What hinders, in a word and in a sentence.
    fn why(self) -> (&'static str, String) {
        match self {
            Self::Blocked { reason, message } => (reason, message),
            Self::Refused { message } => ("Refused", message),
            Self::Superseded => ("Superseded", "its source is no longer watched".to_owned()),
            Self::Ready { name, .. } => ("Ready", name),
        }
    }
}

impl From<WrongConfig> for Made {
    fn from(wrong: WrongConfig) -> Self {
        Self::blocked(wrong.reason.as_str(), wrong.message)
    }
}

/// Makes the Job of a pending run, or finds the one that an earlier attempt made.
pub(crate) async fn make(
    fleet: &Fleet,
    cluster: &Cluster,
    plan: &Plan,
    run: &Run,
    shard_transitions: i32,
) -> Result<Made, Error> {
    let (built, origin) = match build(fleet, cluster, plan, run, shard_transitions) {
        Ok(built) => built,
        Err(made) => return Ok(made),
    };
    let client = cluster.client();
    let jobs: Api<Job> = Api::namespaced(client.clone(), &plan.key.namespace);
    let name = built.job.metadata.name.clone().unwrap_or_default();
    let job = match jobs.create(&PostParams::default(), &built.job).await {
        Ok(job) => job,
        Err(kube::Error::Api(answer)) if answer.is_already_exists() => {
            fleet
                .metrics
                .job_create_duplicates_total
                .with_label_values(&[plan.key.cluster.as_str()])
                .inc();
            match adopt(&jobs, &name, plan, run).await? {
                Ok(job) => job,
                Err(made) => return Ok(made),
            }
        }
        Err(source) => {
            let made =
                if let kube::Error::Api(answer) = &source { refusal::of(answer) } else { None };
            return made.ok_or_else(|| Error::CreateJob { job: name, source: Box::new(source) });
        }
    };
    // What the API says counts, not what was asked for.
    let name = job.metadata.name.unwrap_or(name);
    let uid = job.metadata.uid.unwrap_or_default();
    if let Some(copy) = &built.secret_copy {
        let namespace = &plan.key.namespace;
        let placed = Placed { cluster: cluster.name(), client, namespace, source: &origin.source };
        let of_job = copies::Copied { copy, job_uid: &uid, lasting: origin.lasting };
        if let Some(made) = copies::make(&fleet.checks, placed, &of_job).await? {
            return Ok(made);
        }
    }
    Ok(Made::Ready { name, uid })
}

/// Whether a Job that has waited needs a new token in its copy.
#[derive(Debug)]
pub(super) enum Renewal {
    /// It is given none, or none that ends.
    None,
    Needed,
    /// The objects that say it are no longer as they were.
    Unclear,
}

/// What the objects say now about the copy of a Job that was made before.
pub(super) fn renewal(fleet: &Fleet, cluster: &Cluster, plan: &Plan, run: &Run) -> Renewal {
    match build(fleet, cluster, plan, run, 0) {
        Ok((built, _)) => match built.secret_copy {
            Some(copy) if copy.parts.contains(&CopyPart::Minted) => Renewal::Needed,
            Some(_) | None => Renewal::None,
        },
        Err(_) => Renewal::Unclear,
    }
}

/// Writes the copy of a Job that was made before, with a token that lasts as long as a clone may.
/// Gives what hinders it.
pub(super) async fn renew(
    fleet: &Fleet,
    cluster: &Cluster,
    plan: &Plan,
    (run, job_uid): (&Run, &str),
) -> Result<Result<(), (&'static str, String)>, Error> {
    let (built, origin) = match build(fleet, cluster, plan, run, 0) {
        Ok(built) => built,
        Err(made) => return Ok(Err(made.why())),
    };
    let Some(copy) = &built.secret_copy else { return Ok(Ok(())) };
    let (client, namespace) = (cluster.client(), plan.key.namespace.as_str());
    let placed = Placed { cluster: cluster.name(), client, namespace, source: &origin.source };
    let of_job = copies::Copied { copy, job_uid, lasting: PENDING };
    let made = copies::make(&fleet.checks, placed, &of_job).await?;
    Ok(made.map_or(Ok(()), |it| Err(it.why())))
}

/// Whether a Job, read live, is given a copy of its own: a Secret of its name.
pub(super) async fn has_copy(cluster: &Cluster, view: &JobView) -> Result<bool, Error> {
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), &view.namespace);
    let read = jobs.get_opt(&view.name).await;
    let live =
        read.map_err(|source| Error::ReadJob { job: view.name.clone(), source: Box::new(source) })?;
    let pod = live.and_then(|it| it.spec?.template.spec);
    let volumes = pod.and_then(|it| it.volumes).unwrap_or_default();
    Ok(volumes.iter().any(|it| {
        let secret = it.secret.as_ref().and_then(|it| it.secret_name.as_deref());
        secret == Some(view.name.as_str())
    }))
}

/// What a Job clones, and for how long its credentials must be good.
struct Origin {
    source: Source,
    lasting: Duration,
}

/// What the objects say now about the run's Job.
fn build(
    fleet: &Fleet,
    cluster: &Cluster,
    plan: &Plan,
    run: &Run,
    shard_transitions: i32,
) -> Result<(Built, Origin), Made> {
    let stores = cluster.stores();
    let found = sources::find(stores, &plan.key, plan, &run.source);
    if found.version.is_empty() {
        let message = found.source.err().map(|it| it.message).unwrap_or_default();
        return Err(Made::blocked("SourceMissing", message));
    }
    if ledger::is_superseded(run, plan, &found.fingerprint) {
        return Err(Made::Superseded);
    }
    let namespace = Some(plan.key.namespace.as_str());
    let name = &plan.action.name;
    let (of_namespace, of_cluster);
    let action = match plan.action.kind {
        ActionKind::Action => {
            of_namespace = stores.actions.find(namespace, name);
            of_namespace.as_deref().map(job::Action::of)
        }
        ActionKind::ClusterAction => {
            of_cluster = stores.cluster_actions.find(None, name);
            of_cluster.as_deref().map(job::Action::of_cluster)
        }
    };
    let kind = job::action_kind(plan.action.kind);
    let missing =
        || Made::blocked("ActionMissing", format!("{kind} {name} is not there; create it"));
    let action = action.ok_or_else(missing)??;

    let (source, reference, commit) = match &action.source_override {
        None => {
            let unusable = |it: sources::Unusable| Made::blocked(it.reason, it.message);
            // The tag that a range chose leads to the commit where a range leads nowhere.
            let chosen = run.tag.clone().map(Watched::Tag);
            let reference = chosen.unwrap_or_else(|| plan.reference.clone());
            (found.source.map_err(unusable)?, reference, run.commit.as_deref())
        }
        Some(other) => {
            (overriding(cluster, plan, other.kind, &other.name)?, other.reference.clone(), None)
        }
    };
    let cloner_env = cloner_env(&source, &reference, commit)?;
    let in_force = fleet.in_force();
    let built = job::build(&JobInput {
        plan,
        run,
        action: &action,
        source: &source,
        settings: &in_force.jobs,
        cloner_env: &cloner_env,
        shard_transitions: Some(shard_transitions),
        trace: fleet.traces.of(&run.id),
    })?;
    // It may wait for a place first, and its Pod for a node, an image, a volume.
    let lasting = action.waiting_timeout(&in_force.jobs).saturating_add(contract::DEFAULT_TIMEOUT);
    let lasting = lasting.max(PENDING);
    Ok((built, Origin { source, lasting }))
}

/// The source that an Action names in place of the run's.
fn overriding(
    cluster: &Cluster,
    plan: &Plan,
    kind: SourceKind,
    name: &str,
) -> Result<Source, Made> {
    let spec = sources::spec(cluster.stores(), &plan.key.namespace, kind, name);
    let missing = || {
        let message =
            format!("the source {name} of the action's sourceOverride is not there; create it");
        Made::blocked("SourceMissing", message)
    };
    let (spec, _) = spec.ok_or_else(missing)?;
    Ok(Source::of(kind, name, &spec)?)
}

/// The cloner's contract for this clone.
fn cloner_env(
    source: &Source,
    reference: &Watched,
    commit: Option<&str>,
) -> Result<Vec<(String, String)>, Made> {
    let invalid = |message: String| Made::blocked("InvalidSource", message);
    let uri = RepoUri::parse(&source.uri).map_err(|it| invalid(it.to_string()))?;
    let reference = checks::reference(reference).map_err(|it| invalid(it.message()))?;
    let commit = commit.map(ger_git::Commit::parse).transpose();
    let commit = commit.map_err(|it| invalid(it.to_string()))?;
    let auth = source.auth.as_ref().map_or(contract::AuthKind::None, auth_kind);
    let tls = match &source.tls {
        SourceTls::Verify => CloneTls::Verify,
        SourceTls::VerifyWith(_) => CloneTls::VerifyWith,
        SourceTls::SkipVerify => CloneTls::SkipVerify,
    };
    let has_files = source.auth.is_some() || tls == CloneTls::VerifyWith;
    Ok(contract::to_env(&CloneSpec {
        uri,
        reference: Some(reference),
        commit,
        auth,
        credentials: has_files.then(|| job::CREDENTIALS.into()),
        tls,
        // A clone brings more than a check does.
        timeout: source.timeout.max(contract::DEFAULT_TIMEOUT),
    }))
}

fn auth_kind(auth: &SourceAuth) -> contract::AuthKind {
    match auth.kind {
        // The cloner gets a token of the App, as a password.
        AuthKind::Basic | AuthKind::GithubApp => contract::AuthKind::Basic,
        AuthKind::Token => contract::AuthKind::Token,
        AuthKind::Ssh => contract::AuthKind::Ssh,
    }
}

/// The Job that already has the run's name, if it is the run's.
async fn adopt(
    jobs: &Api<Job>,
    name: &str,
    plan: &Plan,
    run: &Run,
) -> Result<Result<Job, Made>, Error> {
    let read = jobs.get_opt(name).await;
    let found =
        read.map_err(|source| Error::ReadJob { job: name.to_owned(), source: Box::new(source) })?;
    let Some(job) = found else {
        return Ok(Err(Made::blocked("JobLeaving", format!("Job {name} is being replaced"))));
    };
    let none = BTreeMap::new();
    let labels = job.metadata.labels.as_ref().unwrap_or(&none);
    if !job::is_of_run(labels, &plan.uid, &run.id) {
        let message = format!("a Job {name} is there that is not this run's: remove it");
        return Ok(Err(Made::Refused { message }));
    }
    let view = JobView::of(&job);
    if view.deleting || view.withdrawn {
        if !view.deleting {
            delete(jobs, &view).await?;
        }
        return Ok(Err(Made::blocked(
            "JobLeaving",
            format!("an earlier Job {name} is being removed"),
        )));
    }
    Ok(Ok(job))
}

/// What is seen of a run's Job: by the watch, or live where the watch shows none.
pub(crate) async fn observe(
    cluster: &Cluster,
    namespace: &str,
    run: &Run,
) -> Result<JobSighting, Error> {
    let (Some(name), Some(uid)) = (&run.job, &run.job_uid) else {
        return Ok(JobSighting::Suspended);
    };
    let seen = cluster.stores().jobs.find(Some(namespace), name);
    if let Some(view) = seen.filter(|it| it.uid == *uid) {
        return Ok(view.sighting.clone());
    }
    if let Some(sighting) = cluster.stores().ended.find(uid) {
        return Ok(sighting);
    }
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), namespace);
    let read = jobs.get_opt(name).await;
    let live =
        read.map_err(|source| Error::ReadJob { job: name.clone(), source: Box::new(source) })?;
    let view = live.as_ref().map(JobView::of).filter(|it| it.uid == *uid);
    Ok(view.map_or(JobSighting::Gone, |it| it.sighting))
}

/// Whether the watch still shows a run's Job.
pub(crate) fn is_there(cluster: &Cluster, namespace: &str, run: &Run) -> bool {
    let seen = run.job.as_ref().and_then(|it| cluster.stores().jobs.find(Some(namespace), it));
    seen.is_some_and(|it| run.job_uid.as_ref() == Some(&it.uid))
}

/// This very Job, past all caches; none if it is gone, or another one by now.
pub(super) async fn live(
    cluster: &Cluster,
    (namespace, name): (&str, &str),
    uid: &str,
) -> Result<Option<JobView>, Error> {
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), namespace);
    let read = jobs.get_opt(name).await;
    let live =
        read.map_err(|source| Error::ReadJob { job: name.to_owned(), source: Box::new(source) })?;
    Ok(live.as_ref().map(JobView::of).filter(|it| it.uid == uid))
}

/// When a run's Job began, as the watch has it.
pub(crate) fn started(cluster: &Cluster, namespace: &str, run: &Run) -> Option<Timestamp> {
    let seen = cluster.stores().jobs.find(Some(namespace), run.job.as_deref()?)?;
    seen.started.filter(|_| run.job_uid.as_ref() == Some(&seen.uid))
}

/// Deletes exactly this Job, as it was seen, with its pods. One that is gone or changed is left.
pub(crate) async fn delete(jobs: &Api<Job>, view: &JobView) -> Result<(), Error> {
    delete_with(jobs, view, PropagationPolicy::Background).await
}

/// The same, and it is there until the last of its pods has ended.
pub(crate) async fn delete_after_its_pods(jobs: &Api<Job>, view: &JobView) -> Result<(), Error> {
    delete_with(jobs, view, PropagationPolicy::Foreground).await
}

async fn delete_with(
    jobs: &Api<Job>,
    view: &JobView,
    propagation: PropagationPolicy,
) -> Result<(), Error> {
    let params = DeleteParams {
        propagation_policy: Some(propagation),
        preconditions: Some(Preconditions {
            uid: Some(view.uid.clone()),
            resource_version: Some(view.resource_version.clone()),
        }),
        ..DeleteParams::default()
    };
    match jobs.delete(&view.name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
        Err(source) => Err(Error::DeleteJob { job: view.name.clone(), source: Box::new(source) }),
    }
}

/// Whether a Job was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patched {
    Yes,
    /// It is another one by now, or gone.
    No,
}

/// Changes a Job exactly as it was seen: uid and resourceVersion are preconditions.
pub(crate) async fn patch(
    cluster: &Cluster,
    view: &JobView,
    mut change: Value,
) -> Result<Patched, Error> {
    change["metadata"]["uid"] = json!(view.uid);
    change["metadata"]["resourceVersion"] = json!(view.resource_version);
    let jobs: Api<Job> = Api::namespaced(cluster.client().clone(), &view.namespace);
    match jobs.patch(&view.name, &PatchParams::default(), &Patch::Merge(change)).await {
        Ok(_) => Ok(Patched::Yes),
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => {
            Ok(Patched::No)
        }
        Err(source) => Err(Error::ChangeJob { job: view.name.clone(), source: Box::new(source) }),
    }
}

/// Marks a suspended Job so that nobody starts it any more: who read it before has an old version.
pub(crate) async fn withdraw(cluster: &Cluster, view: &JobView) -> Result<Patched, Error> {
    if view.withdrawn {
        return Ok(Patched::Yes);
    }
    // Kueue starts what has its label, whatever we have marked.
    let mark = json!({ "metadata": {
        "annotations": { job::WITHDRAWN: "true" }, "labels": { job::KUEUE_QUEUE: null },
    }});
    patch(cluster, view, mark).await
}

/// The uid of the trigger's Action as it is now, if there is one.
pub(crate) fn action_uid(cluster: &Cluster, plan: &Plan) -> Option<String> {
    let (stores, name) = (cluster.stores(), &plan.action.name);
    match plan.action.kind {
        ActionKind::Action => {
            stores.actions.find(Some(&plan.key.namespace), name)?.metadata.uid.clone()
        }
        ActionKind::ClusterAction => stores.cluster_actions.find(None, name)?.metadata.uid.clone(),
    }
}
