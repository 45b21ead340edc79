//! How an object goes: at once, or when the last finalizer lets it.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    api::{Call, Effect, Target, Written},
    breakage::Breakage,
    clock, kinds, object,
    refusal::{Cause, Refusal, Result, Subject},
    selector::Selector,
    store::{State, Stored, Table},
};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// The options of a deletion.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deletion {
    uid: Option<String>,
    resource_version: Option<String>,
    propagation: Option<Propagation>,
    /// In seconds.
    grace: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

impl Deletion {
    /// Reads `DeleteOptions` and the query, which wins where the body is silent.
    pub(crate) fn parse(body: &Value, propagation: Option<&str>) -> Result<Self> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let named = text("/propagationPolicy");
        if named.is_some() && body["orphanDependents"].is_boolean() {
            let value = named.unwrap_or_default().into();
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            return Err(unusable(&Cause::invalid("propagationPolicy", &value, detail)));
        }
        let propagation = match named.as_deref().or(propagation) {
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            None => match body["orphanDependents"].as_bool() {
                Some(true) => Some(Propagation::Orphan),
                Some(false) => Some(Propagation::Background),
                None => None,
            },
            Some(other) => {
                let known = r#""Foreground", "Background", "Orphan", "nil""#;
                let message = format!("Unsupported value: \"{other}\": supported values: {known}");
                let cause = Cause::new("FieldValueNotSupported", "propagationPolicy", message);
                return Err(unusable(&cause));
            }
        };
        Ok(Self {
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            propagation,
            grace: body["gracePeriodSeconds"].as_i64(),
        })
    }

    pub(crate) fn of(uid: &str, propagation: Propagation) -> Self {
        let uid = Some(uid.to_owned());
        Self { uid, propagation: Some(propagation), ..Self::default() }
    }

    /// The same with the grace of the query, where the body is silent.
    pub(crate) fn or_grace(mut self, seconds: &str) -> Self {
        self.grace = self.grace.or_else(|| seconds.parse().ok());
        self
    }
}

/// Deletes one object.
pub(crate) fn delete(state: &mut State, call: &Call, deletion: &Deletion) -> Result<Written> {
    let existing = call.target.existing(state)?;
    if !call.is_broken(Breakage::DeafDeletions) {
        check_preconditions(call, &existing.value, deletion)?;
    }
    check_protected(call)?;

    let mut object = existing.value.clone();
    let grace = kinds::grace(call.resource(), &object, deletion.grace)
        .filter(|_| !call.is_broken(Breakage::NoGrace));
    kinds::deleting(call.resource(), &mut object);
    let held = hold(call, &mut object, deletion);
    if held || grace.is_some() {
        mark(call, &mut object, (grace, deletion.grace));
    }
    let waits = grace.is_some() && object["metadata"]["deletionGracePeriodSeconds"] != 0;
    if !held && !waits {
        let object = call.end(state, object);
        return Ok(Written { object, code: 200, warnings: Vec::new(), gone: true });
    }
    let stored = if existing.value == object { existing } else { call.commit(state, object) };
    if call.resource().table == kinds::DEFINITIONS && call.options.effect == Effect::Real {
        end_instances(state, call, &stored.value);
    }
    Ok(Written::kept(stored, 200, Vec::new()))
}

/// Says on the object when it is to be gone. Whoever asks again may only make it sooner.
fn mark(call: &Call, object: &mut Value, (grace, asked): (Option<i64>, Option<i64>)) {
    let seconds = grace.unwrap_or_default();
    let begun = if object::is_deleting(object) {
        let known = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
        let sooner = seconds < known && (asked.is_some() || seconds == 0);
        if !sooner {
            return;
        }
        let end = object::meta(object, "deletionTimestamp").parse().unwrap_or(call.now);
        end.saturating_sub(SignedDuration::from_secs(known)).unwrap_or(call.now)
    } else {
        if call.resource().table == kinds::DEFINITIONS {
            kinds::mark_terminating(object);
        } else if kinds::has_generation(call.resource()) {
            let generation = object::generation(object) + 1;
            object::set_meta(object, "generation", Some(generation.into()));
        }
        call.now
    };
    let end = begun.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(begun);
    object::set_meta(object, "deletionTimestamp", Some(clock::seconds(end).into()));
    // The end of a namespace takes as long as its content does.
    let seconds = (call.resource().table != "namespaces").then(|| seconds.into());
    object::set_meta(object, "deletionGracePeriodSeconds", seconds);
}

/// Options that no deletion understands.
fn unusable(cause: &Cause) -> Refusal {
    let subject = Subject { group: "meta.k8s.io", kind: "DeleteOptions", name: "" };
    Refusal::invalid(&subject, std::slice::from_ref(cause))
}

/// A definition goes when the last of its objects is gone.
fn end_instances(state: &mut State, call: &Call, definition: &Value) {
    let Some(resource) = kinds::begin_end(state, definition) else { return };
    let (group, plural) = (resource.group.clone(), resource.plural.clone());
    let version = resource.versions.first().map(|it| it.name.clone()).unwrap_or_default();
    let target = Target {
        resource,
        version,
        namespace: None,
        name: String::new(),
        subresource: String::new(),
    };
    let inner = Call { target, options: call.options.clone(), now: call.now };
    delete_all(state, &inner, &Selector::default(), &Deletion::default());
    kinds::release_definition(state, &group, &plural);
}

/// Deletes what a selector takes; answers the objects as they were or are.
pub(crate) fn delete_all(
    state: &mut State,
    call: &Call,
    selector: &Selector,
    deletion: &Deletion,
) -> Vec<Arc<Stored>> {
    let Some(table) = state.table(call.resource()) else { return Vec::new() };
    let namespace = call.target.namespace.as_deref();
    let targets: Vec<Target> = Table::within(&table.objects, namespace)
        .filter(|(_, it)| selector.matches(&it.value))
        .map(|(key, _)| Target {
            namespace: call.resource().namespaced.then(|| key.namespace.clone()),
            name: key.name.clone(),
            ..call.target.clone()
        })
        .collect();
    let mut objects = Vec::new();
    for target in targets {
        let call = Call { target, options: call.options.clone(), now: call.now };
        if let Ok(written) = delete(state, &call, deletion) {
            objects.push(written.object);
        }
    }
    objects
}

fn check_preconditions(call: &Call, object: &Value, deletion: &Deletion) -> Result<()> {
    let version = object::meta(object, "resourceVersion");
    let refused = |what: &str, stated: &str, found: &str| {
        let why = format!(
            "Precondition failed: {what} in precondition: {stated}, {what} in object meta: {found}"
        );
        Err(Refusal::conflict(&call.resource().subject(&call.target.name), &why))
    };
    if let Some(uid) = deletion.uid.as_deref().filter(|it| *it != object::uid(object)) {
        return refused("UID", uid, object::uid(object));
    }
    if let Some(stated) = deletion.resource_version.as_deref().filter(|it| *it != version) {
        return refused("ResourceVersion", stated, version);
    }
    Ok(())
}

/// A cluster is none without these namespaces.
fn check_protected(call: &Call) -> Result<()> {
    let name = call.target.name.as_str();
    let protected = call.resource().table == "namespaces"
        && matches!(name, "default" | "kube-system" | "kube-public");
    if !protected {
        return Ok(());
    }
    Err(Refusal::forbidden(&call.resource().subject(name), "this namespace may not be deleted"))
}

/// Settles the collector's finalizers; whether any finalizer now holds the object.
fn hold(call: &Call, object: &mut Value, deletion: &Deletion) -> bool {
    let listed = |finalizer: &str| object::finalizers(object).contains(&finalizer);
    let propagation = deletion.propagation.unwrap_or_else(|| {
        if listed(ORPHAN) {
            Propagation::Orphan
        } else if listed(FOREGROUND) {
            Propagation::Foreground
        } else if kinds::orphans_by_default(call.resource()) {
            Propagation::Orphan
        } else {
            Propagation::Background
        }
    });
    let mut finalizers: Vec<String> = object::finalizers(object)
        .into_iter()
        .filter(|it| !matches!(*it, ORPHAN | FOREGROUND))
        .map(str::to_owned)
        .collect();
    match propagation {
        Propagation::Orphan if call.is_broken(Breakage::DyingOrphans) => {}
        Propagation::Foreground if call.is_broken(Breakage::HastyForeground) => {}
        Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
        Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    let held = !finalizers.is_empty()
        || object::items(object, "/spec/finalizers").next().is_some()
            && call.resource().table == "namespaces";
    let list = (!finalizers.is_empty()).then(|| json!(finalizers));
    object::set_meta(object, "finalizers", list);
    held && !call.is_broken(Breakage::FreeFinalizers)
}
