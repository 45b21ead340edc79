//! What others were bitten by, in spokes and in the fleet: each story is named after its row.

use std::collections::BTreeMap;

use e2e::objects::{ACTION, action, git_repo, guarded_git_repo, secret};
use e2e::{Cluster, Fleet, Step, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::{Commit, ShardId, TriggerKey};
use kube_sandbox::{Failure, FaultKind, Mishap, Requests};
use serde_json::json;

/// Triggers that look often, and enough of them that each replica has some.
async fn triggers(cluster: &Cluster, repo: &e2e::Repo, count: usize) -> Vec<TriggerKey> {
    let mut keys = Vec::new();
    for number in 0..count {
        let deploy = trigger(&format!("deploy-{number}")).every("5s").watching(repo);
        keys.push(cluster.apply(&deploy).await);
    }
    keys
}

async fn all_run(cluster: &Cluster, commit: &Commit, (count, limit): (usize, u64)) {
    let all = async || (cluster.started_for(commit).await.len() == count).then_some(());
    cluster.until(secs(limit), "every trigger runs the commit", all).await;
}

async fn each_ran_once(cluster: &Cluster, commits: &[Commit], count: usize) {
    for commit in commits {
        let mut by_trigger: BTreeMap<String, usize> = BTreeMap::new();
        for job in cluster.started_for(commit).await {
            *by_trigger.entry(job.trigger).or_default() += 1;
        }
        let once = by_trigger.values().all(|it| *it == 1);
        assert!(once && by_trigger.len() == count, "{commit}: {by_trigger:?}");
    }
}

/// D5: a spoke goes while its Jobs wait. Nothing in it is touched, and when it is back they go on.
#[test]
fn d5_a_spoke_that_goes_while_its_jobs_wait_resumes_them() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).max_running(0).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let commit = repo.push();
        let deploy = east.apply(&trigger("deploy").watching(&repo)).await;
        east.job_for(&commit, secs(30)).await;

        fleet.unregister("east").await;
        fleet.pass(mins(10)).await;
        let (before, jobs) = (east.version(&deploy).await, east.present().await);
        fleet.pass(mins(10)).await;
        assert_eq!(east.version(&deploy).await, before, "nothing in it is touched");
        assert_eq!(jobs.len(), 1, "the Job waits where it is");
        fleet.register("east", "east").await;
        east.connected().await;
        fleet.pass(mins(10)).await;

        assert_eq!(east.jobs_for(&commit).await.len(), 1, "and is not made again");
        assert_eq!(east.status(&deploy).await.sequence, 1);
    });
}

/// D4: a spoke that takes connections and never answers changes nothing for the others.
#[test]
fn d4_spokes_that_never_answer_or_answer_slowly_delay_nobody() {
    story!(Virtual, async {
        let names = ["black", "slow", "storm", "good"];
        let fleet = Fleet::builder().replicas(2).spokes(names).start().await;
        let (hub, good) = (fleet.hub(), fleet.spoke("good"));
        let repo = fleet.repo("app");
        let first = repo.push();
        for name in names {
            fleet.spoke(name).apply(&trigger("deploy").watching(&repo)).await;
        }
        hub.apply(&trigger("deploy").watching(&repo)).await;
        for name in names {
            fleet.spoke(name).done_for(&first, secs(30)).await;
        }

        fleet.cut_off("black");
        fleet.spoke("slow").fault(&FaultKind::Latency(secs(30)));
        fleet.spoke("storm").fault(&FaultKind::Unavailable(429));
        fleet.spoke("storm").fault(&FaultKind::DropWatches);
        for _ in 0..6 {
            let commit = repo.push();
            // As soon as with nothing broken: the interval, and a few steps.
            hub.done_for(&commit, secs(15)).await;
            good.done_for(&commit, secs(15)).await;
            fleet.pass(secs(20)).await;
        }
        for name in ["black", "slow", "storm"] {
            fleet.mend(name);
        }

        let last = repo.push();
        for name in names {
            fleet.spoke(name).done_for(&last, mins(3)).await;
            assert_eq!(fleet.spoke(name).started_for(&last).await.len(), 1, "{name}");
        }
    });
}

/// D4: CRDs that forget runs are refused before anything runs there, and taken when they are mended.
#[test]
fn d4_a_spoke_with_crds_that_are_too_old_runs_nothing_until_they_are_replaced() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).bare("old").start().await;
        let (hub, old) = (fleet.hub(), fleet.spoke("old"));
        old.install_crds_without("runs").await;
        let repo = fleet.repo("app");
        let commit = repo.push();
        old.apply(&trigger("deploy").watching(&repo)).await;

        fleet.register("old", "old").await;
        let said = async || hub.events("CrdsTooOld").await.into_iter().next();
        let event = hub.until(mins(1), "an Event that says how to mend it", said).await;
        let message = event.message.unwrap_or_default();
        assert!(message.contains("git-events-runner crds | kubectl apply"), "{message}");
        fleet.pass(mins(5)).await;
        assert_eq!(old.jobs().await.len(), 0);
        old.install_crds().await;

        old.done_for(&commit, mins(3)).await;
        fleet.pass(mins(2)).await;
        assert_eq!(old.jobs_for(&commit).await.len(), 1);
        assert_eq!(hub.events("CrdsTooOld").await.len(), 1, "said once");
    });
}

/// D6: a flood of objects in one spoke does not delay the others.
#[test]
fn d6_a_spoke_with_hundreds_of_triggers_on_one_repository_delays_nobody() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["flood"]).start().await;
        let (hub, flood) = (fleet.hub(), fleet.spoke("flood"));
        let (repo, noise) = (fleet.repo("app"), fleet.repo("noise"));
        let first = repo.push();
        hub.apply(&trigger("deploy").watching(&repo)).await;
        hub.done_for(&first, secs(30)).await;
        flood.apply(&trigger("of-the-hub").watching(&noise)).await;
        for number in 0..100 {
            let name = format!("deploy-{number}");
            let one = trigger(&name).every("5s").alone().named("noise");
            flood.apply(&one).await;
        }

        for _ in 0..3 {
            let commit = repo.push();
            hub.done_for(&commit, secs(15)).await;
        }
        assert_eq!(hub.jobs_for(&first).await.len(), 1);
    });
}

/// E1: who sleeps past its Lease in the middle of a create has made nothing that runs.
#[test]
fn e1_a_replica_that_freezes_before_each_step_doubles_nothing() {
    let steps = [Step::RunRecorded, Step::JobCreated, Step::RunQueued, Step::JobStarted];
    for step in steps {
        story!(Virtual, async {
            let fleet = Fleet::builder().replicas(2).spokes(["east"]).start().await;
            let east = fleet.spoke("east");
            let repo = fleet.repo("app");
            let first = repo.push();
            let deploy = east.apply(&trigger("deploy").watching(&repo)).await;
            east.done_for(&first, secs(30)).await;

            let sleeper = match step {
                Step::JobStarted => fleet.admits("east").await,
                Step::RunRequested | Step::RunRecorded | Step::JobCreated | Step::RunQueued => {
                    fleet.owner_of(&deploy).await
                }
            };
            fleet.sleep_before(&sleeper, step);
            let commit = repo.push();
            fleet.sprung(&sleeper, step).await;
            east.done_for(&commit, mins(2)).await;
            fleet.pass(mins(1)).await;
            fleet.wake(&sleeper);

            fleet.pass(mins(3)).await;
            assert_eq!(east.started_for(&commit).await.len(), 1, "{step:?}");
            assert_eq!(east.status(&deploy).await.sequence, 2, "{step:?}");
        });
    }
}

/// E3: one replica is cut off from the hub, before, while and after another takes over.
#[test]
fn e3_a_hub_that_is_slow_or_refuses_leases_doubles_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(3).spokes(["east"]).start().await;
        let (hub, east) = (fleet.hub(), fleet.spoke("east"));
        let repo = fleet.repo("app");
        let first = repo.push();
        triggers(&east, &repo, 6).await;
        all_run(&east, &first, (6, 30)).await;
        let mut commits = vec![first];

        // As an etcd that takes five seconds for everything; then a storm of conflicts.
        hub.fault(&FaultKind::Latency(secs(5)));
        for _ in 0..4 {
            fleet.pass(secs(15)).await;
            commits.push(repo.push());
        }
        fleet.mend("hub");
        hub.fault(&FaultKind::Conflict { resource: "leases".to_owned(), times: 200 });
        fleet.pass(secs(30)).await;
        fleet.mend("hub");
        fleet.settled().await;
        let last = repo.push();
        all_run(&east, &last, (6, 60)).await;

        fleet.pass(mins(1)).await;
        each_ran_once(&east, &[last], 6).await;
        for commit in &commits {
            assert!(east.started_for(commit).await.len() <= 6, "{commit}");
        }
    });
}

/// E4: the fleet grows from three to ten and shrinks to one, and replicas are killed, while triggers fire: each
/// commit runs once for each, and no more moves than the share of those who come or go, or little more.
#[test]
fn e4_a_fleet_that_scales_and_is_killed_loses_and_doubles_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(3).shards(SHARDS).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let mut commits = vec![repo.push()];
        triggers(&hub, &repo, 12).await;
        all_run(&hub, &commits[0], (12, 30)).await;
        let mut names: Vec<String> = fleet.holdings().into_iter().map(|it| it.0).collect();

        let (mut moved, mut shares, mut went) = (0, 0, 0);
        for size in [10, 7, 4, 1] {
            let (before, old) = (fleet.holders(), names.len());
            names.extend((old..size).map(|_| fleet.start_replica()));
            for name in names.drain(..names.len() - size) {
                fleet.stop(&name).await;
            }
            commits.push(repo.push());
            fleet.settled().await;
            moved += others(&before, &fleet.holders());
            shares += usize::from(SHARDS) * old.abs_diff(size) / old.max(size);
            went += old.abs_diff(size);
            all_run(&hub, commits.last().unwrap(), (12, 30)).await;
        }
        // For each that comes or goes.
        let little = went * usize::from(SHARDS) * 3 / 100;
        assert!(moved <= shares + little, "{moved} moved, where {shares} are the shares");

        // One is killed every 20 s or so, and another comes; who it is follows no order.
        names.extend([fleet.start_replica(), fleet.start_replica()]);
        fleet.settled().await;
        for kill in [1, 0, 2, 2, 1, 0] {
            fleet.kill(&names.remove(kill)).await;
            names.push(fleet.start_replica());
            commits.push(repo.push());
            fleet.pass(secs(20)).await;
        }
        fleet.settled().await;
        all_run(&hub, commits.last().unwrap(), (12, 30)).await;

        fleet.pass(mins(1)).await;
        let newest = commits.pop().unwrap();
        each_ran_once(&hub, &[newest], 12).await;
        for commit in &commits {
            let started = hub.started_for(commit).await;
            let mut triggers: Vec<_> = started.iter().map(|it| &it.trigger).collect();
            triggers.sort_unstable();
            triggers.dedup();
            assert_eq!(triggers.len(), started.len(), "{commit} ran twice for somebody");
        }
    });
}

/// The share of each of ten is more than one or two.
const SHARDS: u16 = 32;

/// How many shards another holds.
fn others(before: &BTreeMap<ShardId, String>, after: &BTreeMap<ShardId, String>) -> usize {
    after.iter().filter(|(shard, who)| before.get(*shard) != Some(*who)).count()
}

/// E5: what is refused to one replica with one shard is refused to many with many.
#[test]
fn e5_what_a_trigger_may_not_do_it_may_not_do_sharded_either() {
    for (replicas, shards) in [(1, 1), (3, 24)] {
        story!(Virtual, async move {
            let fleet = Fleet::builder().replicas(replicas).shards(shards).start().await;
            let hub = fleet.hub();
            hub.create_namespace("theirs").await;
            let (own, guarded) = (fleet.repo("own"), fleet.repo("guarded"));
            guarded.guard("s3cret");

            // A source, a Secret and an Action of another namespace are as if they were not there.
            let mut theirs = secret("token", "token", "s3cret");
            theirs["metadata"]["namespace"] = "theirs".into();
            hub.put(&theirs).await;
            let mut source = guarded_git_repo(&guarded, "token");
            source["spec"]["authConfig"]["secretRef"]["namespace"] = "theirs".into();
            hub.put(&source).await;
            let mut deploy = action("deploy-theirs");
            deploy["metadata"]["namespace"] = "theirs".into();
            hub.put(&deploy).await;
            let mut elsewhere = git_repo(&own);
            elsewhere["metadata"]["namespace"] = "theirs".into();
            hub.put(&elsewhere).await;

            let of_secret = trigger("of-secret").alone().named("guarded");
            let of_source = trigger("of-source").alone().named("own");
            let of_action =
                trigger("of-action").watching(&fleet.repo("mine")).running("deploy-theirs");
            for one in [&of_secret, &of_source, &of_action] {
                hub.apply(one).await;
            }
            hub.put(&action(ACTION)).await;
            fleet.pass(mins(5)).await;

            assert_eq!(hub.jobs().await.len(), 0, "{replicas} replicas, {shards} shards");
            assert_eq!(guarded.requests(), 0, "the credential of another namespace is not used");
        });
    }
}

/// DESIGN 5: keys of a cluster that a member cannot reach go to a member that can.
#[test]
fn what_one_replica_cannot_reach_another_works() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(3).spokes(["east"]).start().await;
        let (hub, east) = (fleet.hub(), fleet.spoke("east"));
        let repo = fleet.repo("app");
        let first = repo.push();
        let deploy = east.apply(&trigger("deploy").watching(&repo)).await;
        hub.apply(&trigger("deploy").watching(&repo)).await;
        east.done_for(&first, secs(30)).await;

        let owner = fleet.owner_of(&deploy).await;
        fleet.cut_off_from("east", &owner);
        let commit = repo.push();
        east.done_for(&commit, mins(3)).await;
        assert_ne!(fleet.owner_of(&deploy).await, owner, "somebody stands in");
        let next = repo.push();
        east.done_for(&next, secs(20)).await;
        hub.done_for(&next, secs(20)).await;

        fleet.mend("east");
        let back = async || (fleet.owner_of(&deploy).await == owner).then_some(());
        fleet.until(mins(3), "the holder of the shard works it again", back).await;
        let last = repo.push();
        east.done_for(&last, secs(20)).await;
        fleet.pass(mins(1)).await;
        for commit in [&commit, &next, &last] {
            assert_eq!(east.started_for(commit).await.len(), 1);
        }
    });
}

/// A run that cannot get its Job waits as long as its own Action lets it.
#[test]
fn a_blocked_run_waits_as_long_as_its_own_action_says() {
    story!(Virtual, async {
        let fleet = Fleet::builder().waiting(mins(5)).start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let commit = repo.push();
        let mut patient = action("patient");
        patient["spec"]["actionJob"] = json!({ "jobWaitingTimeoutSeconds": 1200 });
        hub.put(&patient).await;
        let failing = Mishap::Refused(Failure::code(500));
        hub.fault(&Requests::all().verb("create").resource("jobs").meet(failing));

        let deploy = hub.apply(&trigger("deploy").watching(&repo).running("patient")).await;
        hub.until_run(&deploy, &commit, RunPhase::Pending).await;
        fleet.pass(mins(15)).await;
        assert_eq!(hub.status(&deploy).await.sequence, 1, "it still waits");
        fleet.pass(mins(6)).await;
        hub.until_run(&deploy, &commit, RunPhase::Expired).await;
        fleet.mend("hub");

        hub.done_for(&commit, mins(2)).await;
    });
}
