//! Does a webhook that was accepted become its run, once, whatever happens; and is everything else refused?

mod attacks;
mod crowd;
mod floods;
mod forges;
mod rules;
mod timing;
mod troubles;

use e2e::objects::secret;
use e2e::{Fleet, Repo, Step, hook, mins, post, secs, story};
use ger_api::status::{RunPhase, RunReason};
use ger_core::names::TriggerKey;
use kube_sandbox::FaultKind;

const SECRET: &str = "it is known to the forge and to us";

/// Where `deploy` of the hub is called for its source `app`.
const DEPLOY: &str = "/apps/deploy/app";

/// A replica, and a trigger of the hub that GitHub may call for the repository `app`.
struct Ground {
    fleet: Fleet,
    repo: Repo,
    key: TriggerKey,
}

impl Ground {
    async fn of(fleet: Fleet) -> Self {
        let repo = fleet.repo("app");
        fleet.hub().put(&secret("forge", "token", SECRET)).await;
        let key =
            fleet.hub().apply(&hook("deploy").known_by("github", "forge").watching(&repo)).await;
        let ground = Self { fleet, repo, key };
        ground.is_known().await;
        ground
    }

    async fn new() -> Self {
        Self::of(Fleet::builder().start().await).await
    }

    /// Waits until the trigger is in the stores of the first replica.
    async fn is_known(&self) {
        let is_known = async || {
            let told = self.fleet.called(&post(DEPLOY)).await;
            (told.code != 404).then_some(())
        };
        self.fleet.until(secs(30), "the trigger is known", is_known).await;
    }

    /// The push of the repository's head, as GitHub reports it.
    fn push(&self, delivery: &str) -> e2e::Call {
        let head = self.repo.head("main").unwrap();
        post(DEPLOY).github_push("refs/heads/main", head.as_str(), delivery).signed(SECRET)
    }

    /// The ledger stands where it stood before a delivery was refused; delivered again, the push runs once.
    async fn is_taken_again(&self, delivery: &str, before: i64) {
        let (hub, head) = (self.fleet.hub(), self.repo.head("main").unwrap());
        assert_eq!(hub.status(&self.key).await.sequence, before, "nothing was recorded");
        let told = self.fleet.called(&self.push(delivery)).await;
        assert_eq!(told.code, 202, "{told:?}");
        hub.until_phase(&self.key, told.run(), RunPhase::Succeeded).await;
        assert_eq!(hub.jobs_for(&head).await.len(), 1);
    }
}

/// Law 2: what is accepted is recorded, and what is recorded runs.
#[test]
fn a_push_that_is_accepted_runs_once() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        assert!(hub.jobs().await.is_empty(), "nobody has called");

        let commit = it.repo.push();
        let told = it.fleet.called(&it.push("delivery-1")).await;

        assert_eq!((told.code, told.word()), (202, "ok"), "{told:?}");
        let run = hub.until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
        assert_eq!(run.commit.as_deref(), Some(commit.as_str()));
        assert_eq!((run.reason, run.occasion.as_deref()), (RunReason::Webhook, Some("delivery-1")));
        it.fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs().await.len(), 1);
    });
}

/// The path names any cluster: one ingress serves the fleet.
#[test]
fn a_spoke_s_trigger_is_called_through_the_hub_and_its_secret_stays_there() {
    story!(Virtual, async {
        let fleet = Fleet::builder().spokes(["east"]).start().await;
        let (east, repo) = (fleet.spoke("east"), fleet.repo("app"));
        east.put(&secret("forge", "token", SECRET)).await;
        // A Secret of the same name on the hub is another one.
        fleet.hub().put(&secret("forge", "token", "the hub's")).await;
        let key = east.apply(&hook("deploy").known_by("github", "forge").watching(&repo)).await;
        let path = "/clusters/east/apps/deploy/app";
        let commit = repo.head("main").unwrap();
        let push = post(path).github_push("refs/heads/main", commit.as_str(), "d-1");
        let is_known = async || (fleet.called(&post(path)).await.code != 404).then_some(());
        fleet.until(secs(30), "the trigger is known", is_known).await;

        let wrong = fleet.called(&push.clone().signed("the hub's")).await;
        let told = fleet.called(&push.signed(SECRET)).await;

        assert_eq!((wrong.code, told.code), (403, 202));
        east.until_phase(&key, told.run(), RunPhase::Succeeded).await;
        assert_eq!(east.jobs_for(&commit).await.len(), 1);
        assert!(fleet.hub().jobs().await.is_empty(), "nothing crosses from one cluster to another");
    });
}

/// Law 1: however many replicas hear of a delivery, it is one run.
#[test]
fn two_replicas_that_receive_one_delivery_at_once_make_one_run() {
    story!(Virtual, async {
        let it = Ground::of(Fleet::builder().replicas(2).start().await).await;
        let knows =
            async || (it.fleet.call("replica-2", &post(DEPLOY)).await.code != 404).then_some(());
        it.fleet.until(secs(30), "the other replica knows it too", knows).await;
        let commit = it.repo.push();
        let push = it.push("delivery-1");

        let (one, other) =
            futures::join!(it.fleet.call("replica-1", &push), it.fleet.call("replica-2", &push),);

        let mut codes = [one.code, other.code];
        codes.sort_unstable();
        assert_eq!(codes, [200, 202]);
        assert_eq!(one.run(), other.run());
        it.fleet.hub().until_phase(&it.key, one.run(), RunPhase::Succeeded).await;
        it.fleet.pass(mins(2)).await;
        assert_eq!(it.fleet.hub().jobs_for(&commit).await.len(), 1);
        assert_eq!(it.fleet.hub().status(&it.key).await.sequence, 1);
    });
}

/// Law 2: a replica that answered 202 need not live to see what it promised.
#[test]
fn the_replica_that_answered_is_killed_and_the_job_appears_once() {
    story!(Virtual, async {
        let it = Ground::of(Fleet::builder().replicas(3).start().await).await;
        let hub = it.fleet.hub();
        // Whoever receives it also owns it: nobody else would go on with it at once.
        let owner = it.fleet.owner_of(&it.key).await;
        let knows = async || (it.fleet.call(&owner, &post(DEPLOY)).await.code != 404).then_some(());
        it.fleet.until(secs(30), "the owner knows it", knows).await;
        let commit = it.repo.push();

        let told = it.fleet.call(&owner, &it.push("delivery-1")).await;
        it.fleet.kill(&owner).await;

        assert_eq!(told.code, 202);
        assert!(hub.jobs().await.is_empty(), "it was killed before it created the Job");
        hub.job_for(&commit, secs(45)).await;
        hub.until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
        it.fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// A replica that dies between the write and the answer has recorded all the same; the next delivery of
/// the same is no second run.
#[test]
fn a_call_whose_answer_never_came_is_found_by_the_next() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.fleet.lose_answer("replica-1", Step::RunRequested);
        let commit = it.repo.push();

        let told = it.fleet.called(&it.push("delivery-1")).await;

        it.fleet.sprung("replica-1", Step::RunRequested).await;
        assert_eq!(told.code, 202, "it looked, and found that it was written: {told:?}");
        it.fleet.hub().until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
        it.fleet.pass(mins(1)).await;
        assert_eq!(it.fleet.hub().jobs_for(&commit).await.len(), 1);
        assert_eq!(it.fleet.hub().status(&it.key).await.sequence, 1);
    });
}

/// A cluster that does not answer accepts nothing; the forge's next try is taken.
#[test]
fn a_cluster_that_is_down_answers_503_and_a_redelivery_works() {
    story!(Virtual, async {
        let fleet = Fleet::builder().spokes(["east"]).start().await;
        let (east, repo) = (fleet.spoke("east"), fleet.repo("app"));
        let key = east.apply(&hook("deploy").watching(&repo)).await;
        let commit = repo.head("main").unwrap();
        let path = "/clusters/east/apps/deploy/app";
        let push = post(path).github_push("refs/heads/main", commit.as_str(), "d-1");
        let is_known = async || {
            let probe = post("/clusters/east/apps/deploy").header("x-github-event", "ping");
            (fleet.called(&probe).await.code != 404).then_some(())
        };
        fleet.until(secs(30), "the trigger is known", is_known).await;
        fleet.cut_off("east");

        let at_once = fleet.called(&push).await;
        fleet.pass(mins(5)).await;
        let later = fleet.called(&push).await;

        for told in [&at_once, &later] {
            assert_eq!((told.code, told.word()), (503, "error"), "{told:?}");
            assert!(told.header("retry-after").is_some());
        }
        fleet.mend("east");
        east.connected().await;
        assert_eq!(east.status(&key).await.sequence, 0, "nothing was recorded");
        let again = fleet.called(&push).await;
        assert_eq!(again.code, 202);
        east.until_phase(&key, again.run(), RunPhase::Succeeded).await;
        assert_eq!(east.jobs().await.len(), 1);
    });
}

/// What an API refuses for the moment is tried again; what it goes on refusing is not accepted.
#[test]
fn an_api_that_answers_409_429_or_500_loses_nothing_that_was_accepted() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        hub.fault(&FaultKind::Conflict { resource: "webhooktriggers".to_owned(), times: 3 });
        it.repo.push();
        let after_conflicts = it.fleet.called(&it.push("d-1")).await;
        assert_eq!(after_conflicts.code, 202, "{after_conflicts:?}");
        hub.until_phase(&it.key, after_conflicts.run(), RunPhase::Succeeded).await;

        for code in [429, 500] {
            it.fleet.mend("hub");
            hub.connected().await;
            let before = hub.status(&it.key).await.sequence;
            it.repo.push();
            let delivery = format!("d-{code}");
            hub.fault(&FaultKind::Unavailable(code));
            let refused = it.fleet.called(&it.push(&delivery)).await;
            assert_eq!(refused.code, 500, "{refused:?}");
            assert!(!refused.message().contains("Unavailable"), "{refused:?}");

            it.fleet.mend("hub");
            hub.connected().await;
            it.is_taken_again(&delivery, before).await;
        }
    });
}

/// A trigger that goes takes what nobody has started along, and is not found any more.
#[test]
fn a_trigger_that_is_deleted_mid_way_runs_nothing_more() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        it.repo.slow_once(secs(20));
        it.repo.push();
        let told = it.fleet.called(&it.push("d-1")).await;
        assert_eq!(told.code, 202);

        it.fleet.pass(secs(5)).await;
        hub.delete_trigger(&it.key).await;
        it.fleet.pass(mins(1)).await;

        assert!(hub.jobs().await.is_empty());
        assert_eq!(it.fleet.called(&it.push("d-2")).await.code, 404);
        // Another one of the same name is another one.
        hub.apply(&hook("deploy").known_by("github", "forge").watching(&it.repo)).await;
        it.is_known().await;
        it.fleet.pass(mins(1)).await;
        assert!(hub.jobs().await.is_empty(), "nobody has called this one");
    });
}

/// Calls that come while one is being written share the next write.
#[test]
fn many_calls_at_once_share_their_writes() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        hub.fault(&FaultKind::Latency(std::time::Duration::from_millis(50)));
        let commit = it.repo.push();
        let before = hub.writes().len();

        let calls: Vec<_> = (0..200).map(|it_is| it.push(&format!("d-{it_is}"))).collect();
        let told = futures::future::join_all(calls.iter().map(|call| it.fleet.called(call))).await;

        assert!(told.iter().all(|it| it.code == 202), "{told:?}");
        assert!(told.iter().all(|it| it.run() == told[0].run()), "one request for the source");
        hub.done_for(&commit, secs(60)).await;
        it.fleet.pass(mins(1)).await;
        assert!(hub.status(&it.key).await.runs.iter().all(|it| it.phase.is_final()));
        let writes = hub.writes().len() - before;
        assert!(writes < 30, "{writes} writes for 200 calls and a Job");
        assert_eq!(hub.jobs_for(&commit).await.len(), 1);
    });
}

/// Where every call runs, ten wait at the most; and what was refused was not recorded.
#[test]
fn an_eleventh_unfinished_run_of_a_source_is_refused_with_429() {
    story!(Virtual, async {
        let fleet = Fleet::builder().max_running(0).start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let key = hub.apply(&hook("deploy").always().watching(&repo)).await;
        let is_known = async || {
            let probe = post(DEPLOY).header("x-github-event", "ping");
            (fleet.called(&probe).await.code == 200).then_some(())
        };
        fleet.until(secs(30), "the trigger is known", is_known).await;

        for _ in 0..10 {
            assert_eq!(fleet.called(&post(DEPLOY)).await.code, 202);
        }
        let told = fleet.called(&post(DEPLOY)).await;

        assert_eq!((told.code, told.word()), (429, "error"), "{told:?}");
        assert!(told.header("retry-after").is_some());
        assert_eq!(hub.status(&key).await.sequence, 10);
    });
}

/// B9: hosts send webhooks before all of their replicas know the commit.
#[test]
fn b9_a_webhook_that_is_faster_than_the_remote_loses_no_commit() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        let first = it.fleet.called(&it.push("d-1")).await;
        hub.until_phase(&it.key, first.run(), RunPhase::Succeeded).await;

        let old = it.repo.head("main").unwrap();
        let new = it.repo.push();
        let push = it.push("d-2");
        it.repo.rewind(&old);
        let told = it.fleet.called(&push).await;
        it.fleet.pass(secs(8)).await;
        assert_eq!(hub.jobs().await.len(), 1, "the remote does not have it yet");
        it.repo.rewind(&new);

        let run = hub.until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
        assert_eq!(run.commit.as_deref(), Some(new.as_str()));
        assert_eq!(hub.jobs_for(&new).await.len(), 1);
    });
}

/// B9: an answer that was on its way when a hook came tells nothing of what the hook is about.
#[test]
fn b9_a_hook_during_a_check_is_checked_for_again() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        it.repo.slow_once(secs(5));
        let first = it.repo.push();
        let told = it.fleet.called(&it.push("d-1")).await;
        it.fleet.pass(secs(1)).await;
        let second = it.repo.push();
        let also = it.fleet.called(&it.push("d-2")).await;

        assert_eq!((told.code, also.code), (202, 202));
        hub.done_for(&second, secs(60)).await;
        it.fleet.pass(mins(1)).await;
        assert!(hub.jobs_for(&first).await.len() <= 1);
        assert_eq!(hub.jobs_for(&second).await.len(), 1);
        assert!(hub.status(&it.key).await.runs.iter().all(|it| it.phase.is_final()));
    });
}

/// A commit in a payload is a hint: the run is for what the remote says.
#[test]
fn a_commit_that_a_payload_makes_up_is_never_run() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        let real = it.repo.push();
        let made_up = "d".repeat(40);
        let call = post(DEPLOY).github_push("refs/heads/main", &made_up, "d-1").signed(SECRET);

        let told = it.fleet.called(&call).await;

        let run = hub.until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
        assert_eq!(run.commit.as_deref(), Some(real.as_str()));
        let again = it.fleet.called(&call).await;
        hub.until_phase(&it.key, again.run(), RunPhase::Unchanged).await;
        it.fleet.pass(mins(2)).await;
        assert_eq!(hub.jobs().await.len(), 1);
        assert!(it.repo.requests() < 40, "it is not asked for ever: {}", it.repo.requests());
    });
}
