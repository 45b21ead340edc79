//! The resources that are there without any definition.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use k8s_openapi::{
    api::{
        apps::v1 as apps, authentication::v1 as authentication, authorization::v1 as authorization,
        batch::v1 as batch, coordination::v1 as coordination, core::v1 as core,
        events::v1 as events, rbac::v1 as rbac,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::{
    registry::{Origin, Resource, Version},
    schema::{Schema, Source},
};

/// A row of the table below.
struct Row {
    id: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    scope: Scope,
    status: Status,
    selectable: &'static [(&'static str, &'static str)],
    schema: fn(&mut SchemaGenerator) -> schemars::Schema,
}

#[derive(PartialEq, Eq)]
enum Scope {
    Namespaced,
    Cluster,
}

#[derive(PartialEq, Eq)]
enum Status {
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
    ("spec.restartPolicy", "/spec/restartPolicy"),
    ("spec.schedulerName", "/spec/schedulerName"),
    ("spec.serviceAccountName", "/spec/serviceAccountName"),
    ("status.phase", "/status/phase"),
    ("status.podIP", "/status/podIP"),
    ("status.nominatedNodeName", "/status/nominatedNodeName"),
];

const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn row<T: JsonSchema>(
    id: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    scope: Scope,
) -> Row {
    let schema = |generator: &mut SchemaGenerator| generator.subschema_for::<T>();
    Row { id, kind, short, scope, status: Status::None, selectable: &[], schema }
}

impl Row {
    fn with_status(self) -> Self {
        Self { status: Status::Subresource, ..self }
    }

    fn selectable(self, selectable: &'static [(&'static str, &'static str)]) -> Self {
        Self { selectable, ..self }
    }
}

fn rows() -> impl Iterator<Item = (&'static str, Row)> {
    core_rows().into_iter().chain(grouped_rows()).chain(reviews())
}

fn core_rows() -> Vec<(&'static str, Row)> {
    vec![
        ("v1", row::<core::ConfigMap>("configmaps", "ConfigMap", &["cm"], Namespaced)),
        ("v1", row::<core::Event>("events", "Event", &["ev"], Namespaced).selectable(EVENT_FIELDS)),
        (
            "v1",
            row::<core::Namespace>("namespaces", "Namespace", &["ns"], Cluster)
                .with_status()
                .selectable(&[("status.phase", "/status/phase")]),
        ),
        (
            "v1",
            row::<core::Node>("nodes", "Node", &["no"], Cluster)
                .with_status()
                .selectable(&[("spec.unschedulable", "/spec/unschedulable")]),
        ),
        (
            "v1",
            row::<core::Pod>("pods", "Pod", &["po"], Namespaced)
                .with_status()
                .selectable(POD_FIELDS),
        ),
        (
            "v1",
            row::<core::Secret>("secrets", "Secret", &[], Namespaced)
                .selectable(&[("type", "/type")]),
        ),
        (
            "v1",
            row::<core::ServiceAccount>("serviceaccounts", "ServiceAccount", &["sa"], Namespaced),
        ),
        (
            "v1",
            row::<core::Service>("services", "Service", &["svc"], Namespaced)
                .with_status()
                .selectable(&[("spec.clusterIP", "/spec/clusterIP"), ("spec.type", "/spec/type")]),
        ),
    ]
}

fn grouped_rows() -> Vec<(&'static str, Row)> {
    vec![
        (
            "apiextensions.k8s.io/v1",
            row::<extensions::CustomResourceDefinition>(
                "customresourcedefinitions",
                "CustomResourceDefinition",
                &["crd", "crds"],
                Cluster,
            )
            .with_status(),
        ),
        (
            "apps/v1",
            row::<apps::Deployment>("deployments", "Deployment", &["deploy"], Namespaced)
                .with_status(),
        ),
        (
            "batch/v1",
            row::<batch::CronJob>("cronjobs", "CronJob", &["cj"], Namespaced).with_status(),
        ),
        (
            "batch/v1",
            row::<batch::Job>("jobs", "Job", &[], Namespaced)
                .with_status()
                .selectable(&[("status.successful", "/status/succeeded")]),
        ),
        ("coordination.k8s.io/v1", row::<coordination::Lease>("leases", "Lease", &[], Namespaced)),
        (
            "events.k8s.io/v1",
            row::<events::Event>("events", "Event", &["ev"], Namespaced)
                .selectable(NEW_EVENT_FIELDS),
        ),
        (RBAC, row::<rbac::ClusterRole>("clusterroles", "ClusterRole", &[], Cluster)),
        (
            RBAC,
            row::<rbac::ClusterRoleBinding>(
                "clusterrolebindings",
                "ClusterRoleBinding",
                &[],
                Cluster,
            ),
        ),
        (RBAC, row::<rbac::Role>("roles", "Role", &[], Namespaced)),
        (RBAC, row::<rbac::RoleBinding>("rolebindings", "RoleBinding", &[], Namespaced)),
    ]
}

/// What is answered and not kept.
fn reviews() -> Vec<(&'static str, Row)> {
    const WHO: &str = "authentication.k8s.io/v1";
    const WHAT: &str = "authorization.k8s.io/v1";
    vec![
        (
            WHO,
            row::<authentication::SelfSubjectReview>(
                "selfsubjectreviews",
                "SelfSubjectReview",
                &[],
                Cluster,
            ),
        ),
        (WHO, row::<authentication::TokenReview>("tokenreviews", "TokenReview", &[], Cluster)),
        (
            WHAT,
            row::<authorization::LocalSubjectAccessReview>(
                "localsubjectaccessreviews",
                "LocalSubjectAccessReview",
                &[],
                Namespaced,
            ),
        ),
        (
            WHAT,
            row::<authorization::SelfSubjectAccessReview>(
                "selfsubjectaccessreviews",
                "SelfSubjectAccessReview",
                &[],
                Cluster,
            ),
        ),
        (
            WHAT,
            row::<authorization::SelfSubjectRulesReview>(
                "selfsubjectrulesreviews",
                "SelfSubjectRulesReview",
                &[],
                Cluster,
            ),
        ),
        (
            WHAT,
            row::<authorization::SubjectAccessReview>(
                "subjectaccessreviews",
                "SubjectAccessReview",
                &[],
                Cluster,
            ),
        ),
    ]
}

/// Shared by all clusters of the process: they never change.
static RESOURCES: LazyLock<Vec<Arc<Resource>>> =
    LazyLock::new(|| rows().map(|(version, row)| Arc::new(resource(version, &row))).collect());

/// The schemas of all kinds with the definitions they share, as OpenAPI documents need them.
static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut roots = HashMap::new();
    for (version, row) in rows() {
        let schema = (row.schema)(&mut generator);
        roots.insert((version, row.kind), schema.to_value());
    }
    let shared = generator.take_definitions(false);
    Definitions { roots, shared: Arc::new(Value::Object(shared)) }
});

struct Definitions {
    roots: HashMap<(&'static str, &'static str), Value>,
    shared: Arc<Value>,
}

pub(crate) fn resources() -> impl Iterator<Item = Arc<Resource>> {
    RESOURCES.iter().cloned()
}

/// The shared definitions, by the names OpenAPI gives them.
pub(crate) fn definitions() -> Arc<Value> {
    Arc::clone(&DEFINITIONS.shared)
}

/// The schema of a kind, as a reference into the definitions.
pub(crate) fn definition(api_version: &str, kind: &str) -> Option<&'static Value> {
    DEFINITIONS.roots.iter().find(|(key, _)| **key == (api_version, kind)).map(|(_, it)| it)
}

fn resource(api_version: &'static str, row: &Row) -> Resource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let table = if group.is_empty() || row.id == "events" {
        row.id.to_owned()
    } else {
        format!("{}.{group}", row.id)
    };
    let schema = Schema::lazy(Source::BuiltIn { api_version, kind: row.kind });
    let version = Version {
        name: version.to_owned(),
        schema,
        status: row.status == Status::Subresource,
        columns: Vec::new(),
        rules: None,
    };
    Resource {
        group: group.to_owned(),
        plural: row.id.to_owned(),
        singular: row.kind.to_lowercase(),
        kind: row.kind.to_owned(),
        list_kind: format!("{}List", row.kind),
        short_names: row.short.iter().map(|it| (*it).to_owned()).collect(),
        storage: String::new(),
        reshapes: false,
        categories: match row.id {
            "pods" | "services" | "deployments" | "jobs" | "cronjobs" => vec!["all".to_owned()],
            _ => Vec::new(),
        },
        namespaced: row.scope == Namespaced,
        origin: Origin::BuiltIn,
        table,
        selectable: row
            .selectable
            .iter()
            .map(|(label, path)| ((*label).to_owned(), (*path).to_owned()))
            .collect(),
        versions: vec![version],
    }
}
