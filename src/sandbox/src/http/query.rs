//! What the query of a request asks for.

use axum::extract::Query as Pairs;
use http::Uri;

use crate::{
    api::{Effect, Options, Strictness},
    breakage::Broken,
    refusal::{Refusal, Result},
    registry::Resource,
    selector::Selector,
};

#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(uri: &Uri) -> Self {
        Pairs::try_from_uri(uri).map(|Pairs(pairs)| Self(pairs)).unwrap_or_default()
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        let all = self.0.iter().filter(|(name, _)| name == key);
        all.map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        // Whatever is not plainly a no is a yes.
        let found = self.0.iter().find(|(name, _)| name == key);
        found.is_some_and(|(_, value)| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    pub(super) fn number(&self, key: &str) -> Result<u64> {
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

    /// The options of a write; whoever gives no name for itself is known by its program's.
    pub(super) fn options(&self, agent: &str) -> Result<Options> {
        let effect = match self.text("dryRun") {
            "" => Effect::Real,
            "All" => Effect::DryRun,
            other => return Err(unsupported("dryRun", other, "\"All\"")),
        };
        let strictness = match self.text("fieldValidation") {
            "" | "Warn" => Strictness::Warn,
            "Ignore" => Strictness::Ignore,
            "Strict" => Strictness::Strict,
            other => {
                let known = "\"Ignore\", \"Strict\", \"Warn\"";
                return Err(unsupported("fieldValidation", other, known));
            }
        };
        let manager = match (self.text("fieldManager"), agent) {
            ("", "") => "unknown",
            ("", agent) => agent,
            (manager, _) => manager,
        };
        Ok(Options {
            effect,
            manager: manager.to_owned(),
            force: self.is_set("force"),
            strictness,
            user: None,
            broken: Broken::default(),
        })
    }
}

fn unsupported(field: &str, found: &str, known: &str) -> Refusal {
    Refusal::new(
        422,
        "Invalid",
        format!(
            " \"\" is invalid: {field}: Unsupported value: \"{found}\": supported values: {known}"
        ),
    )
}
