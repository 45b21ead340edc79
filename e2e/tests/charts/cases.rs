//! With which values are the charts tried, and what do they render?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::programs::{Program, chart};

/// The charts of the tree.
pub(crate) const CHARTS: [&str; 2] = ["git-events-runner", "git-events-runner-spoke"];
/// The release that is rendered, and where.
pub(crate) const RELEASE: &str = "runner";
pub(crate) const NAMESPACE: &str = "home";

/// One set of values for a chart: a file in `values/CHART`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) chart: &'static str,
    pub(crate) name: String,
    pub(crate) values: PathBuf,
}

/// A file or a folder beside the tests.
pub(crate) fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts").join(path)
}

/// All cases, those that change nothing first.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for chart in CHARTS {
        let folder = beside("values").join(chart);
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let values = entry.path();
            let name = values.file_stem().unwrap().to_string_lossy().into_owned();
            cases.push(Case { chart, name, values });
        }
    }
    cases.sort_by_key(|it| (it.chart, it.name != "default", it.name.clone()));
    cases
}

impl Case {
    /// What helm renders of it, and what else it is told.
    pub(crate) async fn text(&self, helm: &Program, more: &[&str]) -> String {
        let (path, values) = (chart(self.chart), self.values.display().to_string());
        let arguments = ["template", RELEASE, &path, "--namespace", NAMESPACE, "--values", &values];
        helm.run(&[&arguments[..], more].concat()).await
    }

    /// All objects of it but for definitions.
    pub(crate) async fn objects(&self, helm: &Program) -> Vec<Value> {
        let text = self.text(helm, &["--set", "crds.install=false"]).await;
        objects(&text)
    }

    /// What each template renders, but for definitions and blank lines, of which helm 3 prints more.
    pub(crate) async fn parts(&self, helm: &Program) -> BTreeMap<String, String> {
        let text = self.text(helm, &["--set", "crds.install=false"]).await;
        let mut parts = BTreeMap::<String, String>::new();
        for document in text.split("---\n# Source: ").skip(1) {
            let (path, body) = document.split_once('\n').unwrap();
            let name = path.rsplit('/').next().unwrap().to_owned();
            let part = parts.entry(name).or_default();
            part.push_str("---\n");
            for line in body.lines().filter(|it| !it.trim().is_empty()) {
                part.push_str(line);
                part.push('\n');
            }
        }
        parts
    }
}

/// The objects of a stream of manifests.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let read: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    read.into_iter().filter(|it| !it.is_null()).collect()
}
