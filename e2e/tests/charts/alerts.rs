//! Do the alerts fire when they should and only then, and is every metric that is shown one that is told?

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::cases::{Case, beside};
use crate::programs::{chart, helm, promtool, top};

const PREFIX: &str = "git_events_runner_";

fn file(name: &str) -> String {
    fs::read_to_string(format!("{}/files/{name}", chart("git-events-runner"))).unwrap()
}

#[tokio::test]
async fn alerts_fire_when_they_should_and_only_then() {
    let promtool = promtool();
    fs::write(promtool.home().join("rules.yaml"), file("alerts.yaml")).unwrap();
    fs::copy(beside("alerts.yaml"), promtool.home().join("alerts.yaml")).unwrap();

    promtool.run(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]).await;
    promtool.run(&["test", "rules", "alerts.yaml"]).await;
}

/// An alert that no test has seen fire may never fire.
#[test]
fn each_alert_is_seen_to_fire_and_is_in_the_docs() {
    let tests: Value =
        serde_saphyr::from_str(&fs::read_to_string(beside("alerts.yaml")).unwrap()).unwrap();
    let docs = fs::read_to_string(top().join("docs/metrics.md")).unwrap();
    let list = |it: &Value, key: &str| it[key].as_array().cloned().unwrap_or_default();
    let tried = list(&tests, "tests").into_iter().flat_map(|it| list(&it, "alert_rule_test"));
    let fired = tried.filter(|it| !list(it, "exp_alerts").is_empty());
    let fired: BTreeSet<String> = fired.map(|it| text(&it["alertname"])).collect();

    for alert in alerts() {
        let (name, severity) = (text(&alert["alert"]), text(&alert["labels"]["severity"]));
        assert!(fired.contains(&name), "no test lets {name} fire");
        let row = format!("| `{name}` | {severity} |");
        assert!(docs.contains(&row), "docs/metrics.md has no row that begins with {row}");
        for told in ["summary", "description"] {
            assert!(alert["annotations"][told].is_string(), "{name} has no {told}");
        }
    }
    assert!(alerts().len() > 9, "the alerts were not found");
}

#[test]
fn each_metric_of_alerts_and_dashboard_is_one_that_replicas_tell() {
    let known = documented();
    for name in ["alerts.yaml", "dashboard.json"] {
        let used = used(&file(name));
        assert!(used.len() > 8, "{name}: {used:?}");
        for metric in used {
            let ends = ["_bucket", "_sum", "_count"].iter().find_map(|it| metric.strip_suffix(it));
            let is_known = known.contains(&metric) || ends.is_some_and(|it| known.contains(it));
            assert!(is_known, "{name} shows {metric}, which docs/metrics.md does not have");
        }
    }
}

/// The table is what the code registers: all of it, and nothing else.
#[test]
fn the_docs_have_each_metric_of_the_code() {
    let folder = top().join("src/controller/src");
    let mut text = fs::read_to_string(folder.join("metrics.rs")).unwrap();
    for entry in fs::read_dir(folder.join("metrics")).unwrap().flatten() {
        text.push_str(&fs::read_to_string(entry.path()).unwrap());
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let makers =
        ["gauge(", "gauges(", "counter(", "counters(", "histogram(", "histograms(", "family("];
    let mut made = BTreeSet::new();
    for maker in makers {
        for after in text.split(maker).skip(1) {
            let after = after.trim_start();
            let name = after.strip_prefix('"').and_then(|it| it.split_once('"')).map(|it| it.0);
            made.extend(name.map(str::to_owned));
        }
    }
    assert!(made.len() > 20, "{made:?}");

    assert_eq!(documented(), made, "docs/metrics.md, and the code");
}

/// One metric a panel at least, each with a title and a description, none over another.
#[tokio::test]
async fn the_dashboard_is_whole() {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut places = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let at = &panel["gridPos"];
        let number = |key: &str| at[key].as_u64().unwrap();
        let (columns, rows) = (number("x")..number("x") + number("w"), number("h"));
        let covered = columns.flat_map(|x| (0..rows).map(move |row| (x, row)));
        for (x, row) in covered {
            let is_free = x < 24 && places.insert((x, number("y") + row));
            assert!(is_free, "{} is over another", panel["title"]);
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(text(&panel["description"]).len() > 10, "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            assert!(text(&target["expr"]).contains(PREFIX), "{target}");
        }
    }
    queries_are_understood(panels).await;
}

/// Prometheus reads each query, with Grafana's variables filled in, as the expression of a rule.
async fn queries_are_understood(panels: &[Value]) {
    let targets = panels.iter().flat_map(|it| it["targets"].as_array().into_iter().flatten());
    let filled = targets
        .map(|it| text(&it["expr"]).replace("$__rate_interval", "5m").replace("$cluster", ".*"));
    let rules: Vec<Value> = filled
        .enumerate()
        .map(|(at, expr)| serde_json::json!({ "record": format!("query_{at}"), "expr": expr }))
        .collect();
    assert!(rules.len() > 15, "{rules:?}");
    let promtool = promtool();
    let groups = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(promtool.home().join("queries.yaml"), groups.to_string()).unwrap();
    promtool.run(&["check", "rules", "queries.yaml"]).await;
}

/// Who calls his metrics otherwise gets alerts and a dashboard of that name.
#[tokio::test]
async fn the_prefix_of_the_metrics_is_everywhere() {
    let name = "everything".to_owned();
    let values = beside("values/git-events-runner/everything.yaml");
    let case = Case { chart: "git-events-runner", name, values };
    let parts = case.parts(&helm()).await;

    for part in ["monitors.yaml", "dashboard.yaml"] {
        assert!(parts[part].contains("events_"), "{part}");
        assert!(!parts[part].contains(PREFIX), "{part} has {PREFIX} still");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&file("alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().clone();
    groups.into_iter().flat_map(|it| it["rules"].as_array().cloned().unwrap()).collect()
}

/// The metrics that a text names, without the prefix.
fn used(text: &str) -> BTreeSet<String> {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = text.split(PREFIX).skip(1).filter_map(|it| it.split(is_end).next());
    names.filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// The metrics of the table in the docs.
fn documented() -> BTreeSet<String> {
    let docs = fs::read_to_string(top().join("docs/metrics.md")).unwrap();
    let rows = docs.lines().skip_while(|it| *it != "## Series").skip(1);
    let rows = rows.take_while(|it| !it.starts_with("## "));
    let names = rows.filter_map(|it| it.strip_prefix("| `")?.split('`').next().map(str::to_owned));
    names.collect()
}
