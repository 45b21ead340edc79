//! When does a trigger run next, and does it say so? After each edit of its spec; and a schedule that has
//! nothing to come is said to be wrong.

use e2e::{Cluster, Fleet, secs, story, trigger};
use ger_api::status::RunPhase;
use ger_core::names::TriggerKey;
use serde_json::{Value, json};

/// Edits a trigger, and gives `nextRun` as it is said of the edited spec, in seconds from now.
async fn edited(fleet: &Fleet, hub: &Cluster, key: &TriggerKey, spec: &Value) -> Option<i64> {
    let before = hub.status(key).await.observed_generation;
    hub.edit(key, &json!({ "spec": spec })).await;
    let seen = async || {
        let status = hub.status(key).await;
        (status.observed_generation > before).then_some(status)
    };
    let status = hub.until(secs(30), "the edit is understood", seen).await;
    fleet.pass(secs(1)).await;
    let said = hub.condition(key, "Ready").await.unwrap().last_transition_time.0;
    let since = status.last_run.unwrap_or(said);
    status.next_run.map(|it| it.duration_since(since).as_secs())
}

/// `kubectl get` shows when it runs next, whatever was edited last.
#[test]
fn the_next_run_is_said_after_each_edit() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();
        let deploy = hub.apply(&trigger("deploy").every("6h").watching(&repo)).await;
        hub.until_run(&deploy, &commit, RunPhase::Succeeded).await;

        let often =
            edited(&fleet, &hub, &deploy, &json!({ "schedule": { "interval": "2h" } })).await;
        let never = edited(&fleet, &hub, &deploy, &json!({ "suspend": true })).await;
        let again = edited(&fleet, &hub, &deploy, &json!({ "suspend": false })).await;
        let broken = json!({ "schedule": { "interval": "1ms" } });
        let wrong = edited(&fleet, &hub, &deploy, &broken).await;
        let hourly = json!({ "schedule": { "interval": "1h" } });
        let mended = edited(&fleet, &hub, &deploy, &hourly).await;

        let hours = |it: Option<i64>| it.map(|it| (it + 60) / 3600);
        let said = [often, never, again, wrong, mended].map(hours);
        assert_eq!(said, [Some(2), None, Some(2), None, Some(1)]);
    });
}

/// A cron whose years have passed would wait for ever without a word.
#[test]
fn a_cron_with_no_time_to_come_is_wrong_and_runs_nothing() {
    story!(Virtual, async {
        let fleet = Fleet::builder().start().await;
        let (hub, repo) = (fleet.hub(), fleet.repo("app"));
        let commit = repo.push();

        let past = hub.apply(&trigger("past").cron("0 0 0 1 1 * 2020").watching(&repo)).await;

        let stalled = hub.until_condition(&past, ("Stalled", "True", "InvalidSchedule")).await;
        assert!(stalled.message.contains("no time to come"), "{}", stalled.message);
        assert!(hub.jobs_for(&commit).await.is_empty());
        hub.edit(&past, &json!({ "spec": { "schedule": { "cron": "* * * * * *" } } })).await;
        hub.until_run(&past, &commit, RunPhase::Succeeded).await;
    });
}
