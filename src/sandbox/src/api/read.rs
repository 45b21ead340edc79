//! How objects are read: one, or a list that is true at one revision.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    api::Target,
    kinds::Shape,
    refusal::{Refusal, Result},
    schema::{self, Mode},
    selector::Selector,
    store::{Key, State, Stored, Table},
};

/// The options of a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) selector: Selector,
    pub(crate) limit: usize,
    pub(crate) token: String,
    pub(crate) resource_version: String,
    pub(crate) version_match: String,
}

/// What a list holds, before it is written in one form or another.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Stored>>,
    pub(crate) metadata: Value,
}

/// Reads one object.
pub(crate) fn read(state: &State, target: &Target) -> Result<Arc<Stored>> {
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
    Bytes::from(present(target, stored).to_string())
}

/// Lists objects.
pub(crate) fn list(state: &State, target: &Target, listing: &Listing) -> Result<Page> {
    let empty = BTreeMap::new();
    let table = state.table(&target.resource);
    let current = table.map_or(&empty, |it| &it.objects);

    let (revision, start) = position(state, listing)?;
    let past;
    let objects = if revision == state.revision {
        current
    } else {
        past = table.and_then(|it| it.at(revision)).ok_or_else(gone)?;
        &past
    };

    let namespace = target.namespace.as_deref();
    let mut matching = Table::within(objects, namespace)
        .filter(|(key, _)| start.as_ref().is_none_or(|it| *key > it))
        .filter(|(_, it)| it.matches(&listing.selector));
    let limit = if listing.limit == 0 { usize::MAX } else { listing.limit };
    let mut page = Vec::new();
    let mut last = None;
    for (key, object) in matching.by_ref().take(limit) {
        page.push(Arc::clone(object));
        last = Some(key);
    }
    let remaining = matching.count();
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if remaining > 0
        && let Some(last) = last
    {
        metadata["continue"] = token(revision, last).into();
        if listing.selector.takes_all() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    Ok(Page { objects: page, metadata })
}

/// At which revision, and after which object, a list begins.
fn position(state: &State, listing: &Listing) -> Result<(u64, Option<Key>)> {
    if !listing.token.is_empty() {
        let (revision, key) = open_token(&listing.token)?;
        return Ok((revision, Some(key)));
    }
    if listing.resource_version.is_empty() || listing.resource_version == "0" {
        return Ok((state.revision, None));
    }
    let stated = parse_version(&listing.resource_version)?;
    if stated > state.revision {
        return Err(too_new(stated, state.revision));
    }
    let exact = listing.version_match == "Exact";
    Ok((if exact { stated } else { state.revision }, None))
}

pub(crate) fn parse_version(text: &str) -> Result<u64> {
    text.parse().map_err(|_| {
        Refusal::bad_request(format!(
            "invalid resource version \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid \
             syntax"
        ))
    })
}

fn too_new(stated: u64, current: u64) -> Refusal {
    let message = format!("Too large resource version: {stated}, current: {current}");
    Refusal::new(504, "Timeout", message).retry_after(1)
}

fn gone() -> Refusal {
    Refusal::expired(
        "The provided continue parameter is too old to display a consistent list result. You can \
         start a new list without the continue parameter, or use the continue token in this \
         response to retrieve the remainder of the results.",
    )
}

fn token(revision: u64, last: &Key) -> String {
    let text = json!({"v": "meta.k8s.io/v1", "rv": revision, "ns": last.namespace, "n": last.name});
    BASE64.encode(text.to_string())
}

fn open_token(token: &str) -> Result<(u64, Key)> {
    let broken = || Refusal::bad_request("continue key is not valid: illegal base64 data");
    let bytes = BASE64.decode(token).map_err(|_| broken())?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|_| broken())?;
    let text = |field: &str| json[field].as_str().unwrap_or_default();
    let revision = json["rv"].as_u64().ok_or_else(broken)?;
    Ok((revision, Key::new(text("ns"), text("n"))))
}
