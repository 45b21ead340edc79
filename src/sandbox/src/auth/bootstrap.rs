//! Which roles and bindings every cluster begins with, as far as people rely on them.

use serde_json::{Value, json};

use crate::auth::{RBAC, user};

const READ: &str = "get list watch";
const WRITE: &str = "create delete deletecollection patch update";

/// Groups, resources and verbs, apart by spaces; `core` is the group without a name.
type Line = (&'static str, &'static str, &'static str);

const VIEW: &[Line] = &[
    (
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods \
         replicationcontrollers replicationcontrollers/scale serviceaccounts services \
         services/status bindings limitranges namespaces/status pods/log pods/status \
         replicationcontrollers/status resourcequotas resourcequotas/status namespaces",
        READ,
    ),
    ("core events.k8s.io", "events", READ),
    ("discovery.k8s.io", "endpointslices", READ),
    (
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale \
         deployments/status replicasets replicasets/scale replicasets/status statefulsets \
         statefulsets/scale statefulsets/status",
        READ,
    ),
    ("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
    ("batch", "cronjobs cronjobs/status jobs jobs/status", READ),
    ("policy", "poddisruptionbudgets poddisruptionbudgets/status", READ),
    ("networking.k8s.io", "ingresses ingresses/status networkpolicies", READ),
];

const EDIT: &[Line] = &[
    ("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", READ),
    ("core", "serviceaccounts", "impersonate"),
    ("core", "pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
    ("core", "pods/eviction serviceaccounts/token", "create"),
    (
        "core",
        "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale \
         secrets serviceaccounts services services/proxy",
        WRITE,
    ),
    ("core events.k8s.io", "events", WRITE),
    (
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets \
         replicasets/scale statefulsets statefulsets/scale",
        WRITE,
    ),
    ("autoscaling", "horizontalpodautoscalers", WRITE),
    ("batch", "cronjobs jobs", WRITE),
    ("policy", "poddisruptionbudgets", WRITE),
    ("networking.k8s.io", "ingresses networkpolicies", WRITE),
    ("coordination.k8s.io", "leases", READ),
    ("coordination.k8s.io", "leases", WRITE),
];

const ADMIN: &[Line] = &[
    ("authorization.k8s.io", "localsubjectaccessreviews", "create"),
    (RBAC, "roles rolebindings", READ),
    (RBAC, "roles rolebindings", WRITE),
];

const BASIC: &[Line] = &[
    ("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
    ("authentication.k8s.io", "selfsubjectreviews", "create"),
];

const DELEGATOR: &[Line] = &[
    ("authentication.k8s.io", "tokenreviews", "create"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
];

const DISCOVERY: &str = "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz \
    /version /version/";
const PUBLIC: &str = "/healthz /livez /readyz /version /version/";
const ISSUER: &str = "/.well-known/openid-configuration /.well-known/openid-configuration/ \
    /openid/v1/jwks /openid/v1/jwks/";

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().map(|it| if it == "core" { "" } else { it }).collect()
}

fn resources(lines: &[&[Line]]) -> Vec<Value> {
    let rule = |(groups, resources, verbs): &Line| {
        json!({
            "apiGroups": words(groups), "resources": words(resources), "verbs": words(verbs),
        })
    };
    lines.iter().flat_map(|it| it.iter()).map(rule).collect()
}

fn urls(urls: &str) -> Vec<Value> {
    vec![json!({ "nonResourceURLs": words(urls), "verbs": ["get"] })]
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" },
        "annotations": { "rbac.authorization.kubernetes.io/autoupdate": "true" },
    })
}

/// The cluster roles.
pub(crate) fn roles() -> impl Iterator<Item = Value> {
    let everything = vec![
        json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }),
        json!({ "nonResourceURLs": ["*"], "verbs": ["*"] }),
    ];
    let own = [
        ("cluster-admin", everything),
        ("system:aggregate-to-admin", resources(&[ADMIN])),
        ("system:aggregate-to-edit", resources(&[EDIT])),
        ("system:aggregate-to-view", resources(&[VIEW])),
        ("system:auth-delegator", resources(&[DELEGATOR])),
        ("system:basic-user", resources(&[BASIC])),
        ("system:discovery", urls(DISCOVERY)),
        ("system:public-info-viewer", urls(PUBLIC)),
        ("system:service-account-issuer-discovery", urls(ISSUER)),
    ];
    let own = own.map(|(name, rules)| {
        let mut role = json!({ "metadata": metadata(name), "rules": rules });
        if let Some(to) = name.strip_prefix("system:aggregate-to-") {
            role["metadata"]["labels"][label(to)] = "true".into();
        }
        role
    });
    let gathered = [
        ("admin", "", resources(&[ADMIN, EDIT, VIEW])),
        ("edit", "admin", resources(&[EDIT, VIEW])),
        ("view", "edit", resources(&[VIEW])),
    ];
    let gathered = gathered.map(|(name, to, rules)| {
        let selector = json!({ "matchLabels": { label(name): "true" } });
        let mut role = json!({
            "metadata": metadata(name), "rules": rules,
            "aggregationRule": { "clusterRoleSelectors": [selector] },
        });
        if !to.is_empty() {
            role["metadata"]["labels"][label(to)] = "true".into();
        }
        role
    });
    own.into_iter().chain(gathered)
}

fn label(to: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{to}")
}

/// Who has which of them from the beginning.
pub(crate) fn bindings() -> impl Iterator<Item = Value> {
    let all: [(&str, &[&str]); 5] = [
        ("cluster-admin", &[user::MASTERS]),
        ("system:basic-user", &[user::AUTHENTICATED]),
        ("system:discovery", &[user::AUTHENTICATED]),
        ("system:public-info-viewer", &[user::AUTHENTICATED, user::UNAUTHENTICATED]),
        ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
    ];
    all.into_iter().map(|(name, groups)| {
        let subject = |it: &&str| json!({ "kind": "Group", "apiGroup": RBAC, "name": it });
        let subjects: Vec<Value> = groups.iter().map(subject).collect();
        json!({
            "metadata": metadata(name), "subjects": subjects,
            "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": name },
        })
    })
}
