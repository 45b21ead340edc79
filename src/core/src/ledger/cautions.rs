//! What should a user know about sources that work? Two conditions that are there only while there is
//! cause for them: `TlsVerified` (False) and `SecretNamespaceIgnored` (True).

use std::collections::BTreeSet;

use ger_api::TriggerStatus;
use jiff::Timestamp;

use super::{conditions, prune};
use crate::plan::Caution;

/// A condition and what it says, apart from its message.
struct Kind {
    condition: &'static str,
    status: &'static str,
    reason: &'static str,
}

const TLS: Kind = Kind { condition: "TlsVerified", status: "False", reason: "VerificationOff" };
const NAMESPACE: Kind = Kind {
    condition: "SecretNamespaceIgnored",
    status: "True",
    reason: "GitRepoUsesTriggersNamespace",
};

/// Whether a condition is one of these.
pub(super) fn is_caution(condition: &str) -> bool {
    [TLS, NAMESPACE].iter().any(|it| it.condition == condition)
}

/// Whether the conditions say this already, and nothing else.
pub(super) fn are_said(status: &TriggerStatus, cautions: &[(String, Caution)]) -> bool {
    [TLS, NAMESPACE].iter().all(|kind| {
        let said = conditions::find(status, kind.condition);
        match (message(kind, cautions), said) {
            (None, None) => true,
            (Some(message), Some(said)) => said.status == kind.status && said.message == message,
            (None, Some(_)) | (Some(_), None) => false,
        }
    })
}

/// What nobody was told yet: reasons and messages of the conditions that appear.
pub(super) fn to_tell(
    status: &TriggerStatus,
    cautions: &[(String, Caution)],
) -> Vec<(&'static str, String)> {
    let is_new = |it: &&Kind| conditions::find(status, it.condition).is_none();
    let told = |it: &Kind| Some((it.reason, message(it, cautions)?));
    [TLS, NAMESPACE].iter().filter(is_new).filter_map(told).collect()
}

/// Makes the conditions say this, and nothing else.
pub(super) fn say(status: &mut TriggerStatus, cautions: &[(String, Caution)], now: Timestamp) {
    for kind in [TLS, NAMESPACE] {
        match message(&kind, cautions) {
            Some(text) => {
                conditions::set(status, now, kind.condition, (kind.status, kind.reason, &text));
            }
            None => status.conditions.retain(|it| it.type_ != kind.condition),
        }
    }
}

/// The message, if there is cause for one: the same for the same causes in any order.
fn message(kind: &Kind, cautions: &[(String, Caution)]) -> Option<String> {
    let is_of = |it: Caution| match it {
        Caution::TlsNotVerified => kind.condition == TLS.condition,
        Caution::NamespaceIgnored { .. } => kind.condition == NAMESPACE.condition,
    };
    let of_kind: BTreeSet<_> = cautions.iter().filter(|(_, it)| is_of(*it)).collect();
    let shown = of_kind.iter().map(|(source, caution)| match caution {
        Caution::TlsNotVerified => source.clone(),
        Caution::NamespaceIgnored { field } => format!("{source} ({field})"),
    });
    let sources = shown.collect::<Vec<_>>().join(", ");
    let text = match of_kind.first()?.1 {
        Caution::TlsNotVerified => {
            "whoever is between us and the server can change what runs; certificates are not \
             verified for the sources"
        }
        Caution::NamespaceIgnored { .. } => {
            "a GitRepo uses the Secrets of its trigger's namespace; another one is named and ignored \
             in the sources"
        }
    };
    Some(prune::shorten(&format!("{text} {sources}")))
}
