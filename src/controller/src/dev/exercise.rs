//! Is it all true? The world, unattended: pushes, crashes, handovers, cuts; every change runs once.

mod hooked;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::ListParams;
use tokio::time::Instant;

use super::executor::Finished;
use super::samples;
use super::screen::say;
use super::table::Table;
use super::world::{CLUSTERS, World};

/// What is waited for is looked at this often.
const LOOK: Duration = Duration::from_millis(20);

/// What came of a step: a word on what was seen, or what was not as it should be.
type Outcome = Result<String, String>;

/// What the exercise knows so far.
struct Exercise<'a> {
    world: &'a mut World,
    /// Every commit so far, and the clusters that must have run it.
    commits: Vec<String>,
    /// Jobs of edge-1 that were asked for by a webhook.
    hooked: usize,
    /// What the executors reported, by cluster and Job.
    reports: BTreeMap<(String, String), Finished>,
}

/// Runs every step and prints the table; says whether all of it was true.
pub(super) async fn run(world: &mut World) -> bool {
    let started = Instant::now();
    let mut table = Table::default();
    let mut exercise = Exercise { world, commits: Vec::new(), hooked: 0, reports: BTreeMap::new() };
    say("git-events-runner: the exercise\n\n");
    for number in 0..steps::COUNT {
        let began = Instant::now();
        let (name, outcome) = exercise.step(number).await;
        let row = table.add(name, began.elapsed(), outcome);
        say(&row);
        // What comes after a failed step proves nothing.
        if !table.has_passed() {
            break;
        }
    }
    say(&table.summary(started.elapsed()));
    table.has_passed()
}

impl Exercise<'_> {
    /// Pushes a commit to the sample repository.
    async fn push(&mut self) -> Result<String, String> {
        let number = self.commits.len();
        let text = format!("message {number}\n");
        let pushed =
            self.world.git.commit(samples::REPOSITORY, samples::FILE, &text, "change").await;
        let commit = pushed.map_err(|error| format!("cannot push: {error}"))?.to_string();
        self.commits.push(commit.clone());
        Ok(commit)
    }

    /// Waits until a commit has run in these clusters, each once, and every worker saw it.
    async fn has_run(&mut self, commit: &str, clusters: &[&str], limit: Duration) -> Outcome {
        let began = Instant::now();
        let end = began + limit;
        for cluster in clusters {
            while !self.has_run_in(cluster, commit, end).await? {
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(format!(
            "one Job in {} after {:.2} s",
            clusters.join(", "),
            began.elapsed().as_secs_f64()
        ))
    }

    /// Whether a cluster's one Job for a commit has ended well; a failure if it has not by `end`.
    async fn has_run_in(
        &mut self,
        cluster: &str,
        commit: &str,
        end: Instant,
    ) -> Result<bool, String> {
        self.take_reports();
        let is_late = Instant::now() >= end;
        match self.jobs(cluster, commit).await?.as_slice() {
            [job] if self.reports.contains_key(&(cluster.to_owned(), job.clone())) => {
                self.worker_saw(cluster, job, commit)?;
                Ok(true)
            }
            [] if is_late => Err(format!("{cluster}: no Job for {} in time", short(commit))),
            [job] if is_late => Err(format!("{cluster}: Job {job} did not end in time")),
            [] | [_] => Ok(false),
            many => Err(format!("{cluster}: {} Jobs for {}", many.len(), short(commit))),
        }
    }

    /// The Jobs that a cluster has for a commit, and a failure if more were ever created than there are
    /// commits: the API's record knows those that are gone, too.
    async fn jobs(&self, cluster: &str, commit: &str) -> Result<Vec<String>, String> {
        let site = self.world.site(cluster);
        let created = site.job_creations().len().saturating_sub(self.hooked_in(cluster));
        if created > self.commits.len() {
            return Err(format!(
                "{cluster}: {created} Jobs were created for {} commits",
                self.commits.len()
            ));
        }
        let jobs: Api<Job> = Api::namespaced(site.admin(), samples::NAMESPACE);
        let listed = jobs.list(&ListParams::default()).await;
        let listed = listed.map_err(|error| format!("{cluster}: cannot list Jobs: {error}"))?;
        let is_for = |job: &Job| {
            let annotations = job.metadata.annotations.as_ref();
            annotations
                .and_then(|it| it.get("git-events-runner.rs/commit"))
                .is_some_and(|it| it == commit)
        };
        Ok(listed.items.into_iter().filter(is_for).filter_map(|it| it.metadata.name).collect())
    }

    /// Whether the worker saw the new file and the right variables.
    fn worker_saw(&self, cluster: &str, job: &str, commit: &str) -> Result<(), String> {
        let Some(report) = self.reports.get(&(cluster.to_owned(), job.to_owned())) else {
            return Err(format!("{cluster}: nothing is known of Job {job}"));
        };
        let log = std::fs::read_to_string(&report.log).unwrap_or_default();
        if report.exit_code != 0 {
            return Err(format!("{cluster}: Job {job} ended with {}: {log}", report.exit_code));
        }
        let number = self.commits.iter().position(|it| it == commit).unwrap_or_default();
        let content = if number == 0 { "hello".to_owned() } else { format!("message {number}") };
        for expected in [format!("cluster={cluster}"), content] {
            if !log.contains(&expected) {
                return Err(format!(
                    "{cluster}: the worker did not print {expected:?} but {log:?}"
                ));
            }
        }
        let wanted = [
            ("ACTION_JOB_CLUSTER", cluster),
            ("ACTION_JOB_TRIGGER_NAMESPACE", samples::NAMESPACE),
            ("ACTION_JOB_TRIGGER_NAME", samples::REPOSITORY),
            ("ACTION_JOB_TRIGGER_KIND", "ScheduleTrigger"),
            ("ACTION_JOB_TRIGGER_SOURCE_NAME", samples::REPOSITORY),
            ("ACTION_JOB_TRIGGER_SOURCE_COMMIT", commit),
            ("ACTION_JOB_TRIGGER_SOURCE_REF_NAME", "main"),
            ("ACTION_JOB_TRIGGER_REASON", "Changed"),
        ];
        for (name, value) in wanted {
            let seen = report.env.get(name).map(String::as_str);
            if seen != Some(value) {
                return Err(format!("{cluster}: {name} is {seen:?} and not {value:?}"));
            }
        }
        if report.namespace != samples::NAMESPACE {
            return Err(format!("{cluster}: Job {job} ran in namespace {}", report.namespace));
        }
        Ok(())
    }

    fn take_reports(&mut self) {
        while let Ok(report) = self.world.finished.try_recv() {
            let Finished { cluster, job, .. } = &report;
            self.reports.insert((cluster.clone(), job.clone()), report);
        }
    }

    fn hooked_in(&self, cluster: &str) -> usize {
        if cluster == hooked::CLUSTER { self.hooked } else { 0 }
    }

    /// Every cluster has exactly as many Jobs as there were commits, by the API's record of creations.
    fn counts(&self) -> Outcome {
        for cluster in CLUSTERS {
            let created = self.world.site(cluster).job_creations().len();
            let Some(created) = created.checked_sub(self.hooked_in(cluster)) else {
                return Err(format!("{cluster}: a webhook that was accepted has no Job"));
            };
            if created != self.commits.len() {
                let commits = self.commits.len();
                return Err(format!(
                    "{cluster}: {created} Jobs were created for {commits} commits"
                ));
            }
        }
        Ok(format!("{} Jobs created in each cluster for as many commits", self.commits.len()))
    }
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}
