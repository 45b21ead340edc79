//! What costs nothing while nothing happens?

use e2e::{Fleet, mins, secs, story, trigger};

/// A check that found nothing new writes nothing.
#[test]
fn unchanged_checks_write_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().replicas(2).spokes(["east"]).start().await;
        let east = fleet.spoke("east");
        let repo = fleet.repo("app");
        let commit = repo.push();
        let deploy = east.apply(&trigger("deploy").every("5s").watching(&repo)).await;
        east.until_run(&deploy, &commit, ger_api::status::RunPhase::Succeeded).await;

        let (asked, version) = (repo.requests(), east.version(&deploy).await);
        let written = (east.writes().len(), fleet.hub().writes().len());
        let enough = async || (repo.requests() >= asked + 100).then_some(());
        fleet.until(mins(15), "a hundred checks", enough).await;

        let now = (east.writes().len(), fleet.hub().writes().len());
        assert_eq!(now, written, "{:?}", east.writes().last());
        assert_eq!(east.version(&deploy).await, version);
    });
}

/// The same remote ref wanted by many triggers is asked once.
#[test]
fn triggers_that_watch_one_ref_share_its_checks() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let hub = fleet.hub();
        let repo = fleet.repo("app");
        let first = repo.push();
        for number in 0..20 {
            let name = format!("deploy-{number}");
            // A cron fires for all at the same moment; intervals have a phase each.
            hub.apply(&trigger(&name).cron("*/10 * * * * *").watching(&repo)).await;
        }
        let all = async |commit| (hub.started_for(commit).await.len() == 20).then_some(());
        hub.until(mins(2), "all have run the first commit", || all(&first)).await;

        let asked = repo.requests();
        fleet.pass(secs(100)).await;

        let requests = repo.requests() - asked;
        assert!(requests >= 9, "the remote is asked at every firing: {requests}");
        assert!(requests <= 2 * 11, "10 firings of 20 triggers made {requests} requests");
        let second = repo.push();
        hub.until(mins(1), "all run the next commit", || all(&second)).await;
    });
}
