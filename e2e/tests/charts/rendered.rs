//! What do the charts render for many values, and which values do they refuse?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::cases::{CHARTS, NAMESPACE, RELEASE, beside, cases};
use crate::cluster::Cluster;
use crate::programs::{Program, chart, helm, helms};

/// Set to write the snapshots anew.
const UPDATE: &str = "GER_UPDATE_SNAPSHOTS";

/// What somebody may type, and what the chart must say of it.
const REFUSED: [(&str, &str, &str); 17] = [
    ("git-events-runner", "replicas=3", "replicas"),
    ("git-events-runner", "replicaCount=-1", "replicaCount"),
    ("git-events-runner", "service.webhook.port=0", "port"),
    ("git-events-runner", "controllerOptions.shards=0", "shards"),
    ("git-events-runner", "controllerOptions.scheduleParallelism=256", "scheduleParallelism"),
    ("git-events-runner", "controllerOptions.webhooksRateLimits.global=often", "global"),
    ("git-events-runner", "controllerOptions.metricsPrefix=not-a-name", "metricsPrefix"),
    ("git-events-runner", "controllerOptions.lease.renew=8", "renew must be under half"),
    (
        "git-events-runner",
        "controllerOptions.webhooksTls.certPath=/tls.crt",
        "certPath and keyPath",
    ),
    ("git-events-runner", "controllerOptions.webhooksTls.secretNamespace=a", "needs secretName"),
    ("git-events-runner", "httpRoute.enabled=true", "httpRoute.parentRefs"),
    ("git-events-runner", "certificate.enabled=true", "certificate.issuerRef.name"),
    (
        "git-events-runner",
        "prometheus.serviceMonitor.enabled=true,service.utility.type=",
        "service.utility.type",
    ),
    ("git-events-runner", "pdb.minAvailable=1,pdb.maxUnavailable=1", "not both"),
    ("git-events-runner", "rbac.controller.jobsNamespaces={Not_a_name}", "jobsNamespaces"),
    ("git-events-runner-spoke", "rbac.controller.jobsNamespace={a}", "jobsNamespace"),
    ("git-events-runner-spoke", "serviceAccount.create=false", "serviceAccount.name"),
];

#[tokio::test]
async fn helm_finds_nothing_to_complain_about() {
    for helm in helms() {
        for name in CHARTS {
            let said = helm.run(&["lint", "--strict", "--quiet", &chart(name)]).await;
            assert!(!said.contains("[WARNING]"), "{said}");
        }
        for case in cases() {
            let values = case.values.display().to_string();
            helm.run(&["lint", "--strict", &chart(case.chart), "--values", &values]).await;
        }
    }
}

/// Of a case there are only the parts that are not as without any values. What others hold to what it should
/// be is left out: the dashboard, and the rules of roles.
#[tokio::test]
async fn each_case_renders_as_its_snapshot_says() {
    for helm in helms() {
        renders_as_its_snapshots_say(&helm).await;
    }
}

async fn renders_as_its_snapshots_say(helm: &Program) {
    let mut defaults = BTreeMap::new();
    for case in cases() {
        let mut parts = case.parts(helm).await;
        parts.remove("dashboard.yaml");
        for it in parts.values_mut() {
            *it = without_rules(it);
        }
        if case.name == "default" {
            defaults.clone_from(&parts);
        } else {
            parts.retain(|name, text| defaults.get(name) != Some(text));
        }

        compare(&beside("snapshots").join(case.chart).join(&case.name), &parts);
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_its_name() {
    let helm = helm();
    for (name, set, told) in REFUSED {
        let said = helm.fail(&["template", RELEASE, &chart(name), "--set", set]).await;

        assert!(said.contains(told), "{set}: {said}");
    }
}

#[tokio::test]
async fn long_names_stay_names() {
    let helm = helm();
    for name in CHARTS {
        let long = "a".repeat(53);
        let text = helm.run(&["template", &long, &chart(name), "--namespace", NAMESPACE]).await;

        for object in crate::cases::objects(&text) {
            let name = object["metadata"]["name"].as_str().unwrap();
            assert!(name.len() <= 63, "{} {name}", object["kind"]);
        }
    }
}

/// What a user reads last is what to do next.
#[tokio::test(flavor = "multi_thread")]
async fn the_notes_tell_the_next_step() {
    let cluster = Cluster::start().await.with_kinds_of_others().await;
    for helm in helms() {
        let helm = helm.on(&cluster.kubeconfig);
        for case in cases() {
            let (path, values) = (chart(case.chart), case.values.display().to_string());
            let arguments = ["install", RELEASE, &path, "--dry-run=client", "--values", &values];
            let said = helm.run(&[&arguments[..], &["--namespace", NAMESPACE]].concat()).await;

            let notes = said.rsplit("NOTES:").next().unwrap();
            assert!(notes.contains("\nNext, "), "{}: {notes}", case.name);
            assert!(!notes.contains("<no value>"), "{}: {notes}", case.name);
        }
    }
}

/// The same without the rules of roles.
fn without_rules(text: &str) -> String {
    let mut is_rule = false;
    let mut kept = String::new();
    for line in text.lines() {
        is_rule = is_rule && line.starts_with(' ');
        if !is_rule {
            kept.push_str(line);
            kept.push('\n');
        }
        is_rule |= line == "rules:";
    }
    kept
}

/// The first line that is not as it was.
fn difference(was: &str, is: &str) -> String {
    let lines = was.lines().map(Some).chain(std::iter::repeat(None));
    let changed = is.lines().zip(lines).enumerate().find(|(_, (is, was))| Some(*is) != *was);
    changed.map_or_else(
        || "it ends sooner".to_owned(),
        |(at, (is, was))| format!("line {} was {was:?}, and is {is:?}", at + 1),
    )
}

fn compare(folder: &Path, parts: &BTreeMap<String, String>) {
    if std::env::var_os(UPDATE).is_some() {
        drop(fs::remove_dir_all(folder));
        fs::create_dir_all(folder).unwrap();
        for (name, text) in parts {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let mut known = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        known.insert(name, fs::read_to_string(entry.path()).unwrap());
    }
    let again = format!("run it with {UPDATE}=1, look at the difference and commit it");
    for (name, text) in parts {
        let there = known.get(name).map(String::as_str).unwrap_or_default();
        let changed = || difference(there, text);
        assert!(text == there, "{}/{name}: {}; {again}", folder.display(), changed());
    }
    assert!(known.keys().eq(parts.keys()), "{}: {:?}; {again}", folder.display(), parts.keys());
}
