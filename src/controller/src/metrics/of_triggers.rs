//! What is counted of each trigger? A replica holds many: what is kept of one is a few hundred bytes,
//! and its labels are put together when somebody reads them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ger_core::names::TriggerKey;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::SECONDS;
use super::histogram::histogram;

/// Labels of what any object has.
const OF_OBJECT: [&str; 4] = ["cluster", "namespace", "resource_kind", "resource_name"];
/// The same of a trigger.
const OF_TRIGGER: [&str; 4] = ["cluster", "namespace", "trigger_kind", "trigger_name"];
/// Parts a key's text; no name has it.
const PART: char = '/';

/// The series of all triggers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OfTriggers {
    families: Arc<[Family; 5]>,
    /// `triggers` and `runs_unfinished`: of the triggers that are worked here, put together.
    standings: Arc<[Desc; 2]>,
    counted: Arc<Mutex<BTreeMap<Box<str>, Box<Counted>>>>,
    labelled: Labelled,
}

/// Whether series are labelled by trigger: there may be a hundred thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Labelled {
    #[default]
    ByTrigger,
    Not,
}

/// How a trigger stands after its last turn here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: &'static str,
    pub unfinished: u32,
}

/// How a piece of work on a trigger ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    Badly,
}

#[derive(Debug)]
struct Family {
    desc: Desc,
    kind: MetricType,
    /// What it is of one trigger; nothing where it was never counted.
    metric: fn(&Counted) -> Option<Metric>,
}

#[derive(Debug, Default)]
struct Counted {
    turns: u64,
    failed: u64,
    checks: u64,
    of_turns: Times,
    of_checks: Times,
    /// None where the trigger is another replica's.
    standing: Option<Standing>,
}

/// How long something took, as often as it was done. Four billion times are seven thousand years of a
/// trigger's minutes.
#[derive(Debug, Default)]
struct Times {
    /// By the bound that it is not above; what is above all of them is in the last place.
    within: [u32; SECONDS.len() + 1],
    sum: f64,
}

impl OfTriggers {
    /// Makes the series under `prefix`, for somebody to register.
    pub(super) fn new(prefix: &str) -> prometheus::Result<Self> {
        let family = |name: &str, help: &str, labels: [&str; 4], metric| {
            let labels = labels.map(str::to_owned).to_vec();
            let desc =
                Desc::new(format!("{prefix}_{name}"), help.to_owned(), labels, HashMap::new())?;
            let is_time = name.ends_with("_seconds");
            let kind = if is_time { MetricType::HISTOGRAM } else { MetricType::COUNTER };
            Ok::<Family, prometheus::Error>(Family { desc, kind, metric })
        };
        let families = [
            family("reconcile_count", "reconciliations, failed ones too", OF_OBJECT, |it| {
                counter(it.turns)
            })?,
            family("failed_reconcile_count", "failed reconciliations", OF_OBJECT, |it| {
                counter(it.failed)
            })?,
            family("reconcile_duration_seconds", "a reconciliation", OF_OBJECT, |it| {
                it.of_turns.metric()
            })?,
            family("trigger_check_count", "check runs of a trigger", OF_TRIGGER, |it| {
                counter(it.checks)
            })?,
            family("trigger_check_duration_seconds", "a check run", OF_TRIGGER, |it| {
                it.of_checks.metric()
            })?,
        ];
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let labels = labels.iter().map(|it| (*it).to_owned()).collect();
            Desc::new(format!("{prefix}_{name}"), help.to_owned(), labels, HashMap::new())
        };
        let standings = [
            gauge("triggers", "triggers that are worked here", &["cluster", "kind", "state"])?,
            gauge("runs_unfinished", "runs that are not finished", &["cluster"])?,
        ];
        Ok(Self {
            families: Arc::new(families),
            standings: Arc::new(standings),
            counted: Arc::default(),
            labelled: Labelled::default(),
        })
    }

    /// The same, with series by trigger or without.
    pub(super) fn labelled(self, labelled: Labelled) -> Self {
        Self { labelled, ..self }
    }

    /// How a trigger stands after a turn.
    pub fn stands(&self, key: &TriggerKey, standing: Standing) {
        self.count(key, |it| it.standing = Some(standing));
    }

    /// A trigger is no longer worked here.
    pub fn left(&self, key: &TriggerKey) {
        self.count(key, |it| it.standing = None);
    }

    /// What all together are.
    fn standing(
        counted: &BTreeMap<Box<str>, Box<Counted>>,
        descs: &[Desc; 2],
    ) -> [MetricFamily; 2] {
        let mut states: BTreeMap<[&str; 3], u32> = BTreeMap::new();
        let mut unfinished: BTreeMap<[&str; 1], u32> = BTreeMap::new();
        for (key, it) in counted {
            let Some(standing) = it.standing else { continue };
            let mut parts = key.splitn(3, PART);
            let (cluster, kind) =
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let of_state = states.entry([cluster, kind, standing.state]).or_default();
            *of_state = of_state.saturating_add(1);
            let of_cluster = unfinished.entry([cluster]).or_default();
            *of_cluster = of_cluster.saturating_add(standing.unfinished);
        }
        let [triggers, runs] = descs;
        [gauges(triggers, &states), gauges(runs, &unfinished)]
    }

    /// A turn of a trigger begins. Only from here on it is counted: one that is gone when its turn ends
    /// leaves nothing behind.
    pub fn turn_began(&self, key: &TriggerKey) {
        let mut counted = self.counted();
        let it = counted.entry(key.to_string().into_boxed_str()).or_default();
        it.turns = it.turns.saturating_add(1);
    }

    /// A turn of a trigger ended after so long.
    pub fn turn_ended(&self, key: &TriggerKey, took: Duration, ended: Ended) {
        self.count(key, |it| {
            it.of_turns.add(took);
            it.failed = it.failed.saturating_add(u64::from(ended == Ended::Badly));
        });
    }

    /// A trigger's sources are asked.
    pub fn check_began(&self, key: &TriggerKey) {
        self.count(key, |it| it.checks = it.checks.saturating_add(1));
    }

    /// All of them have answered, or failed, after so long.
    pub fn check_ended(&self, key: &TriggerKey, took: Duration) {
        self.count(key, |it| it.of_checks.add(took));
    }

    /// How many turns a trigger has had.
    pub fn turns(&self, key: &TriggerKey) -> u64 {
        self.counted().get(key.to_string().as_str()).map_or(0, |it| it.turns)
    }

    /// Drops what was counted of a trigger that is gone.
    pub fn forget(&self, key: &TriggerKey) {
        self.counted().remove(key.to_string().as_str());
    }

    fn count(&self, key: &TriggerKey, add: impl FnOnce(&mut Counted)) {
        if let Some(counted) = self.counted().get_mut(key.to_string().as_str()) {
            add(counted);
        }
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Box<Counted>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for OfTriggers {
    fn desc(&self) -> Vec<&Desc> {
        self.families.iter().map(|it| &it.desc).chain(self.standings.iter()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counted = self.counted();
        let collect = |family: &Family| {
            let of_one = |key: &str, it: &Counted| {
                let mut metric = (family.metric)(it)?;
                metric.set_label(labels(&family.desc.variable_labels, key));
                Some(metric)
            };
            let mut collected = MetricFamily::default();
            collected.set_name(family.desc.fq_name.clone());
            collected.set_help(family.desc.help.clone());
            collected.set_field_type(family.kind);
            collected.set_metric(counted.iter().filter_map(|(key, it)| of_one(key, it)).collect());
            collected
        };
        let standings = Self::standing(&counted, &self.standings);
        match self.labelled {
            Labelled::ByTrigger => self.families.iter().map(collect).chain(standings).collect(),
            Labelled::Not => standings.into(),
        }
    }
}

fn gauges<const N: usize>(desc: &Desc, values: &BTreeMap<[&str; N], u32>) -> MetricFamily {
    let one = |(labels, value): (&[&str; N], &u32)| {
        let pair = |(name, value): (&String, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.clone());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut gauge = Gauge::default();
        gauge.set_value(f64::from(*value));
        let mut metric = Metric::default();
        metric.set_label(desc.variable_labels.iter().zip(labels).map(pair).collect());
        metric.set_gauge(gauge);
        metric
    };
    let mut collected = MetricFamily::default();
    collected.set_name(desc.fq_name.clone());
    collected.set_help(desc.help.clone());
    collected.set_field_type(MetricType::GAUGE);
    collected.set_metric(values.iter().map(one).collect());
    collected
}

/// The labels' values are in the text of the key, in another order: cluster, kind, namespace, name.
fn labels(names: &[String], key: &str) -> Vec<LabelPair> {
    let mut parts = key.splitn(4, PART);
    let mut part = || parts.next().unwrap_or_default();
    let (cluster, kind, namespace, name) = (part(), part(), part(), part());
    let pair = |(name, value): (&String, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.clone());
        pair.set_value(value.to_owned());
        pair
    };
    names.iter().zip([cluster, namespace, kind, name]).map(pair).collect()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floating point")]
fn counter(value: u64) -> Option<Metric> {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    (value > 0).then_some(metric)
}

impl Times {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = SECONDS.iter().position(|it| seconds <= *it).unwrap_or(SECONDS.len());
        if let Some(within) = self.within.get_mut(place) {
            *within = within.saturating_add(1);
        }
        self.sum += seconds;
    }

    fn metric(&self) -> Option<Metric> {
        let within = self.within.iter().map(|it| u64::from(*it));
        histogram(Vec::new(), &SECONDS, within, self.sum)
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
            namespace: "default".to_owned(),
            name: name.to_owned(),
        }
    }

    fn text(series: &OfTriggers) -> String {
        let registry = Registry::new();
        registry.register(Box::new(series.clone())).unwrap();
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn the_series_of_a_trigger_read_as_any_others() {
        let series = OfTriggers::new("test").unwrap();

        series.turn_began(&key("app"));
        series.turn_ended(&key("app"), Duration::from_millis(7), Ended::Badly);
        series.check_began(&key("app"));
        series.check_ended(&key("app"), Duration::from_secs(90));

        let said = text(&series);
        let object = r#"cluster="hub",namespace="default",resource_kind="ScheduleTrigger",resource_name="app""#;
        let trigger = object.replace("resource", "trigger");
        for line in [
            format!("test_reconcile_count{{{object}}} 1"),
            format!("test_failed_reconcile_count{{{object}}} 1"),
            format!("test_reconcile_duration_seconds_bucket{{{object},le=\"0.005\"}} 0"),
            format!("test_reconcile_duration_seconds_bucket{{{object},le=\"0.01\"}} 1"),
            format!("test_reconcile_duration_seconds_bucket{{{object},le=\"+Inf\"}} 1"),
            format!("test_reconcile_duration_seconds_sum{{{object}}} 0.007"),
            format!("test_trigger_check_count{{{trigger}}} 1"),
            format!("test_trigger_check_duration_seconds_bucket{{{trigger},le=\"60\"}} 0"),
            format!("test_trigger_check_duration_seconds_bucket{{{trigger},le=\"+Inf\"}} 1"),
            format!("test_trigger_check_duration_seconds_count{{{trigger}}} 1"),
        ] {
            assert!(said.lines().any(|it| it == line), "{line} is not in\n{said}");
        }
    }

    #[test]
    fn triggers_are_counted_by_state_where_they_are_worked() {
        let series = OfTriggers::new("test").unwrap();
        for (name, state, unfinished) in [("a", "Running", 2), ("b", "Idle", 0), ("c", "Idle", 1)] {
            series.turn_began(&key(name));
            series.stands(&key(name), Standing { state, unfinished });
        }

        series.left(&key("c"));

        for series in [series.clone(), series.labelled(Labelled::Not)] {
            let said = text(&series);
            for line in [
                r#"test_triggers{cluster="hub",kind="ScheduleTrigger",state="Idle"} 1"#,
                r#"test_triggers{cluster="hub",kind="ScheduleTrigger",state="Running"} 1"#,
                r#"test_runs_unfinished{cluster="hub"} 2"#,
            ] {
                assert!(said.lines().any(|it| it == line), "{line} is not in\n{said}");
            }
            let is_labelled = said.contains("test_reconcile_count");
            assert_eq!(is_labelled, series.labelled == Labelled::ByTrigger, "{said}");
        }
    }

    #[test]
    fn a_trigger_that_is_gone_leaves_no_series_behind() {
        let series = OfTriggers::new("test").unwrap();
        series.turn_began(&key("app"));
        series.turn_began(&key("other"));
        assert_eq!(series.turns(&key("app")), 1);

        series.forget(&key("app"));
        series.turn_ended(&key("app"), Duration::ZERO, Ended::Well);

        let said = text(&series);
        assert!(!said.contains("app") && said.contains("other"), "{said}");
        assert_eq!(series.turns(&key("app")), 0);
    }
}
