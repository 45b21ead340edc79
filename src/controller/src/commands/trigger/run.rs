//! How is a run asked for, and followed? By the annotation that anybody may set, and by the trigger's status.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use ger_api::status::{Run as Recorded, RunPhase};
use ger_api::{ScheduleTrigger, TriggerStatus, WebhookTrigger};
use ger_core::job::RUN_ID;
use ger_core::names::TriggerKind;
use ger_core::plan::{FORCE, RUN_AT, RUN_SOURCES};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

use super::follow::Follower;
use super::{Error, Kind, Run, say};
use crate::clock::Clock;

/// The status is looked at this often.
const LOOK: Duration = Duration::from_millis(500);
/// A controller that runs has seen the annotation by then, unless a remote is slow.
const ANSWERED: Duration = Duration::from_mins(2);
/// What a run that did not end well and has no code of its own gives.
const FAILED: u8 = 1;

/// A trigger as it is read, whichever its kind.
pub(super) struct Found {
    kind: TriggerKind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) status: TriggerStatus,
    sources: Vec<String>,
    is_suspended: bool,
}

/// Reads a trigger of one kind, if it is there.
pub(super) trait Asked:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
{
    const KIND: TriggerKind;
    fn parts(self) -> (TriggerStatus, Vec<String>, bool);
}

impl Asked for ScheduleTrigger {
    const KIND: TriggerKind = TriggerKind::Schedule;

    fn parts(self) -> (TriggerStatus, Vec<String>, bool) {
        (self.status.unwrap_or_default(), self.spec.sources.names, self.spec.suspend)
    }
}

impl Asked for WebhookTrigger {
    const KIND: TriggerKind = TriggerKind::Webhook;

    fn parts(self) -> (TriggerStatus, Vec<String>, bool) {
        (self.status.unwrap_or_default(), self.spec.sources.names, self.spec.suspend)
    }
}

async fn read<K: Asked>(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Found>, Error> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let what = || format!("{} {name}", K::KIND);
    let found = api.get_opt(name).await;
    let found = found.map_err(|source| Error::Read { what: what(), source: Box::new(source) })?;
    Ok(found.map(|it| {
        let (status, sources, is_suspended) = it.parts();
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Found { kind: K::KIND, namespace, name, status, sources, is_suspended }
    }))
}

async fn find(client: &Client, asked: &Run) -> Result<Found, Error> {
    let namespace =
        asked.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let name = asked.name.clone();
    let schedule = match asked.kind {
        None | Some(Kind::Schedule) => read::<ScheduleTrigger>(client, &namespace, &name).await?,
        Some(Kind::Webhook) => None,
    };
    let webhook = match asked.kind {
        None | Some(Kind::Webhook) => read::<WebhookTrigger>(client, &namespace, &name).await?,
        Some(Kind::Schedule) => None,
    };
    match (schedule, webhook) {
        (Some(_), Some(_)) => Err(Error::Ambiguous { namespace, name }),
        (Some(found), None) | (None, Some(found)) => Ok(found),
        (None, None) => Err(Error::Missing { namespace, name }),
    }
}

async fn again(client: &Client, found: &Found) -> Result<TriggerStatus, Error> {
    let (namespace, name) = (&found.namespace, &found.name);
    let read = match found.kind {
        TriggerKind::Schedule => read::<ScheduleTrigger>(client, namespace, name).await?,
        TriggerKind::Webhook => read::<WebhookTrigger>(client, namespace, name).await?,
    };
    Ok(read.ok_or_else(|| Error::Gone { name: name.clone() })?.status)
}

/// Sets the annotations; what is not asked for is taken away, or an earlier wish would hold again.
async fn ask(client: &Client, found: &Found, asked: &Run, value: &str) -> Result<(), Error> {
    let force = asked.wishes.force.then_some("true");
    let sources = Some(asked.source.join(",")).filter(|it| !it.is_empty());
    let change = json!({ "metadata": { "annotations": {
        RUN_AT: value, FORCE: force, RUN_SOURCES: sources,
    }}});
    let (params, patch) = (PatchParams::default(), Patch::Merge(change));
    let patched = match found.kind {
        TriggerKind::Schedule => {
            let api: Api<ScheduleTrigger> = Api::namespaced(client.clone(), &found.namespace);
            api.patch(&found.name, &params, &patch).await.map(drop)
        }
        TriggerKind::Webhook => {
            let api: Api<WebhookTrigger> = Api::namespaced(client.clone(), &found.namespace);
            api.patch(&found.name, &params, &patch).await.map(drop)
        }
    };
    patched.map_err(|source| Error::Ask { name: found.name.clone(), source: Box::new(source) })
}

pub(super) async fn run(
    client: &Client,
    clock: &Clock,
    asked: &Run,
    out: &mut (dyn Write + Send),
) -> Result<u8, Error> {
    let found = find(client, asked).await?;
    if found.is_suspended {
        return Err(Error::Suspended { name: found.name });
    }
    if let Some(unknown) = asked.source.iter().find(|it| !found.sources.contains(it)) {
        let (name, known) = (found.name, found.sources.join(", "));
        return Err(Error::NoSource { name, source_name: unknown.clone(), known });
    }
    let value = clock.now().to_string();
    ask(client, &found, asked, &value).await?;

    let runs = requested(client, &found, &value).await?;
    for run in &runs {
        say(out, &format!("run {} of source {} is requested", run.id, run.source))?;
    }
    if !(asked.wishes.wait || asked.wishes.logs) {
        return Ok(0);
    }
    if runs.is_empty() {
        return Err(Error::Forgotten { name: found.name });
    }
    let mut following = Following {
        client,
        found: &found,
        asked,
        open: runs.into_iter().map(|it| (it.id.clone(), it)).collect(),
        said: BTreeSet::new(),
        logged: BTreeSet::new(),
        worst: 0,
    };
    following.until_the_end(out).await
}

/// The runs that the controller recorded for the annotation.
async fn requested(client: &Client, found: &Found, value: &str) -> Result<Vec<Recorded>, Error> {
    let begun = Instant::now();
    loop {
        let status = again(client, found).await?;
        if status.last_handled_run_at.as_deref() == Some(value) {
            // A call that came meanwhile has joined it.
            let is_its = |it: &Recorded| {
                it.occasion.as_deref() == Some(value)
                    || it.also_asked_by.iter().any(|it| it == value)
            };
            return Ok(status.runs.into_iter().filter(is_its).collect());
        }
        if begun.elapsed() >= ANSWERED {
            let (name, seconds) = (found.name.clone(), ANSWERED.as_secs());
            return Err(Error::Unanswered { name, seconds });
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Following<'a> {
    client: &'a Client,
    found: &'a Found,
    asked: &'a Run,
    /// The runs that have not ended, as they were last seen.
    open: BTreeMap<String, Recorded>,
    said: BTreeSet<(String, RunPhase)>,
    logged: BTreeSet<String>,
    worst: u8,
}

impl Following<'_> {
    /// Says each step of each run, and its worker's log, until all have ended.
    async fn until_the_end(&mut self, out: &mut (dyn Write + Send)) -> Result<u8, Error> {
        let begun = Instant::now();
        while !self.open.is_empty() {
            let status = again(self.client, self.found).await?;
            for (id, last) in self.open.clone() {
                match status.runs.iter().find(|it| it.id == id) {
                    Some(run) => self.step(run, out).await?,
                    None => self.forgotten(last, out).await?,
                }
            }
            if self.open.is_empty() {
                break;
            }
            if begun.elapsed() >= Duration::from_secs(self.asked.timeout) {
                let (name, seconds) = (self.found.name.clone(), self.asked.timeout);
                return Err(Error::Unfinished { name, seconds });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.worst)
    }

    /// Says what is new of one run.
    async fn step(&mut self, run: &Recorded, out: &mut (dyn Write + Send)) -> Result<(), Error> {
        let id = &run.id;
        if self.said.insert((id.clone(), run.phase)) {
            say(out, &line(run))?;
        }
        let has_begun = run.phase == RunPhase::Running || run.phase.is_final();
        if has_begun && run.job.is_some() {
            self.log(run, out).await?;
        }
        if run.phase.is_final() {
            self.open.remove(id);
            self.end(run).await;
        } else {
            self.open.insert(id.clone(), run.clone());
        }
        Ok(())
    }

    async fn log(&mut self, run: &Recorded, out: &mut (dyn Write + Send)) -> Result<(), Error> {
        if self.asked.wishes.logs && self.logged.insert(run.id.clone()) {
            self.follower(run).print(out).await?;
        }
        Ok(())
    }

    /// A run that the trigger no longer remembers is over: its Job tells how it ended, if it is still there.
    async fn forgotten(
        &mut self,
        last: Recorded,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Error> {
        let id = &last.id;
        self.open.remove(id);
        say(out, &format!("run {id} is over, and the trigger remembers no more of it"))?;
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.found.namespace);
        let listed = jobs.list(&ListParams::default().labels(&format!("{RUN_ID}={id}"))).await;
        let what = format!("the Job of run {id}");
        let listed = listed.map_err(|source| Error::Read { what, source: Box::new(source) })?;
        let conditions =
            listed.items.first().and_then(|it| it.status.as_ref()?.conditions.as_ref());
        let has_succeeded = conditions
            .into_iter()
            .flatten()
            .any(|it| it.type_ == "Complete" && it.status == "True");
        let phase = if has_succeeded { RunPhase::Succeeded } else { RunPhase::Failed };
        let run = Recorded { phase, ..last };
        self.log(&run, out).await?;
        self.end(&run).await;
        Ok(())
    }

    fn follower<'b>(&'b self, run: &'b Recorded) -> Follower<'b> {
        Follower { client: self.client, namespace: &self.found.namespace, run }
    }

    /// The first run that did not end well gives the exit code.
    async fn end(&mut self, run: &Recorded) {
        let code = match run.phase {
            RunPhase::Succeeded | RunPhase::Unchanged => 0,
            RunPhase::Failed => self.follower(run).exit_code().await.unwrap_or(FAILED),
            RunPhase::Requested
            | RunPhase::Pending
            | RunPhase::Queued
            | RunPhase::Running
            | RunPhase::Expired
            | RunPhase::Deleted
            | RunPhase::Skipped => FAILED,
        };
        if self.worst == 0 {
            self.worst = code;
        }
    }
}

/// A run's phase, as a line.
fn line(run: &Recorded) -> String {
    let commit = run.commit.as_ref().map(|it| format!(", commit {it}"));
    let job = run.job.as_ref().map(|it| format!(", job {it}"));
    let took = run.started_at.zip(run.finished_at);
    let took = took.map(|(from, to)| format!(", {} s", to.duration_since(from).as_secs()));
    let why = run.message.as_ref().map(|it| format!(": {it}"));
    let parts: String = [commit, job, took, why].into_iter().flatten().collect();
    format!("run {} of source {}: {:?}{parts}", run.id, run.source, run.phase)
}
