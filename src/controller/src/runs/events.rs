//! What is the user told? Events on their objects, each once, and never in the way of the work.

use ger_core::ledger::{Notice, Severity};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Who reports, as `kubectl describe` shows it.
const REPORTER: &str = "git-events-runner";
/// The longest note that the API accepts.
const MOST_NOTE: usize = 1024;

/// Publishes a notice on an object. What cannot be published is logged: an Event is a courtesy.
pub(crate) async fn publish(client: &Client, about: &ObjectReference, notice: &Notice) {
    let reporter = Reporter { controller: REPORTER.to_owned(), instance: None };
    let event = Event {
        type_: match notice.severity {
            Severity::Normal => EventType::Normal,
            Severity::Warning => EventType::Warning,
        },
        reason: notice.reason.clone(),
        note: Some(notice.message.chars().take(MOST_NOTE).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = Recorder::new(client.clone(), reporter).publish(&event, about).await {
        let name = about.name.as_deref().unwrap_or_default();
        tracing::debug!(name, reason = notice.reason, %error, "cannot publish an Event");
    }
}
