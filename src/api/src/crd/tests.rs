//! Are the definitions what an API server accepts, and the files of `crds/` what they say?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::{all, files};

mod admission;
mod structure;

#[test]
fn the_files_hold_the_definitions() {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in
        ["crds", "charts/git-events-runner/files/crds", "charts/git-events-runner-spoke/files/crds"]
    {
        holds_the_definitions(&top.join(folder));
    }
}

fn holds_the_definitions(folder: &Path) {
    let update = std::env::var_os("GER_UPDATE_CRDS").is_some();

    for (name, content) in files() {
        let path = folder.join(&name);
        if update {
            std::fs::write(&path, &content).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == content,
            "{} is stale: run `GER_UPDATE_CRDS=1 cargo test -p ger-api` and commit it",
            path.display()
        );
    }
    let expected = files().len();
    let there = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(there, expected, "{} holds a file that no definition writes", folder.display());
}

#[test]
fn a_file_reads_back_as_its_definition() {
    for (crd, (name, content)) in all().iter().zip(files()) {
        let read: Value = serde_saphyr::from_str(&content).unwrap();

        assert_eq!(read, serde_json::to_value(crd).unwrap(), "{name}");
    }
}

/// The schemas as JSON, by kind.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let schema_of = |crd: CustomResourceDefinition| {
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        (crd.spec.names.kind, serde_json::to_value(schema).unwrap())
    };
    all().into_iter().map(schema_of).collect()
});
