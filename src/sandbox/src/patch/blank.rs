//! What does an object of a built-in kind hold before anybody wrote it? Structures are there from the
//! start, so nobody comes to own them by creating it.

use serde_json::{Value, json};

use crate::registry::Resource;

/// An object of a kind as it is before its creation.
pub(super) fn of(resource: &Resource) -> Value {
    match resource.table.as_str() {
        _ if resource.is_custom() => json!({}),
        "pods" => json!({"spec": {"containers": null}, "status": {}}),
        "deployments.apps" => json!({"spec": {"strategy": {}, "template": template()}}),
        "daemonsets.apps" => json!({"spec": {"updateStrategy": {}, "template": template()}}),
        "statefulsets.apps" => {
            json!({"spec": {"serviceName": "", "updateStrategy": {}, "template": template()}})
        }
        "jobs.batch" | "replicasets.apps" => json!({"spec": {"template": template()}}),
        "cronjobs.batch" => {
            let jobs = json!({"metadata": {}, "spec": {"template": template()}});
            json!({"spec": {"schedule": "", "jobTemplate": jobs}})
        }
        "networkpolicies.networking.k8s.io" => json!({"spec": {"podSelector": {}}}),
        "horizontalpodautoscalers.autoscaling" => {
            json!({"spec": {"maxReplicas": 0, "scaleTargetRef": {"kind": "", "name": ""}}})
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            let names = json!({"plural": "", "kind": ""});
            json!({"spec": {"group": "", "names": names, "scope": "", "versions": null}})
        }
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            json!({"roleRef": {"apiGroup": "", "kind": "", "name": ""}})
        }
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            json!({"rules": null})
        }
        "events" => json!({"involvedObject": {}, "source": {}}),
        "configmaps" | "secrets" | "serviceaccounts" | "endpoints" => json!({}),
        _ => json!({"spec": {}, "status": {}}),
    }
}

/// What Pods are made from.
fn template() -> Value {
    json!({"metadata": {}, "spec": {"containers": null}})
}
