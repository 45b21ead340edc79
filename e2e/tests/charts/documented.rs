//! Is every value of the charts explained, known to the schema, and in the chart's README?

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::cases::CHARTS;
use crate::programs::chart;

/// Set to write the READMEs anew.
const UPDATE: &str = "GER_UPDATE_CHARTS";

/// What stands before the values in a README.
const HEADS: [&str; 2] = [
    "# git-events-runner\n\nTurns Git changes and webhooks into Kubernetes Jobs, in many clusters from one hub. \
     This chart is the hub's; in each\nother cluster, install `git-events-runner-spoke`.\n\n    helm install \
     git-events-runner charts/git-events-runner --namespace git-events-runner --create-namespace\n\nThe \
     definitions of our kinds are templates that are kept when the release goes: Helm upgrades no definition \
     that is in\n`crds/`, and a hook that did would need rights over all definitions in the cluster. Where \
     definitions are there already,\nfrom the original or another release, add `--take-ownership`; \
     `crds.install=false` leaves them to somebody else.\n\nWhat the controller may do, and why, is in \
     `docs/permissions.md`. Without any values it starts Jobs and reads Secrets in its\nown namespace only.\n",
    "# git-events-runner-spoke\n\nWhat git-events-runner on a hub needs in another cluster: the definitions of \
     its kinds, a service account, and its rights.\nNothing runs here but Jobs. `git-events-runner cluster \
     add` makes the same without Helm.\n\n    helm install git-events-runner-spoke charts/git-events-runner-spoke \
     --namespace git-events-runner --create-namespace\n    git-events-runner cluster add NAME --context THIS \
     --hub-context HUB\n\nThe definitions are kept when the release goes. Where they are there already, add `--take-ownership`. What \
     the controller\nmay do, and why, is in `docs/permissions.md`.\n",
];

/// One value that `values.yaml` explains.
struct Row {
    path: String,
    about: String,
}

#[test]
fn each_value_is_explained_where_it_is() {
    for name in CHARTS {
        let (rows, values) = (rows(name), values(name));
        let explained: BTreeSet<&str> = rows.iter().map(|it| it.path.as_str()).collect();
        for row in &rows {
            assert!(row.about.len() > 8, "{name}: {} is explained by {:?}", row.path, row.about);
        }
        for path in leaves("", &values) {
            let mut above = path.match_indices('.').map(|(at, _)| &path[..at]);
            let is_explained =
                explained.contains(path.as_str()) || above.any(|it| explained.contains(it));
            assert!(is_explained, "{name}: values.yaml has no `# -- ` line above {path}");
        }
    }
}

/// A value that the schema does not know is refused, and one that is only in the schema does nothing.
#[test]
fn the_schema_knows_the_values_and_no_others() {
    for name in CHARTS {
        let path = format!("{}/values.schema.json", chart(name));
        let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let (mut known, mut there) = (BTreeSet::new(), BTreeSet::new());
        properties("", &schema, &mut known);
        let values = values(name);
        for path in &known {
            let pointer = format!("/{}", path.replace('.', "/"));
            if values.pointer(&pointer).is_some() {
                there.insert(path.clone());
            }
        }

        // Helm hands `global` to every chart.
        known.remove("global");
        let idle: Vec<&String> = known.difference(&there).collect();
        assert!(idle.is_empty(), "{name}: only the schema has {idle:?}");
        assert!(known.len() > 15, "{name}: {known:?}");
    }
}

#[test]
fn the_readme_has_each_value_with_its_default() {
    for (name, head) in CHARTS.into_iter().zip(HEADS) {
        let values = values(name);
        let mut text =
            format!("{head}\n## Values\n\n| key | default | what it is |\n| --- | --- | --- |\n");
        for row in rows(name) {
            let pointer = format!("/{}", row.path.replace('.', "/"));
            let value = values.pointer(&pointer).unwrap_or(&Value::Null);
            let shown = if row.path == "runtimeConfig" {
                "see `values.yaml`".to_owned()
            } else {
                format!("`{value}`")
            };
            text.extend(["| `", &row.path, "` | ", &shown, " | ", &row.about, " |\n"]);
        }
        let path = format!("{}/README.md", chart(name));
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{path} is stale: run it with {UPDATE}=1 and commit it");
    }
}

/// The definitions in the charts are those of `crds/`.
#[test]
fn the_charts_bring_the_definitions_of_the_tree() {
    let folder = |path: String| {
        let entries = fs::read_dir(path).unwrap().flatten();
        let read = |it: fs::DirEntry| (it.file_name(), fs::read_to_string(it.path()).unwrap());
        entries.map(read).collect::<BTreeMap<_, _>>()
    };
    let wanted = folder(crate::programs::top().join("crds").display().to_string());
    for name in CHARTS {
        let there = folder(format!("{}/files/crds", chart(name)));
        let stale: Vec<_> = wanted.keys().filter(|it| there.get(*it) != wanted.get(*it)).collect();
        let again = "run `GER_UPDATE_CRDS=1 cargo test -p ger-api` and commit it";
        assert!(stale.is_empty() && there.len() == wanted.len(), "{name}: {stale:?}: {again}");
    }
}

fn values(name: &str) -> Value {
    let text = fs::read_to_string(format!("{}/values.yaml", chart(name))).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// What has a line of explanation above it, in the order of the file.
fn rows(name: &str) -> Vec<Row> {
    let text = fs::read_to_string(format!("{}/values.yaml", chart(name))).unwrap();
    let (mut rows, mut path, mut about) = (Vec::new(), Vec::<(usize, String)>::new(), None);
    for line in text.lines() {
        let bare = line.trim_start();
        if let Some(said) = bare.strip_prefix("# -- ") {
            about = Some(said.to_owned());
            continue;
        }
        let Some((key, _)) = bare.split_once(':').filter(|_| !bare.starts_with(['#', '-'])) else {
            continue;
        };
        let depth = line.len() - bare.len();
        path.retain(|(at, _)| *at < depth);
        path.push((depth, key.to_owned()));
        if let Some(about) = about.take() {
            let keys: Vec<&str> = path.iter().map(|(_, key)| key.as_str()).collect();
            rows.push(Row { path: keys.join("."), about });
        }
    }
    rows
}

/// The paths of all values that hold no others.
fn leaves(path: &str, value: &Value) -> Vec<String> {
    match value.as_object().filter(|it| !it.is_empty()) {
        Some(fields) => fields.iter().flat_map(|(key, it)| leaves(&join(path, key), it)).collect(),
        None => vec![path.to_owned()],
    }
}

/// The paths of all properties of objects.
fn properties(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = join(path, key);
        // Of these there is nothing unless somebody says so.
        if ["certificate.issuerRef", "runtimeConfig.action.podSecurity"].contains(&path.as_str()) {
            continue;
        }
        properties(&path, inner, found);
        found.insert(path);
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
