//! What is the user told? Events on their objects, each once, and never in the way of the work.

use std::sync::PoisonError;

use ger_core::ledger::{Notice, Severity};
use ger_core::telling::Tell;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::Fleet;
use crate::clock::mono;
use crate::clusters::Cluster;

/// Who reports, as `kubectl describe` shows it.
const REPORTER: &str = "git-events-runner";
/// The longest note that the API accepts.
const MOST_NOTE: usize = 1024;

/// Publishes a notice on an object of a cluster, unless it repeats what was just said or too much was said of
/// the object lately.
pub(crate) async fn tell(
    fleet: &Fleet,
    cluster: &Cluster,
    about: &ObjectReference,
    notice: &Notice,
) {
    let name = cluster.name().as_str();
    let uid = about.uid.as_deref().or(about.name.as_deref()).unwrap_or_default();
    let said = (notice.severity, notice.reason.as_str(), notice.message.as_str());
    let tell = {
        let mut told = fleet.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.on_notice(&format!("{name}/{uid}"), said, mono())
    };
    let repeated = match tell {
        Tell::Now { repeated } => repeated,
        Tell::Repeats | Tell::TooMuch => {
            fleet.metrics.events_dropped_total.with_label_values(&[name]).inc();
            return;
        }
    };
    let mut notice = notice.clone();
    if repeated > 0 {
        notice.message =
            format!("{} (and {repeated} times since that was last said)", notice.message);
    }
    publish(cluster.client(), about, &notice).await;
}

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
