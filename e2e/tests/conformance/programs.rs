//! How cases run kubectl and helm, as people do.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::ground::{Ground, LONG};

/// A program with a home of its own, and a namespace to work in.
pub(crate) struct Program {
    pub(crate) ground: Ground,
    path: PathBuf,
    home: TempDir,
}

/// What a program printed, and whether it was content.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The same story for the machine's kubectl and for the pinned one, each on ground of its own.
pub(crate) async fn with_each_kubectl(story: impl AsyncFn(&Program)) {
    let pinned = tool("kubectl");
    let search = env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = env::split_paths(&search).map(|it| it.join("kubectl")).collect();
    all.retain(|it| it.is_file());
    all.truncate(1);
    all.push(pinned);
    for path in all {
        story(&Program::new(path).await).await;
    }
}

/// The same story for helm 3 and helm 4.
pub(crate) async fn with_each_helm(story: impl AsyncFn(&Program)) {
    for name in ["helm3", "helm"] {
        story(&Program::new(tool(name)).await).await;
    }
}

/// A program that the tools bring.
fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools").join(name);
    assert!(path.is_file(), "{} is not there: run hack/tools, which installs it", path.display());
    path
}

impl Program {
    async fn new(path: PathBuf) -> Self {
        let ground = Ground::new().await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("kubeconfig"), ground.kubeconfig()).unwrap();
        Self { ground, path, home }
    }

    /// A file among the program's own.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What the program says to its output when it succeeds, as it must.
    pub(crate) async fn run(&self, arguments: &str) -> String {
        self.feed(arguments, "").await
    }

    /// The same, with something on its input.
    pub(crate) async fn feed(&self, arguments: &str, input: &str) -> String {
        let said = self.ask(arguments, input).await;
        assert!(said.success, "{} {arguments}: {}{}", self.path.display(), said.out, said.err);
        said.out
    }

    /// What it says to its errors when it fails, as it must.
    pub(crate) async fn fail(&self, arguments: &str, input: &str) -> String {
        let said = self.ask(arguments, input).await;
        assert!(!said.success, "{} {arguments}: {}{}", self.path.display(), said.out, said.err);
        said.err
    }

    /// Words are parted by blanks; in one, `~` stands for a blank.
    pub(crate) async fn ask(&self, arguments: &str, input: &str) -> Said {
        let words = arguments.split_whitespace().map(|it| it.replace('~', " "));
        let mut child = Command::new(&self.path)
            .args(["--namespace", self.ground.namespace()])
            .args(words)
            .env("KUBECONFIG", self.home.path().join("kubeconfig"))
            .env("HOME", self.home.path())
            .env("EDITOR", "sed -i s/before/after/")
            .env_remove("KUBE_EDITOR")
            .current_dir(self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|why| panic!("{}: {why}", self.path.display()));
        let mut pipe = child.stdin.take().unwrap();
        // A program that ends early reads nothing: what it says tells more than the broken pipe.
        drop(pipe.write_all(input.as_bytes()).await);
        drop(pipe);
        let ran = timeout(LONG, child.wait_with_output()).await;
        let ran = ran.unwrap_or_else(|_| panic!("{} {arguments} hangs", self.path.display()));
        let ran = ran.unwrap();
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        Said { success: ran.status.success(), out: text(&ran.stdout), err: text(&ran.stderr) }
    }
}
