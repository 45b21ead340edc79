//! How one object is read, and how it looks in the version that was asked for.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::{
    api::{Target, list},
    kinds::Shape,
    refusal::{Refusal, Result},
    schema::{self, Mode},
    store::{State, Stored, content},
};

/// Reads one object.
pub(crate) fn read(state: &State, target: &Target, version: &str) -> Result<Arc<Stored>> {
    if !matches!(version, "" | "0") {
        // Nobody reads this but the storage, which gives no reason.
        let stated = list::parse_version(version).map_err(|why| Refusal::new(500, "", why))?;
        list::check_reached(stated, state)?;
    }
    target.existing(state)
}

/// The object in the version that the target names.
pub(crate) fn present(target: &Target, stored: &Stored) -> Value {
    let mut object = stored.value.clone();
    if let Some(shape) = shape(target) {
        (shape.from_storage)(&mut object);
    }
    if target.resource.reshapes {
        reshape(target, &mut object);
    }
    object["apiVersion"] = target.api_version().into();
    object
}

/// What is stored is read as the version that it is kept in has it today, and shown as another has it.
pub(super) fn reshape(target: &Target, object: &mut Value) {
    let resource = &target.resource;
    if let Some(kept) = resource.version(&resource.storage) {
        // What a schema of today does not know is only left out: it was judged when it was written.
        drop(schema::prune(object, kept.schema.root(), Mode::Prune));
        schema::default(object, kept.schema.root());
    }
    if resource.storage != target.version
        && let Some(shown) = resource.version(&target.version)
    {
        drop(schema::prune(object, shown.schema.root(), Mode::Prune));
    }
}

fn shape(target: &Target) -> Option<&'static Shape> {
    target.resource.version(&target.version)?.shape
}

/// The same as JSON; most objects are stored in the version they are asked for in.
pub(crate) fn present_json(target: &Target, stored: &Stored) -> Bytes {
    if !target.resource.reshapes
        && shape(target).is_none()
        && stored.is_written_as(&target.api_version())
    {
        return stored.json();
    }
    content::written(&present(target, stored))
}

/// An item of a list, as JSON: the list says the kind of all, unless its items are custom ones.
pub(crate) fn present_item(target: &Target, stored: &Stored) -> Bytes {
    let json = present_json(target, stored);
    if target.resource.is_custom() {
        return json;
    }
    let head = head(&target.resource.kind, &target.api_version());
    match json.strip_prefix(head.as_bytes()) {
        Some(b"}") | None => json,
        Some(rest) => {
            let rest = json.slice_ref(rest);
            let mut item = Vec::with_capacity(rest.len() + 1);
            item.push(b'{');
            item.extend_from_slice(rest.strip_prefix(b",").unwrap_or(&rest));
            item.into()
        }
    }
}

/// How the JSON of all objects of a kind begins.
fn head(kind: &str, api_version: &str) -> String {
    format!("{{\"apiVersion\":{api_version:?},\"kind\":{kind:?}")
}
