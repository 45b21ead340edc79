//! How an object comes to be.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    admission,
    api::{Call, Draft, Owners, Written},
    breakage::Breakage,
    clock, kinds, object,
    patch::ownership,
    refusal::{Cause, Refusal, Result},
    schema,
    store::{Key, State, Stored},
};

/// Creates an object from a request's body.
pub(crate) fn create(state: &mut State, call: &Call, body: Value) -> Result<Written> {
    let draft = call.decode(body)?;
    insert(state, call, draft)
}

/// Creates an object that is decoded already.
pub(super) fn insert(state: &mut State, call: &Call, draft: Draft) -> Result<Written> {
    let Draft { mut object, mut warnings, owners } = draft;
    if !object::meta(&object, "resourceVersion").is_empty() {
        // The one refusal of the storage itself, which gives no reason.
        return Err(Refusal::new(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if call.resource().is_custom() {
        kinds::check_lives(state, call.resource(), object::name(&object))?;
    }
    place(state, call, &mut object)?;
    let account = account_of(state, call, &object)?;
    bear(state, call, &mut object);

    let version = call.target.version()?;
    let fills = call.resource().is_custom() && !call.is_broken(Breakage::NoDefaults);
    let defaults = fills.then(|| version.schema.root());
    if let Some(root) = defaults {
        owners.default(&mut object, root);
    }
    // Nobody is born with a status, and nothing is judged by one, were it a default.
    if version.status && !kinds::is_born_with_status(call.resource()) {
        object::fields(&mut object).remove("status");
    }
    kinds::fill_in(call.resource(), &mut object);
    // What the API itself adds from here on is nobody's.
    if owners == Owners::OfUpdate {
        ownership::updated(call, None, &mut object)?;
    }
    admission::admit(state, &call.target, &mut object)?;
    kinds::prepare_create(state, call.resource(), &mut object);
    call.judge_grants(state, &object, None)?;
    call.judge(&object, None)?;
    call.judge_creator(state)?;
    warnings.extend(kinds::warnings(call.resource(), &object));

    let key = Key::of(&object);
    if let Some(found) = state.find(&call.resource().table, &key)
        && !call.is_broken(Breakage::TakenNames)
    {
        let subject = call.resource().subject(key.name());
        let dies = object::is_deleting(&found.value);
        return Err(if dies {
            Refusal::still_exists(&subject)
        } else {
            Refusal::already_exists(&subject)
        });
    }
    if let Some(root) = defaults {
        schema::default(&mut object, root);
    }
    // What admission adds is nobody's.
    if let Some(account) = account {
        kinds::account::settle(state, &account.value, &mut object);
    }
    let schema = call.settles(owners);
    Ok(Written::kept(call.commit_as(state, object, schema), 201, warnings))
}

/// The service account that a new Pod runs as.
fn account_of(state: &State, call: &Call, object: &Value) -> Result<Option<Arc<Stored>>> {
    match call.target.namespace.as_deref() {
        Some(namespace) if call.resource().table == "pods" => {
            kinds::account::of_pod(state, namespace, object)
        }
        _ => Ok(None),
    }
}

/// Settles where the object goes: its namespace, and that this namespace takes objects.
fn place(state: &State, call: &Call, object: &mut Value) -> Result<()> {
    let Some(namespace) = call.target.namespace.as_deref() else {
        object::set_meta(object, "namespace", None);
        return Ok(());
    };
    let stated = object::meta(object, "namespace");
    if !stated.is_empty() && stated != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    object::set_meta(object, "namespace", Some(namespace.into()));

    let subject = crate::refusal::Subject { group: "", kind: "namespaces", name: namespace };
    let home = state.namespace(namespace).ok_or_else(|| Refusal::not_found(&subject))?;
    if !object::is_deleting(&home.value) || call.is_broken(Breakage::OpenNamespaces) {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let cause = Cause::new(
        "NamespaceTerminating",
        "metadata.namespace",
        format!("namespace {namespace} is being terminated"),
    );
    let name = object::name(object);
    Err(Refusal::forbidden(&call.resource().subject(name), &why).causes(&[cause]))
}

/// Gives the object what only the API gives: a name if asked, a uid, its birthday.
fn bear(state: &mut State, call: &Call, object: &mut Value) {
    let prefix = object::meta(object, "generateName");
    if object::name(object).is_empty() && !prefix.is_empty() {
        // Names are cut so that the suffix fits, as Kubernetes does.
        let prefix: String = prefix.chars().take(58).collect();
        let suffix = state.random.suffix();
        let suffix = if call.is_broken(Breakage::BareNames) { "" } else { suffix.as_str() };
        let name = format!("{prefix}{suffix}");
        object::set_meta(object, "name", Some(name.into()));
    }
    let uid = state.random.uid();
    object::set_meta(object, "uid", Some(uid.into()));
    object::set_meta(object, "creationTimestamp", Some(clock::seconds(call.now).into()));
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        object::set_meta(object, field, None);
    }
    let generation = kinds::has_generation(call.resource()).then(|| 1.into());
    object::set_meta(object, "generation", generation);
}
