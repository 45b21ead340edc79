//! What single kinds do beyond being stored: their defaults, rules and effects.

pub(crate) mod account;
mod check;
mod cluster;
mod config;
mod definition;
mod event;
mod job;
mod lease;
mod namespace;
mod network;
mod pod;
mod roles;
mod scaling;
mod service;
mod shares;
mod table;
mod webhook;
mod workload;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use self::{
    definition::{begin_end, check_lives, mark_terminating, release as release_definition},
    event::SHAPE as EVENT_SHAPE,
    scaling::SHAPE as HPA_V1_SHAPE,
    table::{CUSTOM, rules},
};
use crate::{
    refusal::Cause,
    registry::Resource,
    store::{State, Stored},
    validate,
};

/// The table of CustomResourceDefinitions.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// What a kind does otherwise than most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    /// The generation counts changes of what is wanted.
    Generation,
    /// A PUT says which version it replaces.
    StatedVersion,
    /// A PUT of what is not there creates it.
    CreatedByUpdate,
    /// What it owns outlives it when nobody says otherwise.
    Orphans,
    /// Its deletion answers the object rather than a `Status`.
    AnswersDeleted,
    /// A creation keeps the status that it came with.
    BornWithStatus,
    /// Nothing but its status, and what holds for that, has to do with a write of the status.
    StatusApart,
}

/// What is wrong with an object, or with its having changed.
type Judge = fn(&Value, Option<&Value>) -> Vec<Cause>;

/// A kind's own defaults and rules. Found once, when the kind is registered.
#[derive(Debug)]
pub(crate) struct Rules {
    traits: &'static [Trait],
    /// Fills in what was left out, on every write.
    fill_in: fn(&mut Value),
    /// What the API gives a new object.
    create: fn(&mut State, &mut Value),
    /// What an update keeps or drops of the object before.
    update: fn(&Value, &mut Value),
    /// What an update gives an object that changed into something that needs more.
    settle: fn(&mut State, &mut Value),
    /// What the kind has against an object, or against its having changed.
    validate: Judge,
    /// The same of a write that changes nothing but the status, where that needs less.
    validate_status: Option<Judge>,
    /// What is wrong with a name.
    name: fn(&str) -> Option<String>,
    /// What a client ought to know of an object that was stored all the same.
    warn: fn(&Value) -> Vec<String>,
}

/// A kind that is stored as it came.
const PLAIN: Rules = Rules {
    traits: &[],
    fill_in: |_| {},
    create: |_, _| {},
    update: |_, _| {},
    settle: |_, _| {},
    validate: |_, _| Vec::new(),
    validate_status: None,
    name: validate::subdomain_fault,
    warn: |_| Vec::new(),
};

/// How a version shows what is stored in another form.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) to_storage: fn(&mut Value),
    pub(crate) from_storage: fn(&mut Value),
}

impl Rules {
    fn has(&self, which: Trait) -> bool {
        self.traits.contains(&which)
    }

    pub(crate) fn name_fault(&self, name: &str) -> Option<String> {
        (self.name)(name)
    }
}

/// Whether the generation counts changes of this kind.
pub(crate) fn has_generation(resource: &Resource) -> bool {
    resource.rules.has(Trait::Generation)
}

/// The fields whose change raises the generation.
pub(crate) fn wanted<'a>(
    resource: &Resource,
    object: &'a Value,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let with_status = resource.is_custom() && resource.versions.iter().all(|it| !it.status);
    object.as_object().into_iter().flatten().filter(move |(key, _)| match key.as_str() {
        "apiVersion" | "kind" | "metadata" => false,
        "status" => with_status,
        _ => true,
    })
}

/// Whether a PUT may leave the resource version out.
pub(crate) fn takes_blind_updates(resource: &Resource) -> bool {
    !resource.rules.has(Trait::StatedVersion)
}

/// Whether a PUT of what is not there creates it.
pub(crate) fn is_created_by_update(resource: &Resource) -> bool {
    resource.rules.has(Trait::CreatedByUpdate)
}

/// How many seconds an object may take to end, of the kinds that do.
pub(crate) fn grace(resource: &Resource, object: &Value, asked: Option<i64>) -> Option<i64> {
    (resource.table == "pods").then(|| pod::grace(object, asked))
}

/// Whether what an object owns stays when nobody says otherwise: an old promise of `batch/v1`.
pub(crate) fn orphans_by_default(resource: &Resource) -> bool {
    resource.rules.has(Trait::Orphans)
}

/// Kinds whose deletion answers the object rather than a `Status`.
pub(crate) fn answers_deleted(resource: &Resource) -> bool {
    resource.rules.has(Trait::AnswersDeleted)
}

/// Whether a creation keeps the status that it came with.
pub(crate) fn is_born_with_status(resource: &Resource) -> bool {
    resource.rules.has(Trait::BornWithStatus)
}

/// Whether a write of the status has to do with nothing but the status.
pub(crate) fn has_status_apart(resource: &Resource) -> bool {
    resource.rules.has(Trait::StatusApart)
}

/// Fills in what was left out, on every write.
pub(crate) fn fill_in(resource: &Resource, object: &mut Value) {
    (resource.rules.fill_in)(object);
}

/// What the API gives a new object of a kind.
pub(crate) fn prepare_create(state: &mut State, resource: &Resource, object: &mut Value) {
    (resource.rules.create)(state, object);
}

pub(crate) fn prepare_update(
    state: &mut State,
    resource: &Resource,
    (old, object): (&Value, &mut Value),
) {
    (resource.rules.update)(old, object);
    (resource.rules.settle)(state, object);
}

/// What a kind's own rules have against an object.
pub(crate) fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    (resource.rules.validate)(object, old)
}

/// The same of an object of which a write could change nothing but the status.
pub(crate) fn validate_status(
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
) -> Vec<Cause> {
    (resource.rules.validate_status.unwrap_or(resource.rules.validate))(object, old)
}

/// What a client ought to know of an object that is stored all the same.
pub(crate) fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    (resource.rules.warn)(object)
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

/// Serves what stored definitions ask for, in a cluster that was saved.
pub(crate) fn resume(state: &mut State) {
    definition::resume(state);
}

/// What follows from an object being gone.
pub(crate) fn ended(state: &mut State, resource: &Resource, stored: &Arc<Stored>) {
    if resource.table == DEFINITIONS {
        definition::withdraw(state, &stored.value);
    } else if resource.is_custom() {
        definition::release(state, &resource.group, &resource.plural);
    }
}
