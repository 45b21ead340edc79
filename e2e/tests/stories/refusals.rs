//! What if a cluster does not take a Job for as long as it is asked? The run is recorded and says why, it is
//! tried less and less often, it ends for all to see, and its change is not lost.

use e2e::{Fleet, mins, secs, story, trigger};
use ger_api::status::RunPhase;
use kube_sandbox::{Failure, Fault, Mishap, Requests};

async fn is_waited_for_and_ends(code: u16, message: &'static str, reason: &str) {
    let fleet = Fleet::builder().waiting(secs(45)).start().await;
    let (hub, repo) = (fleet.hub(), fleet.repo("app"));
    let refused = Mishap::Refused(Failure::code(code).message(message));
    let kind = Requests::all().verb("create").resource("jobs").meet(refused);
    hub.sandbox().set_fault(Fault::of("replica-1", kind));
    let commit = repo.push();
    let deploy = hub.apply(&trigger("deploy").every("1h").watching(&repo)).await;

    let ready = hub.until_condition(&deploy, ("Ready", "False", reason)).await;
    assert!(ready.message.contains(message), "{}", ready.message);
    let waiting = hub.until_run(&deploy, &commit, RunPhase::Pending).await;
    assert!(waiting.message.unwrap().starts_with(&format!("{reason}: ")));
    let expired = hub.until_run(&deploy, &commit, RunPhase::Expired).await;
    assert!(expired.message.unwrap().contains(message));
    // The cluster tells of a right that is missing too, for itself.
    let mut said = hub.events(reason).await;
    said.retain(|it| it.involved_object.name.as_deref() == Some("deploy"));
    assert_eq!(said.len(), 1, "said once, not at each try");
    let again = async || {
        let runs = hub.status(&deploy).await.runs;
        runs.iter().any(|it| it.phase == RunPhase::Pending).then_some(())
    };
    hub.until(mins(1), "the change is due again", again).await;

    hub.sandbox().clear_faults();
    hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;
    assert_eq!(hub.jobs_for(&commit).await.len(), 1);
}

#[test]
fn a_quota_that_stays_exceeded_ends_the_run_and_keeps_the_change() {
    let message = "exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=1";
    story!(Virtual, is_waited_for_and_ends(403, message, "QuotaExceeded"));
}

#[test]
fn a_namespace_that_terminates_is_said_and_a_run_waits_for_it() {
    let message = "unable to create new content in namespace apps because it is being terminated";
    story!(Virtual, is_waited_for_and_ends(403, message, "NamespaceTerminating"));
}

#[test]
fn a_right_that_is_missing_is_said_and_a_run_waits_for_it() {
    let message = "User \"controller\" cannot create resource \"jobs\" in API group \"batch\"";
    story!(Virtual, is_waited_for_and_ends(403, message, "Forbidden"));
}

#[test]
fn an_api_that_fails_is_said_and_a_run_waits_for_it() {
    story!(Virtual, is_waited_for_and_ends(500, "etcdserver: no space", "ApiRefused"));
}

/// Four refusals take half a minute, where a try each two seconds would have its Job after eight seconds.
#[test]
fn what_is_refused_is_tried_less_and_less_often() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let refused = Mishap::Refused(Failure::code(403).message("exceeded quota: few"));
        let kind = Requests::all().verb("create").resource("jobs").times(4).meet(refused);
        hub.sandbox().set_fault(Fault::of("replica-1", kind));
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").every("1h").watching(&repo)).await;
        hub.until_condition(&deploy, ("Ready", "False", "QuotaExceeded")).await;

        fleet.pass(secs(10)).await;
        let early = hub.jobs_for(&commit).await.len();
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        assert_eq!((early, hub.jobs_for(&commit).await.len()), (0, 1));
    });
}
