//! How a patch becomes an update, or a creation when an apply finds nothing.

use serde_json::{Value, json};

use crate::{
    api::{Call, Draft, Owners, Written, create, read, update},
    object,
    patch::{Format, apply, merge, strategic},
    refusal::{Cause, Refusal, Result, Subject},
    schema::{self, Mode},
    store::State,
};

/// Patches an object. The whole runs under the lock, so no other write comes between.
pub(crate) fn patch(
    state: &mut State,
    call: &Call,
    format: Format,
    body: &Value,
) -> Result<Written> {
    if format == Format::Apply {
        return applied(state, call, body);
    }
    let existing = call.target.existing(state)?;
    let mut object = read::present(&call.target, &existing);
    let version = call.target.version()?;
    match format {
        Format::Json => json_patch(call, &mut object, body)?,
        Format::Strategic if call.resource().is_custom() => {
            let accepted = "application/json-patch+json, application/merge-patch+json, \
                application/apply-patch+yaml";
            return Err(Refusal::wrong_media(accepted));
        }
        Format::Strategic => strategic::merge(&mut object, body, Some(version.schema.root()))?,
        Format::Merge | Format::Apply => merge::merge(&mut object, body),
    }
    if !object.is_object() {
        return Err(Refusal::bad_request("the patched object is not an object"));
    }
    if object::name(&object) != call.target.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            object::name(&object),
            call.target.name
        )));
    }
    let draft = call.decode(object)?;
    update::replace(state, call, &existing, draft)
}

fn json_patch(call: &Call, object: &mut Value, body: &Value) -> Result<()> {
    let patch: json_patch::Patch = serde_json::from_value(body.clone())
        .map_err(|why| Refusal::bad_request(format!("error decoding patch: {why}")))?;
    json_patch::patch(object, &patch).map_err(|why| {
        let subject = call.resource().subject(&call.target.name);
        let cause = Cause::new("FieldValueInvalid", why.path.to_string(), why.to_string());
        Refusal::invalid(&subject, &[cause])
    })
}

/// However strict the client is: of a field that no schema knows nobody can be the owner.
fn check_fields(call: &Call, body: &Value) -> Result<()> {
    let root = call.target.version()?.schema.root();
    let unknown = schema::prune(&mut body.clone(), root, Mode::Prune);
    let unknown = unknown.map_err(Refusal::bad_request)?;
    let lines: Vec<String> =
        unknown.iter().map(|it| format!(".{it}: field not declared in schema")).collect();
    let lines = match lines.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (namespace, name) = (object::meta(body, "namespace"), object::name(body));
    let (version, kind) = (call.target.api_version(), &call.resource().kind);
    let message = format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {lines}"
    );
    Err(Refusal::new(500, "", message))
}

fn applied(state: &mut State, call: &Call, body: &Value) -> Result<Written> {
    if call.options.manager.is_empty() {
        let subject = Subject { group: "meta.k8s.io", kind: "PatchOptions", name: "" };
        let fault = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid(&subject, &[fault]));
    }
    if body["metadata"].get("managedFields").is_some_and(|it| *it != json!([]) && !it.is_null()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let mut body = body.clone();
    let metadata = object::metadata(&mut body);
    metadata.remove("managedFields");
    metadata.entry("name").or_insert_with(|| call.target.name.as_str().into());
    check_fields(call, &body)?;
    let draft = call.decode(body)?;
    let (wanted, warnings) = (draft.object, draft.warnings);
    if object::name(&wanted) != call.target.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            object::name(&wanted),
            call.target.name
        )));
    }
    let owners = Owners::Applied;
    match call.target.existing(state) {
        Ok(existing) => {
            let object = apply::apply(call, Some(&existing.value), &wanted)?;
            update::replace(state, call, &existing, Draft { object, warnings, owners })
        }
        Err(missing) if !call.target.subresource.is_empty() => Err(missing),
        Err(_) if !object::uid(&wanted).is_empty() => {
            let why = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was \
                 found",
                object::uid(&wanted)
            );
            Err(Refusal::conflict(&call.resource().subject(&call.target.name), &why))
        }
        Err(_) => {
            let object = apply::apply(call, None, &wanted)?;
            create::insert(state, call, Draft { object, warnings, owners })
        }
    }
}
