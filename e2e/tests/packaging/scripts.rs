//! Do the scripts do what they say, and does shellcheck find nothing?

use std::path::{Path, PathBuf};

use crate::tools::{fail, files, run, script, tool, top};

/// Every file that a shell reads.
fn shell_scripts() -> Vec<PathBuf> {
    let is_shell = |it: &PathBuf| {
        let text = std::fs::read_to_string(it).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        first.starts_with("#!") && first.ends_with("bash")
    };
    let all = ["hack", "hack/tests", ".ci", "images"].into_iter().flat_map(files);
    all.filter(is_shell).collect()
}

#[test]
fn shellcheck_finds_nothing_to_complain_about() {
    let scripts = shell_scripts();
    assert!(scripts.contains(&top().join("hack/images")), "{scripts:?}");

    run(tool("shellcheck").args(&scripts));
}

#[test]
fn scripts_do_what_they_say_where_others_are_stood_in_for() {
    let told = run(tool("bats").arg("hack/tests"));

    assert!(told.lines().filter(|it| it.starts_with("ok ")).count() >= 15, "{told}");
}

/// Each can be run as it is, and says how when it is not understood.
#[test]
fn scripts_are_programs_that_tell_how_to_use_them() {
    use std::os::unix::fs::PermissionsExt as _;
    for path in shell_scripts() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{} is no program", path.display());
    }
    for name in ["images", "kind", "control-plane", "charts"] {
        let said = fail(script(name).arg("--sideways"));

        assert!(said.contains(&format!("hack/{name}")), "{said}");
    }
}

#[test]
fn images_that_nobody_knows_are_refused() {
    for (arguments, told) in [
        (["--only", "nothing"], "there are git-events-runner, gitrepo-cloner and action-worker"),
        (["--builder", "magic"], "buildah, podman, docker or none"),
        (["--programs", "/nowhere"], "/nowhere/git-events-runner is missing"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut script = script("images");
        let said = fail(script.args(arguments).arg("--output").arg(folder.path()));

        assert!(said.contains(told), "{said}");
        assert_eq!(archives(folder.path()), 0);
    }
}

fn archives(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
