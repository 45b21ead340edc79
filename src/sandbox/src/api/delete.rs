//! How an object goes: at once, or when the last finalizer lets it.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    api::{
        Call, Effect, Target, Written,
        list::{self, Listing, Page},
    },
    breakage::Breakage,
    clock, kinds, object,
    refusal::{Cause, Refusal, Result, Subject},
    store::{Key, State},
};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// An old promise of Jobs that surprises most.
const PRESERVED: &str = "child pods are preserved by default when jobs are deleted; set \
    propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this \
    warning";

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

    /// The same with so many seconds to end in.
    pub(crate) fn within(self, seconds: i64) -> Self {
        Self { grace: Some(seconds), ..self }
    }
}

/// Deletes one object.
pub(crate) fn delete(state: &mut State, call: &Call, deletion: &Deletion) -> Result<Written> {
    let existing = call.target.existing(state)?;
    if !call.is_broken(Breakage::DeafDeletions) {
        check_preconditions(call, &existing.value, deletion)?;
    }
    check_protected(call)?;

    let unsaid = deletion.propagation.is_none() && kinds::orphans_by_default(call.resource());
    let warnings = if unsaid { vec![PRESERVED.to_owned()] } else { Vec::new() };
    let mut object = (*existing.value).clone();
    let grace = kinds::grace(call.resource(), &object, deletion.grace)
        .filter(|_| !call.is_broken(Breakage::NoGrace));
    kinds::deleting(call.resource(), &mut object);
    let held = hold(call, &mut object, deletion);
    if held || grace.is_some() {
        mark(call, &mut object, (grace, deletion.grace));
    }
    let waits = grace.is_some() && object["metadata"]["deletionGracePeriodSeconds"] != 0;
    if !held && !waits {
        // Who could take time is told that there is none, and then gone.
        let marked = grace.is_some() && existing.value != object;
        let last = if marked { call.commit(state, object) } else { existing };
        let object = call.end(state, &last);
        return Ok(Written { object, code: 200, warnings, gone: true });
    }
    let stored = if existing.value == object { existing } else { call.commit(state, object) };
    if call.resource().table == kinds::DEFINITIONS && call.options.effect == Effect::Real {
        end_instances(state, call, &stored.value);
    }
    Ok(Written::kept(stored, 200, warnings))
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
            kinds::mark_terminating(object, &clock::seconds(call.now));
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
    let all = Listing { limit: usize::MAX, ..Listing::default() };
    if let Err(refusal) = delete_all(state, &inner, &all, &Deletion::default()) {
        tracing::error!(status = %refusal.status(), "cannot delete all {plural}.{group}");
    }
    kinds::release_definition(state, &group, &plural);
}

/// Deletes what a list holds, and answers that list.
pub(crate) fn delete_all(
    state: &mut State,
    call: &Call,
    listing: &Listing,
    deletion: &Deletion,
) -> Result<Page> {
    let page = list::list(state, &call.target, listing)?;
    for object in &page.objects {
        let key = Key::of(&object.value);
        let target = Target {
            namespace: call.resource().namespaced.then(|| key.namespace().to_owned()),
            name: key.name().to_owned(),
            ..call.target.clone()
        };
        let call = Call { target, options: call.options.clone(), now: call.now };
        match delete(state, &call, deletion) {
            Ok(_) => {}
            Err(refusal) if refusal.code == 404 => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(page)
}

fn check_preconditions(call: &Call, object: &Value, deletion: &Deletion) -> Result<()> {
    let version = object::meta(object, "resourceVersion");
    let subject = call.resource().kind_subject(&call.target.name);
    if let Some(uid) = deletion.uid.as_deref().filter(|it| *it != object::uid(object)) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object \
             might have been deleted and then recreated",
            object::uid(object)
        );
        return Err(Refusal::conflict(&subject, &why));
    }
    if let Some(stated) = deletion.resource_version.as_deref().filter(|it| *it != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({stated}) does not match the ResourceVersion \
             in record ({version}). The object might have been modified"
        );
        return Err(Refusal::conflict(&subject, &why));
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
