//! What does a call wait for where much else is going on in its cluster? Its own record, and nothing else.

use std::time::Duration;

use e2e::{Failure, mins, story, trigger};
use futures::future::join_all;
use ger_api::ScheduleTrigger;
use kube::Api;
use kube::api::ListParams;
use kube_sandbox::FaultKind;
use tokio::time::Instant;

use super::Ground;

/// One answer of the API.
const LATENCY: Duration = Duration::from_millis(5);
/// Each wants its check on record, at the pace at which the cluster is asked.
const CROWD: usize = 300;

/// A call waits for its Secret and its record; others that come meanwhile for theirs. The crowd that is
/// checked at the same time asks for seconds.
#[test]
fn a_call_waits_for_no_trigger_that_is_checked() {
    story!(Virtual, async {
        let it = Ground::new().await;
        let (hub, crowd) = (it.fleet.hub(), it.fleet.repo("crowd"));
        it.repo.push();
        crowd.fail(Failure::Status(500, None));
        // What was read of the Secret is forgotten by then.
        it.fleet.pass(mins(2)).await;
        hub.fault(&FaultKind::Latency(LATENCY));
        hub.apply(&trigger("crowd").watching(&crowd)).await;
        for number in 0..CROWD {
            hub.apply(&trigger(&format!("crowd-{number}")).watching(&crowd).alone()).await;
        }
        // What may go out at once after a rest has gone out.
        it.fleet.pass(Duration::from_millis(100)).await;

        let calls: Vec<_> = (0..50).map(|number| it.push(&format!("d-{number}"))).collect();
        let begun = Instant::now();
        let fleet = &it.fleet;
        let timed = calls.iter().map(|call| async move {
            let told = fleet.called(call).await;
            (told.code, begun.elapsed())
        });
        let told = join_all(timed).await;

        let triggers: Api<ScheduleTrigger> = Api::namespaced(hub.admin(), "apps");
        let all = triggers.list(&ListParams::default()).await.unwrap();
        let is_new = |it: &&ScheduleTrigger| it.status.is_none();
        let waiting = all.items.iter().filter(is_new).count();
        assert!(waiting > CROWD / 5, "{waiting} still wait for their turn");
        assert!(told.iter().all(|it| it.0 == 202), "{told:?}");
        // The Secret is read, and two writes follow each other, each after a read.
        let slowest = told.iter().map(|it| it.1).max().unwrap();
        assert!(slowest < LATENCY * 10, "a call took {slowest:?}");
    });
}
