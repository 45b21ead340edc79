//! What is counted of the Jobs of each trigger, under the original's names? By what ran for which source, and
//! how it ended; gone with its trigger.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_core::names::TriggerKey;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};

use super::histogram::histogram;

/// Bounds of what takes a second to an hour.
const BOUNDS: [f64; 8] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1800.0];
const LABELS: [&str; 9] = [
    "cluster",
    "namespace",
    "trigger_kind",
    "trigger_name",
    "source_kind",
    "source_name",
    "action_kind",
    "action_name",
    "status",
];
/// Series of one trigger: its sources by the ways to end, and some Actions that it had before.
const MOST_SERIES: usize = 512;

/// How a Job ended, in the original's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Completed {
    Succeed,
    Failed,
    Expired,
    Deleted,
    /// There was none: the API server refused it.
    CreateError,
}

impl Completed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Succeed => "Succeed",
            Self::Failed => "Failed",
            Self::Expired => "Expired",
            Self::Deleted => "Deleted",
            Self::CreateError => "CreateError",
        }
    }
}

/// What ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ran {
    pub source_kind: &'static str,
    pub source: String,
    pub action_kind: &'static str,
    pub action: String,
}

/// The series of all triggers' Jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OfJobs {
    count: Desc,
    duration: Desc,
    counted: Arc<Mutex<Counted>>,
}

type Counted = BTreeMap<TriggerKey, BTreeMap<(Ran, Completed), Times>>;

#[derive(Clone, Debug, Default)]
struct Times {
    count: u64,
    /// By the bound that it is not above; what is above all of them is in the last place.
    within: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl OfJobs {
    /// Makes the series under `prefix`, for somebody to register.
    pub(super) fn new(prefix: &str) -> prometheus::Result<Self> {
        let family = |name: &str, help: &str| {
            let labels = LABELS.map(str::to_owned).to_vec();
            Desc::new(format!("{prefix}_{name}"), help.to_owned(), labels, HashMap::new())
        };
        Ok(Self {
            count: family("jobs_queue_completed_count", "Jobs that are over, by how they ended")?,
            duration: family("jobs_queue_completed_duration_seconds", "finished Jobs only")?,
            counted: Arc::default(),
        })
    }

    /// A Job is over; `took` from its start, if it had one and finished.
    pub fn completed(&self, key: &TriggerKey, ran: Ran, how: Completed, took: Option<Duration>) {
        let mut counted = self.counted();
        let of_trigger = counted.entry(key.clone()).or_default();
        let series = (ran, how);
        if of_trigger.len() >= MOST_SERIES && !of_trigger.contains_key(&series) {
            return;
        }
        let times = of_trigger.entry(series).or_default();
        times.count = times.count.saturating_add(1);
        if let Some(took) = took {
            times.add(took);
        }
    }

    /// Drops what was counted of a trigger that is gone.
    pub fn forget(&self, key: &TriggerKey) {
        self.counted().remove(key);
    }

    /// Drops what was counted in a cluster that is gone.
    pub fn forget_cluster(&self, cluster: &str) {
        self.counted().retain(|key, _| key.cluster.as_str() != cluster);
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for OfJobs {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.count, &self.duration]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counted = self.counted();
        let mut counts = collected(&self.count, MetricType::COUNTER);
        let mut durations = collected(&self.duration, MetricType::HISTOGRAM);
        for (key, of_trigger) in &*counted {
            for ((ran, how), times) in of_trigger {
                let labels = labels(key, ran, *how);
                counts.mut_metric().push(times.counter(labels.clone()));
                durations.mut_metric().extend(times.histogram(labels));
            }
        }
        vec![counts, durations]
    }
}

fn collected(desc: &Desc, kind: MetricType) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family
}

/// In the order of the names, which is how they are exposed.
fn labels(key: &TriggerKey, ran: &Ran, how: Completed) -> Vec<LabelPair> {
    let values = [
        key.cluster.as_str(),
        &key.namespace,
        key.kind.as_str(),
        &key.name,
        ran.source_kind,
        &ran.source,
        ran.action_kind,
        &ran.action,
        how.as_str(),
    ];
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    LABELS.into_iter().zip(values).map(pair).collect()
}

impl Times {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = BOUNDS.iter().position(|it| seconds <= *it).unwrap_or(BOUNDS.len());
        if let Some(within) = self.within.get_mut(place) {
            *within = within.saturating_add(1);
        }
        self.sum += seconds;
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floating point")]
    fn counter(&self, labels: Vec<LabelPair>) -> Metric {
        let mut counter = Counter::default();
        counter.set_value(self.count as f64);
        let mut metric = Metric::default();
        metric.set_label(labels);
        metric.set_counter(counter);
        metric
    }

    fn histogram(&self, labels: Vec<LabelPair>) -> Option<Metric> {
        histogram(labels, &BOUNDS, self.within.iter().copied(), self.sum)
    }
}

#[cfg(test)]
mod tests {
    use ger_core::names::{ClusterName, TriggerKind};
    use prometheus::{Registry, TextEncoder};

    use super::*;

    fn key(name: &str) -> TriggerKey {
        TriggerKey {
            cluster: ClusterName::hub(),
            kind: TriggerKind::Schedule,
            namespace: "apps".to_owned(),
            name: name.to_owned(),
        }
    }

    fn ran(source: &str) -> Ran {
        Ran {
            source_kind: "GitRepo",
            source: source.to_owned(),
            action_kind: "Action",
            action: "build".to_owned(),
        }
    }

    fn text(series: &OfJobs) -> String {
        let registry = Registry::new();
        registry.register(Box::new(series.clone())).unwrap();
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn a_job_s_series_have_the_original_s_names_and_labels() {
        let series = OfJobs::new("test").unwrap();

        series.completed(&key("a"), ran("app"), Completed::Succeed, Some(Duration::from_secs(7)));
        series.completed(&key("a"), ran("app"), Completed::CreateError, None);

        let said = text(&series);
        let of = |status: &str| {
            format!(
                "cluster=\"hub\",namespace=\"apps\",trigger_kind=\"ScheduleTrigger\",trigger_name=\"a\",\
                 source_kind=\"GitRepo\",source_name=\"app\",action_kind=\"Action\",action_name=\"build\",\
                 status=\"{status}\""
            )
        };
        for line in [
            format!("test_jobs_queue_completed_count{{{}}} 1", of("Succeed")),
            format!("test_jobs_queue_completed_count{{{}}} 1", of("CreateError")),
            format!(
                "test_jobs_queue_completed_duration_seconds_bucket{{{},le=\"5\"}} 0",
                of("Succeed")
            ),
            format!(
                "test_jobs_queue_completed_duration_seconds_bucket{{{},le=\"10\"}} 1",
                of("Succeed")
            ),
            format!("test_jobs_queue_completed_duration_seconds_sum{{{}}} 7", of("Succeed")),
        ] {
            assert!(said.lines().any(|it| it == line), "{line} is not in\n{said}");
        }
        assert!(!said.contains("seconds_count{cluster=\"hub\",namespace=\"apps\",trigger_kind=\"ScheduleTrigger\",trigger_name=\"a\",source_kind=\"GitRepo\",source_name=\"app\",action_kind=\"Action\",action_name=\"build\",status=\"CreateError\""));
    }

    #[test]
    fn a_trigger_that_is_gone_leaves_no_series_behind_and_none_has_too_many() {
        let series = OfJobs::new("test").unwrap();
        for number in 0..2000 {
            let source = number.to_string();
            series.completed(&key("a"), ran(&source), Completed::Failed, Some(Duration::ZERO));
        }
        series.completed(&key("b"), ran("x"), Completed::Failed, None);

        assert_eq!(series.counted()[&key("a")].len(), MOST_SERIES);
        series.forget(&key("a"));
        assert!(!text(&series).contains("trigger_name=\"a\""));
        series.forget_cluster("hub");
        assert!(series.counted().is_empty());
    }
}
