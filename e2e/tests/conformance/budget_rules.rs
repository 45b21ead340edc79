//! Budgets, quotas, limits and roles, as they are written.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A budget counts from nothing.
/// <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>
#[tokio::test]
async fn a_budget_shows_what_it_counts() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
    });

    let made = ground.post(&ground.path("policy/v1", "poddisruptionbudgets"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(made["spec"], json!({"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}));
    assert_eq!(
        made["status"],
        json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0})
    );
}

/// A budget says how many stay or how many may go.
/// <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>
#[tokio::test]
async fn a_budget_says_one_thing() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}});

    let refused = ground.post(&ground.path("policy/v1", "poddisruptionbudgets"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"Unhea"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A budget is not below nothing.
/// <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>
#[tokio::test]
async fn a_budget_is_not_negative() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"minAvailable": -1}});

    let refused = ground.post(&ground.path("policy/v1", "poddisruptionbudgets"), &body).await;

    assert_eq!(
        causes(&refused),
        ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"]
    );
}

/// A budget does not go beyond all.
/// <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>
#[tokio::test]
async fn a_budget_is_not_beyond_all() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"maxUnavailable": "110%"}});

    let refused = ground.post(&ground.path("policy/v1", "poddisruptionbudgets"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.maxUnavailable: Invalid value: "110%": must not be greater than 100%"#]
    );
}

/// A quota is not below nothing.
/// <https://kubernetes.io/docs/concepts/policy/resource-quotas/>
#[tokio::test]
async fn a_quota_is_not_negative() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"hard": {"pods": "-1"}}});

    let refused = ground.post(&ground.path("v1", "resourcequotas"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0"#]
    );
}

/// A quota counts Pods whole.
/// <https://kubernetes.io/docs/concepts/policy/resource-quotas/>
#[tokio::test]
async fn pods_are_counted_whole() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1500m"}}});

    let refused = ground.post(&ground.path("v1", "resourcequotas"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.hard[pods]: Invalid value: "1500m": must be an integer"#]
    );
}

/// A quota is not of Pods that are two opposite things.
/// <https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes>
#[tokio::test]
async fn scopes_do_not_contradict() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort", "NotBestEffort"]},
    });

    let refused = ground.post(&ground.path("v1", "resourcequotas"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes"#]
    );
}

/// The default of a limit range is its most, or else its least.
/// <https://kubernetes.io/docs/concepts/policy/limit-range/>
#[tokio::test]
async fn a_limit_range_fills_itself_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "limits": [
                {"type": "Container", "default": {"cpu": "500m"}, "min": {"memory": "1Mi"}},
            ],
        },
    });

    let made = ground.post(&ground.path("v1", "limitranges"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(
        made.json()["spec"],
        json!({
            "limits": [
                {
                    "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "500m", "memory": "1Mi"},
                    "min": {"memory": "1Mi"}, "type": "Container",
                },
            ],
        })
    );
}

/// Bounds of a limit range are in order.
/// <https://kubernetes.io/docs/concepts/policy/limit-range/>
#[tokio::test]
async fn a_least_is_not_above_the_most() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}],
        },
    });

    let refused = ground.post(&ground.path("v1", "limitranges"), &body).await;

    let said = causes(&refused);
    let heads = [
        r#"spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max val"#,
        r#"spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater t"#,
        r#"spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than def"#,
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// What is asked for by default is within the default limit.
/// <https://kubernetes.io/docs/concepts/policy/limit-range/>
#[tokio::test]
async fn a_default_request_is_within_the_default() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "limits": [
                {
                    "type": "Container", "defaultRequest": {"cpu": "2"},
                    "default": {"cpu": "1"},
                },
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "limitranges"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 "#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A limit range of Pods has no defaults.
/// <https://kubernetes.io/docs/concepts/policy/limit-range/>
#[tokio::test]
async fn pods_have_no_defaults() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "limits": [
                {"type": "Pod", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}},
            ],
        },
    });

    let refused = ground.post(&ground.path("v1", "limitranges"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            "spec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is 'Pod'",
        ]
    );
}

/// A limit range is of Pods, containers or claims.
/// <https://kubernetes.io/docs/concepts/policy/limit-range/>
#[tokio::test]
async fn a_limit_range_is_of_known_types() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {"limits": [{"type": "X"}]}});

    let refused = ground.post(&ground.path("v1", "limitranges"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.limits[0].type: Invalid value: "X": must be a standard limit type or fully "#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A rule of a role has verbs.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
#[tokio::test]
async fn a_rule_has_verbs() {
    let ground = Ground::new().await;
    let body =
        json!({"metadata": {"name": "one"}, "rules": [{"apiGroups": [""], "resources": ["pods"]}]});

    let refused = ground.post(&ground.path("rbac.authorization.k8s.io/v1", "roles"), &body).await;

    assert_eq!(
        causes(&refused),
        ["rules[0].verbs: Required value: verbs must contain at least one value"]
    );
}

/// A rule of a role says groups, resources and verbs.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
#[tokio::test]
async fn an_empty_rule_lacks_everything() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "rules": [{}]});

    let refused = ground.post(&ground.path("rbac.authorization.k8s.io/v1", "roles"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "rules[0].verbs: Required value: verbs must contain at least one value",
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[0].resources: Required value: resource rules must supply at least one resource",
        ]
    );
}

/// A role of a namespace is not about URLs.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
#[tokio::test]
async fn a_role_has_no_urls() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "rules": [{"nonResourceURLs": ["/a"], "verbs": ["get"]}]});

    let refused = ground.post(&ground.path("rbac.authorization.k8s.io/v1", "roles"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"rules[0].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply t"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A binding is to a role by its kind and name.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
#[tokio::test]
async fn a_binding_binds_a_role() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}});

    let refused =
        ground.post(&ground.path("rbac.authorization.k8s.io/v1", "rolebindings"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            r#"roleRef.kind: Unsupported value: "": supported values: "Role", "ClusterRole""#,
            "roleRef.name: Required value",
        ]
    );
}
