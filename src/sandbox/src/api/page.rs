//! Where a list that comes in pages goes on: the `continue` token.
//!
//! Clients take it as it is, but its form is the real server's, so one that was made up is judged alike.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

use crate::{
    api::Target,
    refusal::{Refusal, Result},
    store::Key,
};

const VERSION: &str = "meta.k8s.io/v1";

/// Where a token points to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `None` for whatever is there now.
    pub(super) revision: Option<u64>,
    /// The first key that may be on the page.
    pub(super) start: Key,
}

/// The least key after another.
pub(super) fn after(key: &Key) -> Key {
    Key::new(key.namespace(), &format!("{}\0", key.name()))
}

pub(super) fn token(revision: Option<u64>, start: &Key, target: &Target) -> String {
    let path = match &target.namespace {
        None if target.resource.namespaced => format!("/{}/{}", start.namespace(), start.name()),
        _ => format!("/{}", start.name()),
    };
    let revision = revision.map_or_else(|| json!(-1), |it| json!(it));
    BASE64.encode(json!({"v": VERSION, "rv": revision, "start": path}).to_string())
}

pub(super) fn open(token: &str, target: &Target) -> Result<Place> {
    parse(token, target).map_err(|why| {
        Refusal::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
    })
}

fn parse(token: &str, target: &Target) -> Result<Place, String> {
    let bytes = BASE64.decode(token).map_err(|why| {
        let at = match why {
            base64::DecodeError::InvalidByte(at, _)
            | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(length) => length.saturating_sub(1),
            base64::DecodeError::InvalidPadding => token.len(),
        };
        format!("illegal base64 data at input byte {at}")
    })?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|why| why.to_string())?;
    let version = json["v"].as_str().unwrap_or_default();
    if version != VERSION {
        return Err(format!("server does not recognize this encoded version {version}"));
    }
    let revision = json["rv"].as_i64().unwrap_or_default();
    if revision == 0 {
        return Err(format!("incorrect encoded start resourceVersion (version {VERSION})"));
    }
    let start = json["start"].as_str().unwrap_or_default();
    if start.is_empty() {
        return Err(format!("encoded start key empty (version {VERSION})"));
    }
    if start.split('/').any(|it| matches!(it, "." | "..")) {
        return Err(start.to_owned());
    }
    let path = start.strip_prefix('/').unwrap_or(start);
    let start = match &target.namespace {
        Some(namespace) => Key::new(namespace, path),
        None => match path.split_once('/').filter(|_| target.resource.namespaced) {
            Some((namespace, name)) => Key::new(namespace, name),
            None if target.resource.namespaced => Key::new(path, ""),
            None => Key::new("", path),
        },
    };
    Ok(Place { revision: u64::try_from(revision).ok(), start })
}
