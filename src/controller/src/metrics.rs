//! What does the replica count? Every series, registered once, under one prefix.

mod histogram;
mod of_jobs;
mod of_triggers;
mod of_webhooks;

use prometheus::core::Collector as _;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

pub use self::of_jobs::{Completed, OfJobs, Ran};
pub use self::of_triggers::{Ended, Labelled, OfTriggers, Standing};
pub use self::of_webhooks::OfWebhooks;

/// Bounds of what takes milliseconds to a minute: checks, changes, handovers.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A metric that could not be registered: its name or a label is not what Prometheus allows.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot register the metrics under the prefix {prefix:?}; use letters, digits and underscores"
)]
pub struct Invalid {
    prefix: String,
    source: prometheus::Error,
}

/// The series of one replica. The first group has the original's names, so that its dashboards work.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,

    /// `reconcile_count`, `failed_reconcile_count`, `reconcile_duration_seconds`,
    /// `trigger_check_count` and `trigger_check_duration_seconds`.
    pub triggers: OfTriggers,
    /// `jobs_queue_completed_count` and `jobs_queue_completed_duration_seconds`.
    pub jobs: OfJobs,
    /// `webhook_*`, of which `webhook_requests_count` and `webhook_requests_duration_seconds` are the
    /// original's.
    pub webhooks: OfWebhooks,
    pub jobs_queue_limit: IntGaugeVec,
    pub jobs_queue_waiting: IntGaugeVec,
    pub jobs_queue_running: IntGaugeVec,
    pub jobs_queue_waiting_duration_seconds: HistogramVec,

    pub members: IntGauge,
    pub shards: IntGauge,
    pub shards_owned: IntGauge,
    pub shard_moves_total: IntCounterVec,
    pub shard_unowned_seconds: Histogram,
    pub shard_handover_seconds: HistogramVec,
    pub lease_renewals_total: IntCounterVec,
    pub cluster_state: IntGaugeVec,
    pub cluster_last_contact_seconds: prometheus::GaugeVec,
    pub cluster_objects: IntGaugeVec,
    pub cluster_api_requests_total: IntCounterVec,
    pub triggers_scheduled: IntGauge,
    pub schedule_lag_seconds: Histogram,
    pub check_results_total: IntCounterVec,
    pub git_requests_total: IntCounterVec,
    pub git_coalesced_total: IntCounterVec,
    pub git_requests_sent_total: IntCounterVec,
    pub git_connections_opened_total: IntCounterVec,
    pub git_bytes_total: IntCounterVec,
    pub git_paused: IntGauge,
    pub github_app_tokens_total: IntCounterVec,
    pub runs_total: IntCounterVec,
    pub ledger_conflicts_total: IntCounterVec,
    pub job_create_duplicates_total: IntCounterVec,
    pub change_to_job_seconds: HistogramVec,
    pub config_reloads_total: IntCounterVec,
    pub problems_total: IntCounterVec,
    pub events_dropped_total: IntCounterVec,
    pub trace_spans_total: IntCounterVec,
    pub process_start_time_seconds: Gauge,
}

impl Metrics {
    /// Registers everything under `prefix`, for instance `git_events_runner`.
    pub fn new(prefix: &str) -> Result<Self, Invalid> {
        Self::labelled(prefix, Labelled::ByTrigger)
    }

    /// The same, with the series that are labelled by trigger or without.
    pub fn labelled(prefix: &str, labelled: Labelled) -> Result<Self, Invalid> {
        Self::register(prefix, labelled)
            .map_err(|source| Invalid { prefix: prefix.to_owned(), source })
    }

    /// Brings the counters of what is counted elsewhere up to date.
    pub fn exchanged(&self, host: &str, exchanged: ger_git::Exchanged) {
        let ger_git::Exchanged { requests, connections, sent, received } = exchanged;
        let follow = |series: &IntCounterVec, labels: &[&str], total: u64| {
            let counter = series.with_label_values(labels);
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        follow(&self.git_requests_sent_total, &[host], requests);
        follow(&self.git_connections_opened_total, &[host], connections);
        follow(&self.git_bytes_total, &[host, "sent"], sent);
        follow(&self.git_bytes_total, &[host, "received"], received);
    }

    /// Removes the series of a cluster that is gone.
    pub fn forget_cluster(&self, cluster: &str) {
        for counters in [
            &self.cluster_api_requests_total,
            &self.check_results_total,
            &self.runs_total,
            &self.ledger_conflicts_total,
            &self.job_create_duplicates_total,
            &self.problems_total,
            &self.events_dropped_total,
        ] {
            forget(counters, cluster);
        }
        self.forget_queue(cluster);
        forget(&self.jobs_queue_waiting_duration_seconds, cluster);
        forget(&self.change_to_job_seconds, cluster);
    }

    /// Removes what is said of a cluster's queue by who admits its Jobs.
    pub fn forget_queue(&self, cluster: &str) {
        for gauges in [&self.jobs_queue_limit, &self.jobs_queue_waiting, &self.jobs_queue_running] {
            forget(gauges, cluster);
        }
    }

    /// The registry, for `/metrics`.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    #[expect(clippy::too_many_lines, reason = "a list: one statement, a line or two a series")]
    fn register(prefix: &str, labelled: Labelled) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let made = Maker { registry: &registry, prefix };
        Ok(Self {
            triggers: made.registered(OfTriggers::new(prefix)?.labelled(labelled))?,
            jobs: made.registered_if(labelled, OfJobs::new(prefix)?)?,
            webhooks: OfWebhooks::new(&made, labelled)?,
            jobs_queue_limit: made.gauges(
                "jobs_queue_limit",
                "how many Jobs may run at once",
                &["cluster"],
            )?,
            jobs_queue_waiting: made.gauges(
                "jobs_queue_waiting",
                "suspended Jobs of ours",
                &["cluster"],
            )?,
            jobs_queue_running: made.gauges(
                "jobs_queue_running",
                "running Jobs of ours",
                &["cluster"],
            )?,
            jobs_queue_waiting_duration_seconds: made.histograms(
                "jobs_queue_waiting_duration_seconds",
                "from created to admitted",
                &["cluster"],
            )?,
            members: made.gauge("members", "live replicas as seen by this one")?,
            shards: made.gauge("shards", "shards that all replicas together should hold")?,
            shards_owned: made.gauge("shards_owned", "shards this replica holds")?,
            shard_moves_total: made.counters(
                "shard_moves_total",
                "shards gained, by what moved them",
                &["reason"],
            )?,
            shard_unowned_seconds: made
                .histogram("shard_unowned_seconds", "how long a shard had no holder")?,
            shard_handover_seconds: made.histograms(
                "shard_handover_seconds",
                "from release or expiry to claim",
                &["reason"],
            )?,
            lease_renewals_total: made.counters(
                "lease_renewals_total",
                "renewals of Leases",
                &["kind", "result"],
            )?,
            cluster_state: made.gauges(
                "cluster_state",
                "1 for the state it is in",
                &["cluster", "state"],
            )?,
            cluster_last_contact_seconds: made.float_gauges(
                "cluster_last_contact_seconds",
                "since the last good answer",
                &["cluster"],
            )?,
            cluster_objects: made.gauges(
                "cluster_objects",
                "objects held in memory",
                &["cluster", "kind"],
            )?,
            cluster_api_requests_total: made.counters(
                "cluster_api_requests_total",
                "requests to a cluster's API; code none: no answer",
                &["cluster", "verb", "code"],
            )?,
            triggers_scheduled: made
                .gauge("triggers_scheduled", "triggers in this replica's timer queue")?,
            schedule_lag_seconds: made
                .histogram("schedule_lag_seconds", "due time to check start")?,
            check_results_total: made.counters(
                "check_results_total",
                "checks by result",
                &["cluster", "result"],
            )?,
            git_requests_total: made.counters(
                "git_requests_total",
                "requests that went out",
                &["host", "operation", "result"],
            )?,
            git_coalesced_total: made.counters(
                "git_coalesced_total",
                "checks answered by another's request",
                &["host"],
            )?,
            git_requests_sent_total: made.counters(
                "git_requests_sent_total",
                "requests sent over the wire, by host; a check or a fetch may take several",
                &["host"],
            )?,
            git_connections_opened_total: made.counters(
                "git_connections_opened_total",
                "connections opened, by host",
                &["host"],
            )?,
            git_bytes_total: made.counters(
                "git_bytes_total",
                "bytes exchanged",
                &["host", "direction"],
            )?,
            git_paused: made
                .gauge("git_paused", "hosts that are left alone for a while, by credential")?,
            github_app_tokens_total: made.counters(
                "github_app_tokens_total",
                "installation tokens that were asked for",
                &["host", "result"],
            )?,
            runs_total: made.counters(
                "runs_total",
                "runs reaching a final phase",
                &["cluster", "reason", "phase"],
            )?,
            ledger_conflicts_total: made.counters(
                "ledger_conflicts_total",
                "compare-and-swap lost and retried",
                &["cluster"],
            )?,
            job_create_duplicates_total: made.counters(
                "job_create_duplicates_total",
                "AlreadyExists absorbed",
                &["cluster"],
            )?,
            change_to_job_seconds: made.histograms(
                "change_to_job_seconds",
                "change seen to Job created",
                &["cluster"],
            )?,
            config_reloads_total: made.counters(
                "config_reloads_total",
                "dynamic configurations that were read, by whether they were taken",
                &["result"],
            )?,
            problems_total: made.counters(
                "problems_total",
                "what a user has to mend, by kind",
                &["cluster", "reason"],
            )?,
            events_dropped_total: made.counters(
                "events_dropped_total",
                "Events that were not published, for they repeat what was said or are too many",
                &["cluster"],
            )?,
            trace_spans_total: made.counters(
                "trace_spans_total",
                "steps of runs that were told to the collector of traces, and that were lost",
                &["result"],
            )?,
            process_start_time_seconds: made.float_gauge(
                "process_start_time_seconds",
                "when the replica started, in seconds since 1970",
            )?,
            registry,
        })
    }
}

/// Removes the series that are labelled with this cluster.
fn forget<T>(series: &prometheus::core::MetricVec<T>, cluster: &str)
where
    T: prometheus::core::MetricVecBuilder,
{
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels: std::collections::HashMap<&str, &str> =
                metric.get_label().iter().map(|it| (it.name(), it.value())).collect();
            if labels.get("cluster") == Some(&cluster) {
                // Somebody else may have removed it meanwhile.
                drop(series.remove(&labels));
            }
        }
    }
}

/// Makes a series and registers it: one place that knows the prefix.
struct Maker<'a> {
    registry: &'a Registry,
    prefix: &'a str,
}

impl Maker<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("{}_{name}", self.prefix), help)
    }

    fn registered<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        collector: C,
    ) -> prometheus::Result<C> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// What has a label for each trigger, where that is wanted.
    fn registered_if<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        labelled: Labelled,
        collector: C,
    ) -> prometheus::Result<C> {
        match labelled {
            Labelled::ByTrigger => self.registered(collector),
            Labelled::Not => Ok(collector),
        }
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.registered(IntCounterVec::new(self.opts(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.registered(IntGaugeVec::new(self.opts(name, help), labels)?)
    }

    fn float_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<prometheus::GaugeVec> {
        self.registered(prometheus::GaugeVec::new(self.opts(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.registered(IntGauge::with_opts(self.opts(name, help))?)
    }

    fn float_gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.registered(Gauge::with_opts(self.opts(name, help))?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::from(self.opts(name, help)).buckets(SECONDS.to_vec());
        self.registered(HistogramVec::new(opts, labels)?)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts::from(self.opts(name, help)).buckets(SECONDS.to_vec());
        self.registered(Histogram::with_opts(opts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_elsewhere_is_followed_and_never_counted_twice() {
        let metrics = Metrics::new("test").unwrap();
        let seen = ger_git::Exchanged { requests: 3, connections: 1, sent: 20, received: 300 };

        metrics.exchanged("git.test", seen);
        metrics.exchanged("git.test", ger_git::Exchanged { requests: 5, received: 301, ..seen });

        let bytes = |it| metrics.git_bytes_total.with_label_values(&["git.test", it]).get();
        assert_eq!((bytes("sent"), bytes("received")), (20, 301));
        assert_eq!(metrics.git_requests_sent_total.with_label_values(&["git.test"]).get(), 5);
        let opened = &metrics.git_connections_opened_total;
        assert_eq!(opened.with_label_values(&["git.test"]).get(), 1);
    }

    #[test]
    fn a_cluster_that_is_gone_leaves_no_series_behind() {
        let metrics = Metrics::new("test").unwrap();
        for cluster in ["east", "west"] {
            metrics.jobs_queue_limit.with_label_values(&[cluster]).set(16);
            metrics.jobs_queue_waiting_duration_seconds.with_label_values(&[cluster]).observe(1.0);
            metrics.change_to_job_seconds.with_label_values(&[cluster]).observe(1.0);
            metrics.events_dropped_total.with_label_values(&[cluster]).inc();
            metrics.problems_total.with_label_values(&[cluster, "Unreachable"]).inc();
        }

        metrics.forget_cluster("east");

        let text = prometheus::TextEncoder::new().encode_to_string(&metrics.registry().gather());
        let text = text.unwrap();
        assert!(!text.contains("cluster=\"east\""), "{text}");
        assert!(text.contains("test_events_dropped_total{cluster=\"west\"} 1"), "{text}");
    }

    #[test]
    fn a_prefix_that_prometheus_refuses_is_named() {
        let error = Metrics::new("not a name").unwrap_err();
        assert!(error.to_string().contains("not a name"), "{error}");
    }
}
