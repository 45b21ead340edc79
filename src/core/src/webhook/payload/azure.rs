//! What does Azure DevOps say? Its headers say nothing: the body names the event.

use serde::Deserialize;

use super::few::Few;
use super::{Event, Forge, Read, RefChange, RefName};

#[derive(Deserialize)]
struct Notice {
    #[serde(rename = "eventType")]
    event: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    resource: Option<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "refUpdates", default)]
    updates: Option<Few<Update>>,
}

#[derive(Deserialize)]
struct Update {
    name: String,
    #[serde(rename = "newObjectId", default)]
    to: Option<String>,
}

/// What it says, if it is from there.
pub(super) fn read(body: &[u8]) -> Option<Read> {
    let notice: Notice = serde_json::from_slice(body).ok()?;
    let updates = notice.resource.and_then(|it| it.updates).unwrap_or_default();
    let change = |it: Update| RefChange::of(RefName::of(&it.name), it.to.as_deref());
    Some(Read {
        forge: Some(Forge::Azure),
        event: Some(Event::of(&notice.event)),
        refs: updates.items.into_iter().map(change).collect(),
        is_cut: updates.is_cut,
        id: notice.id.map(String::into_bytes),
    })
}
