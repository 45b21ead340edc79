//! Are the images what Pods need? Built without a registry, taken apart, and entered.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::json;
use tempfile::TempDir;

use crate::rootfs::Image;
use crate::tools::{read, run, script, tool, top};

/// The programs as these tests were built with them: what goes into the image is not built again.
static PROGRAMS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let told = PathBuf::from(env!("CARGO_BIN_EXE_git-events-runner-told"));
    let cloner = told.with_file_name("gitrepo-cloner");
    let missing = "cargo build -p gitrepo-cloner, which testing the whole workspace does";
    assert!(cloner.is_file(), "{} is missing: {missing}", cloner.display());
    symlink(told, folder.path().join("git-events-runner")).unwrap();
    symlink(cloner, folder.path().join("gitrepo-cloner")).unwrap();
    folder
});

/// The archives of both, put together without an engine.
static PLAIN: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &["git-events-runner", "gitrepo-cloner"], "none");
    folder
});

fn plain(name: &str) -> Image {
    Image::open(&PLAIN.path().join(format!("{name}.tar")))
}

fn build(folder: &Path, names: &[&str], builder: &str) {
    let mut images = script("images");
    images.args(["--builder", builder]).arg("--programs").arg(PROGRAMS.path());
    for name in names {
        images.args(["--only", name]);
    }
    let said = run(images.arg("--output").arg(folder));
    for name in names {
        assert!(said.contains(&format!("{name}.tar")), "{said}");
    }
}

/// What must be true of an image with one program in it.
fn has_one_program(image: &Image, name: &str) {
    let config = &image.config["config"];
    let program = format!("/usr/bin/{name}");
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["Entrypoint"], json!([program]));
    assert_eq!(config["Labels"]["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    is_named_as_the_chart_says(image, name);
    let files = image.files();
    let may_be_run = |mode: u32| mode & 0o170_000 == 0o100_000 && mode & 0o111 != 0;
    let programs = files.iter().filter(|(path, mode)| may_be_run(**mode) && !path.contains(".so"));
    let programs: Vec<_> = programs.map(|(path, _)| path).collect();
    assert_eq!(programs, [&program], "nothing else can be run");
    for (path, mode) in &files {
        assert_eq!(mode & 0o6000, 0, "{path} makes somebody else of who runs it");
        let may_write = path == "/tmp/" || mode & 0o170_000 == 0o120_000;
        assert!(may_write || mode & 0o022 == 0, "{path} can be written by others");
        assert!(path == "/tmp/" || mode & 0o004 != 0, "{path} cannot be read");
    }
    let bill = image.bill();
    for part in ["libc6", "libgcc-s1", "ca-certificates", "rustls", name] {
        assert!(bill.contains_key(part), "the bill does not name {part}");
    }
    let trusted = fs::read_to_string(image.root().join("etc/ssl/certs/ca-certificates.crt"));
    assert!(trusted.unwrap().matches("BEGIN CERTIFICATE").count() > 100);
}

/// By a full name, so that what is imported is what Pods ask for.
fn is_named_as_the_chart_says(image: &Image, name: &str) {
    let values = read("charts/git-events-runner/values.yaml");
    let short = format!("git-events-runner/{name}");
    assert!(values.contains(&short), "the chart has no image {short}");
    let full = format!("docker.io/{short}:v{}", env!("CARGO_PKG_VERSION"));
    for key in ["io.containerd.image.name", "org.opencontainers.image.ref.name"] {
        assert_eq!(image.names[key], full);
    }
}

#[test]
fn the_controllers_image_holds_the_program_and_runs_it() {
    let image = plain("git-events-runner");
    let folder = tempfile::tempdir().unwrap();

    has_one_program(&image, "git-events-runner");
    assert_eq!(image.config["config"]["Cmd"], json!(["run"]));
    let program = "/usr/bin/git-events-runner";
    let Some(mut crds) = image.enter(&[program, "crds"], folder.path()) else { return };
    let printed = run(&mut crds);
    for file in crate::tools::files("crds") {
        let text = fs::read_to_string(file).unwrap();
        assert!(printed.contains(&text));
    }
    let version = run(&mut image.enter(&[program, "--version"], folder.path()).unwrap());
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cloners_image_clones_as_it_is() {
    let image = plain("gitrepo-cloner");
    let repositories = tempfile::tempdir().unwrap();
    let git = ger_git::backend::Server::start(repositories.path()).await.unwrap();
    let commit = git.create_repo("app.git", &[("message.txt", "cloned")]).await.unwrap();

    has_one_program(&image, "gitrepo-cloner");
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let clone = ["/usr/bin/gitrepo-cloner", "--kind", "GitRepo", "--source", "app"];
    let clone = [&clone[..], &["--destination", "/tmp/work", "--commit", commit.as_str()]].concat();
    let Some(mut clone) = image.enter(&clone, scratch.path()) else { return };
    clone.env("GER_CLONE_URI", git.url("app.git"));
    tokio::task::spawn_blocking(move || run(&mut clone)).await.unwrap();
    let cloned = fs::read_to_string(scratch.path().join("work/message.txt"));
    assert_eq!(cloned.unwrap(), "cloned");
}

/// An engine reads the same of a Containerfile as who needs none.
#[test]
fn buildah_builds_the_same_from_the_containerfile() {
    let folder = tempfile::tempdir().unwrap();
    let trial = folder.path().join("trial");
    let mut trial_run = tool("buildah");
    trial_run.args(["--storage-driver", "vfs", "--root"]).arg(trial.join("root"));
    trial_run.arg("--runroot").arg(trial.join("run")).args(["from", "scratch"]);
    if !trial_run.output().unwrap().status.success() {
        // What it needs of the kernel is not granted here; hack/images goes without it then.
        return;
    }

    build(folder.path(), &["gitrepo-cloner"], "buildah");
    let built = Image::open(&folder.path().join("gitrepo-cloner.tar"));
    let plain = plain("gitrepo-cloner");

    let config = |it: &Image| {
        let mut config = it.config["config"].clone();
        config["Labels"].as_object_mut().unwrap().remove("io.buildah.version");
        config
    };
    assert_eq!(config(&built), config(&plain));
    assert_eq!(built.names, plain.names);
    assert_eq!(built.files(), plain.files());
    assert_eq!(built.config["architecture"], plain.config["architecture"]);
}

/// Making it takes a minute and Debian's packages: who has made it says where it is.
#[test]
fn the_workers_image_has_what_actions_call() {
    let Some(archive) = std::env::var_os("GER_WORKER_IMAGE") else { return };
    let image = Image::open(&top().join(archive));

    let config = &image.config["config"];
    assert_eq!((&config["User"], &config["Cmd"]), (&json!("1000:1000"), &json!(["/bin/bash"])));
    is_named_as_the_chart_says(&image, "action-worker");
    for (path, mode) in image.files() {
        assert!(mode & 0o6000 == 0 || path.ends_with('/'), "{path} makes somebody else of one");
    }
    let bill = image.bill();
    for package in read("images/action-worker/packages").lines().filter(|it| !it.starts_with('#')) {
        assert!(bill.contains_key(package), "the bill does not name {package}");
    }
    let scratch = tempfile::tempdir().unwrap();
    let asks = "for it in git kubectl helm python3 jq curl make ssh rsync unzip envsubst; do \
                command -v $it; done; python3 -c 'import yaml, ssl'; kubectl version --client; \
                git --version; helm version; jq --version; curl --version; id -u";
    let Some(mut bash) = image.enter(&["/bin/bash", "-ec", asks], scratch.path()) else { return };
    assert!(run(&mut bash).ends_with("\n1000\n"));
}

/// Each instruction that `images/archive` does not know would be missing where there is no engine.
#[test]
fn containerfiles_begin_from_nothing_and_name_no_registry() {
    for name in ["git-events-runner", "gitrepo-cloner", "action-worker"] {
        let text = read(&format!("images/{name}/Containerfile"));
        let words: BTreeSet<&str> = text
            .lines()
            .filter(|it| it.starts_with(|it: char| it.is_ascii_uppercase()))
            .filter_map(|it| it.split(' ').next())
            .collect();
        assert!(text.contains("\nFROM scratch\n"), "{name}");
        assert!(text.contains("\nUSER 1000:1000\n"), "{name}");
        let known = "ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM LABEL USER WORKDIR";
        for word in words {
            assert!(known.split(' ').any(|it| it == word), "{name}: {word}");
        }
    }
    assert!(top().join("images/archive").is_file());
}
