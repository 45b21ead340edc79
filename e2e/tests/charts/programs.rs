//! How do tests run helm, kubectl and promtool, as people do?

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Longer than any of them takes on a busy machine.
const LONG: Duration = Duration::from_mins(2);

/// A program with a home of its own.
pub(crate) struct Program {
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

/// The top of the tree.
pub(crate) fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A chart's folder, as an argument.
pub(crate) fn chart(name: &str) -> String {
    top().join("charts").join(name).display().to_string()
}

/// Helm 3 and helm 4.
pub(crate) fn helms() -> [Program; 2] {
    ["helm3", "helm"].map(|it| Program::new(tool(it)))
}

pub(crate) fn helm() -> Program {
    Program::new(tool("helm"))
}

pub(crate) fn kubectl() -> Program {
    Program::new(tool("kubectl"))
}

/// Prometheus's own judge of rules.
pub(crate) fn promtool() -> Program {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|it| it.join("promtool")).find(|it| it.is_file());
    Program::new(found.expect("promtool is not there: run hack/tools, which installs it"))
}

/// A program that the tools bring.
fn tool(name: &str) -> PathBuf {
    let path = top().join(".tools").join(name);
    assert!(path.is_file(), "{} is not there: run hack/tools, which installs it", path.display());
    path
}

impl Program {
    fn new(path: PathBuf) -> Self {
        Self { path, home: tempfile::tempdir().unwrap() }
    }

    /// From now on it works on this cluster.
    pub(crate) fn on(self, kubeconfig: &str) -> Self {
        std::fs::write(self.home.path().join("kubeconfig"), kubeconfig).unwrap();
        self
    }

    /// A folder of its own.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it says to its output when it succeeds, as it must.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        self.feed(arguments, "").await
    }

    /// The same, with something on its input.
    pub(crate) async fn feed(&self, arguments: &[&str], input: &str) -> String {
        let said = self.ask(arguments, input).await;
        let name = self.path.display();
        assert!(said.success, "{name} {arguments:?}: {}{}", said.out, said.err);
        said.out
    }

    /// What it says to its errors when it fails, as it must.
    pub(crate) async fn fail(&self, arguments: &[&str]) -> String {
        let said = self.ask(arguments, "").await;
        assert!(!said.success, "{} {arguments:?}: {}{}", self.path.display(), said.out, said.err);
        said.err
    }

    pub(crate) async fn ask(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new(&self.path)
            .args(arguments)
            .env("KUBECONFIG", self.home.path().join("kubeconfig"))
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|why| panic!("{}: {why}", self.path.display()));
        let mut pipe = child.stdin.take().unwrap();
        let write = async move {
            // A program that ends early reads nothing: what it says tells more than the broken pipe.
            drop(pipe.write_all(input.as_bytes()).await);
        };
        let ran = async { tokio::join!(write, child.wait_with_output()).1 };
        let ran = timeout(LONG, ran).await;
        let ran = ran.unwrap_or_else(|_| panic!("{} {arguments:?} hangs", self.path.display()));
        let ran = ran.unwrap();
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        Said { success: ran.status.success(), out: text(&ran.stdout), err: text(&ran.stderr) }
    }
}
