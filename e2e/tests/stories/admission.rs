//! How many Jobs run at once, which one is next, and what becomes of one that waited too long?

use e2e::objects::{ACTION, APPS, secret};
use e2e::{Cluster, Fleet, Repo, Step, Work, action, git_repo, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::Commit;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

/// Makes a source of `repo` whose credentials are a GitHub App.
pub(crate) async fn of_app(cluster: &Cluster, repo: &Repo) {
    let mut app = secret("git", "appPrivateKey", "key");
    app["stringData"]["appId"] = "1".into();
    app["stringData"]["apiUrl"] = "https://git.example.org/api/v3".into();
    app["stringData"]["installationId"] = "2".into();
    cluster.put(&app).await;
    let mut source = git_repo(repo);
    let auth = json!({ "type": "githubApp", "secretRef": { "name": "git" } });
    source["spec"]["authConfig"] = auth;
    cluster.put(&action(ACTION)).await;
    cluster.put(&source).await;
}

/// The token in the copy that a Job is given.
async fn token(cluster: &Cluster, job: &str) -> String {
    let copy = Api::<Secret>::namespaced(cluster.admin(), APPS).get(job).await.unwrap();
    String::from_utf8(copy.data.unwrap()["password"].0.clone()).unwrap()
}

/// Applies triggers, each with a repository of its own, one after the other.
async fn queue(fleet: &Fleet, cluster: &Cluster, count: usize) -> Vec<Commit> {
    let mut commits = Vec::new();
    for number in 0..count {
        let name = format!("app-{number:02}");
        let repo = fleet.repo(&name);
        let commit = repo.push();
        let key = cluster.apply(&trigger(&name).every("5s").watching(&repo)).await;
        cluster.job_for(&commit, secs(30)).await;
        let queued = async || {
            let runs = cluster.status(&key).await.runs;
            runs.iter().any(|it| it.phase >= RunPhase::Queued).then_some(())
        };
        cluster.until(secs(30), "its run is queued", queued).await;
        commits.push(commit);
    }
    commits
}

/// `maxRunningJobs` holds for a cluster, whoever admits and however often that changes.
#[test]
fn never_more_than_the_limit_run_at_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(3).max_running(2).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        let commits = queue(&fleet, &hub, 6).await;
        let two = async || (hub.kubelet().most_at_once() == 2).then_some(());
        hub.until(secs(30), "two run", two).await;

        // A new owner must count what the old one started.
        for _ in 0..2 {
            let admits = fleet.admits("hub").await;
            fleet.kill(&admits).await;
            fleet.start_replica();
            fleet.settled().await;
            fleet.pass(secs(30)).await;
        }
        hub.work(Work::Succeeds(secs(10)));

        for commit in &commits {
            hub.done_for(commit, mins(3)).await;
            assert_eq!(hub.jobs_for(commit).await.len(), 1);
        }
        assert_eq!(hub.kubelet().most_at_once(), 2);
    });
}

/// A crash between the start and its answer frees no slot.
#[test]
fn a_start_that_nobody_heard_of_counts() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).max_running(1).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        let admits = fleet.admits("hub").await;
        fleet.crash(&admits, Step::JobStarted);
        let repo = fleet.repo("app");
        let commit = repo.push();
        hub.apply(&trigger("deploy").every("5s").watching(&repo)).await;
        fleet.sprung(&admits, Step::JobStarted).await;
        hub.job_for(&commit, secs(10)).await;

        queue(&fleet, &hub, 2).await;
        fleet.pass(mins(2)).await;

        assert_eq!(hub.kubelet().most_at_once(), 1);
    });
}

/// What waits is started in the order in which it came.
#[test]
fn what_waits_starts_oldest_first() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        let repo = fleet.repo("app");
        repo.push();
        let deploy = hub.apply(&trigger("deploy").every("2s").watching(&repo)).await;
        let mut commits = Vec::new();
        for _ in 0..4 {
            let commit = repo.push();
            hub.job_for(&commit, secs(20)).await;
            let queued = async || {
                let runs = hub.status(&deploy).await.runs;
                let is_it = |id: &Option<String>| id.as_deref() == Some(commit.as_str());
                runs.iter()
                    .any(|it| is_it(&it.commit) && it.phase >= RunPhase::Queued)
                    .then_some(())
            };
            hub.until(secs(20), "its run is queued", queued).await;
            commits.push(commit);
        }
        hub.work(Work::Succeeds(secs(2)));
        hub.done_for(commits.last().unwrap(), mins(1)).await;

        let mut starts = Vec::new();
        for commit in &commits {
            let jobs = hub.jobs_for(commit).await;
            assert_eq!(jobs.len(), 1);
            starts.push(jobs[0].started.unwrap());
        }
        assert!(starts.is_sorted(), "{starts:?}");
        assert_eq!(hub.kubelet().most_at_once(), 1);
    });
}

/// A change is never forgotten because a queue was long: an expired run's source is due again.
#[test]
fn an_expired_change_runs_later() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).waiting(secs(30)).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        let (busy, repo) = (fleet.repo("busy"), fleet.repo("app"));
        let first = busy.push();
        hub.apply(&trigger("busy").watching(&busy)).await;
        hub.job_for(&first, secs(30)).await;
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.until_run(&deploy, &commit, RunPhase::Queued).await;

        hub.until_run(&deploy, &commit, RunPhase::Expired).await;
        hub.work(Work::Succeeds(secs(1)));

        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        fleet.pass(mins(2)).await;
        assert_eq!(hub.started_for(&commit).await.len(), 1);
    });
}

/// Limit 0 starts nothing, and nobody's waiting time runs.
#[test]
fn nothing_starts_and_nothing_expires_while_the_limit_is_zero() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(0).waiting(secs(30)).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.until_run(&deploy, &commit, RunPhase::Queued).await;

        fleet.pass(mins(10)).await;

        let jobs = hub.jobs_for(&commit).await;
        assert_eq!((jobs.len(), jobs[0].started, jobs[0].is_gone), (1, None, false));
        hub.until_run(&deploy, &commit, RunPhase::Queued).await;
    });
}

/// A queue of one cluster is none of another's business.
#[test]
fn the_limit_is_each_clusters_own() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).spokes(["east"]).start().await;
        let (hub, east) = (fleet.hub(), fleet.spoke("east"));
        hub.work(Work::Lasts);
        queue(&fleet, &hub, 3).await;
        let repo = fleet.repo("app");
        let commit = repo.push();

        east.apply(&trigger("deploy").watching(&repo)).await;

        east.done_for(&commit, secs(30)).await;
        assert_eq!(hub.kubelet().most_at_once(), 1);
    });
}

/// A token lives for an hour: one that was minted when the Job was made may be dead when its turn comes.
#[test]
fn a_job_that_waited_long_starts_with_a_new_token_or_not_at_all() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(1).waiting(mins(600)).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        // Unless its Action says otherwise, a Job that lasts is ended after an hour.
        let mut long = action("long");
        long["spec"]["actionJob"] = json!({ "activeDeadlineSeconds": 7200 });
        hub.put(&long).await;
        let (busy, repo) = (fleet.repo("busy"), fleet.repo("app"));
        let (before, commit) = (busy.push(), repo.push());
        let holds = hub.apply(&trigger("busy").running("long").watching(&busy)).await;
        hub.until_run(&holds, &before, RunPhase::Running).await;
        of_app(&hub, &repo).await;
        let deploy = hub.apply(&trigger("deploy").every("1h").named("app").alone()).await;
        let run = hub.until_run(&deploy, &commit, RunPhase::Queued).await;
        let job = run.job.unwrap();
        let first = token(&hub, &job).await;
        fleet.pass(mins(70)).await;

        // Its turn comes while the App is given none: it waits, says why, and holds up nobody.
        fleet.host().give_no_tokens();
        hub.work(Work::Succeeds(secs(1)));
        let said = async || {
            let events = hub.events("GithubAppUnreachable").await;
            let is_it = |it: &Option<String>| {
                it.as_deref().is_some_and(|it| it.contains("waits for a new token"))
            };
            events.iter().any(|it| is_it(&it.message)).then_some(())
        };
        hub.until(mins(2), "somebody says that it waits", said).await;
        let other = fleet.repo("other");
        let others = other.push();
        hub.apply(&trigger("other").every("5s").watching(&other)).await;
        hub.done_for(&others, mins(1)).await;
        fleet.pass(mins(5)).await;
        assert!(hub.started_for(&commit).await.is_empty());
        assert_eq!(token(&hub, &job).await, first);

        fleet.host().give_tokens();
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        assert_eq!(token(&hub, &job).await, fleet.host().app_token());
        assert_ne!(fleet.host().app_token(), first);
    });
}

/// A Pod may wait for a node: the token that it is given, whoever it was minted for, is good for half an hour.
#[test]
fn a_job_is_given_a_token_that_lasts_for_half_an_hour() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        of_app(&hub, &repo).await;
        let deploy = hub.apply(&trigger("deploy").every("1m").named("app").alone()).await;
        let job = async |commit: &Commit| {
            hub.until_run(&deploy, commit, RunPhase::Succeeded).await.job.unwrap()
        };
        let first = token(&hub, &job(&commit).await).await;

        // Good for checks, and for a clone at once.
        fleet.pass(mins(37)).await;
        assert_eq!(fleet.host().app_token(), first);
        let commit = repo.push();

        let second = token(&hub, &job(&commit).await).await;
        assert_ne!(second, first);
        assert_eq!(second, fleet.host().app_token());
    });
}

/// Where the token is young, nothing is written twice.
#[test]
fn a_job_that_starts_at_once_keeps_its_token() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        of_app(&hub, &repo).await;
        let deploy = hub.apply(&trigger("deploy").named("app").alone()).await;

        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        let copies = hub.writes().into_iter().filter(|it| it.resource == "secrets");
        assert_eq!(copies.count(), 1);
    });
}
