//! Do the workflows run what is here, by actions that nobody can change behind their back?

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::tools::{files, top};

/// Each workflow by its file's name.
fn workflows() -> BTreeMap<String, Value> {
    let read = |it: PathBuf| {
        let text = std::fs::read_to_string(&it).unwrap();
        let name = it.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_saphyr::from_str(&text).unwrap())
    };
    files(".github/workflows").into_iter().map(read).collect()
}

/// The jobs of a workflow, each with its name.
fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().unwrap().iter()
}

fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().unwrap().iter()
}

#[test]
fn there_is_one_for_changes_one_for_releases_and_one_for_nights() {
    let workflows = workflows();

    assert_eq!(workflows.keys().collect::<Vec<_>>(), ["ci", "nightly", "release"]);
    for (name, workflow) in &workflows {
        assert_eq!(workflow["name"], *name);
        assert_eq!(workflow["permissions"]["contents"], "read", "{name} may write by default");
        for (job, it) in jobs(workflow) {
            assert!(it["timeout-minutes"].is_number(), "{name}: {job} may hang for hours");
        }
    }
    let names: Vec<_> = jobs(&workflows["ci"]).map(|(name, _)| name.as_str()).collect();
    for wanted in ["lint", "test", "deny", "chart", "images", "kind"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    let versions = &workflows["ci"]["jobs"]["kind"]["strategy"]["matrix"]["kubernetes"];
    assert!(versions.as_array().unwrap().len() >= 3, "{versions}");
}

/// A tag can be moved to another commit.
#[test]
fn actions_are_pinned_to_commits() {
    for (name, workflow) in workflows() {
        for (job, it) in jobs(&workflow) {
            for action in steps(it).filter_map(|it| it["uses"].as_str()) {
                let (_, commit) = action.split_once('@').unwrap();
                let is_commit =
                    commit.len() == 40 && commit.chars().all(|it| it.is_ascii_hexdigit());
                assert!(is_commit, "{name}: {job}: {action}");
            }
        }
    }
}

/// A workflow is run where nobody looks: what it calls must be here.
#[test]
fn workflows_call_scripts_that_are_there() {
    let mut called = 0;
    for (name, workflow) in workflows() {
        for (job, it) in jobs(&workflow) {
            let typed = steps(it).filter_map(|it| it["run"].as_str());
            let words = typed.flat_map(|it| it.split([' ', '\n', '"', '(', ')']));
            for word in words.filter(|it| it.starts_with("hack/")) {
                assert!(top().join(word).is_file(), "{name}: {job}: {word}");
                called += 1;
            }
        }
    }
    assert!(called > 10, "{called}");
}

/// A job that waits for another names one that is there.
#[test]
fn jobs_need_jobs_that_are_there() {
    for (name, workflow) in workflows() {
        for (job, it) in jobs(&workflow) {
            if let Some(needed) = it["needs"].as_str() {
                assert!(workflow["jobs"][needed].is_object(), "{name}: {job} needs {needed}");
            }
        }
    }
}
