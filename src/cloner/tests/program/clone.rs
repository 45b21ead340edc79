//! The cloner as a Job runs it: a command line, variables, files, and a real git server.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use ger_git::{
    Auth, Commit, Reference, RepoUri,
    backend::Server,
    contract::{self, AuthKind, CloneSpec, CloneTls},
};
use tempfile::TempDir;

struct Site {
    server: Server,
    commit: Commit,
    /// The server's repositories, and one empty directory `out`.
    root: TempDir,
}

impl Site {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(root.path()).await.unwrap();
        let commit = server.create_repo("app", &[("run.sh", "1\n"), ("a/b", "2\n")]).await.unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        Self { server, commit, root }
    }

    fn spec(&self) -> CloneSpec {
        CloneSpec {
            uri: RepoUri::parse(&self.server.url("app")).unwrap(),
            reference: Some(Reference::branch("main").unwrap()),
            commit: None,
            auth: AuthKind::None,
            credentials: None,
            tls: CloneTls::Verify,
            timeout: Duration::from_secs(30),
        }
    }

    fn out(&self) -> std::path::PathBuf {
        self.root.path().join("out")
    }

    async fn clone(&self, arguments: &[&str], spec: &CloneSpec) -> Output {
        let out = self.out();
        let fixed = ["-k", "GitRepo", "-s", "app", "-d", out.to_str().unwrap()];
        let arguments = [&fixed, arguments].concat();
        run(&arguments, contract::to_env(spec)).await
    }
}

/// The program, with these variables and no others.
async fn run(arguments: &[&str], env: Vec<(String, String)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitrepo-cloner"));
    command.args(arguments).env_clear().envs(env);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|it| it.unwrap().file_name());
    let mut names = entries.map(|it| it.into_string().unwrap()).collect::<Vec<_>>();
    names.sort();
    names
}

#[tokio::test]
async fn the_commit_is_cloned_and_each_step_is_a_line() {
    let site = Site::start().await;
    let first = site.commit.to_string();
    site.server.commit("app", "run.sh", "changed\n", "change").await.unwrap();

    let output = site.clone(&["-c", &first], &site.spec()).await;

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let told = text(&output.stderr);
    assert_eq!(told.lines().count(), 4, "{told}");
    assert!(
        told.contains(&format!("received {first}")) && !told.contains(['\r', '\x1b']),
        "{told}"
    );
    assert_eq!(names(&site.out()), ["a", "run.sh"]);
    assert_eq!(fs::read_to_string(site.out().join("run.sh")).unwrap(), "1\n");
}

#[tokio::test]
async fn branches_and_tags_are_cloned_by_name() {
    for (flag, name) in [("--branch", "main"), ("--tag", "v1")] {
        let site = Site::start().await;
        site.server.annotate("app", "v1", "main").await.unwrap();

        let output = site.clone(&[flag, name], &site.spec()).await;

        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(names(&site.out()), ["a", "run.sh"]);
    }
}

#[tokio::test]
async fn the_git_folder_stays_when_it_is_asked_for() {
    let site = Site::start().await;

    let output = site.clone(&["-b", "main", "--preserve-git-folder"], &site.spec()).await;

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(names(&site.out()), [".git", "a", "run.sh"]);
    let head = fs::read_to_string(site.out().join(".git/HEAD")).unwrap();
    assert_eq!(head.trim(), site.commit.as_str());
}

#[tokio::test]
async fn the_workers_group_may_change_what_was_cloned() {
    let site = Site::start().await;

    site.clone(&["-b", "main"], &site.spec()).await;

    for name in ["run.sh", "a", "a/b"] {
        let mode = fs::metadata(site.out().join(name)).unwrap().permissions().mode();
        assert_eq!((mode >> 3) & 0o7, (mode >> 6) & 0o7, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn debug_tells_whose_clone_it_is() {
    let site = Site::start().await;

    let output = site.clone(&["-b", "main", "--debug"], &site.spec()).await;

    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains(&format!("received {}", site.commit)), "{told}");
    assert!(told.starts_with("GitRepo app from 127.0.0.1:"), "{told}");
    assert_eq!(told.lines().count(), 5, "{told}");
}

#[tokio::test]
async fn credentials_come_from_files_and_are_never_told() {
    let site = Site::start().await;
    let credentials = site.root.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let write = |name: &str, value: &str| fs::write(credentials.join(name), value).unwrap();
    let basic = Auth::Basic { username: "user".into(), password: "hunter2".into() };
    site.server.guard("app", basic);
    let with = |auth| CloneSpec { auth, credentials: Some(credentials.clone()), ..site.spec() };

    write("token", "Bearer hunter3");
    let output = site.clone(&["-b", "main", "--debug"], &with(AuthKind::Token)).await;
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("401") && !told.contains("hunter"), "{told}");
    assert!(names(&site.out()).is_empty());

    write("username", "user");
    write("password", "hunter2");
    let output = site.clone(&["-b", "main", "--debug"], &with(AuthKind::Basic)).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!text(&output.stderr).contains("hunter"));
}

#[tokio::test]
async fn a_failure_is_told_in_the_last_line_and_leaves_nothing() {
    let site = Site::start().await;
    let none = CloneSpec { uri: RepoUri::parse(&site.server.url("none")).unwrap(), ..site.spec() };

    for (arguments, spec, reason) in [
        (["-b", "none"], &site.spec(), "branch/none does not exist"),
        (["-b", "main"], &none, "404"),
        (["-c", &"a".repeat(40)], &CloneSpec { reference: None, ..site.spec() }, "cannot fetch"),
    ] {
        let output = site.clone(&arguments, spec).await;

        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let last = told.lines().last().unwrap();
        assert!(last.starts_with("gitrepo-cloner: cannot clone: "), "{told}");
        assert!(last.contains(reason) && told.ends_with('\n'), "{told}");
        assert_eq!(told.matches("gitrepo-cloner").count(), 1, "{told}");
        assert!(names(&site.out()).is_empty(), "{told}");
    }
}

#[tokio::test]
async fn without_an_address_it_says_what_is_missing() {
    let arguments = ["-k", "GitRepo", "-s", "app", "-d", "/nonexistent/out", "-b", "main"];

    let output = run(&arguments, Vec::new()).await;

    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("GER_CLONE_URI is not set"), "{output:?}");
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_exit_2() {
    let whole = ["-k", "GitRepo", "-s", "app", "-d", "/nonexistent/out"];
    for wrong in [
        &["-b", "main", "-t", "v1"][..],
        &[][..],
        &["-c", "abc"][..],
        &["-b", "--upload-pack=x"][..],
        &["-b", "main", "--what"][..],
    ] {
        let output = run(&[&whole, wrong].concat(), Vec::new()).await;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
    let output = run(&["-k", "Secret", "-s", "a", "-d", "b", "-b", "main"], Vec::new()).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[tokio::test]
async fn help_and_version_are_no_failure() {
    for flag in ["--help", "-V"] {
        let output = run(&[flag], Vec::new()).await;

        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("gitrepo-cloner") && output.stderr.is_empty());
    }
}

/// The embedded executor is its own cloner: the same, without a process.
#[tokio::test]
async fn the_library_does_what_the_program_does() {
    let site = Site::start().await;
    let env = contract::to_env(&site.spec()).into_iter().collect::<BTreeMap<_, _>>();
    let out = site.out().to_str().unwrap().to_owned();
    let work = move || {
        let arguments = ["gitrepo-cloner", "-k", "GitRepo", "-s", "app", "-b", "main", "-d", &out];
        let lookup = |name: &str| env.get(name).cloned();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        gitrepo_cloner::run(arguments.map(Into::into), lookup, &mut stdout, &mut stderr)
    };

    assert_eq!(tokio::task::spawn_blocking(work).await.unwrap(), 0);
    assert_eq!(names(&site.out()), ["a", "run.sh"]);
}

#[tokio::test]
async fn what_is_left_out_is_always_told() {
    let site = Site::start().await;
    let git = async |arguments: &[&str], input: &str| {
        site.server.git_in("app", arguments, input.as_bytes()).await.unwrap()
    };
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let pointer = git(&["hash-object", "-w", "--stdin"], pointer).await;
    let lines = format!("160000 commit {}\tlib\n100644 blob {pointer}\ta.bin\n", site.commit);
    let tree = git(&["mktree", "--missing"], &lines).await;
    let commit = git(&["commit-tree", "-m", "x", &tree], "").await;

    let output = site.clone(&["-c", &commit], &site.spec()).await;

    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("submodules are left empty: 1"), "{told}");
    assert!(told.contains("files kept by Git LFS are left as pointers: 1"), "{told}");
}
