//! What is wrong is said clearly and once, harms nobody, and once mended nothing was lost.

use e2e::objects::{APPS, Trigger, guarded_git_repo, secret};
use e2e::{Cluster, Failure, Fleet, Repo, action, git_repo, hours, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::{Commit, TriggerKey};
use serde_json::{Value, json};

/// In 15 minutes: a tick every 10 s, the retries between them, and some.
const MOST_TURNS: u64 = 90 + 20 + 20;

/// A fleet with a trigger that is in order, beside the one that is not.
struct Ground {
    fleet: Fleet,
    hub: Cluster,
    repo: Repo,
    neighbour: Repo,
}

impl Ground {
    async fn new() -> Self {
        let fleet = Fleet::builder().start().await;
        let (hub, repo, neighbour) = (fleet.hub(), fleet.repo("app"), fleet.repo("neighbour"));
        let first = neighbour.push();
        hub.apply(&trigger("neighbour").watching(&neighbour)).await;
        hub.done_for(&first, secs(30)).await;
        Self { fleet, hub, repo, neighbour }
    }

    /// Waits until the trigger says what is wrong, and sees that over many retries it is said once, that
    /// nothing runs, and that the neighbour does.
    async fn says(&self, key: &TriggerKey, kind: &str, reason: &str) -> String {
        let status = if kind == "Stalled" { "True" } else { "False" };
        self.hub.until_condition(key, (kind, status, reason)).await;
        let ready = self.hub.until_condition(key, ("Ready", "False", reason)).await;
        let commit = self.neighbour.push();
        self.hub.done_for(&commit, secs(30)).await;
        let turns = self.fleet.turns(key);
        // Retries come at most 2 minutes apart.
        self.fleet.pass(mins(15)).await;
        let turns = self.fleet.turns(key) - turns;
        assert!(turns <= MOST_TURNS, "{turns} turns in 15 minutes");

        self.hub.until_condition(key, ("Ready", "False", reason)).await;
        let events = self.hub.events(reason).await;
        assert_eq!(events.len(), 1, "said once, over many retries: {events:#?}");
        assert_eq!(events[0].type_.as_deref(), Some("Warning"));
        assert_eq!(events[0].involved_object.name.as_ref(), Some(&key.name));
        assert_eq!(self.hub.started_for(&self.head()).await.len(), 0);
        ready.message
    }

    /// The change that nothing may lose.
    fn head(&self) -> Commit {
        self.repo.head("main").unwrap()
    }

    /// What was wrong is mended: the change runs, once, and the trigger says that all is well.
    async fn runs_once(&self, key: &TriggerKey) {
        let commit = self.head();
        self.hub.until_run(key, &commit, RunPhase::Succeeded).await;
        self.hub.until_condition(key, ("Ready", "True", "Watching")).await;
        self.fleet.pass(mins(5)).await;
        assert_eq!(self.hub.started_for(&commit).await.len(), 1);
    }
}

/// A source that is not there is waited for.
#[test]
fn a_missing_source_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.hub.put(&action("run")).await;
        let deploy = it.hub.apply(&trigger("deploy").named("app").alone()).await;

        let message = it.says(&deploy, "SourcesReachable", "SourceMissing").await;
        assert!(message.contains("app") && message.contains("create it"), "{message}");

        it.hub.put(&git_repo(&it.repo)).await;
        it.runs_once(&deploy).await;
    });
}

/// A remote that does not answer is retried.
#[test]
fn an_unreachable_remote_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.repo.fail(Failure::Silent);
        let deploy = it.hub.apply(&trigger("deploy").watching(&it.repo)).await;

        let message = it.says(&deploy, "SourcesReachable", "Unreachable").await;
        assert!(message.contains("git.test"), "{message}");

        it.repo.mend();
        it.runs_once(&deploy).await;
    });
}

/// A remote that asks to be left alone is, and is asked again.
#[test]
fn a_remote_that_is_busy_is_left_alone() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.repo.fail(Failure::Status(429, Some(mins(10))));
        let deploy = it.hub.apply(&trigger("deploy").watching(&it.repo)).await;
        let asked = async || (it.repo.requests() > 0).then_some(());
        it.fleet.until(secs(30), "it is asked", asked).await;

        let before = it.repo.requests();
        it.fleet.pass(mins(9)).await;
        assert_eq!(it.repo.requests(), before, "it asked for ten minutes");

        it.repo.mend();
        let commit = it.head();
        it.hub.done_for(&commit, mins(5)).await;
        it.runs_once(&deploy).await;
    });
}

/// Wrong credentials are named, and the right ones are taken from the Secret as soon as they are there.
#[test]
fn an_unauthorised_remote_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.repo.guard("Bearer right");
        it.hub.put(&secret("token", "token", "Bearer wrong-8fd1")).await;
        it.hub.put(&guarded_git_repo(&it.repo, "token")).await;
        it.hub.put(&action("run")).await;
        let deploy = it.hub.apply(&trigger("deploy").named("app").alone()).await;

        let message = it.says(&deploy, "SourcesReachable", "Unauthorized").await;
        assert!(message.contains("git.test") && !message.contains("8fd1"), "{message}");

        it.hub.put(&secret("token", "token", "Bearer right")).await;
        it.runs_once(&deploy).await;
    });
}

/// A Secret that is not there is waited for.
#[test]
fn missing_credentials_are_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.repo.guard("Bearer right");
        it.hub.put(&guarded_git_repo(&it.repo, "token")).await;
        it.hub.put(&action("run")).await;
        let deploy = it.hub.apply(&trigger("deploy").named("app").alone()).await;

        let message = it.says(&deploy, "SourcesReachable", "CredentialsMissing").await;
        assert!(message.contains("token") && message.contains(APPS), "{message}");

        it.hub.put(&secret("token", "token", "Bearer right")).await;
        it.runs_once(&deploy).await;
    });
}

/// A branch that is not there may come.
#[test]
fn a_missing_reference_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let deploy = it.hub.apply(&trigger("deploy").branch("next").watching(&it.repo)).await;

        let message = it.says(&deploy, "SourcesReachable", "ReferenceNotFound").await;
        assert!(message.contains("next"), "{message}");

        let commit = it.repo.push_to("next");
        it.hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
        it.fleet.pass(mins(5)).await;
        assert_eq!(it.hub.started_for(&commit).await.len(), 1);
    });
}

/// Who corrects a reference does not wait until the wrong one would have been asked for again.
#[test]
fn an_edited_reference_is_asked_for_at_once() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let deploy = it.hub.apply(&trigger("deploy").branch("mian").watching(&it.repo)).await;
        it.says(&deploy, "SourcesReachable", "ReferenceNotFound").await;
        it.fleet.pass(mins(10)).await;

        let right = json!({ "branch": "main" });
        let mended = json!({ "spec": { "sources": { "watchOn": { "reference": right } } } });
        it.hub.edit(&deploy, &mended).await;

        it.hub.done_for(&it.head(), secs(10)).await;
    });
}

/// A run waits for its Action; after its waiting time the source is due again, and nothing is lost.
#[test]
fn a_missing_action_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let deploy = it.hub.apply(&trigger("deploy").watching(&it.repo).running("later")).await;
        let commit = it.head();
        it.hub.until_run(&deploy, &commit, RunPhase::Pending).await;

        let condition = it.hub.until_condition(&deploy, ("Ready", "False", "ActionMissing")).await;
        assert!(condition.message.contains("later"), "{}", condition.message);
        let other = it.neighbour.push();
        it.hub.done_for(&other, secs(30)).await;
        it.fleet.pass(mins(4)).await;
        assert_eq!(it.hub.events("ActionMissing").await.len(), 1, "said once, over many retries");
        assert_eq!(it.hub.jobs_for(&commit).await.len(), 0);

        it.hub.put(&action("later")).await;
        it.runs_once(&deploy).await;
    });
}

/// An Action that comes after the run's waiting time still finds the change.
#[test]
fn an_action_that_comes_late_finds_the_change() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let deploy = it.hub.apply(&trigger("deploy").watching(&it.repo).running("later")).await;
        let commit = it.head();
        it.hub.until_run(&deploy, &commit, RunPhase::Pending).await;

        it.fleet.pass(hours(1)).await;
        assert_eq!(it.hub.events("ActionMissing").await.len(), 1, "said once, over many retries");
        it.hub.put(&action("later")).await;

        it.runs_once(&deploy).await;
    });
}

fn mended() -> Value {
    json!({ "spec": { "schedule": { "interval": "10s", "cron": null } } })
}

async fn is_refused_until(
    it: &Ground,
    key: &TriggerKey,
    (reason, says): (&str, &[&str]),
    mended: &Value,
) {
    let asked = it.repo.requests();
    let message = it.says(key, "Stalled", reason).await;
    assert!(says.iter().all(|it| message.contains(it)), "{message}");
    assert_eq!(it.repo.requests(), asked, "nothing is asked half-understood");

    it.hub.edit(key, mended).await;
    it.runs_once(key).await;
}

/// What is no duration is refused where that can be; one that an older schema let through is named.
#[test]
fn an_interval_that_is_none_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let wrong = trigger("deploy").every("x").watching(&it.repo);
        let refused = it.hub.try_apply(&wrong).await.unwrap_err();
        assert!(refused.contains("interval must be a duration"), "{refused}");

        it.hub.install_crds_without_rules().await;
        let key = it.hub.apply(&wrong).await;
        it.hub.install_crds().await;

        is_refused_until(&it, &key, ("InvalidSchedule", &["interval"]), &mended()).await;
    });
}

/// What would ask all the time is refused.
#[test]
fn an_interval_that_is_too_short_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let key = it.hub.apply(&trigger("deploy").every("100ms").watching(&it.repo)).await;
        is_refused_until(&it, &key, ("InvalidSchedule", &["100ms"]), &mended()).await;
    });
}

/// A cron that never fires is a mistake, not a schedule.
#[test]
fn a_cron_that_never_matches_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let key = it.hub.apply(&trigger("deploy").cron("0 0 30 2 *").watching(&it.repo)).await;
        is_refused_until(&it, &key, ("InvalidSchedule", &["cron"]), &mended()).await;
    });
}

/// A pattern that selects nothing by its form is a mistake, and nothing runs half-understood.
#[test]
fn a_file_pattern_that_is_none_is_named() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let patterned: Trigger = trigger("deploy").files(&["docs/\u{7}"]).watching(&it.repo);
        let key = it.hub.apply(&patterned).await;
        let mended = json!({ "spec": { "sources": { "watchOn": { "files": null } } } });
        is_refused_until(&it, &key, ("InvalidFiles", &["docs"]), &mended).await;
    });
}
