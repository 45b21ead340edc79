//! Secrets, ConfigMaps, Services and claims: their defaults, and what they refuse.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A Secret of TLS has a certificate and a key.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets>
#[tokio::test]
async fn a_tls_secret_has_both_its_parts() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "type": "kubernetes.io/tls"});

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    assert_eq!(
        causes(&refused),
        ["data[tls.crt]: Required value", "data[tls.key]: Required value",]
    );
}

/// A Secret of Docker has its file.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets>
#[tokio::test]
async fn a_docker_secret_has_its_file() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "type": "kubernetes.io/dockerconfigjson"});

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    assert_eq!(causes(&refused), ["data[.dockerconfigjson]: Required value"]);
}

/// The file of a Secret of Docker is JSON, and is not shown.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets>
#[tokio::test]
async fn a_docker_secret_is_json() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": "x"},
    });

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid ch"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A Secret of basic authentication has at least one of its two parts.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#basic-authentication-secret>
#[tokio::test]
async fn a_basic_secret_has_a_user_or_a_password() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "type": "kubernetes.io/basic-auth"});

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    assert_eq!(
        causes(&refused),
        ["data[username]: Required value", "data[password]: Required value",]
    );
}

/// A Secret of SSH has a private key.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#ssh-authentication-secrets>
#[tokio::test]
async fn an_ssh_secret_has_a_key() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "type": "kubernetes.io/ssh-auth"});

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    assert_eq!(causes(&refused), ["data[ssh-privatekey]: Required value"]);
}

/// A Secret of an account names the account.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets>
#[tokio::test]
async fn a_token_secret_names_its_account() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "type": "kubernetes.io/service-account-token"});

    let refused = ground.post(&ground.path("v1", "secrets"), &body).await;

    assert_eq!(
        causes(&refused),
        ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]
    );
}

/// A key is in one of the two maps of a ConfigMap.
/// <https://kubernetes.io/docs/concepts/configuration/configmap/>
#[tokio::test]
async fn a_key_is_text_or_bytes() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "data": {"a": "x"}, "binaryData": {"a": "eA=="}});

    let refused = ground.post(&ground.path("v1", "configmaps"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"data[a]: Invalid value: "a": duplicate of key present in binaryData"#]
    );
}

/// A Service gets an address of the cluster, and its ports lead to themselves.
/// <https://kubernetes.io/docs/concepts/services-networking/service/>
#[tokio::test]
async fn a_service_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}]}});

    let made = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let mut made = made.json();
    made["spec"].as_object_mut().unwrap().remove("clusterIP");
    made["spec"].as_object_mut().unwrap().remove("clusterIPs");
    assert_eq!(
        made["spec"],
        json!({
            "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            "sessionAffinity": "None", "type": "ClusterIP",
        })
    );
    assert_eq!(made["status"], json!({"loadBalancer": {}}));
}

/// A Service that is only a name gets no address.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#externalname>
#[tokio::test]
async fn an_external_name_gets_no_address() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "three"}, "spec": {"type": "ExternalName", "externalName": "a.b"}});

    let made = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(
        made.json()["spec"],
        json!({"externalName": "a.b", "sessionAffinity": "None", "type": "ExternalName"})
    );
}

/// A Service that knows its clients forgets them after three hours.
/// <https://kubernetes.io/docs/reference/networking/virtual-ips/#session-affinity>
#[tokio::test]
async fn a_sticky_service_forgets_after_hours() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"sessionAffinity": "ClientIP", "ports": [{"port": 1}]},
    });

    let made = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let mut made = made.json();
    made["spec"].as_object_mut().unwrap().remove("clusterIP");
    made["spec"].as_object_mut().unwrap().remove("clusterIPs");
    assert_eq!(
        made["spec"],
        json!({
            "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"port": 1, "protocol": "TCP", "targetPort": 1}],
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}, "type": "ClusterIP",
        })
    );
}

/// A claim waits for a file system of the size it asks for.
/// <https://kubernetes.io/docs/concepts/storage/persistent-volumes/>
#[tokio::test]
async fn a_claim_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}},
        },
    });

    let made = ground.post(&ground.path("v1", "persistentvolumeclaims"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        made["spec"],
        json!({
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            "volumeMode": "Filesystem",
        })
    );
    assert_eq!(made["status"], json!({"phase": "Pending"}));
}

/// A Service that is no mere name has ports.
/// <https://kubernetes.io/docs/concepts/services-networking/service/>
#[tokio::test]
async fn a_service_has_ports() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {}});

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(causes(&refused), ["spec.ports: Required value"]);
}

/// When there are more ports than one, all have names.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#multi-port-services>
#[tokio::test]
async fn ports_of_a_service_are_named() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"ports": [{"port": 1}, {"port": 2}]}});

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value",]
    );
}

/// No two ports of a Service share a name.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#multi-port-services>
#[tokio::test]
async fn names_of_ports_are_their_own() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]},
    });

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(causes(&refused), [r#"spec.ports[1].name: Duplicate value: "a""#]);
}

/// A Service is of one of four types.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#publishing-services-service-types>
#[tokio::test]
async fn types_of_services_are_four() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"type": "X", "ports": [{"port": 1}]}});

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName""#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A Service inside the cluster takes no port of the nodes.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport>
#[tokio::test]
async fn a_port_of_nodes_is_for_those_that_have_one() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "spec": {"ports": [{"port": 1, "nodePort": 30000}]}});

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]
    );
}

/// A Service that is only a name has one.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#externalname>
#[tokio::test]
async fn an_external_name_is_named() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"type": "ExternalName"}});

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    assert_eq!(causes(&refused), ["spec.externalName: Required value"]);
}

/// A Service without an address cannot be balanced.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#headless-services>
#[tokio::test]
async fn no_balancer_without_an_address() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"type": "LoadBalancer", "clusterIP": "None", "ports": [{"port": 1}]},
    });

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for LoadBala"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// Traffic from outside has a policy only where there is some.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#external-traffic-policy>
#[tokio::test]
async fn a_local_policy_is_for_outside_traffic() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"externalTrafficPolicy": "Local", "ports": [{"port": 1}]},
    });

    let refused = ground.post(&ground.path("v1", "services"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.externalTrafficPolicy: Invalid value: "Local": may only be set for external"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A claim says how it is used and how much it needs.
/// <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#persistentvolumeclaims>
#[tokio::test]
async fn a_claim_says_how_and_how_much() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {}});

    let refused = ground.post(&ground.path("v1", "persistentvolumeclaims"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ]
    );
}

/// A claim asks for more than nothing.
/// <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#resources>
#[tokio::test]
async fn a_claim_of_nothing_is_none() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0"}},
        },
    });

    let refused = ground.post(&ground.path("v1", "persistentvolumeclaims"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.resources[storage]: Invalid value: "0": must be greater than zero"#]
    );
}

/// A volume is used in one of four ways.
/// <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes>
#[tokio::test]
async fn modes_of_access_are_four() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"accessModes": ["X"], "resources": {"requests": {"storage": "1Gi"}}},
    });

    let refused = ground.post(&ground.path("v1", "persistentvolumeclaims"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.accessModes: Unsupported value: "X": supported values: "ReadOnlyMany", "Rea"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}
