//! Workloads that say the least: what is filled in for them.

use serde_json::json;

use crate::ground::Ground;

/// A Deployment that says the least rolls over a quarter at a time.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>
#[tokio::test]
async fn a_deployment_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let made = ground.post(&ground.path("apps/v1", "deployments"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        made["spec"],
        json!({
            "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                "type": "RollingUpdate",
            },
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [
                        {
                            "image": "i", "imagePullPolicy": "Always", "name": "c",
                            "resources": {}, "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                        },
                    ],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                    "schedulerName": "default-scheduler", "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            },
        })
    );
    assert_eq!(made["status"], json!({}));
}

/// A ReplicaSet wants one Pod when it says nothing.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/>
#[tokio::test]
async fn a_replica_set_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let made = ground.post(&ground.path("apps/v1", "replicasets"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        made["spec"],
        json!({
            "replicas": 1, "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [
                        {
                            "image": "i", "imagePullPolicy": "Always", "name": "c",
                            "resources": {}, "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                        },
                    ],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                    "schedulerName": "default-scheduler", "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            },
        })
    );
    assert_eq!(made["status"], json!({"replicas": 0}));
}

/// A DaemonSet updates one node at a time.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/>
#[tokio::test]
async fn a_daemon_set_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });

    let made = ground.post(&ground.path("apps/v1", "daemonsets"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        made["spec"],
        json!({
            "revisionHistoryLimit": 10, "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [
                        {
                            "image": "i", "imagePullPolicy": "Always", "name": "c",
                            "resources": {}, "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                        },
                    ],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                    "schedulerName": "default-scheduler", "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            },
            "updateStrategy": {
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}, "type": "RollingUpdate",
            },
        })
    );
    assert_eq!(
        made["status"],
        json!({
            "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0,
            "numberReady": 0,
        })
    );
}

/// A StatefulSet goes in order and keeps its claims.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/>
#[tokio::test]
async fn a_stateful_set_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
            "serviceName": "x",
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "v"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1"}},
                    },
                },
            ],
        },
    });

    let made = ground.post(&ground.path("apps/v1", "statefulsets"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        made["spec"],
        json!({
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain", "whenScaled": "Retain",
            },
            "podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"a": "b"}}, "serviceName": "x",
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [
                        {
                            "image": "i", "imagePullPolicy": "Always", "name": "c",
                            "resources": {}, "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                        },
                    ],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                    "schedulerName": "default-scheduler", "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            },
            "updateStrategy": {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"},
            "volumeClaimTemplates": [
                {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "v"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1"}}, "volumeMode": "Filesystem",
                    },
                    "status": {"phase": "Pending"},
                },
            ],
        })
    );
    assert_eq!(made["status"], json!({"availableReplicas": 0, "replicas": 0}));
}

/// A PodTemplate gets the defaults of the Pods that come of it.
/// <https://kubernetes.io/docs/concepts/workloads/pods/#pod-templates>
#[tokio::test]
async fn a_pod_template_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    });

    let made = ground.post(&ground.path("v1", "podtemplates"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(
        made.json()["template"],
        json!({
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {
                        "image": "i", "imagePullPolicy": "Always", "name": "c", "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                    },
                ],
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                "schedulerName": "default-scheduler", "securityContext": {},
                "terminationGracePeriodSeconds": 30,
            },
        })
    );
}

/// A ReplicationController without a selector takes the labels of its template.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/>
#[tokio::test]
async fn a_replication_controller_selects_its_template() {
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

    let made = ground.post(&ground.path("v1", "replicationcontrollers"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        made["spec"],
        json!({
            "replicas": 1, "selector": {"a": "b"},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [
                        {
                            "image": "i", "imagePullPolicy": "Always", "name": "c",
                            "resources": {}, "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                        },
                    ],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
                    "schedulerName": "default-scheduler", "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            },
        })
    );
    assert_eq!(made["status"], json!({"replicas": 0}));
}
