//! A git server that is up as long as its handle: repositories made and changed by git itself.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{io::AsyncWriteExt as _, net::TcpListener, process::Command, task::JoinSet};

use super::{Backend, Versions, quiet_git};
use crate::{Auth, Commit, ls_refs::sanitise};

/// A server on a port of its own, on this machine alone. Stops when dropped.
#[derive(Debug)]
pub struct Server {
    backend: Backend,
    root: PathBuf,
    address: SocketAddr,
    serving: JoinSet<io::Result<()>>,
}

/// Git or the network did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port to listen on.
    #[error("cannot listen on 127.0.0.1")]
    Listen {
        /// Why not.
        source: io::Error,
    },
    /// git cannot be run at all.
    #[error("cannot run git {command}")]
    Run {
        /// The first argument.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// git ran and refused.
    #[error("git {command} says: {complaint}")]
    Git {
        /// The first argument.
        command: String,
        /// In its words, cut.
        complaint: String,
    },
}

impl Server {
    /// Serves the bare repositories below `root`.
    pub async fn start(root: &Path) -> Result<Self, Error> {
        Self::start_speaking(root, Versions::All).await
    }

    /// The same on this port, such as the one that it had before.
    pub async fn start_at(root: &Path, port: u16) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        Self::serve(root, Versions::All, listener.map_err(|source| Error::Listen { source })?)
    }

    /// The same at this address of the machine, for who comes from elsewhere.
    pub async fn start_on(root: &Path, address: IpAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind((address, 0)).await;
        Self::serve(root, Versions::All, listener.map_err(|source| Error::Listen { source })?)
    }

    /// Serves the bare repositories below `root` in these protocol versions.
    pub async fn start_speaking(root: &Path, versions: Versions) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Self::serve(root, versions, listener.map_err(|source| Error::Listen { source })?)
    }

    fn serve(root: &Path, versions: Versions, listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(|source| Error::Listen { source })?;
        let backend = Backend::speaking(root, versions);
        let mut serving = JoinSet::new();
        let router = backend.router();
        serving.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { backend, root: root.to_owned(), address, serving })
    }

    /// What `git clone` and a `repoUri` take.
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests answered so far, the refused ones too.
    pub fn requests(&self) -> u64 {
        self.backend.requests()
    }

    /// From now on `repository` answers 401 to who does not show `auth`.
    pub fn guard(&self, repository: &str, auth: Auth) {
        self.backend.guard(repository, auth);
    }

    /// Answers nobody any more.
    pub async fn stop(mut self) {
        self.serving.shutdown().await;
    }

    /// Makes a repository with these files in one commit on `main`.
    pub async fn create_repo(
        &self,
        repository: &str,
        files: &[(&str, &str)],
    ) -> Result<Commit, Error> {
        self.git(&self.root, &["init", "--quiet", "--bare", "-b", "main", repository], b"").await?;
        let path = self.path(repository);
        self.git(&path, &["config", "http.receivepack", "true"], b"").await?;
        self.import(repository, "Begin", files, "").await
    }

    /// Changes one file on `main`.
    pub async fn commit(
        &self,
        repository: &str,
        path: &str,
        content: &str,
        message: &str,
    ) -> Result<Commit, Error> {
        let parent = "from refs/heads/main^0\n";
        self.import(repository, message, &[(path, content)], parent).await
    }

    /// Sets a lightweight tag on what `main` is now.
    pub async fn tag(&self, repository: &str, name: &str) -> Result<(), Error> {
        let path = self.path(repository);
        self.git(&path, &["tag", "--force", name, "main"], b"").await.map(drop)
    }

    /// Sets an annotated tag on `target`, which may be a tag itself.
    pub async fn annotate(&self, repository: &str, name: &str, target: &str) -> Result<(), Error> {
        let path = self.path(repository);
        self.git(&path, &["tag", "--force", "-m", name, name, target], b"").await.map(drop)
    }

    /// Runs git in the repository, with `input`, and gives what it prints, trimmed.
    pub async fn git_in(
        &self,
        repository: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<String, Error> {
        self.git(&self.path(repository), arguments, input).await
    }

    /// The bare repository on disk.
    pub fn path(&self, repository: &str) -> PathBuf {
        self.root.join(repository)
    }

    async fn import(
        &self,
        repository: &str,
        message: &str,
        files: &[(&str, &str)],
        parent: &str,
    ) -> Result<Commit, Error> {
        let mut stream = format!(
            "commit refs/heads/main\ncommitter Somebody <somebody@example.org> now\n\
             data {}\n{message}\n{parent}",
            message.len(),
        );
        for (path, content) in files {
            let length = content.len();
            stream.extend(["M 100644 inline ", path, "\ndata ", &length.to_string()]);
            stream.extend(["\n", content, "\n"]);
        }
        let path = self.path(repository);
        let import = ["fast-import", "--quiet", "--date-format=now"];
        self.git(&path, &import, stream.as_bytes()).await?;
        let id = self.git(&path, &["rev-parse", "refs/heads/main"], b"").await?;
        Commit::parse(&id)
            .map_err(|_| Error::Git { command: "rev-parse".to_owned(), complaint: id })
    }

    async fn git(
        &self,
        directory: &Path,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<String, Error> {
        let command = arguments.first().copied().unwrap_or_default().to_owned();
        let run = |source| Error::Run { command: command.clone(), source };
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|it| ("PATH", it)))
            .envs(quiet_git())
            .env("GIT_AUTHOR_NAME", "Somebody")
            .env("GIT_AUTHOR_EMAIL", "somebody@example.org")
            .env("GIT_COMMITTER_NAME", "Somebody")
            .env("GIT_COMMITTER_EMAIL", "somebody@example.org")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(run)?;
        if let Some(mut stdin) = child.stdin.take() {
            // git may refuse before it has read everything; then its complaint is what counts.
            let _ = stdin.write_all(input).await;
        }
        let output = child.wait_with_output().await.map_err(run)?;
        if !output.status.success() {
            return Err(Error::Git { command, complaint: sanitise(&output.stderr) });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
