//! What is said of a cluster, what a store says of a change, how long a stream waits.

use std::time::Duration;

use ger_core::ledger::JobSighting;
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;
use tokio::time::Instant;

use crate::clusters::error::Fault;
use crate::clusters::room::Weight;
use crate::clusters::state::{Board, Condition, IDENTITY, Reason, State, Trouble, backoff};
use crate::clusters::stores::{Change, Held, JobView, Store};

fn failing(failures: u32, reason: Reason) -> Condition {
    let trouble = Trouble { reason, text: "said".to_owned() };
    Condition::Failing { failures, since: Instant::now(), trouble }
}

/// A board whose reports are followed by what they made of the state.
struct Followed {
    board: Board,
    state: State,
}

impl Followed {
    fn new() -> Self {
        Self { board: Board::new([IDENTITY, "actions", "jobs"]), state: State::Connecting }
    }

    /// The state's word, with a mark where people are told.
    fn report(&mut self, step: &'static str, condition: Condition) -> String {
        let verdict = self.board.report(step, condition, &self.state);
        self.state = verdict.state;
        format!("{}{}", self.state.word(), if verdict.is_news { "!" } else { "" })
    }

    fn ready() -> Self {
        let mut it = Self::new();
        for step in [IDENTITY, "actions", "jobs"] {
            it.report(step, Condition::Working);
        }
        it
    }
}

#[tokio::test]
async fn a_cluster_is_ready_when_every_stream_is() {
    let mut it = Followed::new();

    assert_eq!(it.report(IDENTITY, Condition::Working), "Connecting");
    assert_eq!(it.report("actions", Condition::Working), "Connecting");
    assert_eq!(it.report("jobs", Condition::Working), "Ready!");
}

#[tokio::test]
async fn one_broken_connection_is_not_an_unreachable_cluster_and_two_are_told_once() {
    let mut it = Followed::ready();

    assert_eq!(it.report("jobs", failing(1, Reason::Unreachable)), "Ready");
    assert_eq!(it.report("jobs", failing(2, Reason::Unreachable)), "Unreachable!");
    assert_eq!(it.report("jobs", failing(3, Reason::Unreachable)), "Unreachable");
    assert_eq!(it.report("actions", failing(2, Reason::Unreachable)), "Unreachable");
    assert_eq!(it.report("jobs", Condition::Working), "Unreachable");
    assert_eq!(it.report("actions", Condition::Working), "Ready!");
}

#[tokio::test]
async fn missing_crds_are_named_together_and_told_once() {
    let mut it = Followed::new();
    it.report(IDENTITY, Condition::Working);

    assert_eq!(it.report("actions", failing(1, Reason::CrdsMissing)), "Connecting");
    assert_eq!(it.report("jobs", failing(1, Reason::CrdsMissing)), "Refused!");
    let why = it.state.why().unwrap_or_default();
    let names = "CRDs are not installed: actions, jobs; install them in that cluster: ";
    assert!(why.starts_with(names) && why.contains("git-events-runner crds | kubectl"), "{why}");

    assert_eq!(it.report("jobs", Condition::Working), "Refused");
    assert_eq!(it.report("actions", Condition::Working), "Ready!");
}

/// What works goes on; without Jobs, or without any trigger, nothing does.
#[tokio::test]
async fn what_is_forbidden_limits_a_cluster_unless_nothing_can_be_done_without_it() {
    let mut it = Followed::ready();
    let forbidden = |text: &str| {
        let trouble = Trouble { reason: Reason::Forbidden, text: text.to_owned() };
        Condition::Failing { failures: 1, since: Instant::now(), trouble }
    };

    assert_eq!(it.report("actions", forbidden("list actions")), "Limited!");
    assert_eq!(it.state.why(), Some("list actions"));
    assert!(it.state.works());
    assert_eq!(it.report("actions", forbidden("list actions")), "Limited");
    assert_eq!(it.report("actions", forbidden("watch actions")), "Limited!", "something else");

    assert_eq!(it.report("jobs", forbidden("list jobs")), "Refused!");
    assert!(!it.state.works());
    assert_eq!(it.report("jobs", Condition::Working), "Limited!");
    assert_eq!(it.report("actions", Condition::Working), "Ready!");
}

#[tokio::test]
async fn of_several_troubles_the_one_to_mend_first_is_told() {
    let mut it = Followed::ready();

    it.report("actions", failing(1, Reason::CrdsTooOld));
    it.report("jobs", failing(1, Reason::TooLarge));
    assert_eq!(it.state.why(), Some("said"), "its size comes before its CRDs");
    it.report("jobs", Condition::Working);

    let why = it.state.why().unwrap_or_default();
    assert!(why.contains("git-events-runner crds | kubectl apply"), "{why}");
}

#[tokio::test]
async fn a_cluster_that_cannot_say_who_it_is_is_refused_at_once() {
    let mut it = Followed::new();

    assert_eq!(it.report(IDENTITY, failing(1, Reason::Duplicate)), "Refused!");
    assert_eq!(it.report(IDENTITY, Condition::Working), "Connecting");
}

#[test]
fn a_wait_grows_to_its_limit_is_spread_and_replays() {
    let wait = |attempt, cluster| backoff(attempt, (cluster, "jobs", 1));

    assert!((800..1600).contains(&wait(1, "east").as_millis()));
    assert!((30..60).contains(&wait(40, "east").as_secs()));
    assert_eq!(wait(3, "east"), wait(3, "east"));
    assert_ne!(wait(3, "east"), wait(3, "west"));
}

#[derive(Clone, Debug, PartialEq)]
struct Thing(&'static str, &'static str);

impl Held for Thing {
    fn place(&self) -> (&str, &str) {
        ("ns", self.0)
    }

    fn version(&self) -> (&str, &str) {
        ("uid", self.1)
    }

    fn bytes(&self) -> usize {
        10 * self.1.len()
    }
}

#[test]
fn a_store_knows_what_it_weighs() {
    let store = Store::<Thing>::default();
    store.replace(vec![Thing("a", "1"), Thing("b", "12")]);
    assert_eq!(store.weight(), Weight { objects: 2, bytes: 30 });

    store.apply(Thing("a", "123"));
    store.apply(Thing("c", "1"));
    store.remove("ns", "b");
    store.remove("ns", "b");

    assert_eq!(store.weight(), Weight { objects: 2, bytes: 40 });
    store.replace(Vec::new());
    assert_eq!(store.weight(), Weight::default());
}

#[test]
fn a_new_list_says_what_changed_and_what_disappeared_meanwhile() {
    let store = Store::<Thing>::default();
    assert_eq!(store.replace(vec![Thing("a", "1"), Thing("b", "1"), Thing("c", "1")]).len(), 3);

    let changes = store.replace(vec![Thing("a", "1"), Thing("b", "2"), Thing("d", "1")]);

    let said: Vec<_> = changes
        .iter()
        .map(|it| match it {
            Change::Applied(it) => format!("+{}", it.0),
            Change::Gone(it) => format!("-{}", it.0),
        })
        .collect();
    assert_eq!(said, ["+b", "+d", "-c"]);
    assert!(store.is_synced());
    assert_eq!((store.len(), store.find(Some("ns"), "c")), (3, None));
}

#[test]
fn an_object_that_comes_again_unchanged_is_no_change() {
    let store = Store::default();

    assert!(store.apply(Thing("a", "1")).is_some());
    assert!(store.apply(Thing("a", "1")).is_none());
    assert!(store.apply(Thing("a", "2")).is_some());
    assert!(store.remove("ns", "a").is_some());
    assert!(store.remove("ns", "a").is_none());
    assert!(store.is_empty());
}

#[test]
fn a_job_is_seen_with_all_that_admission_and_ledger_need() {
    let job: Job = serde_json::from_value(json!({
        "metadata": {
            "namespace": "apps", "name": "deploy-x", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "git-events-runner.rs/run-id": "x",
                "git-events-runner.rs/trigger-kind": "ScheduleTrigger",
                "git-events-runner.rs/trigger-name": "deploy",
                "git-events-runner.rs/trigger-uid": "t",
            },
            "annotations": { "git-events-runner.rs/trigger-name": "deploy-whole" },
        },
        "spec": { "suspend": true, "template": {} },
        "status": { "conditions": [
            { "type": "Suspended", "status": "True" },
            { "type": "Failed", "status": "True", "message": "BackoffLimitExceeded" },
        ]},
    }))
    .unwrap();

    let view = JobView::of(&job);

    assert_eq!((view.namespace.as_str(), view.run_id.as_str()), ("apps", "x"));
    assert_eq!(view.trigger.as_ref().map(|it| it.1.as_str()), Some("deploy-whole"));
    assert!(view.suspended && !view.deleting);
    assert!(!view.withdrawn);
    let message = "BackoffLimitExceeded".to_owned();
    assert_eq!(view.sighting, JobSighting::Failed { at: None, message });
}

/// Pods that end with their Job may fail it before it is gone. What has failed keeps its failure, also where a
/// TTL of 0 removes it at once, by another clock.
#[test]
fn a_failure_after_the_deletion_is_the_deletion() {
    let seen = |kind: &str, deleted: Option<&str>, ttl: i32| {
        let job: Job = serde_json::from_value(json!({
            "metadata": { "name": "deploy-x", "deletionTimestamp": deleted },
            "spec": { "template": {}, "ttlSecondsAfterFinished": ttl },
            "status": { "conditions": [
                { "type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:07Z" },
            ]},
        }))
        .unwrap();
        JobView::of(&job).sighting
    };
    let before = Some("2026-01-01T00:00:06Z");
    let since = ["2026-01-01T00:00:07Z", "2026-01-01T00:00:08Z"].map(Some);

    for (deleted, ttl) in [(None, 60), (since[0], 60), (since[1], 60), (before, 0)] {
        let failed = seen("Failed", deleted, ttl);
        assert!(matches!(failed, JobSighting::Failed { .. }), "{deleted:?} {ttl}");
    }
    assert_eq!(seen("Failed", before, 60), JobSighting::Removed);
    assert!(matches!(seen("Complete", before, 60), JobSighting::Succeeded { .. }));
    assert!(matches!(seen("FailureTarget", before, 60), JobSighting::Running { .. }));
}

#[test]
fn a_server_that_asks_for_time_gets_it_and_a_gone_version_means_a_new_list() {
    let status = |json| serde_json::from_value(json).unwrap();
    let busy = status(json!({ "code": 429, "details": { "retryAfterSeconds": 7 } }));
    let gone = status(json!({ "code": 410, "message": "too old" }));

    assert_eq!(Fault::from_status("list", &busy).retry_after, Some(Duration::from_secs(7)));
    assert!(!Fault::from_status("list", &busy).relist);
    assert!(Fault::from_status("watch", &gone).relist);
}
