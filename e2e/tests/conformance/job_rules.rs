//! Jobs and CronJobs as they are written: defaults, and what cannot be run.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A Job says that its Pods restart never or on failure.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-template>
#[tokio::test]
async fn a_job_restarts_never_or_on_failure() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never""#]
    );
}

/// A policy that nobody knows is refused by the Pod and by the Job.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-template>
#[tokio::test]
async fn an_unknown_restart_policy_is_refused_twice() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "template": {
                "spec": {"restartPolicy": "X", "containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.template.spec.restartPolicy: Unsupported value: "X": supported values: "Alw"#,
        r#"spec.template.spec.restartPolicy: Unsupported value: "X": supported values: "OnF"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// No number of a Job is below nothing.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/>
#[tokio::test]
async fn no_amount_of_a_job_is_negative() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "parallelism": -1, "completions": -1, "backoffLimit": -1,
            "activeDeadlineSeconds": -1, "ttlSecondsAfterFinished": -1,
            "template": {
                "spec": {
                    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}],
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
            "spec.completions: Invalid value: -1: must be greater than or equal to 0",
            "spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
            "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0",
        ]
    );
}

/// A Job is indexed or not.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>
#[tokio::test]
async fn completion_modes_are_two() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "completionMode": "X",
            "template": {
                "spec": {
                    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}],
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            r#"spec.completionMode: Unsupported value: "X": supported values: "NonIndexed", "Indexed""#
        ]
    );
}

/// A limit for each index is for indexed Jobs.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#backoff-limit-per-index>
#[tokio::test]
async fn a_limit_per_index_needs_indexes() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "backoffLimitPerIndex": 1,
            "template": {
                "spec": {
                    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}],
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]
    );
}

/// Who brings a selector brings Pods that it takes.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#specifying-your-own-pod-selector>
#[tokio::test]
async fn a_selector_of_ones_own_matches() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "manualSelector": true, "selector": {"matchLabels": {"x": "y"}},
            "template": {
                "spec": {
                    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}],
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    let said = causes(&refused);
    let heads =
        ["spec.template.metadata.labels: Invalid value: null: `selector` does not match te"];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Who manages a Job is named by a path under a domain.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#delegation-of-managing-a-job-object-to-external-controller>
#[tokio::test]
async fn a_manager_has_a_domain() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "managedBy": "x",
            "template": {
                "spec": {
                    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}],
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.managedBy: Invalid value: "x": must be a domain-prefixed path (such as "acm"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Only of Pods that never restart the failures are looked at.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy>
#[tokio::test]
async fn a_failure_policy_wants_pods_that_end() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}},
                ],
            },
            "template": {
                "spec": {
                    "restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}],
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not",
        r#"spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is su"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}
