//! Which kinds are built in: their names, scope, versions and what else can be asked of them.

use k8s_openapi::{
    api::{
        admissionregistration::v1 as admission, apps::v1 as apps,
        authentication::v1 as authentication, authorization::v1 as authorization,
        autoscaling::v1 as autoscaling1, autoscaling::v2 as autoscaling, batch::v1 as batch,
        coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery,
        events::v1 as events, flowcontrol::v1 as flow, networking::v1 as networking,
        node::v1 as node, policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling,
        storage::v1 as storage,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions,
};
use schemars::{JsonSchema, SchemaGenerator};

use crate::kinds::{EVENT_SHAPE, HPA_V1_SHAPE, Shape};

/// Makes the schema of a type, with the definitions that it shares.
type Generate = fn(&mut SchemaGenerator) -> schemars::Schema;

/// A kind, in one or more versions of its group.
pub(super) struct Row {
    pub(super) group: &'static str,
    pub(super) id: &'static str,
    pub(super) kind: &'static str,
    pub(super) short: &'static [&'static str],
    pub(super) categories: &'static [&'static str],
    pub(super) scope: Scope,
    pub(super) status: Status,
    pub(super) selectable: &'static [(&'static str, &'static str)],
    /// The preferred one first.
    pub(super) versions: Vec<RowVersion>,
}

/// One version of a kind.
pub(super) struct RowVersion {
    pub(super) name: &'static str,
    pub(super) schema: Generate,
    pub(super) shape: Option<&'static Shape>,
}

#[derive(PartialEq, Eq)]
pub(super) enum Scope {
    Namespaced,
    Cluster,
}

#[derive(PartialEq, Eq)]
pub(super) enum Status {
    Subresource,
    None,
}

use Scope::{Cluster, Namespaced};

const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject.kind", "/involvedObject/kind"),
    ("involvedObject.namespace", "/involvedObject/namespace"),
    ("involvedObject.name", "/involvedObject/name"),
    ("involvedObject.uid", "/involvedObject/uid"),
    ("involvedObject.apiVersion", "/involvedObject/apiVersion"),
    ("involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
    ("involvedObject.fieldPath", "/involvedObject/fieldPath"),
    ("reason", "/reason"),
    ("reportingComponent", "/reportingComponent"),
    ("source", "/source/component"),
    ("type", "/type"),
];

const NEW_EVENT_FIELDS: &[(&str, &str)] = &[
    ("regarding.kind", "/involvedObject/kind"),
    ("regarding.namespace", "/involvedObject/namespace"),
    ("regarding.name", "/involvedObject/name"),
    ("regarding.uid", "/involvedObject/uid"),
    ("regarding.apiVersion", "/involvedObject/apiVersion"),
    ("reason", "/reason"),
    ("reportingController", "/reportingComponent"),
    ("type", "/type"),
];

const POD_FIELDS: &[(&str, &str)] = &[
    ("spec.nodeName", "/spec/nodeName"),
    ("spec.hostNetwork", "/spec/hostNetwork"),
    ("spec.restartPolicy", "/spec/restartPolicy"),
    ("spec.schedulerName", "/spec/schedulerName"),
    ("spec.serviceAccountName", "/spec/serviceAccountName"),
    ("status.phase", "/status/phase"),
    ("status.podIP", "/status/podIP"),
    ("status.nominatedNodeName", "/status/nominatedNodeName"),
];

const ALL: &[&str] = &["all"];
const EXTENSIONS: &[&str] = &["api-extensions"];
const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";
const NETWORKING: &str = "networking.k8s.io";

fn version<T: JsonSchema>(name: &'static str) -> RowVersion {
    let schema = |generator: &mut SchemaGenerator| generator.subschema_for::<T>();
    RowVersion { name, schema, shape: None }
}

/// A kind of version `v1`.
fn row<T: JsonSchema>(
    group: &'static str,
    id: &'static str,
    kind: &'static str,
    scope: Scope,
) -> Row {
    Row {
        group,
        id,
        kind,
        short: &[],
        categories: &[],
        scope,
        status: Status::None,
        selectable: &[],
        versions: vec![version::<T>("v1")],
    }
}

impl Row {
    fn short(self, short: &'static [&'static str]) -> Self {
        Self { short, ..self }
    }

    fn with_status(self) -> Self {
        Self { status: Status::Subresource, ..self }
    }

    fn within(self, categories: &'static [&'static str]) -> Self {
        Self { categories, ..self }
    }

    fn selectable(self, selectable: &'static [(&'static str, &'static str)]) -> Self {
        Self { selectable, ..self }
    }

    /// What is shown is not what is stored.
    fn shaped(mut self, shape: &'static Shape) -> Self {
        self.versions.iter_mut().for_each(|it| it.shape = Some(shape));
        self
    }
}

pub(super) fn rows() -> impl Iterator<Item = Row> {
    core_rows()
        .into_iter()
        .chain(workload_rows())
        .chain(network_rows())
        .chain(access_rows())
        .chain(cluster_rows())
        .chain(reviews())
}

fn core_rows() -> Vec<Row> {
    vec![
        row::<core::ConfigMap>("", "configmaps", "ConfigMap", Namespaced).short(&["cm"]),
        row::<core::Endpoints>("", "endpoints", "Endpoints", Namespaced).short(&["ep"]),
        row::<core::Event>("", "events", "Event", Namespaced)
            .short(&["ev"])
            .selectable(EVENT_FIELDS),
        row::<core::LimitRange>("", "limitranges", "LimitRange", Namespaced).short(&["limits"]),
        row::<core::Namespace>("", "namespaces", "Namespace", Cluster)
            .short(&["ns"])
            .with_status()
            .selectable(&[("status.phase", "/status/phase")]),
        row::<core::Node>("", "nodes", "Node", Cluster)
            .short(&["no"])
            .with_status()
            .selectable(&[("spec.unschedulable", "/spec/unschedulable")]),
        row::<core::PersistentVolume>("", "persistentvolumes", "PersistentVolume", Cluster)
            .short(&["pv"])
            .with_status(),
        row::<core::PersistentVolumeClaim>(
            "",
            "persistentvolumeclaims",
            "PersistentVolumeClaim",
            Namespaced,
        )
        .short(&["pvc"])
        .with_status(),
        row::<core::Pod>("", "pods", "Pod", Namespaced)
            .short(&["po"])
            .within(ALL)
            .with_status()
            .selectable(POD_FIELDS),
        row::<core::PodTemplate>("", "podtemplates", "PodTemplate", Namespaced),
        row::<core::ReplicationController>(
            "",
            "replicationcontrollers",
            "ReplicationController",
            Namespaced,
        )
        .short(&["rc"])
        .within(ALL)
        .with_status()
        .selectable(&[("status.replicas", "/status/replicas")]),
        row::<core::ResourceQuota>("", "resourcequotas", "ResourceQuota", Namespaced)
            .short(&["quota"])
            .with_status(),
        row::<core::Secret>("", "secrets", "Secret", Namespaced).selectable(&[("type", "/type")]),
        row::<core::Service>("", "services", "Service", Namespaced)
            .short(&["svc"])
            .within(ALL)
            .with_status()
            .selectable(&[("spec.clusterIP", "/spec/clusterIP"), ("spec.type", "/spec/type")]),
        row::<core::ServiceAccount>("", "serviceaccounts", "ServiceAccount", Namespaced)
            .short(&["sa"]),
    ]
}

fn workload_rows() -> Vec<Row> {
    vec![
        row::<apps::ControllerRevision>(
            "apps",
            "controllerrevisions",
            "ControllerRevision",
            Namespaced,
        ),
        row::<apps::DaemonSet>("apps", "daemonsets", "DaemonSet", Namespaced)
            .short(&["ds"])
            .within(ALL)
            .with_status(),
        row::<apps::Deployment>("apps", "deployments", "Deployment", Namespaced)
            .short(&["deploy"])
            .within(ALL)
            .with_status(),
        row::<apps::ReplicaSet>("apps", "replicasets", "ReplicaSet", Namespaced)
            .short(&["rs"])
            .within(ALL)
            .with_status()
            .selectable(&[("status.replicas", "/status/replicas")]),
        row::<apps::StatefulSet>("apps", "statefulsets", "StatefulSet", Namespaced)
            .short(&["sts"])
            .within(ALL)
            .with_status(),
        row::<batch::CronJob>("batch", "cronjobs", "CronJob", Namespaced)
            .short(&["cj"])
            .within(ALL)
            .with_status(),
        row::<batch::Job>("batch", "jobs", "Job", Namespaced)
            .within(ALL)
            .with_status()
            .selectable(&[("status.successful", "/status/succeeded")]),
        row::<coordination::Lease>("coordination.k8s.io", "leases", "Lease", Namespaced),
        row::<events::Event>("events.k8s.io", "events", "Event", Namespaced)
            .short(&["ev"])
            .selectable(NEW_EVENT_FIELDS)
            .shaped(&EVENT_SHAPE),
        row::<policy::PodDisruptionBudget>(
            "policy",
            "poddisruptionbudgets",
            "PodDisruptionBudget",
            Namespaced,
        )
        .short(&["pdb"])
        .with_status(),
        Row {
            versions: vec![
                version::<autoscaling::HorizontalPodAutoscaler>("v2"),
                RowVersion {
                    shape: Some(&HPA_V1_SHAPE),
                    ..version::<autoscaling1::HorizontalPodAutoscaler>("v1")
                },
            ],
            ..row::<autoscaling::HorizontalPodAutoscaler>(
                "autoscaling",
                "horizontalpodautoscalers",
                "HorizontalPodAutoscaler",
                Namespaced,
            )
            .short(&["hpa"])
            .within(ALL)
            .with_status()
        },
    ]
}

fn network_rows() -> Vec<Row> {
    vec![
        row::<discovery::EndpointSlice>(
            "discovery.k8s.io",
            "endpointslices",
            "EndpointSlice",
            Namespaced,
        ),
        row::<networking::Ingress>(NETWORKING, "ingresses", "Ingress", Namespaced)
            .short(&["ing"])
            .with_status(),
        row::<networking::IngressClass>(NETWORKING, "ingressclasses", "IngressClass", Cluster),
        row::<networking::NetworkPolicy>(
            NETWORKING,
            "networkpolicies",
            "NetworkPolicy",
            Namespaced,
        )
        .short(&["netpol"]),
    ]
}

fn access_rows() -> Vec<Row> {
    vec![
        row::<rbac::ClusterRole>(RBAC, "clusterroles", "ClusterRole", Cluster),
        row::<rbac::ClusterRoleBinding>(RBAC, "clusterrolebindings", "ClusterRoleBinding", Cluster),
        row::<rbac::Role>(RBAC, "roles", "Role", Namespaced),
        row::<rbac::RoleBinding>(RBAC, "rolebindings", "RoleBinding", Namespaced),
        row::<admission::MutatingWebhookConfiguration>(
            ADMISSION,
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
            Cluster,
        )
        .within(EXTENSIONS),
        row::<admission::ValidatingAdmissionPolicy>(
            ADMISSION,
            "validatingadmissionpolicies",
            "ValidatingAdmissionPolicy",
            Cluster,
        )
        .within(EXTENSIONS)
        .with_status(),
        row::<admission::ValidatingAdmissionPolicyBinding>(
            ADMISSION,
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            Cluster,
        )
        .within(EXTENSIONS),
        row::<admission::ValidatingWebhookConfiguration>(
            ADMISSION,
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
            Cluster,
        )
        .within(EXTENSIONS),
        row::<extensions::CustomResourceDefinition>(
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            Cluster,
        )
        .short(&["crd", "crds"])
        .within(EXTENSIONS)
        .with_status(),
    ]
}

fn cluster_rows() -> Vec<Row> {
    vec![
        row::<flow::FlowSchema>(
            "flowcontrol.apiserver.k8s.io",
            "flowschemas",
            "FlowSchema",
            Cluster,
        )
        .with_status(),
        row::<flow::PriorityLevelConfiguration>(
            "flowcontrol.apiserver.k8s.io",
            "prioritylevelconfigurations",
            "PriorityLevelConfiguration",
            Cluster,
        )
        .with_status(),
        row::<node::RuntimeClass>("node.k8s.io", "runtimeclasses", "RuntimeClass", Cluster),
        row::<scheduling::PriorityClass>(
            "scheduling.k8s.io",
            "priorityclasses",
            "PriorityClass",
            Cluster,
        )
        .short(&["pc"]),
        row::<storage::CSIDriver>(STORAGE, "csidrivers", "CSIDriver", Cluster),
        row::<storage::CSINode>(STORAGE, "csinodes", "CSINode", Cluster),
        row::<storage::CSIStorageCapacity>(
            STORAGE,
            "csistoragecapacities",
            "CSIStorageCapacity",
            Namespaced,
        ),
        row::<storage::StorageClass>(STORAGE, "storageclasses", "StorageClass", Cluster)
            .short(&["sc"]),
        row::<storage::VolumeAttachment>(STORAGE, "volumeattachments", "VolumeAttachment", Cluster)
            .with_status(),
    ]
}

/// What is answered and not kept.
fn reviews() -> Vec<Row> {
    const WHO: &str = "authentication.k8s.io";
    const WHAT: &str = "authorization.k8s.io";
    vec![
        row::<authentication::SelfSubjectReview>(
            WHO,
            "selfsubjectreviews",
            "SelfSubjectReview",
            Cluster,
        ),
        row::<authentication::TokenReview>(WHO, "tokenreviews", "TokenReview", Cluster),
        row::<authorization::LocalSubjectAccessReview>(
            WHAT,
            "localsubjectaccessreviews",
            "LocalSubjectAccessReview",
            Namespaced,
        ),
        row::<authorization::SelfSubjectAccessReview>(
            WHAT,
            "selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            Cluster,
        ),
        row::<authorization::SelfSubjectRulesReview>(
            WHAT,
            "selfsubjectrulesreviews",
            "SelfSubjectRulesReview",
            Cluster,
        ),
        row::<authorization::SubjectAccessReview>(
            WHAT,
            "subjectaccessreviews",
            "SubjectAccessReview",
            Cluster,
        ),
    ]
}
