//! What becomes of a call when the trigger's API is in trouble? Nothing that was accepted is lost, and what was
//! not is said to be so, in time for the forge.

use e2e::objects::secret;
use e2e::{Fleet, hook, mins, post, secs, story};
use ger_api::status::RunPhase;
use kube_sandbox::{Failure, FaultKind, Latency, Mishap, Requests};
use serde_json::json;
use tokio::time::Instant;

use super::{DEPLOY, Ground, SECRET};

/// Writes into the ledger meet this.
fn written(times: Option<u32>, what: Mishap) -> FaultKind {
    let writes = Requests::all().verb("update").resource("webhooktriggers/status");
    let writes = match times {
        Some(times) => writes.times(times),
        None => writes,
    };
    writes.meet(what)
}

/// A write that is refused once is tried again, and one that was done all the same is found.
#[test]
fn a_write_that_is_refused_once_is_tried_again() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();

        for code in [429, 500] {
            let failure = Failure::code(code);
            for mishap in [Mishap::Refused(failure), Mishap::DoneButRefused(failure)] {
                let before = hub.status(&it.key).await.sequence;
                let commit = it.repo.push();
                hub.fault(&written(Some(1), mishap.clone()));

                let told = it.fleet.called(&it.push(&format!("d-{commit}"))).await;

                assert_eq!(told.code, 202, "{mishap:?}: {told:?}");
                it.fleet.mend("hub");
                hub.until_phase(&it.key, told.run(), RunPhase::Succeeded).await;
                assert_eq!(hub.jobs_for(&commit).await.len(), 1, "{mishap:?}");
                assert_eq!(hub.status(&it.key).await.sequence, before + 1, "{mishap:?}");
            }
        }
    });
}

/// One that goes on being refused is not accepted, and nothing is recorded.
#[test]
fn a_write_that_is_refused_again_and_again_is_not_accepted() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();

        for code in [429, 500] {
            let before = hub.status(&it.key).await.sequence;
            it.repo.push();
            let delivery = format!("d-{code}");
            hub.fault(&written(None, Mishap::Refused(Failure::code(code))));
            let begun = Instant::now();
            let refused = it.fleet.called(&it.push(&delivery)).await;
            let took = begun.elapsed();

            assert_eq!(refused.code, 500, "{refused:?}");
            assert!(took < secs(10), "a forge waits for ten seconds: {took:?}");
            it.fleet.mend("hub");
            it.is_taken_again(&delivery, before).await;
        }
    });
}

/// A trigger that goes between the reading and the writing of its ledger is not found.
#[test]
fn a_trigger_that_goes_while_a_call_is_written_is_not_found() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        it.repo.push();
        hub.fault(&written(None, Mishap::Delayed(Latency::Fixed(secs(2)))));
        let push = it.push("d-1");

        let goes = async {
            it.fleet.pass(secs(1)).await;
            hub.delete_trigger(&it.key).await;
        };
        let (told, ()) = futures::join!(it.fleet.called(&push), goes);

        assert_eq!((told.code, told.message()), (404, "trigger doesn't exist"), "{told:?}");
        it.fleet.mend("hub");
        it.fleet.pass(mins(1)).await;
        assert!(hub.jobs().await.is_empty());
    });
}

/// A Secret that cannot be read because its cluster does not answer is no wrong Secret: the forge is to come
/// again, and is told so in time.
#[test]
fn a_cluster_that_goes_before_the_secret_was_read_answers_503() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let hub = it.fleet.hub();
        it.repo.push();
        let push = it.push("d-1");
        // What was read of it is forgotten by then.
        it.fleet.pass(mins(2)).await;
        it.fleet.cut_off("hub");

        let begun = Instant::now();
        let told = it.fleet.called(&push).await;
        let took = begun.elapsed();

        assert_eq!((told.code, told.word()), (503, "error"), "{told:?}");
        assert!(told.header("retry-after").is_some(), "{told:?}");
        assert!(took < secs(10), "a forge waits for ten seconds: {took:?}");
        it.fleet.mend("hub");
        hub.connected().await;
        it.fleet.pass(secs(10)).await;
        let again = it.fleet.called(&push).await;
        assert_eq!(again.code, 202, "{again:?}");
        hub.until_phase(&it.key, again.run(), RunPhase::Succeeded).await;
    });
}

/// The same of one that is too busy to say: and it is not asked by every stranger.
#[test]
fn an_api_that_is_too_busy_to_give_the_secret_answers_503() {
    story!(Virtual, async {
        let it = Ground::new().await;
        it.fleet.pass(mins(2)).await;
        let reads = Requests::all().verb("get").resource("secrets");
        it.fleet.hub().fault(&reads.meet(Mishap::Refused(Failure::code(429))));

        let told = it.fleet.called(&it.push("d-1")).await;
        let requests = it.fleet.asked("replica-1");
        for _ in 0..50 {
            assert_eq!(it.fleet.called(&it.push("d-1")).await.code, 503);
        }

        assert_eq!(told.code, 503, "{told:?}");
        assert!(told.header("retry-after").is_some(), "{told:?}");
        assert_eq!(it.fleet.asked("replica-1"), requests);
    });
}

/// A key that was misspelt is seen within seconds once it is right, however long Secrets are kept.
#[test]
fn a_secret_whose_key_was_mended_lets_in_at_once() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        hub.put(&secret("forge", "tokn", SECRET)).await;
        hub.apply(&hook("deploy").known_by("github", "forge").watching(&repo)).await;
        let is_known = async || (fleet.called(&post(DEPLOY)).await.code == 500).then_some(());
        fleet.until(secs(30), "the trigger is known", is_known).await;

        hub.put(&secret("forge", "token", SECRET)).await;
        fleet.pass(secs(6)).await;
        let push = post(DEPLOY).body("{\"ref\":\"refs/heads/main\"}").signed(SECRET);

        assert_eq!(fleet.called(&push).await.code, 202);
    });
}

/// A call whose trigger was edited meanwhile is judged again, and is one call all the same.
#[test]
fn a_call_of_a_trigger_that_was_just_edited_counts_once() {
    story!(Virtual, async {
        let hooks =
            e2e::fleet::Hooks { trigger: Some("1/600".to_owned()), ..e2e::fleet::Hooks::default() };
        let it = Ground::of(Fleet::builder().hooks(hooks).start().await).await;
        it.repo.push();
        // The replica does not hear of the edit before the call.
        it.fleet.hub().fault(&FaultKind::StallWatches);
        it.fleet.hub().edit(&it.key, &json!({ "spec": { "concurrencyPolicy": "Forbid" } })).await;

        let told = it.fleet.called(&it.push("d-1")).await;

        assert_eq!(told.code, 202, "{told:?}");
        assert_eq!(it.fleet.called(&it.push("d-2")).await.code, 429);
    });
}
