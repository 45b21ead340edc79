//! How the lists and maps of built-in kinds merge, which their JSON schemas do not say: on apply,
//! by list and map types, and on a strategic merge patch, which is older and knows fewer keys.

use std::sync::Arc;

use serde_json::json;

use crate::schema::{Merge, Node, Strategy};

/// Structures that have one owner as a whole.
const WHOLE: [&str; 22] = [
    "ConfigMapKeySelector",
    "CrossVersionObjectReference",
    "EndpointAddress",
    "EndpointPort",
    "FileKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "MatchResources",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ResourceFieldSelector",
    "RoleRef",
    "ScopeSelector",
    "SecretKeySelector",
    "SecretReference",
    "ServiceBackendPort",
    "Subject",
    "TopologySelectorTerm",
    "TypedLocalObjectReference",
];

/// Says of a built-in definition how it and its fields merge.
pub(super) fn annotate(definition: &str, node: &mut Node) {
    let short = definition.rsplit('.').next().unwrap_or(definition);
    // An object that says nothing about itself is raw JSON, such as the fields of an owner.
    node.preserve |= node.properties.is_empty() && node.additional.is_none();
    if WHOLE.contains(&short) {
        node.merge = Merge::Whole;
    }
    for (field, child) in &mut node.properties {
        if let Some(strategy) = strategy(short, field) {
            node.strategies.insert(field.clone(), strategy);
        }
        let Some(child) = Arc::get_mut(child) else { continue };
        if let Some(merge) = merge(short, field) {
            child.merge = merge;
        }
        if field == "protocol" && matches!(short, "ContainerPort" | "ServicePort") {
            child.default = Some(json!("TCP"));
        }
    }
}

/// The fields that tell the items of a list apart on apply, or that nothing does.
fn merge(owner: &str, field: &str) -> Option<Merge> {
    let keys: &[&str] = match (owner, field) {
        ("ServiceSpec" | "ReplicationControllerSpec", "selector") | ("PodSpec", "nodeSelector") => {
            return Some(Merge::Whole);
        }
        // Older than the rest, and merged item by item on strategic patches only.
        ("JobStatus", "conditions") | ("PodStatus", "hostIPs") => return None,
        ("ObjectMeta", "finalizers")
        | ("NodeSpec", "podCIDRs")
        | ("Endpoint", "addresses")
        | (
            "PodFailurePolicyOnExitCodesRequirement" | "ContainerRestartRuleOnExitCodes",
            "values",
        )
        | ("UncountedTerminatedPods", "failed" | "succeeded") => return Some(Merge::Set),
        ("Container" | "EphemeralContainer", "ports") => &["containerPort", "protocol"],
        ("ServiceSpec", "ports") => &["port", "protocol"],
        ("PodSpec", "topologySpreadConstraints") => &["topologyKey", "whenUnsatisfiable"],
        ("ResourceRequirements", "claims") => &["name"],
        ("ResourceStatus", "resources") => &["resourceID"],
        ("CustomResourceDefinitionStatus", "conditions") => &["type"],
        _ => match strategy(owner, field)? {
            Strategy::Merge { key: Some(key) } | Strategy::MergeRetaining { key } => {
                return Some(Merge::Keyed(vec![key.to_owned()]));
            }
            Strategy::Merge { key: None } => return Some(Merge::Set),
            Strategy::Retain | Strategy::Replace => return None,
        },
    };
    Some(Merge::Keyed(keys.iter().map(|it| (*it).to_owned()).collect()))
}

/// What a strategic merge patch does with a field.
fn strategy(owner: &str, field: &str) -> Option<Strategy> {
    let key = match (owner, field) {
        ("DeploymentSpec", "strategy") => return Some(Strategy::Retain),
        ("PodDisruptionBudgetSpec", "selector") => return Some(Strategy::Replace),
        ("ObjectMeta", "finalizers") | ("NodeSpec", "podCIDRs") => {
            return Some(Strategy::Merge { key: None });
        }
        ("PodSpec", "volumes" | "resourceClaims") | ("PodStatus", "resourceClaimStatuses") => {
            return Some(Strategy::MergeRetaining { key: "name" });
        }
        ("ObjectMeta", "ownerReferences") => "uid",
        ("CustomResourceDefinitionStatus", "conditions") => return None,
        (owner, "conditions") if owner.ends_with("Status") => "type",
        ("NodeStatus", "addresses") => "type",
        (
            "PodSpec",
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "imagePullSecrets"
            | "schedulingGates",
        )
        | ("Container" | "EphemeralContainer", "env")
        | ("ContainerStatus", "allocatedResourcesStatus")
        | ("ServiceAccount", "secrets")
        | ("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration", "webhooks")
        | ("MutatingWebhook" | "ValidatingWebhook", "matchConditions") => "name",
        ("Container" | "EphemeralContainer", "ports") => "containerPort",
        ("Container" | "EphemeralContainer" | "ContainerStatus", "volumeMounts") => "mountPath",
        ("Container" | "EphemeralContainer", "volumeDevices") => "devicePath",
        ("PodSpec", "hostAliases") | ("PodStatus", "podIPs" | "hostIPs") => "ip",
        ("PodSpec", "topologySpreadConstraints") => "topologyKey",
        ("ServiceSpec", "ports") => "port",
        _ => return None,
    };
    Some(Strategy::Merge { key: Some(key) })
}
