//! How a patch becomes an update, or a creation when an apply finds nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    api::{Call, Draft, Owners, Strictness, Written, create, read, scale, status, update},
    breakage::Breakage,
    object,
    patch::{Format, apply, document, json, merge, strategic, typed},
    refusal::{Cause, Refusal, Result, Subject},
    schema::Node,
    store::{State, Stored},
};

/// Patches an object. The whole runs under the lock, so no other write comes between.
pub(crate) fn patch(
    state: &mut State,
    call: &Call,
    format: Format,
    body: &[u8],
) -> Result<Written> {
    if format == Format::Apply {
        let body = document::parse(body, format)?;
        return match call.target.subresource.as_str() {
            "scale" => scale::apply(state, call, &body),
            _ => applied(state, call, &body),
        };
    }
    if format == Format::Strategic && call.resource().is_custom() {
        return Err(Refusal::wrong_media(Format::ACCEPTED_BY_CUSTOM));
    }
    if call.target.subresource == "scale" {
        return scale::patch(state, call, (format, body));
    }
    let existing = call.target.existing(state)?;
    let patch = document::parse(body, format)?;
    if !status::is_patched(call, &existing, (format, &patch)) {
        return write(state, call, &existing, (format, &patch));
    }
    // Who holds it would keep its value from being lent.
    drop(existing);
    if let Some(written) = status::patch(state, call, (format, &patch)) {
        return Ok(written);
    }
    let existing = call.target.existing(state)?;
    write(state, call, &existing, (format, &patch))
}

fn write(
    state: &mut State,
    call: &Call,
    existing: &Arc<Stored>,
    (format, patch): (Format, &Value),
) -> Result<Written> {
    let object = patched(call, existing, (format, patch))?;
    let mut draft = call.decode(object).map_err(|why| {
        let shown = match format {
            Format::Strategic => strategic::printed(patch),
            _ => patched(call, existing, (format, patch))
                .map(|it| it.to_string())
                .unwrap_or_default(),
        };
        undecodable(&why, &shown)
    })?;
    settle_place(call, &mut draft.object)?;
    update::replace(state, call, existing, draft)
}

/// What a patch makes of what is there.
fn patched(call: &Call, existing: &Stored, (format, patch): (Format, &Value)) -> Result<Value> {
    let mut object = read::present(&call.target, existing);
    match format {
        Format::Strategic => {
            let node: &Node = call.target.version()?.schema.root();
            // Who knows nothing of a kind's lists can only replace them.
            let known = Some(node).filter(|_| !call.is_broken(Breakage::ReplacedLists));
            strategic::merge(&mut object, patch, known)?;
            // The type is known: a patch cannot make it another.
            object["apiVersion"] = call.target.api_version().into();
            object["kind"] = call.resource().kind.as_str().into();
        }
        other => change(&mut object, other, patch)?,
    }
    Ok(object)
}

/// What a patch makes of an object whose type it does not ask for.
pub(super) fn change(object: &mut Value, format: Format, patch: &Value) -> Result<()> {
    match format {
        Format::Json => operations(object, patch)?,
        Format::Merge | Format::Strategic | Format::Apply => merge::merge(object, patch),
    }
    Ok(())
}

fn operations(object: &mut Value, patch: &Value) -> Result<()> {
    let operations = patch.as_array().map(Vec::as_slice).unwrap_or_default();
    if operations.len() > json::LIMIT {
        let message = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {}, got {}",
            json::LIMIT,
            operations.len()
        );
        return Err(Refusal::new(413, "RequestEntityTooLarge", message));
    }
    let applied = json::apply(object, operations).ok().filter(|()| object.is_object());
    applied.ok_or_else(Refusal::unprocessable)
}

/// What is wrong with an object that was patched is the patch's fault.
fn undecodable(refusal: &Refusal, patched: &str) -> Refusal {
    let why = refusal.message();
    let why = why.split_once(" cannot be handled as a ").map_or(why, |(_, it)| it);
    let why = why.split_once(": ").map_or(why, |(_, it)| it);
    let subject = Subject { group: "", kind: "", name: "" };
    Refusal::invalid(&subject, &[Cause::invalid("patch", &patched.into(), why)])
}

/// A patched object stays where it is, and who it is.
fn settle_place(call: &Call, object: &mut Value) -> Result<()> {
    let namespace = call.target.namespace.as_deref().unwrap_or_default();
    let stated = object::meta(object, "namespace");
    if !stated.is_empty() && stated != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if stated.is_empty() {
        object::set_meta(object, "namespace", (!namespace.is_empty()).then(|| namespace.into()));
    }
    let (name, wanted) = (object::name(object), call.target.name.as_str());
    if name == wanted {
        return Ok(());
    }
    Err(Refusal::bad_request(if name.is_empty() {
        format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be \
             provided"
        )
    } else {
        format!("the name of the object ({name}) does not match the name on the URL ({wanted})")
    }))
}

fn applied(state: &mut State, call: &Call, body: &Value) -> Result<Written> {
    check_kind(body, (&call.target.api_version(), &call.resource().kind))?;
    check_fields(call, body)?;
    match call.target.existing(state) {
        Ok(existing) => {
            let live = read::present(&call.target, &existing);
            let draft = settled(call, Some(&live), body)?;
            update::replace(state, call, &existing, draft)
        }
        Err(missing) if !call.target.subresource.is_empty() => Err(missing),
        Err(_) => {
            let mut draft = settled(call, None, body)?;
            // The version of nothing is no condition.
            object::set_meta(&mut draft.object, "resourceVersion", None);
            let uid = object::uid(&draft.object);
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object \
                     was found"
                );
                return Err(Refusal::conflict(&call.resource().subject(&call.target.name), &why));
            }
            create::insert(state, call, draft)
        }
    }
}

/// The object that an apply makes, as it goes on to be stored.
fn settled(call: &Call, live: Option<&Value>, body: &Value) -> Result<Draft> {
    let object = apply::apply(call, live, body)?;
    let repeated = repeated(call)?;
    let mut draft = if call.resource().is_custom() {
        Draft { object, warnings: Vec::new(), owners: Owners::Applied }
    } else {
        call.decode_applied(object)?
    };
    draft.warnings.splice(..0, repeated);
    settle_place(call, &mut draft.object)?;
    draft.owners = Owners::Applied;
    Ok(draft)
}

/// What a body says twice, which a strict client is refused and most are warned of.
pub(super) fn repeated(call: &Call) -> Result<Vec<String>> {
    let lines = &call.options.repeated;
    match (call.options.strictness, lines.as_slice()) {
        (Strictness::Strict, [first, ..]) if !call.is_broken(Breakage::LenientStrictness) => {
            Err(Refusal::bad_request(format!("error strict decoding YAML: {first}")))
        }
        (Strictness::Warn, _) => Ok(lines.clone()),
        (Strictness::Strict | Strictness::Ignore, _) => Ok(Vec::new()),
    }
}

/// What is applied must say what it is.
pub(super) fn check_kind(body: &Value, wanted: (&str, &str)) -> Result<()> {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if (api_version, kind) != wanted {
        let kind = if api_version.is_empty() && kind.is_empty() {
            "/, Kind=".to_owned()
        } else if api_version.contains('/') {
            format!("{api_version}, Kind={kind}")
        } else {
            format!("/{api_version}, Kind={kind}")
        };
        return Err(Refusal::bad_request(format!("invalid object type: {kind}")));
    }
    if body["metadata"].get("managedFields").is_some_and(|it| !it.is_null()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

/// However strict the client is: of a field that no schema knows nobody can be the owner.
fn check_fields(call: &Call, body: &Value) -> Result<()> {
    let root = call.target.version()?.schema.root();
    let lines = match typed::check(body, Some(root)).as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let (namespace, name) = (object::meta(body, "namespace"), object::name(body));
    let (version, kind) = (call.target.api_version().into_owned(), &call.resource().kind);
    let version = if version.contains('/') { version } else { format!("/{version}") };
    let message = format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {lines}"
    );
    Err(Refusal::new(500, "", message))
}

/// Whether a patch's options are ones that its format takes.
pub(crate) fn check_options(format: Format, manager: &str, force: &str) -> Result<()> {
    let mut faults = Vec::new();
    if format != Format::Apply && !force.is_empty() {
        faults.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
    }
    if format == Format::Apply && manager.is_empty() {
        faults.push(Cause::required("fieldManager", "is required for apply patch"));
    }
    if manager.len() > 128 {
        let message = "Too long: may not be more than 128 bytes".to_owned();
        faults.push(Cause::new("FieldValueTooLong", "fieldManager", message));
    }
    if let Some((at, found)) = manager.char_indices().find(|(_, it)| it.is_control()) {
        let code = u32::from(found);
        let why = format!("invalid character U+{code:04X} (at position {at})");
        faults.push(Cause::invalid("fieldManager", &json!(manager), &why));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let subject = Subject { group: "meta.k8s.io", kind: "PatchOptions", name: "" };
    Err(Refusal::invalid(&subject, &faults))
}
