//! Pods: what they must say before anyone runs them.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A Pod without containers is refused, with the field that lacks them.
/// <https://kubernetes.io/docs/concepts/workloads/pods/>
#[tokio::test]
async fn a_pod_has_a_container() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"containers": []}});

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(causes(&refused), ["spec.containers: Required value"]);
}

/// A restart policy is one of three.
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy>
#[tokio::test]
async fn restart_policies_are_three() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Sometimes"},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A volume has a name of its own, one source, and what that source needs.
/// <https://kubernetes.io/docs/concepts/storage/volumes/>
#[tokio::test]
async fn a_volume_has_one_source() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [
                {"name": "Bad_"}, {"name": "a"}, {"name": "a"},
                {"name": "b", "emptyDir": {}, "secret": {"secretName": "x"}},
                {"name": "c", "secret": {}}, {"name": "d", "configMap": {}},
                {"name": "e", "persistentVolumeClaim": {}}, {"name": "f", "hostPath": {}},
                {"name": "", "emptyDir": {}},
                {
                    "name": "g",
                    "secret": {
                        "secretName": "s",
                        "items": [{"key": "", "path": ""}, {"key": "k", "path": "../x"}],
                        "defaultMode": 7777,
                    },
                },
                {"name": "h", "projected": {"sources": [{}]}},
                {"name": "i", "emptyDir": {"sizeLimit": "-1"}},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.volumes[0].name: Invalid value: "Bad_": a lowercase RFC 1123 label must con"#,
        r#"spec.volumes[2].name: Duplicate value: "a""#,
        "spec.volumes[3].secret: Forbidden: may not specify more than 1 volume type",
        "spec.volumes[4].secret.secretName: Required value",
        "spec.volumes[5].configMap.name: Required value",
        "spec.volumes[6].persistentVolumeClaim.claimName: Required value",
        "spec.volumes[7].hostPath.path: Required value",
        "spec.volumes[8].name: Required value",
        "spec.volumes[9].secret.defaultMode: Invalid value: 7777: must be a number betwee",
        "spec.volumes[9].secret.items[0].key: Required value",
        "spec.volumes[9].secret.items[0].path: Required value",
        r#"spec.volumes[9].secret.items[1].path: Invalid value: "../x": must not contain '."#,
        "spec.volumes[11].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid ",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A probe without a handler asks nothing.
/// <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>
#[tokio::test]
async fn a_probe_asks_in_one_way() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i", "livenessProbe": {}}]},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]
    );
}

/// A probe asks in exactly one way, with all that this way needs.
/// <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>
#[tokio::test]
async fn a_probe_is_complete() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i", "livenessProbe": {"httpGet": {"port": 0}},
                    "readinessProbe": {"exec": {}},
                    "startupProbe": {
                        "tcpSocket": {"port": "Bad_"}, "periodSeconds": -1,
                        "httpGet": {"port": 80, "path": "x", "scheme": "FTP"},
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between",
        "spec.containers[0].readinessProbe.exec.command: Required value",
        r#"spec.containers[0].startupProbe.httpGet.scheme: Unsupported value: "FTP": suppor"#,
        "spec.containers[0].startupProbe.tcpSocket: Forbidden: may not specify more than ",
        "spec.containers[0].startupProbe.periodSeconds: Invalid value: -1: must be greate",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Only readiness may need more than one success.
/// <https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#configure-probes>
#[tokio::test]
async fn a_living_container_needs_one_success() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "livenessProbe": {
                        "exec": {"command": ["a"]}, "successThreshold": 2,
                        "initialDelaySeconds": -1,
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.containers[0].livenessProbe.initialDelaySeconds: Invalid value: -1: must be",
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A lifecycle hook has a handler, and the handler a command.
/// <https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/>
#[tokio::test]
async fn a_hook_does_something() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "lifecycle": {"preStop": {}, "postStart": {"exec": {}}},
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.containers[0].lifecycle.postStart.exec.command: Required value",
            "spec.containers[0].lifecycle.preStop: Required value: must specify a handler type",
        ]
    );
}

/// A Pod has at least a second to run.
/// <https://kubernetes.io/docs/concepts/workloads/pods/>
#[tokio::test]
async fn a_deadline_is_ahead() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "activeDeadlineSeconds": 0},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads =
        ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, "];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A toleration that exists has no value, and one with a time is of `NoExecute`.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>
#[tokio::test]
async fn tolerations_make_sense() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "tolerations": [
                {"operator": "Exists", "key": "a", "value": "b"},
                {"operator": "X", "key": "a"}, {"key": "a", "tolerationSeconds": 3},
                {"effect": "Foo", "operator": "Exists"}, {"operator": "Equal"},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.tolerations[0].operator: Invalid value: "b": value must be empty when `oper"#,
        r#"spec.tolerations[1].operator: Unsupported value: "X": supported values: "Equal","#,
        r#"spec.tolerations[2].effect: Invalid value: "": effect must be 'NoExecute' when `"#,
        r#"spec.tolerations[3].effect: Unsupported value: "Foo": supported values: "NoSched"#,
        r#"spec.tolerations[4].operator: Invalid value: "Equal": operator must be Exists wh"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A spread constraint has a skew, a topology and a way to act.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/>
#[tokio::test]
async fn a_pod_is_spread_over_something() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "topologySpreadConstraints": [
                {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "X"},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater tha",
        "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
        r#"spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": sup"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Nobody is born with ephemeral containers.
/// <https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/>
#[tokio::test]
async fn ephemeral_containers_come_later() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "ephemeralContainers": [{"name": "d", "image": "i"}],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(causes(&refused), ["spec.ephemeralContainers: Forbidden: cannot be set on create"]);
}

/// Probes and hooks are for containers that stay.
/// <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/>
#[tokio::test]
async fn an_init_container_is_not_probed() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "initContainers": [
                {
                    "name": "i", "image": "i", "livenessProbe": {"exec": {"command": ["x"]}},
                    "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
                },
                {"name": "j", "image": "i", "restartPolicy": "Never"},
                {"name": "k", "image": "i", "restartPolicy": "Always"},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers ",
        "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init contain",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A Pod that wants no cluster DNS says what else.
/// <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy>
#[tokio::test]
async fn own_name_servers_are_named() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "dnsPolicy": "None"},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]
    );
}
