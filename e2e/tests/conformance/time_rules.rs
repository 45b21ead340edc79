//! Leases and events: the two kinds that tell the time.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A Lease lasts for at least a second.
/// <https://kubernetes.io/docs/concepts/architecture/leases/>
#[tokio::test]
async fn a_lease_lasts() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"leaseDurationSeconds": 0}});

    let refused = ground.post(&ground.path("coordination.k8s.io/v1", "leases"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]
    );
}

/// A Lease has not changed hands less than never.
/// <https://kubernetes.io/docs/concepts/architecture/leases/>
#[tokio::test]
async fn a_lease_counts_up() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"leaseTransitions": -1}});

    let refused = ground.post(&ground.path("coordination.k8s.io/v1", "leases"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]
    );
}

/// An event is in the namespace of what it is about.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn an_event_is_where_its_object_is() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "involvedObject": {}});

    let refused = ground.post(&ground.path("v1", "events"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"involvedObject.namespace: Invalid value: "": does not match event.namespace"#]
    );
}

/// An event of the core that has an exact time says all that the newer form does.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn an_event_with_a_time_is_complete() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "involvedObject": {"namespace": namespace},
        "eventTime": "2026-01-01T00:00:00.500000Z",
    });

    let refused = ground.post(&ground.path("v1", "events"), &body).await;

    let said = causes(&refused);
    let heads = [
        "reportingComponent: Required value",
        r#"reportingComponent: Invalid value: "": name part must be non-empty"#,
        r#"reportingComponent: Invalid value: "": name part must consist of alphanumeric ch"#,
        "reportingInstance: Required value",
        "action: Required value",
        "reason: Required value",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// An event of `events.k8s.io` has a time.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn a_newer_event_has_a_time() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "reason": "R", "action": "A", "type": "Normal",
        "reportingController": "a/b", "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    assert_eq!(causes(&refused), ["eventTime: Required value"]);
}

/// An event of `events.k8s.io` has a reason.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn a_newer_event_has_a_reason() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "eventTime": "2026-01-01T00:00:00.500000Z", "action": "A",
        "type": "Normal", "reportingController": "a/b", "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    assert_eq!(causes(&refused), ["reason: Required value"]);
}

/// An event of `events.k8s.io` says what was done.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn a_newer_event_has_an_action() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "eventTime": "2026-01-01T00:00:00.500000Z", "reason": "R",
        "type": "Normal", "reportingController": "a/b", "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    assert_eq!(causes(&refused), ["action: Required value"]);
}

/// An event of `events.k8s.io` is normal or a warning.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn types_of_newer_events_are_two() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "eventTime": "2026-01-01T00:00:00.500000Z", "reason": "R",
        "action": "A", "type": "X", "reportingController": "a/b", "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    assert_eq!(causes(&refused), [r#"type: Invalid value: "": has invalid value: X"#]);
}

/// An event of `events.k8s.io` says who reports it.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn a_newer_event_has_a_reporter() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "eventTime": "2026-01-01T00:00:00.500000Z", "reason": "R",
        "action": "A", "type": "Normal", "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    let said = causes(&refused);
    let heads = [
        "reportingController: Required value",
        r#"reportingController: Invalid value: "": name part must be non-empty"#,
        r#"reportingController: Invalid value: "": name part must consist of alphanumeric c"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// The note of an event has at most 1024 bytes.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn a_note_is_short() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "eventTime": "2026-01-01T00:00:00.500000Z", "reason": "R",
        "action": "A", "type": "Normal", "reportingController": "a/b",
        "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
        "note": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"message: Invalid value: "": can have at most 1024 characters"#]
    );
}

/// A series of events is of at least two.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn a_series_is_more_than_one() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "eventTime": "2026-01-01T00:00:00.500000Z", "reason": "R",
        "action": "A", "type": "Normal", "reportingController": "a/b",
        "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
        "series": {"count": 1, "lastObservedTime": "2026-01-01T00:00:00.500000Z"},
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    assert_eq!(causes(&refused), [r#"series.count: Invalid value: "": should be at least 2"#]);
}

/// An event of `events.k8s.io` leaves the old fields alone.
/// <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>
#[tokio::test]
async fn a_newer_event_says_nothing_old() {
    let ground = Ground::new().await;
    let namespace = ground.namespace();
    let body = json!({
        "metadata": {"name": "one"}, "eventTime": "2026-01-01T00:00:00.500000Z", "reason": "R",
        "action": "A", "type": "Normal", "reportingController": "a/b",
        "reportingInstance": "i",
        "regarding": {"namespace": namespace, "kind": "Pod", "name": "x"},
        "deprecatedCount": 3, "deprecatedSource": {"component": "x"},
        "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z",
    });

    let refused = ground.post(&ground.path("events.k8s.io/v1", "events"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            r#"firstTimestamp: Invalid value: "": needs to be unset"#,
            r#"count: Invalid value: "": needs to be unset"#,
            r#"source: Invalid value: "": needs to be unset"#,
        ]
    );
}
