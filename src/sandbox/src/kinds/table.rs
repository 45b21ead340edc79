//! Which rules are whose?

use crate::{
    kinds::{
        DEFINITIONS, PLAIN, Rules, Trait, cluster, config, definition, event, job, lease,
        namespace, network, pod, roles, scaling, service, shares, webhook, workload,
    },
    validate,
};

/// Kinds that users define.
pub(crate) const CUSTOM: Rules =
    Rules { traits: &[Trait::Generation, Trait::StatedVersion, Trait::StatusApart], ..PLAIN };

const COUNTED: Rules = Rules { traits: &[Trait::Generation], ..PLAIN };

const STATED: Rules = Rules { traits: &[Trait::StatedVersion], ..PLAIN };

/// The rules of a built-in kind, by its table.
pub(crate) fn rules(table: &str) -> &'static Rules {
    match table {
        "configmaps" => &config::CONFIG_MAP,
        "secrets" => &config::SECRET,
        "serviceaccounts" => &Rules { traits: &[Trait::AnswersDeleted], ..PLAIN },
        "events" => &event::RULES,
        "pods" => &pod::RULES,
        "podtemplates" => &workload::POD_TEMPLATE,
        "replicationcontrollers" => &workload::REPLICATION_CONTROLLER,
        "deployments.apps" => &workload::DEPLOYMENT,
        "replicasets.apps" => &workload::REPLICA_SET,
        "statefulsets.apps" => &workload::STATEFUL_SET,
        "daemonsets.apps" => &workload::DAEMON_SET,
        "controllerrevisions.apps" => &workload::CONTROLLER_REVISION,
        "jobs.batch" => &job::RULES,
        "cronjobs.batch" => &job::CRON_JOB,
        "namespaces" => &namespace::RULES,
        "nodes" => &cluster::NODE,
        "persistentvolumes" => &cluster::VOLUME,
        "persistentvolumeclaims" => &cluster::CLAIM,
        "storageclasses.storage.k8s.io" => &cluster::STORAGE_CLASS,
        "csidrivers.storage.k8s.io" => &cluster::CSI_DRIVER,
        "priorityclasses.scheduling.k8s.io" => &cluster::PRIORITY_CLASS,
        "runtimeclasses.node.k8s.io" => &cluster::RUNTIME_CLASS,
        "services" => &service::RULES,
        "endpoints" => &network::ENDPOINTS,
        "endpointslices.discovery.k8s.io" => &network::ENDPOINT_SLICE,
        "ingresses.networking.k8s.io" => &network::INGRESS,
        "ingressclasses.networking.k8s.io" => &network::INGRESS_CLASS,
        "networkpolicies.networking.k8s.io" => &network::POLICY,
        "resourcequotas" => &shares::QUOTA,
        "limitranges" => &shares::LIMIT_RANGE,
        "horizontalpodautoscalers.autoscaling" => &scaling::AUTOSCALER,
        "poddisruptionbudgets.policy" => &scaling::BUDGET,
        "leases.coordination.k8s.io" => &lease::RULES,
        "roles.rbac.authorization.k8s.io" => &roles::ROLE,
        "clusterroles.rbac.authorization.k8s.io" => &roles::CLUSTER_ROLE,
        "rolebindings.rbac.authorization.k8s.io" => &roles::BINDING,
        "clusterrolebindings.rbac.authorization.k8s.io" => &roles::CLUSTER_BINDING,
        "validatingwebhookconfigurations.admissionregistration.k8s.io" => &webhook::VALIDATING,
        "mutatingwebhookconfigurations.admissionregistration.k8s.io" => &webhook::MUTATING,
        "validatingadmissionpolicies.admissionregistration.k8s.io" => &webhook::POLICY,
        "validatingadmissionpolicybindings.admissionregistration.k8s.io" => &webhook::BINDING,
        "flowschemas.flowcontrol.apiserver.k8s.io" => &cluster::FLOW_SCHEMA,
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io" => &COUNTED,
        "csinodes.storage.k8s.io"
        | "csistoragecapacities.storage.k8s.io"
        | "volumeattachments.storage.k8s.io" => &STATED,
        DEFINITIONS => &definition::RULES,
        table if table.ends_with("rbac.authorization.k8s.io") => {
            &Rules { name: validate::segment_fault, ..PLAIN }
        }
        _ => &PLAIN,
    }
}
