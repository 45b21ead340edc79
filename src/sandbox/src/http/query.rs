//! What the query of a request asks for, and what it may not ask for.

use axum::extract::Query as Pairs;
use http::Uri;
use serde_json::{Value, json};

use crate::{
    api::{Effect, Options, Strictness, list::Listing},
    breakage::Broken,
    refusal::{Cause, Refusal, Result, Subject},
    registry::Resource,
    selector::Selector,
};

/// The longest name that a manager of fields may have.
const MANAGER_LIMIT: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(uri: &Uri) -> Self {
        if uri.query().is_none() {
            return Self::default();
        }
        Pairs::try_from_uri(uri).map(|Pairs(pairs)| Self(pairs)).unwrap_or_default()
    }

    /// Asks for a watch, as the path does; of one object where it names one.
    pub(super) fn watch(&mut self, name: &str) -> Result<()> {
        const FIELDS: &str = "fieldSelector";
        self.0.insert(0, ("watch".to_owned(), "true".to_owned()));
        if name.is_empty() {
            return Ok(());
        }
        let selector = format!("metadata.name={name}");
        let stated = self.text(FIELDS);
        if !stated.is_empty() && stated.replace("==", "=") != selector {
            return Err(Refusal::bad_request(
                "fieldSelector metadata.name doesn't match requested name",
            ));
        }
        self.0.insert(0, (FIELDS.to_owned(), selector));
        Ok(())
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.find(key).unwrap_or_default()
    }

    fn find(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whatever is not plainly a no is a yes, an empty text too.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.find(key).map(|it| !matches!(it.to_lowercase().as_str(), "false" | "0"))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        let all = self.0.iter().filter(|(name, _)| name == key);
        all.map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.flag(key) == Some(true)
    }

    pub(super) fn number(&self, key: &str) -> Result<i64> {
        match self.text(key) {
            "" => Ok(0),
            text => text.parse().map_err(|_| {
                Refusal::bad_request(format!(
                    "strconv.ParseInt: parsing \"{text}\": invalid syntax"
                ))
            }),
        }
    }

    pub(super) fn selector(&self, resource: &Resource) -> Result<Selector> {
        Selector::parse(self.text("labelSelector"), self.text("fieldSelector"), resource)
    }

    /// What a list, or a deletion of what a list holds, is to hold.
    pub(super) fn listing(&self, resource: &Resource) -> Result<Listing> {
        let limit = self.number("limit")?;
        self.number("timeoutSeconds")?;
        let selector = self.selector(resource)?;
        self.check_list()?;
        Ok(Listing {
            selector,
            limit: usize::try_from(limit).ok().filter(|it| *it > 0).unwrap_or(usize::MAX),
            token: self.text("continue").to_owned(),
            resource_version: self.text("resourceVersion").to_owned(),
            version_match: self.text("resourceVersionMatch").to_owned(),
        })
    }

    fn check_list(&self) -> Result<()> {
        const MATCH: &str = "resourceVersionMatch";
        let (version, stated) = (self.text("resourceVersion"), self.text(MATCH));
        let mut faults = Vec::new();
        if !stated.is_empty() {
            if version.is_empty() {
                let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                faults.push(Cause::forbidden(MATCH, detail));
            }
            if !self.text("continue").is_empty() {
                let detail = "resourceVersionMatch is forbidden when continue is provided";
                faults.push(Cause::forbidden(MATCH, detail));
            }
            if !matches!(stated, "Exact" | "NotOlderThan") {
                let known = &["Exact", "NotOlderThan", ""];
                faults.push(Cause::unsupported(MATCH, stated, known));
            }
            if stated == "Exact" && version == "0" {
                let detail =
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                faults.push(Cause::forbidden(MATCH, detail));
            }
        }
        if self.find("sendInitialEvents").is_some() {
            let detail = "sendInitialEvents is forbidden for list";
            faults.push(Cause::forbidden("sendInitialEvents", detail));
        }
        refuse("ListOptions", &faults)
    }

    /// Whether a watch may be asked for like this.
    pub(super) fn check_watch(&self) -> Result<()> {
        const MATCH: &str = "resourceVersionMatch";
        let stated = self.text(MATCH);
        let initial = self.find("sendInitialEvents").is_some();
        let mut faults = Vec::new();
        if initial && stated != "NotOlderThan" {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            faults.push(Cause::forbidden(MATCH, detail));
        }
        if !stated.is_empty() {
            if !initial {
                let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                faults.push(Cause::forbidden(MATCH, detail));
            } else if stated != "NotOlderThan" {
                faults.push(Cause::unsupported(MATCH, stated, &["NotOlderThan"]));
            }
        }
        if !self.text("continue").is_empty() {
            let detail = "resourceVersionMatch is forbidden when continue is provided";
            faults.push(Cause::forbidden(MATCH, detail));
        }
        refuse("ListOptions", &faults)
    }

    /// The options of a write; whoever gives no name for itself is known by its program's.
    pub(super) fn options(&self, agent: &str, kind: &str) -> Result<Options> {
        let mut faults = Vec::new();
        let (effect, fault) = effect(&self.texts("dryRun"));
        faults.extend(fault);
        let stated = self.text("fieldManager");
        if kind != "DeleteOptions" {
            faults.extend(manager_fault(stated));
        }
        let strictness = match self.text("fieldValidation") {
            "" | "Warn" => Strictness::Warn,
            "Ignore" => Strictness::Ignore,
            "Strict" => Strictness::Strict,
            other => {
                let known = &["", "Ignore", "Strict", "Warn"];
                faults.push(Cause::unsupported("fieldValidation", other, known));
                Strictness::Warn
            }
        };
        refuse(kind, &faults)?;
        let manager = match (stated, agent) {
            ("", "") => "unknown",
            ("", agent) => agent,
            (manager, _) => manager,
        };
        Ok(Options {
            effect,
            manager: manager.to_owned(),
            force: self.is_set("force"),
            strictness,
            repeated: Vec::new(),
            user: None,
            broken: Broken::default(),
        })
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    }
}

/// What a write is to come to, and what is wrong with how that was said.
pub(super) fn effect(stated: &[&str]) -> (Effect, Option<Cause>) {
    match stated {
        [] => (Effect::Real, None),
        all if all.iter().all(|it| *it == "All") => (Effect::DryRun, None),
        other => (Effect::DryRun, Some(Cause::unsupported("dryRun", json!(other), &["All"]))),
    }
}

fn manager_fault(manager: &str) -> Option<Cause> {
    if manager.len() > MANAGER_LIMIT {
        let message = format!("Too long: may not be more than {MANAGER_LIMIT} bytes");
        return Some(Cause::new("FieldValueTooLong", "fieldManager", message));
    }
    let (at, odd) = manager.char_indices().find(|(_, it)| it.is_control())?;
    let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(odd));
    Some(Cause::invalid("fieldManager", &Value::from(manager), &detail))
}

/// 422 for the options of a request.
pub(super) fn refuse(kind: &str, faults: &[Cause]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(&Subject { group: "meta.k8s.io", kind, name: "" }, faults))
}
