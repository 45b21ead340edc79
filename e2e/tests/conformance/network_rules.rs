//! Ingresses, network policies and endpoints: what leads nowhere is refused.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A network policy that says nothing is about what comes in.
/// <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
#[tokio::test]
async fn a_network_policy_is_about_what_comes_in() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"podSelector": {}}});

    let made = ground.post(&ground.path("networking.k8s.io/v1", "networkpolicies"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.json()["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
}

/// A network policy that lets something out is about that too.
/// <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
#[tokio::test]
async fn a_network_policy_with_egress_is_about_both() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "two"}, "spec": {"egress": [{"ports": [{"port": 80}]}]}});

    let made = ground.post(&ground.path("networking.k8s.io/v1", "networkpolicies"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(
        made.json()["spec"],
        json!({
            "egress": [{"ports": [{"port": 80, "protocol": "TCP"}]}], "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
        })
    );
}

/// Ports of an EndpointSlice are TCP when they say nothing.
/// <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>
#[tokio::test]
async fn an_endpoint_slice_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{"port": 80}],
    });

    let made = ground.post(&ground.path("discovery.k8s.io/v1", "endpointslices"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(made["endpoints"], json!([{"addresses": ["1.2.3.4"], "conditions": {}}]));
    assert_eq!(made["ports"], json!([{"name": "", "port": 80, "protocol": "TCP"}]));
}

/// An Ingress has rules or a backend.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/>
#[tokio::test]
async fn an_ingress_leads_somewhere() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {}});

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]
    );
}

/// A path says how it is compared.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types>
#[tokio::test]
async fn a_path_has_a_type() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "backend": {
                                    "service": {"name": "s", "port": {"number": 80}},
                                },
                            },
                        ],
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"]
    );
}

/// Paths are compared in one of three ways.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types>
#[tokio::test]
async fn types_of_paths_are_three() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/", "pathType": "X",
                                "backend": {
                                    "service": {"name": "s", "port": {"number": 80}},
                                },
                            },
                        ],
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.rules[0].http.paths[0].pathType: Unsupported value: "X": supported values: "#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A path of an Ingress begins with a slash.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types>
#[tokio::test]
async fn a_path_begins_at_the_root() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "x", "pathType": "Prefix",
                                "backend": {
                                    "service": {"name": "s", "port": {"number": 80}},
                                },
                            },
                        ],
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path"#]
    );
}

/// A path does not lead back.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types>
#[tokio::test]
async fn a_path_takes_no_detour() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/a/../b", "pathType": "Prefix",
                                "backend": {
                                    "service": {"name": "s", "port": {"number": 80}},
                                },
                            },
                        ],
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.rules[0].http.paths[0].path: Invalid value: "/a/../b": must not contain '/../'"#]
    );
}

/// A path leads to a backend.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/>
#[tokio::test]
async fn a_path_has_a_backend() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}]},
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service back"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A backend that is a Service has a name and a port.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/>
#[tokio::test]
async fn a_backend_has_a_port() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/", "pathType": "Prefix",
                                "backend": {"service": {"name": "", "port": {}}},
                            },
                        ],
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.rules[0].http.paths[0].backend.service.name: Required value",
            "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
        ]
    );
}

/// The port of a backend is a name or a number.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/>
#[tokio::test]
async fn a_backend_has_one_port() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/", "pathType": "Prefix",
                                "backend": {
                                    "service": {
                                        "name": "a", "port": {"number": 80, "name": "x"},
                                    },
                                },
                            },
                        ],
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both port nam"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A backend is a Service or a resource.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#resource-backend>
#[tokio::test]
async fn a_backend_is_one_thing() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/", "pathType": "Prefix",
                                "backend": {
                                    "service": {"name": "a", "port": {"number": 80}},
                                    "resource": {"kind": "K", "name": "n"},
                                },
                            },
                        ],
                    },
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both resource"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// The host of an Ingress is a name.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/>
#[tokio::test]
async fn a_host_is_no_address() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "rules": [
                {
                    "http": {
                        "paths": [
                            {
                                "path": "/", "pathType": "Prefix",
                                "backend": {
                                    "service": {"name": "s", "port": {"number": 80}},
                                },
                            },
                        ],
                    },
                    "host": "1.2.3.4",
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "ingresses"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address"#]
    );
}

/// A network policy is about what comes in or goes out.
/// <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
#[tokio::test]
async fn directions_are_two() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "spec": {"podSelector": {}, "policyTypes": ["X"]}});

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "networkpolicies"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.policyTypes[0]: Unsupported value: "X": supported values: "Ingress", "Egress""#]
    );
}

/// A peer that is nobody is refused.
/// <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
#[tokio::test]
async fn a_peer_is_someone() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"podSelector": {}, "ingress": [{"from": [{}]}]}});

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "networkpolicies"), &body).await;

    assert_eq!(causes(&refused), ["spec.ingress[0].from[0]: Required value: must specify a peer"]);
}

/// A block of addresses is one, alone, and what is left out of it is in it.
/// <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
#[tokio::test]
async fn blocks_are_blocks() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "podSelector": {},
            "egress": [
                {
                    "to": [
                        {"ipBlock": {"cidr": "x"}},
                        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}},
                        {"ipBlock": {"cidr": ""}},
                        {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}},
                    ],
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "networkpolicies"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.egress[0].to[0].ipBlock.cidr: Invalid value: "x": must be a valid CIDR valu"#,
        r#"spec.egress[0].to[1].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a "#,
        "spec.egress[0].to[2].ipBlock.cidr: Required value",
        "spec.egress[0].to[3]: Forbidden: may not specify both ipBlock and another peer",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A range of ports begins with a number and does not end before.
/// <https://kubernetes.io/docs/concepts/services-networking/network-policies/#targeting-a-range-of-ports>
#[tokio::test]
async fn ports_of_policies_are_ports() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "podSelector": {},
            "ingress": [
                {
                    "ports": [
                        {"port": 70000}, {"port": "Bad_"}, {"protocol": "X"},
                        {"port": 5, "endPort": 3}, {"port": "http", "endPort": 3},
                        {"endPort": 3},
                    ],
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("networking.k8s.io/v1", "networkpolicies"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.ingress[0].ports[0].port: Invalid value: 70000: must be between 1 and 65535",
        r#"spec.ingress[0].ports[1].port: Invalid value: "Bad_": must contain only alpha-nu"#,
        r#"spec.ingress[0].ports[2].protocol: Unsupported value: "X": supported values: "TC"#,
        "spec.ingress[0].ports[3].endPort: Invalid value: 5: must be greater than or equa",
        "spec.ingress[0].ports[4].endPort: Invalid value: 3: may not be specified when `p",
        "spec.ingress[0].ports[5].endPort: Invalid value: 3: may not be specified when `p",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// An EndpointSlice is of a type of addresses, and its endpoints have some.
/// <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>
#[tokio::test]
async fn a_slice_has_addresses_of_a_type() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "addressType": "X", "endpoints": [{"addresses": []}]});

    let refused = ground.post(&ground.path("discovery.k8s.io/v1", "endpointslices"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            r#"addressType: Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6""#,
            "endpoints[0].addresses: Required value: must contain at least 1 address",
        ]
    );
}
