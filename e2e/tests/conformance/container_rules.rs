//! Containers of a Pod: names, images, ports, variables, amounts and mounts.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// Every container has a name.
/// <https://kubernetes.io/docs/concepts/workloads/pods/>
#[tokio::test]
async fn a_container_has_a_name() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"containers": [{"image": "i"}]}});

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(causes(&refused), ["spec.containers[0].name: Required value"]);
}

/// Every container has an image.
/// <https://kubernetes.io/docs/concepts/containers/images/>
#[tokio::test]
async fn a_container_has_an_image() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "spec": {"containers": [{"name": "c", "image": ""}]}});

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(causes(&refused), ["spec.containers[0].image: Required value"]);
}

/// An image is named without space around its name.
/// <https://kubernetes.io/docs/concepts/containers/images/>
#[tokio::test]
async fn an_image_has_no_space_around_it() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"containers": [{"name": "c", "image": " i"}]}});

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.containers[0].image: Invalid value: " i": must not have leading or trailing"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// No two containers of a Pod share a name.
/// <https://kubernetes.io/docs/concepts/workloads/pods/>
#[tokio::test]
async fn containers_have_names_of_their_own() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(causes(&refused), [r#"spec.containers[1].name: Duplicate value: "c""#]);
}

/// An init container takes no name of another container.
/// <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/>
#[tokio::test]
async fn init_containers_share_the_names() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "initContainers": [{"name": "c", "image": "i"}],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(causes(&refused), [r#"spec.initContainers[0].name: Duplicate value: "c""#]);
}

/// An image is pulled always, if it is not present, or never.
/// <https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy>
#[tokio::test]
async fn pull_policies_are_three() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Maybe"}]},
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.containers[0].imagePullPolicy: Unsupported value: "Maybe": supported values"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A port is a number from 1 to 65535; names of ports are short and used once.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports>
#[tokio::test]
async fn ports_are_numbers_with_names() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "ports": [
                        {"containerPort": 0}, {"containerPort": 70000},
                        {"containerPort": 80, "protocol": "X", "name": "Bad_Name"},
                        {"containerPort": 80, "hostPort": -1, "name": "1234"},
                        {"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"},
                    ],
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.containers[0].ports[0].containerPort: Required value",
        "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between",
        r#"spec.containers[0].ports[2].name: Invalid value: "Bad_Name": must contain only a"#,
        r#"spec.containers[0].ports[2].protocol: Unsupported value: "X": supported values: "#,
        r#"spec.containers[0].ports[3].name: Invalid value: "1234": must contain at least o"#,
        "spec.containers[0].ports[3].hostPort: Invalid value: -1: must be between 1 and 6",
        r#"spec.containers[0].ports[5].name: Duplicate value: "a""#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// No two containers of a Pod take the same port of the host.
/// <https://kubernetes.io/docs/concepts/configuration/overview/>
#[tokio::test]
async fn a_host_port_is_taken_once() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "ports": [
                        {"containerPort": 80, "hostPort": 80},
                        {"containerPort": 81, "hostPort": 80},
                    ],
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80""#]
    );
}

/// The value of a variable is stated, or comes from exactly one place.
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/>
#[tokio::test]
async fn a_variable_has_one_source() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "env": [
                        {
                            "name": "Y",
                            "valueFrom": {
                                "fieldRef": {"fieldPath": "metadata.name"},
                                "secretKeyRef": {"name": "a", "key": "b"},
                            },
                        },
                        {
                            "name": "R",
                            "valueFrom": {"resourceFieldRef": {"resource": "limits.cpux"}},
                        },
                        {"name": "R2", "valueFrom": {"resourceFieldRef": {}}},
                        {"name": "F", "valueFrom": {"fieldRef": {}}},
                    ],
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.containers[0].env[0].valueFrom: Invalid value: "": may not have more than o"#,
        "spec.containers[0].env[1].valueFrom.resourceFieldRef.resource: Unsupported value",
        "spec.containers[0].env[2].valueFrom.resourceFieldRef.resource: Required value",
        "spec.containers[0].env[3].valueFrom.fieldRef.fieldPath: Required value",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A container may not ask for more than its limit.
/// <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>
#[tokio::test]
async fn a_request_stays_within_its_limit() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "resources": {
                        "requests": {"cpu": "2", "memory": "1Gi"},
                        "limits": {"cpu": "1", "memory": "1Gi"},
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.containers[0].resources.requests: Invalid value: "2": must be less than or "#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// No container asks for less than nothing.
/// <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>
#[tokio::test]
async fn an_amount_is_not_negative() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {"name": "c", "image": "i", "resources": {"requests": {"cpu": "-1"}}},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A volume that is mounted has to be there.
/// <https://kubernetes.io/docs/concepts/storage/volumes/>
#[tokio::test]
async fn a_mount_names_a_volume() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "volumeMounts": [{"name": "v", "mountPath": "/a"}],
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    assert_eq!(causes(&refused), [r#"spec.containers[0].volumeMounts[0].name: Not found: "v""#]);
}

/// Volumes are mounted at places of their own, and never outside of themselves.
/// <https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath>
#[tokio::test]
async fn mounts_have_places_of_their_own() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "containers": [
                {
                    "name": "c", "image": "i",
                    "volumeMounts": [
                        {"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"},
                        {"name": "v", "mountPath": ""},
                        {"name": "v", "mountPath": "/b", "subPath": "../x"},
                        {"name": "", "mountPath": "/c"},
                        {"name": "v", "mountPath": "/d", "subPath": "/abs"},
                        {"name": "v", "mountPath": "/e:f"},
                    ],
                },
            ],
            "volumes": [{"name": "v"}],
        },
    });

    let refused = ground.post(&ground.path("v1", "pods"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be uniqu"#,
        "spec.containers[0].volumeMounts[2].mountPath: Required value",
        r#"spec.containers[0].volumeMounts.subPath: Invalid value: "../x": must not contain"#,
        "spec.containers[0].volumeMounts[4].name: Required value",
        r#"spec.containers[0].volumeMounts[4].name: Not found: """#,
        r#"spec.containers[0].volumeMounts.subPath: Invalid value: "/abs": must be a relati"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}
