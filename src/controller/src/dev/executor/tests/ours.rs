//! Where an API has no Job controller: do lost requests lose no Job, and make none twice?

use super::*;

#[tokio::test]
async fn a_job_that_ends_while_the_api_is_down_is_told_when_it_is_back() {
    for fault in [FaultKind::Unavailable(503), FaultKind::Partition] {
        let mut ground = Ground::bare();
        let gate = ground.state.path().join("gate");
        let script = format!("while ! test -e {}; do sleep 0.02; done", gate.display());
        ground.create("through", shell(&script)).await;
        ground.job("through", is_active).await;
        until(async || ground.pod_status().await.phase.as_deref() == Some("Running")).await;

        ground.fault(fault.clone());
        fs::write(&gate, "").unwrap();
        ground.finished().await;
        ground.sandbox.clear_faults();

        let job = ground.ended("through").await;
        assert!(condition(&job, "Complete").is_some(), "{fault:?}");
        assert_eq!(ground.pod_status().await.phase.as_deref(), Some("Succeeded"), "{fault:?}");
    }
}

#[tokio::test]
async fn lost_answers_and_conflicts_make_no_second_pod() {
    let ground = Ground::bare();
    let lost = |verb: &str, resource: &str| FaultKind::LoseResponse {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        times: 2,
    };
    ground.create("once", shell("true")).await;
    ground.ended("once").await;

    ground.fault(lost("create", "pods"));
    ground.fault(lost("patch", "jobs"));
    ground.fault(FaultKind::Conflict { resource: "jobs".to_owned(), times: 2 });
    let mut ran = shell("true");
    ran["backoffLimit"] = 3.into();
    ground.create("twice", ran).await;

    let job = ground.ended("twice").await;
    assert!(condition(&job, "Complete").is_some());
    assert_eq!(job.status.unwrap().failed, None);
    assert_eq!(ground.sandbox.creations("pods").len(), 2);
}

#[tokio::test]
async fn a_watch_that_breaks_loses_no_job_and_no_deletion() {
    let ground = Ground::bare();
    let alive = ground.state.path().join("alive");
    ground.create("doomed", shell(&breathing(&alive))).await;
    until(async || alive.exists()).await;

    ground.fault(FaultKind::Unavailable(503));
    ground.fault(FaultKind::DropWatches);
    ground.jobs().delete("doomed", &DeleteParams::background()).await.unwrap();
    ground.create("next", shell("true")).await;
    // No watch will ever tell of the deletion: the events up to here are forgotten.
    ground.sandbox.compact();
    ground.sandbox.clear_faults();

    dead(&alive).await;
    assert!(condition(&ground.ended("next").await, "Complete").is_some());
}
