//! Two admitters of one cluster, for a moment: by how much is the limit exceeded at the worst?

use e2e::{Cluster, Fleet, Step, Work, mins, secs, story, trigger};
use ger_core::names::Commit;

const LIMIT: usize = 2;
const WAITING: usize = 6;

/// Triggers with a repository each, and a Job each that waits or runs.
async fn queue(fleet: &Fleet, hub: &Cluster) -> Vec<Commit> {
    let mut commits = Vec::new();
    for number in 0..WAITING {
        let repo = fleet.repo(&format!("app-{number}"));
        let commit = repo.push();
        hub.apply(&trigger(&format!("app-{number}")).every("1h").watching(&repo)).await;
        commits.push(commit);
    }
    for commit in &commits {
        hub.job_for(commit, secs(60)).await;
    }
    commits
}

/// An admitter that sleeps in the middle of a start, and wakes when another one has filled its place, exceeds
/// the limit by this one start: it was under way, and nothing that it begins after it is carried out.
#[test]
fn a_handover_exceeds_the_limit_by_the_one_start_that_was_under_way() {
    story!(Virtual, async {
        let fleet =
            Fleet::builder().replicas(2).max_running(u32::try_from(LIMIT).unwrap()).start().await;
        let hub = fleet.hub();
        hub.work(Work::Lasts);
        let stale = fleet.admits("hub").await;
        fleet.sleep_before(&stale, Step::JobStarted);
        let commits = queue(&fleet, &hub).await;
        fleet.sprung(&stale, Step::JobStarted).await;
        let full = async || (hub.kubelet().most_at_once() == LIMIT).then_some(());
        hub.until(mins(2), "another fills the limit", full).await;
        assert_ne!(fleet.admits("hub").await, stale);

        fleet.wake(&stale);
        fleet.pass(mins(2)).await;

        let most = hub.kubelet().most_at_once();
        assert!(most <= LIMIT + 1, "{most} ran at once");
        hub.work(Work::Succeeds(secs(10)));
        for commit in &commits {
            hub.done_for(commit, mins(3)).await;
            assert_eq!(hub.jobs_for(commit).await.len(), 1);
        }
        assert_eq!(hub.kubelet().most_at_once(), most, "and never again");
    });
}
