//! The `scale` subresource: how many are wanted of a thing, whatever its kind.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::{
    api::{Call, Draft, Owners, Target, Written, patch as patches, read, update},
    breakage::Breakage,
    object,
    patch::{Format, apply, document},
    refusal::{Cause, Refusal, Result, Subject},
    store::{State, Stored},
};

const API_VERSION: &str = "autoscaling/v1";
const KIND: &str = "Scale";

/// Where a kind keeps its numbers, as JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) selector: Option<String>,
}

impl Paths {
    /// Those of the kinds that are there without any definition.
    pub(crate) fn built_in(plural: &str) -> Option<Self> {
        let scales = matches!(
            plural,
            "deployments" | "replicasets" | "statefulsets" | "replicationcontrollers"
        );
        scales.then(|| Self {
            spec: "/spec/replicas".to_owned(),
            status: "/status/replicas".to_owned(),
            selector: Some("/spec/selector".to_owned()),
        })
    }

    /// As a definition names them.
    pub(crate) fn of_definition(scale: &Value) -> Option<Self> {
        let pointer = |field: &str| Some(scale[field].as_str()?.replace('.', "/"));
        Some(Self {
            spec: pointer("specReplicasPath")?,
            status: pointer("statusReplicasPath")?,
            selector: pointer("labelSelectorPath"),
        })
    }
}

fn paths(target: &Target) -> Result<&Paths> {
    target.version()?.scale.as_ref().ok_or_else(Refusal::no_such_path)
}

/// The scale of an object.
pub(crate) fn of(target: &Target, object: &Value) -> Result<Value> {
    let paths = paths(target)?;
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let Some(wanted) = number(&paths.spec) else {
        let path = paths.spec.replace('/', ".");
        let why = format!("the spec replicas field {path:?} does not exist");
        return Err(Refusal::internal(&why));
    };
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let mut status = json!({ "replicas": number(&paths.status).unwrap_or_default() });
    let selector = paths.selector.as_ref().and_then(|it| object.pointer(it)).map(selector);
    if let Some(selector) = selector.filter(|it| !it.is_empty()) {
        status["selector"] = selector.into();
    }
    let spec = if wanted == 0 { json!({}) } else { json!({ "replicas": wanted }) };
    Ok(json!({
        "kind": KIND, "apiVersion": API_VERSION, "metadata": metadata, "spec": spec,
        "status": status,
    }))
}

/// A selector as people write it; custom kinds keep it like that.
fn selector(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let labels = value
        .get("matchLabels")
        .or_else(|| value.get("matchExpressions").is_none().then_some(value));
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let mut parts: Vec<(&str, String)> = labels
        .map(|(key, value)| (key.as_str(), format!("{key}={}", value.as_str().unwrap_or_default())))
        .collect();
    for test in object::items(value, "/matchExpressions") {
        let key = object::text(test, "/key");
        let values = object::strings(&test["values"]).join(",");
        let part = match object::text(test, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        };
        parts.push((key, part));
    }
    // By key alone: labels stay before tests of the same.
    parts.sort_by_key(|(key, _)| *key);
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(",")
}

/// Sets how many are wanted, from a whole scale.
pub(crate) fn update(state: &mut State, call: &Call, body: &Value) -> Result<Written> {
    let existing = call.target.existing(state)?;
    check_body(call, body)?;
    store(state, call, (&existing, body))
}

/// The same, from a change of the scale that is there.
pub(crate) fn patch(
    state: &mut State,
    call: &Call,
    (format, body): (Format, &[u8]),
) -> Result<Written> {
    let existing = call.target.existing(state)?;
    let mut scale = of(&call.target, &existing.value)?;
    patches::change(&mut scale, format, &document::parse(body, format)?)?;
    check_body(call, &scale)?;
    store(state, call, (&existing, &scale))
}

/// The same, from what somebody wants of the scale.
pub(crate) fn apply(state: &mut State, call: &Call, body: &Value) -> Result<Written> {
    patches::check_kind(body, (API_VERSION, KIND))?;
    let existing = call.target.existing(state)?;
    check_body(call, body)?;
    let spec = &paths(&call.target)?.spec;
    // The fields of a scale are its owner's, under other names.
    let mut wanted = json!({
        "apiVersion": call.target.api_version(), "kind": call.resource().kind.as_str(),
        "metadata": { "name": call.target.name.as_str() },
    });
    if let Some(replicas) = body["spec"].get("replicas").filter(|it| !it.is_null()) {
        set(&mut wanted, spec, replicas.clone());
    }
    let live = read::present(&call.target, &existing);
    let applied = apply::apply(call, Some(&live), &wanted);
    let applied =
        applied.map_err(|conflict| in_terms_of_scales(call, (&live, &wanted), conflict))?;
    let mut scale = body.clone();
    let replicas = applied.pointer(spec).and_then(Value::as_i64).unwrap_or_default();
    set(&mut scale, "/spec/replicas", replicas.into());
    check_body(call, &scale)?;
    let owners = applied["metadata"].get("managedFields").cloned();
    let warnings = patches::repeated(call)?;
    let mut draft = drafted(call, (&existing, &scale))?;
    object::set_meta(&mut draft.object, "managedFields", owners);
    replace(state, call, &existing, Draft { warnings, owners: Owners::Applied, ..draft })
}

/// Whoever wrote the number before is said to have written a scale.
fn in_terms_of_scales(call: &Call, (live, wanted): (&Value, &Value), conflict: Refusal) -> Refusal {
    let mut live = live.clone();
    for entry in object::items_mut(&mut live, "/metadata/managedFields") {
        entry["apiVersion"] = API_VERSION.into();
    }
    apply::apply(call, Some(&live), wanted).err().unwrap_or(conflict)
}

fn check_body(call: &Call, body: &Value) -> Result<()> {
    let (kind, version) = (object::text(body, "/kind"), object::text(body, "/apiVersion"));
    let is_scale = matches!((version, kind), ("" | "autoscaling/v1", "" | "Scale"));
    if !is_scale {
        let short = version.rsplit('/').next().unwrap_or_default();
        return Err(Refusal::bad_request(format!(
            "{kind} in version {short:?} cannot be handled as a Scale: converting ({short}.{kind}) to \
             (autoscaling.Scale): unknown conversion"
        )));
    }
    update::check_name(call, body)?;
    let wanted = &body["spec"]["replicas"];
    if wanted.as_i64().is_none_or(|it| it >= 0) {
        return Ok(());
    }
    let name = object::name(body);
    if call.resource().is_custom() {
        let path = paths(&call.target)?.spec.replace('/', ".");
        let fault = Cause::invalid(path, wanted, "should be a non-negative integer");
        return Err(Refusal::invalid(&call.resource().kind_subject(name), &[fault]));
    }
    let subject = Subject { group: "autoscaling", kind: "Scale", name };
    let fault = Cause::invalid("spec.replicas", wanted, "must be greater than or equal to 0");
    Err(Refusal::invalid(&subject, &[fault]))
}

fn store(
    state: &mut State,
    call: &Call,
    (existing, scale): (&Arc<Stored>, &Value),
) -> Result<Written> {
    let draft = drafted(call, (existing, scale))?;
    replace(state, call, existing, draft)
}

/// What a scale makes of its owner.
fn drafted(call: &Call, (existing, scale): (&Stored, &Value)) -> Result<Draft> {
    update::check_preconditions(call, &existing.value, scale)?;
    let mut object = (*existing.value).clone();
    let wanted = scale["spec"]["replicas"].as_i64().unwrap_or_default();
    if !call.is_broken(Breakage::IdleScales) {
        set(&mut object, &paths(&call.target)?.spec, wanted.into());
    }
    let version = object::meta(scale, "resourceVersion");
    let version = Some(version).filter(|it| !matches!(*it, "" | "0")).map(Value::from);
    object::set_meta(&mut object, "resourceVersion", version);
    Ok(Draft { object, warnings: Vec::new(), owners: Owners::OfUpdate })
}

fn replace(
    state: &mut State,
    call: &Call,
    existing: &Arc<Stored>,
    draft: Draft,
) -> Result<Written> {
    let mut written = update::replace(state, call, existing, draft)?;
    written.object = Stored::new(of(&call.target, &written.object.value)?);
    Ok(written)
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut slot = object;
    for part in pointer.split('/').skip(1) {
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        slot = &mut slot[part];
    }
    *slot = value;
}
