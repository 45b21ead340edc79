//! Workloads: what is filled in for them, and which of them find no Pods.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A Deployment has a selector.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector>
#[tokio::test]
async fn a_deployment_selects() {
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

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.selector: Required value",
        r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not mat"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// The selector of a Deployment takes the Pods of its template.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector>
#[tokio::test]
async fn a_deployment_selects_its_own_pods() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "c"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not mat"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// An empty selector would take all Pods: a Deployment may not have it.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector>
#[tokio::test]
async fn a_deployment_does_not_select_everything() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]
    );
}

/// A Deployment without a spec lacks all that it needs.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>
#[tokio::test]
async fn a_deployment_is_not_empty() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {}});

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.selector: Required value",
        "spec.template.metadata.labels: Invalid value: null: `selector` does not match te",
        "spec.template.spec.containers: Required value",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Replicas, seconds and revisions are not below nothing.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>
#[tokio::test]
async fn no_amount_of_a_deployment_is_negative() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "replicas": -1, "minReadySeconds": -1, "revisionHistoryLimit": -1,
            "progressDeadlineSeconds": -1, "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
        ]
    );
}

/// A Deployment recreates its Pods or rolls over them.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy>
#[tokio::test]
async fn strategies_of_deployments_are_two() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "strategy": {"type": "Foo"}, "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.strategy: Unsupported value: {"Type":"Foo","RollingUpdate":null}: supported"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Who recreates all Pods at once does not roll.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment>
#[tokio::test]
async fn recreation_has_no_parameters() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads =
        ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type"];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// An update that may add no Pod and take none away would never end.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable>
#[tokio::test]
async fn a_rolling_update_moves() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads =
        ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when "];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// An amount in text is a percentage, and of what may be missing no more than all.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable>
#[tokio::test]
async fn percentages_are_percentages() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "strategy": {"rollingUpdate": {"maxSurge": "x%", "maxUnavailable": "110%"}},
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.strategy.rollingUpdate.maxSurge: Invalid value: "x%": a valid percent strin"#,
        r#"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "110%": must not be g"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Pods of a Deployment always restart.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template>
#[tokio::test]
async fn pods_of_a_deployment_always_restart() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}],
                },
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// The selector of a StatefulSet takes the Pods of its template.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/>
#[tokio::test]
async fn a_selector_of_a_stateful_set_matches() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "c"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "statefulsets"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not mat"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// The selector of a DaemonSet takes the Pods of its template.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/>
#[tokio::test]
async fn a_selector_of_a_daemon_set_matches() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "c"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "daemonsets"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not mat"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// An update that may take no Pod away and add none is none.
/// <https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/>
#[tokio::test]
async fn a_daemon_set_updates_somehow() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}},
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "daemonsets"), &body).await;

    let said = causes(&refused);
    let heads =
        ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 wh"];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Policies of a StatefulSet are among those that there are.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/>
#[tokio::test]
async fn a_stateful_set_has_known_policies() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
            "podManagementPolicy": "X", "updateStrategy": {"type": "Y"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Z"},
        },
    });

    let refused = ground.post(&ground.path("apps/v1", "statefulsets"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.podManagementPolicy: Invalid value: "X": must be 'OrderedReady' or 'Paralle"#,
        r#"spec.updateStrategy: Invalid value: {"Type":"Y","RollingUpdate":null}: must be '"#,
        r#"spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Z": s"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A ControllerRevision is nothing without its data.
/// <https://kubernetes.io/docs/tasks/manage-daemon/rollback-daemon-set/>
#[tokio::test]
async fn a_revision_has_data() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}});

    let refused = ground.post(&ground.path("apps/v1", "controllerrevisions"), &body).await;

    assert_eq!(causes(&refused), ["data: Required value: data is mandatory"]);
}
