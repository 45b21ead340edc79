//! How an object becomes another: what a write may change, and when it is too late to.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    api::{Call, Draft, Owners, Written, change, create, status},
    breakage::Breakage,
    kinds, object,
    patch::ownership,
    refusal::{Cause, Refusal, Result},
    store::{State, Stored},
};

/// Replaces an object with a request's body.
pub(crate) fn update(state: &mut State, call: &Call, body: Value) -> Result<Written> {
    let mut draft = call.decode(body)?;
    settle_name(call, &mut draft.object)?;
    settle_version(&mut draft.object)?;
    let Ok(existing) = call.target.existing(state) else {
        return absent(state, call, draft);
    };
    check_preconditions(call, &existing.value, &draft.object)?;
    // A PUT is judged against what it was read from; without a version some kinds refuse.
    let subject = call.resource().subject(&call.target.name);
    if object::meta(&draft.object, "resourceVersion").is_empty()
        && !kinds::takes_blind_updates(call.resource())
    {
        let fault = Cause::invalid(
            "metadata.resourceVersion",
            &0.into(),
            "must be specified for an update",
        );
        return Err(Refusal::invalid(&subject, &[fault]));
    }
    if !status::is_put(call, &existing, &draft) {
        return replace(state, call, &existing, draft);
    }
    // Who holds it would keep its value from being lent.
    drop(existing);
    if let Some(written) = status::put(state, call, &draft.object["status"]) {
        return Ok(written);
    }
    let existing = call.target.existing(state)?;
    replace(state, call, &existing, draft)
}

fn absent(state: &mut State, call: &Call, mut draft: Draft) -> Result<Written> {
    let takes = kinds::is_created_by_update(call.resource());
    let creates =
        call.target.subresource.is_empty() && (takes || call.is_broken(Breakage::CreatingPuts));
    if !creates {
        return Err(call.target.not_found());
    }
    check_preconditions(call, &Value::Null, &draft.object)?;
    object::set_meta(&mut draft.object, "resourceVersion", None);
    create::insert(state, call, draft)
}

/// Version 0 is none.
fn settle_version(object: &mut Value) -> Result<()> {
    let stated = object::meta(object, "resourceVersion");
    if stated.is_empty() {
        return Ok(());
    }
    let version: u64 = stated.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {stated:?}: invalid syntax");
        Refusal::new(500, "", why)
    })?;
    if version == 0 {
        object::set_meta(object, "resourceVersion", None);
    }
    Ok(())
}

/// An object may leave its namespace out, but not its name.
fn settle_name(call: &Call, object: &mut Value) -> Result<()> {
    check_name(call, object)?;
    let namespace = call.target.namespace.as_deref().unwrap_or_default();
    if namespace.is_empty() || object::meta(object, "namespace") != namespace {
        let namespace = (!namespace.is_empty()).then(|| namespace.into());
        object::set_meta(object, "namespace", namespace);
    }
    Ok(())
}

/// Whether a body is of the object that its path names.
pub(super) fn check_name(call: &Call, object: &Value) -> Result<()> {
    let (name, wanted) = (object::name(object), call.target.name.as_str());
    if name.is_empty() {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be \
             provided"
        )));
    }
    if name != wanted {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    let namespace = call.target.namespace.as_deref().unwrap_or_default();
    let stated = object::meta(object, "namespace");
    if !stated.is_empty() && stated != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// Puts a decoded object in the place of another.
pub(super) fn replace(
    state: &mut State,
    call: &Call,
    existing: &Arc<Stored>,
    draft: Draft,
) -> Result<Written> {
    let Draft { mut object, warnings, owners } = draft;
    let old = &*call.as_read(existing)?;
    let stated = object::meta(&object, "resourceVersion");
    let is_stale = !stated.is_empty() && stated != object::meta(old, "resourceVersion");
    if is_stale && !call.is_broken(Breakage::StaleWrites) {
        return Err(Refusal::modified(&call.resource().subject(&call.target.name)));
    }
    let changes = change::metadata(old, &object);

    keep_system_fields(old, &mut object);
    if call.resource().is_custom() {
        owners.default(&mut object, call.target.version()?.schema.root());
    }
    narrow(call, old, &mut object)?;
    kinds::fill_in(call.resource(), &mut object);
    if owners == Owners::OfUpdate {
        ownership::updated(call, Some(old), &mut object)?;
    }
    if call.is_broken(Breakage::PrunedOwners) {
        object::set_meta(&mut object, "managedFields", None);
    }
    kinds::prepare_update(state, call.resource(), (old, &mut object));
    raise_generation(call, old, &mut object);
    call.judge_grants(state, &object, Some(old))?;
    call.judge_change(&object, (old, existing), changes)?;

    if owners == Owners::Applied {
        ownership::keep_times(old, &mut object);
    }
    if is_same(&existing.value, &object) && !call.is_broken(Breakage::IdleWrites) {
        return Ok(Written::kept(Arc::clone(existing), 200, warnings));
    }
    if object::is_deleting(&object) && is_released(call, &object) {
        call.end(state, existing);
        let object = Stored::new(object);
        return Ok(Written { object, code: 200, warnings, gone: false });
    }
    let schema = call.settles(owners);
    Ok(Written::kept(call.commit_as(state, object, schema), 200, warnings))
}

/// Whether a write changes nothing. What most of them change is looked at first: the metadata are long.
fn is_same(old: &Value, object: &Value) -> bool {
    let (Some(before), Some(after)) = (old.as_object(), object.as_object()) else {
        return old == object;
    };
    let of_rest = before.iter().filter(|(key, _)| *key != "metadata");
    before.len() == after.len()
        && of_rest
            .chain(before.get_key_value("metadata"))
            .all(|(key, it)| after.get(key) == Some(it))
}

fn is_released(call: &Call, object: &Value) -> bool {
    let is_namespace = call.resource().table == "namespaces";
    let held = is_namespace && object::items(object, "/spec/finalizers").next().is_some();
    let waits = kinds::grace(call.resource(), object, None).is_some()
        && object["metadata"]["deletionGracePeriodSeconds"] != 0;
    object::finalizers(object).is_empty() && !held && !waits
}

/// A uid in the body of a PUT says which object is meant.
pub(super) fn check_preconditions(call: &Call, old: &Value, object: &Value) -> Result<()> {
    let (stated, found) = (object::uid(object), object::uid(old));
    if stated.is_empty() || stated == found {
        return Ok(());
    }
    // Whose storage this is shows here alone.
    let (resource, target) = (call.resource(), &call.target);
    let group = if resource.is_custom() { format!("{}/", resource.group) } else { String::new() };
    let namespace = target.namespace.as_ref().map(|it| format!("{it}/")).unwrap_or_default();
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{namespace}{}, \
         ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: \
         {stated}, UID in object meta: {found}",
        resource.plural, target.name
    );
    Err(Refusal::conflict(&resource.subject(&target.name), &why))
}

/// What no client writes stays as it is.
fn keep_system_fields(old: &Value, object: &mut Value) {
    const SYSTEM: [&str; 7] = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
    ];
    let (known, metadata) = (&old["metadata"], object::metadata(object));
    let is_kept = |(field, _): &(&String, &Value)| SYSTEM.contains(&field.as_str());
    let before = known.as_object().into_iter().flatten().filter(is_kept);
    // Most writes state what they read, and comparing is cheaper than copying.
    if before.eq(metadata.iter().filter(is_kept)) {
        return;
    }
    for field in SYSTEM {
        match known.get(field) {
            same if same == metadata.get(field) => {}
            Some(kept) => drop(metadata.insert(field.to_owned(), kept.clone())),
            None => drop(metadata.remove(field)),
        }
    }
}

/// Leaves of a write what its path may change.
fn narrow(call: &Call, old: &Value, object: &mut Value) -> Result<()> {
    let status = call.target.version()?.status;
    match call.target.subresource.as_str() {
        "status" if call.is_broken(Breakage::OpenSpec) => {}
        "" => {
            if status && !call.is_broken(Breakage::OpenStatus) {
                keep(old, object, "status");
            }
            // What holds a namespace changes through `finalize` alone.
            if call.resource().table == "namespaces" {
                keep(old, object, "spec");
            }
        }
        "status" if call.resource().is_custom() => {
            keep_all_but(old, object, &["metadata", "status"]);
            let known = old.get("metadata").unwrap_or(&Value::Null);
            keep_all_but(known, &mut object["metadata"], &["managedFields"]);
        }
        "status" => {
            keep_of_status(call, old, object);
            for key in old.as_object().into_iter().flat_map(serde_json::Map::keys) {
                if !matches!(key.as_str(), "metadata" | "status") {
                    keep(old, object, key);
                }
            }
        }
        "finalize" => {
            let finalizers = object["spec"]["finalizers"].clone();
            let mut kept = old.clone();
            object::section(&mut kept, "spec").insert("finalizers".to_owned(), finalizers);
            *object = kept;
        }
        _ => {}
    }
    Ok(())
}

/// Of the metadata too, a write of the status changes only some.
fn keep_of_status(call: &Call, old: &Value, object: &mut Value) {
    let kept = match call.resource().table.as_str() {
        "deployments.apps" => "labels",
        "pods" => "ownerReferences",
        _ => return,
    };
    object::set_meta(object, kept, old["metadata"].get(kept).cloned());
}

/// Leaves all fields but some as they were: none comes, none goes.
fn keep_all_but(from: &Value, to: &mut Value, open: &[&str]) {
    let is_kept = |key: &String| !open.contains(&key.as_str());
    object::fields(to).retain(|key, _| !is_kept(key) || from.get(key).is_some());
    for key in from.as_object().into_iter().flat_map(serde_json::Map::keys).filter(|it| is_kept(it))
    {
        keep(from, to, key);
    }
}

/// Leaves a field as it was. Most writes do, and comparing is cheaper than copying.
fn keep(from: &Value, to: &mut Value, field: &str) {
    match from.get(field) {
        same if same == to.get(field) => return,
        Some(value) => object::fields(to).insert(field.to_owned(), value.clone()),
        None => object::fields(to).remove(field),
    };
}

/// The generation counts changes of what is wanted: not of metadata, not of status.
fn raise_generation(call: &Call, old: &Value, object: &mut Value) {
    if !kinds::has_generation(call.resource()) {
        return;
    }
    let same = kinds::wanted(call.resource(), old).eq(kinds::wanted(call.resource(), object));
    let is_status = call.target.subresource == "status";
    let counts = !same || is_status && call.is_broken(Breakage::CountedStatus);
    let generation = object::generation(old) + i64::from(counts);
    if object["metadata"]["generation"] != generation {
        object::set_meta(object, "generation", Some(generation.into()));
    }
}
