//! Lists: true at one revision, whole or page by page.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    api::{
        Target,
        page::{self, Place},
    },
    breakage::Breakage,
    refusal::{Refusal, Result},
    selector::Selector,
    store::{Key, State, Stored},
};

/// The options of a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) selector: Selector,
    /// At most so many on a page.
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

/// What is missing where a version is no longer remembered.
enum Lost {
    Version,
    Place(Key),
}

/// Lists objects.
pub(crate) fn list(state: &State, target: &Target, listing: &Listing) -> Result<Page> {
    let empty = BTreeMap::new();
    let table = state.table(&target.resource);
    let current = table.map_or(&empty, |it| &it.objects);

    let (revision, start) = position(state, target, listing)?;
    let start = start.filter(|_| !state.broken.has(Breakage::RestartedPages));
    let stale = table.filter(|_| state.broken.has(Breakage::StaleLists));
    let seen = stale.and_then(|it| it.log.before_last()).unwrap_or(revision);
    let past;
    let objects = if seen == state.revision {
        current
    } else {
        let lost = || match start.clone() {
            None => gone(Lost::Version, target),
            Some(start) => gone(Lost::Place(start), target),
        };
        past = table.and_then(|it| it.at(seen)).ok_or_else(lost)?;
        &past
    };

    let namespace = target.namespace.as_deref();
    let first = start.unwrap_or_else(|| Key::new(namespace.unwrap_or_default(), ""));
    let mut matching = objects
        .range(first..)
        .take_while(|(key, _)| namespace.is_none_or(|it| it == key.namespace()))
        .filter(|(_, it)| it.matches(&listing.selector));
    // What is asked for as of any time comes from a cache, and that gives all at once.
    let limit = if listing.resource_version == "0" { usize::MAX } else { listing.limit };
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
        metadata["continue"] = page::token(Some(revision), &page::after(last), target).into();
        if listing.selector.takes_all() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    Ok(Page { objects: page, metadata })
}

/// At which revision, and with which object, a list begins.
fn position(state: &State, target: &Target, listing: &Listing) -> Result<(u64, Option<Key>)> {
    let version = listing.resource_version.as_str();
    if !listing.token.is_empty() {
        if !matches!(version, "" | "0") {
            return Err(Refusal::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let Place { revision, start } = page::open(&listing.token, target)?;
        let revision = revision.unwrap_or(state.revision);
        check_reached(revision, state)?;
        return Ok((revision, Some(start)));
    }
    if matches!(version, "" | "0") {
        return Ok((state.revision, None));
    }
    let stated = parse_version(version)
        .map_err(|fault| Refusal::bad_request(format!("invalid resource version: {fault}")))?;
    check_reached(stated, state)?;
    // A page of no stated match is one of just that version.
    let exact = match listing.version_match.as_str() {
        "Exact" => true,
        "NotOlderThan" => false,
        _ => listing.limit < usize::MAX,
    };
    Ok((if exact { stated } else { state.revision }, None))
}

/// A version that never was cannot be waited for.
pub(crate) fn check_reached(revision: u64, state: &State) -> Result<()> {
    if revision > state.revision {
        return Err(Refusal::too_new(revision, state.revision));
    }
    Ok(())
}

/// A resource version as a number, or what is wrong with it.
pub(crate) fn parse_version(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: \
             invalid syntax"
        )
    })
}

fn gone(lost: Lost, target: &Target) -> Refusal {
    match lost {
        Lost::Version => Refusal::expired("The resourceVersion for the provided list is too old."),
        Lost::Place(start) => Refusal::expired(
            "The provided continue parameter is too old to display a consistent list result. You \
             can start a new list without the continue parameter, or use the continue token in \
             this response to retrieve the remainder of the results. Continuing with the provided \
             token results in an inconsistent list - objects that were created, modified, or \
             deleted between the time the first chunk was returned and now may show up in the \
             list.",
        )
        .continued(page::token(None, &start, target)),
    }
}
