//! Does a release name what it pushes? Its charts ask for its images, by its registry and its version.

use crate::tools::{fail, run, script, tool};

const REGISTRY: &str = "registry.example.com/team/runner";

#[test]
fn the_charts_of_a_release_ask_for_its_images() {
    let folder = tempfile::tempdir().unwrap();
    let mut charts = script("charts");
    charts.args(["--registry", REGISTRY, "--version", "7.8.9", "--output"]).arg(folder.path());
    run(&mut charts);

    let package = folder.path().join("git-events-runner-7.8.9.tgz");
    let rendered = run(tool("helm").args(["template", "it"]).arg(package));

    let images = rendered.lines().filter_map(|it| it.trim().strip_prefix("image: "));
    let mut images: Vec<_> = images.map(|it| it.trim_matches('"').to_owned()).collect();
    images.sort_unstable();
    images.dedup();
    let names = ["action-worker", "git-events-runner", "gitrepo-cloner"];
    assert_eq!(images, names.map(|it| format!("{REGISTRY}/{it}:v7.8.9")));
    assert!(folder.path().join("git-events-runner-spoke-7.8.9.tgz").is_file());
}

#[test]
fn charts_of_no_registry_are_not_packaged() {
    let said = fail(script("charts").args(["--version", "7.8.9"]));

    assert!(said.contains("hack/charts --registry"), "{said}");
}
