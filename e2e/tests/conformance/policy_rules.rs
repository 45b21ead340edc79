//! Autoscalers, budgets, quotas, limits, priorities and webhooks, as they are written.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// An autoscaler without metrics looks at the CPU.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>
#[tokio::test]
async fn an_autoscaler_looks_at_the_cpu() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        },
    });

    let made = ground.post(&ground.path("autoscaling/v2", "horizontalpodautoscalers"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(
        made.json()["spec"],
        json!({
            "maxReplicas": 3,
            "metrics": [
                {
                    "resource": {
                        "name": "cpu", "target": {"averageUtilization": 80, "type": "Utilization"},
                    },
                    "type": "Resource",
                },
            ],
            "minReplicas": 1,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        })
    );
}

/// An autoscaler that says little of its behaviour gets the rest.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#default-behavior>
#[tokio::test]
async fn an_autoscaler_behaves_as_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "behavior": {"scaleUp": {}},
        },
    });

    let made = ground.post(&ground.path("autoscaling/v2", "horizontalpodautoscalers"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(
        made.json()["spec"],
        json!({
            "behavior": {
                "scaleDown": {
                    "policies": [{"periodSeconds": 15, "type": "Percent", "value": 100}],
                    "selectPolicy": "Max",
                },
                "scaleUp": {
                    "policies": [
                        {"periodSeconds": 15, "type": "Pods", "value": 4},
                        {"periodSeconds": 15, "type": "Percent", "value": 100},
                    ],
                    "selectPolicy": "Max", "stabilizationWindowSeconds": 0,
                },
            },
            "maxReplicas": 3,
            "metrics": [
                {
                    "resource": {
                        "name": "cpu", "target": {"averageUtilization": 80, "type": "Utilization"},
                    },
                    "type": "Resource",
                },
            ],
            "minReplicas": 1,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        })
    );
}

/// An autoscaler has a most and a target.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>
#[tokio::test]
async fn an_autoscaler_scales_something() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {}});

    let refused =
        ground.post(&ground.path("autoscaling/v2", "horizontalpodautoscalers"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.maxReplicas: Required value: must be set and greater than 0",
            "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            "spec.scaleTargetRef.kind: Required value",
            "spec.scaleTargetRef.name: Required value",
            r#"spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group"#,
        ]
    );
}

/// An autoscaler wants no more at least than at most.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>
#[tokio::test]
async fn a_most_is_not_below_the_least() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "minReplicas": 5,
        },
    });

    let refused =
        ground.post(&ground.path("autoscaling/v2", "horizontalpodautoscalers"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"]
    );
}

/// Nothing at all is scaled by what others measure.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>
#[tokio::test]
async fn zero_replicas_need_another_metric() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "minReplicas": 0,
        },
    });

    let refused =
        ground.post(&ground.path("autoscaling/v2", "horizontalpodautoscalers"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
        "spec.metrics: Forbidden: must specify at least one Object or External metric to ",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A metric has one target.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>
#[tokio::test]
async fn a_metric_has_one_target() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {
                            "type": "Utilization", "averageUtilization": 1,
                            "averageValue": "1",
                        },
                    },
                },
            ],
        },
    });

    let refused =
        ground.post(&ground.path("autoscaling/v2", "horizontalpodautoscalers"), &body).await;

    let said = causes(&refused);
    let heads =
        ["spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a targ"];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A behaviour does not look back further than an hour.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#stabilization-window>
#[tokio::test]
async fn a_behaviour_is_bounded() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 4000}},
        },
    });

    let refused =
        ground.post(&ground.path("autoscaling/v2", "horizontalpodautoscalers"), &body).await;

    let said = causes(&refused);
    let heads =
        ["spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 4000: must be"];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}
