//! What is counted of webhooks? By trigger where there is one; what calls nothing is counted together.

use std::time::Duration;

use ger_core::names::TriggerKey;
use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGauge};

use super::{Labelled, Maker};

const LABELS: [&str; 4] = ["cluster", "namespace", "trigger_name", "status"];

/// The codes that a call of a trigger is ever answered with: what is to be forgotten of one.
const CODES: [u16; 13] = [200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 429, 500, 503];

/// The series of webhooks.
#[derive(Clone, Debug)]
pub struct OfWebhooks {
    labelled: Labelled,
    requests: IntCounterVec,
    durations: HistogramVec,
    recorded: Histogram,
    /// Open connections.
    pub connections: IntGauge,
    /// Connections that were closed to keep the server open for others, by reason.
    pub dropped: IntCounterVec,
    /// Certificates that were read, by result.
    pub certificates: IntCounterVec,
}

impl OfWebhooks {
    pub(super) fn new(made: &Maker<'_>, labelled: Labelled) -> prometheus::Result<Self> {
        Ok(Self {
            labelled,
            requests: made.counters(
                "webhook_requests_count",
                "requests by HTTP status; without a name where there is no such trigger",
                &LABELS,
            )?,
            durations: made.histograms(
                "webhook_requests_duration_seconds",
                "until the answer",
                &LABELS,
            )?,
            recorded: made.histogram("webhook_recorded_seconds", "request to ledger write")?,
            connections: made
                .gauge("webhook_connections", "open connections to the webhook server")?,
            dropped: made.counters(
                "webhook_connections_dropped_total",
                "connections that were closed for want of a place or of a file",
                &["reason"],
            )?,
            certificates: made.counters(
                "webhook_certificate_loads_total",
                "times that the webhook server's certificate was read anew",
                &["result"],
            )?,
        })
    }

    /// Counts an answer; `key` is of a trigger that is there.
    pub fn answered(&self, key: Option<&TriggerKey>, (code, took): (u16, Duration)) {
        let code = code.to_string();
        let key = key.filter(|_| matches!(self.labelled, Labelled::ByTrigger));
        let labels = labels(key, &code);
        self.requests.with_label_values(&labels).inc();
        self.durations.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A call was written into a ledger after so long.
    pub fn recorded(&self, took: Duration) {
        self.recorded.observe(took.as_secs_f64());
    }

    /// How many requests were answered so for a trigger.
    pub fn count(&self, key: &TriggerKey, code: u16) -> u64 {
        self.requests.with_label_values(&labels(Some(key), &code.to_string())).get()
    }

    /// Drops what was counted of a trigger that is gone.
    pub fn forget(&self, key: &TriggerKey) {
        for code in CODES {
            let code = code.to_string();
            let labels = labels(Some(key), &code);
            // Most were never counted.
            drop(self.requests.remove_label_values(&labels));
            drop(self.durations.remove_label_values(&labels));
        }
    }
}

fn labels<'a>(key: Option<&'a TriggerKey>, code: &'a str) -> [&'a str; 4] {
    let of = |part: fn(&TriggerKey) -> &str| key.map_or("", part);
    [of(|it| it.cluster.as_str()), of(|it| &it.namespace), of(|it| &it.name), code]
}

#[cfg(test)]
mod tests {
    use ger_core::names::{ClusterName, TriggerKind};

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_is_gone_leaves_no_series() {
        let metrics = Metrics::new("test").unwrap();
        let key = TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Webhook,
            namespace: "team".to_owned(),
            name: "deploy".to_owned(),
        };
        for code in CODES {
            metrics.webhooks.answered(Some(&key), (code, Duration::ZERO));
        }
        metrics.webhooks.answered(None, (404, Duration::ZERO));

        metrics.webhooks.forget(&key);

        let families = metrics.registry().gather();
        let of_requests =
            families.iter().find(|it| it.name() == "test_webhook_requests_count").unwrap();
        assert_eq!(of_requests.get_metric().len(), 1, "{of_requests:?}");
    }
}
