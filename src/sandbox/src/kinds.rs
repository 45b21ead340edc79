//! What single kinds do beyond being stored: their defaults, rules and effects.

mod access;
pub(crate) mod account;
mod definition;
mod event;
mod job;
mod namespace;
mod pod;
mod secret;
mod service;
mod workload;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use self::definition::release as release_definition;
pub(crate) use self::definition::{begin_end, check_lives, mark_terminating};
use crate::{
    object::{self, fill},
    refusal::Cause,
    registry::Resource,
    store::{State, Stored},
};

/// The table of CustomResourceDefinitions.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Whether the generation counts changes of this kind.
pub(crate) fn has_generation(resource: &Resource) -> bool {
    resource.is_custom()
        || matches!(
            resource.table.as_str(),
            DEFINITIONS | "pods" | "jobs.batch" | "cronjobs.batch" | "deployments.apps"
        )
}

/// The fields whose change raises the generation.
pub(crate) fn wanted<'a>(
    resource: &Resource,
    object: &'a Value,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let custom = resource.is_custom();
    let with_status = custom && resource.versions.iter().all(|it| !it.status);
    object.as_object().into_iter().flatten().filter(move |(key, _)| match key.as_str() {
        "apiVersion" | "kind" | "metadata" => false,
        "status" => with_status,
        "spec" => true,
        _ => custom,
    })
}

/// Whether a PUT may leave the resource version out.
pub(crate) fn takes_blind_updates(resource: &Resource) -> bool {
    !resource.is_custom()
        && !matches!(resource.table.as_str(), DEFINITIONS | "leases.coordination.k8s.io")
}

/// Whether a PUT of what is not there creates it.
pub(crate) fn is_created_by_update(resource: &Resource) -> bool {
    matches!(resource.table.as_str(), "leases.coordination.k8s.io" | "events" | "services")
        || resource.group == "rbac.authorization.k8s.io"
}

/// How many seconds an object may take to end, of the kinds that do.
pub(crate) fn grace(resource: &Resource, object: &Value, asked: Option<i64>) -> Option<i64> {
    (resource.table == "pods").then(|| pod::grace(object, asked))
}

/// Jobs keep their Pods when nobody says otherwise: an old promise of `batch/v1`.
pub(crate) fn orphans_by_default(resource: &Resource) -> bool {
    resource.table == "jobs.batch"
}

/// Kinds whose deletion answers the object rather than a `Status`.
pub(crate) fn answers_deleted(resource: &Resource) -> bool {
    matches!(
        resource.table.as_str(),
        "pods" | "services" | "serviceaccounts" | "namespaces" | "events"
    )
}

/// Both groups of events share one table in the core's form.
pub(crate) fn is_stored_as_shown(resource: &Resource) -> bool {
    resource.group != "events.k8s.io"
}

pub(crate) fn to_storage(resource: &Resource, object: &mut Value) {
    if !is_stored_as_shown(resource) {
        event::to_core(object);
    }
}

pub(crate) fn from_storage(resource: &Resource, object: &mut Value) {
    if !is_stored_as_shown(resource) {
        event::from_core(object);
    }
}

/// Fills in what was left out, on every write.
pub(crate) fn fill_in(resource: &Resource, object: &mut Value) {
    match resource.table.as_str() {
        "jobs.batch" => job::fill_in(object),
        "cronjobs.batch" => workload::fill_in_cron_job(object),
        "deployments.apps" => workload::fill_in_deployment(object),
        "pods" => pod::fill_in(object::section(object, "spec")),
        "secrets" => secret::fill_in(object),
        "services" => service::fill_in(object),
        "namespaces" => namespace::fill_in(object),
        DEFINITIONS => definition::fill_in(object),
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => access::fill_in_binding(object),
        "events" => {
            fill(object, "reportingComponent", "".into());
            fill(object, "reportingInstance", "".into());
        }
        _ => {}
    }
}

/// What the API gives a new object of a kind.
pub(crate) fn prepare_create(state: &mut State, resource: &Resource, object: &mut Value) {
    match resource.table.as_str() {
        "jobs.batch" => job::prepare_create(object),
        "pods" => pod::prepare_create(object),
        "namespaces" => namespace::prepare_create(object),
        "services" => service::prepare_create(state, object),
        DEFINITIONS => definition::prepare_create(object),
        _ => {}
    }
}

pub(crate) fn prepare_update(resource: &Resource, old: &Value, object: &mut Value) {
    match resource.table.as_str() {
        "namespaces" => namespace::prepare_update(object),
        "services" => service::prepare_update(old, object),
        DEFINITIONS => definition::prepare_update(old, object),
        _ => {}
    }
}

/// What a kind's own rules have against an object.
pub(crate) fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    match resource.table.as_str() {
        "jobs.batch" => job::validate(object, old),
        "pods" => pod::validate(object, old),
        "namespaces" => namespace::validate(object),
        "secrets" => secret::validate(object, old),
        "configmaps" => secret::validate_immutable(object, old),
        "deployments.apps" => workload::validate_deployment(object, old),
        "cronjobs.batch" => workload::validate_cron_job(object),
        "leases.coordination.k8s.io" => validate_lease(object),
        DEFINITIONS => definition::validate(object, old),
        "rolebindings.rbac.authorization.k8s.io"
        | "clusterrolebindings.rbac.authorization.k8s.io" => {
            access::validate_binding(resource, object, old)
        }
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            access::validate_role(resource, object)
        }
        _ => Vec::new(),
    }
}

fn validate_lease(object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    for (field, least) in [("leaseDurationSeconds", 1), ("leaseTransitions", 0)] {
        let value = &object["spec"][field];
        if value.as_i64().is_some_and(|it| it < least) {
            let detail = if least == 1 {
                "must be greater than 0"
            } else {
                "must be greater than or equal to 0"
            };
            faults.push(Cause::invalid(format!("spec.{field}"), value, detail));
        }
    }
    faults
}

/// What the deletion of an object shows on it while finalizers hold it.
pub(crate) fn deleting(resource: &Resource, object: &mut Value) {
    if resource.table == "namespaces" {
        object["status"]["phase"] = "Terminating".into();
    } else if resource.table == DEFINITIONS {
        definition::deleting(object);
    }
}

/// What follows from an object being stored.
pub(crate) fn committed(state: &mut State, resource: &Resource, stored: &Arc<Stored>) {
    if resource.table == DEFINITIONS {
        definition::serve(state, &stored.value);
    }
}

/// What follows from an object being gone.
pub(crate) fn ended(state: &mut State, resource: &Resource, stored: &Arc<Stored>) {
    if resource.table == DEFINITIONS {
        definition::withdraw(state, &stored.value);
    } else if resource.is_custom() {
        definition::release(state, &resource.group, &resource.plural);
    }
}
