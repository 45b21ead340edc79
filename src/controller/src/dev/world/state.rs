//! What of the world outlives it? With a folder for that: clusters, repositories, and where those were
//! served. Whatever is found there and not understood is left as it is.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube_sandbox::Sandbox;
use serde_json::{Value, json};

use super::{CLUSTERS, Error, GitServer};
use crate::dev::executor::Keep;

/// A crash loses no more than this; never that a container has started.
const EVERY: Duration = Duration::from_secs(5);
/// Says that the folder is one of ours, and whole. Written last.
const MARK: &str = "dev.json";
/// Held by the `dev` that uses the folder.
const LOCK: &str = "dev.lock";
/// What the mark says of itself; a release reads all up to its own.
const FORMAT: u64 = 1;

/// A folder in which the world outlives its process, for this process alone.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
    /// Where the repositories were served; nothing in a folder that is new.
    port: Option<u16>,
    _lock: File,
}

impl State {
    /// Takes a folder that is empty, or that an earlier world has left whole.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let cannot = |source| Error::Folder { source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
        let folder = folder.canonicalize().map_err(cannot)?;
        let port = mark(&folder)?;
        let path = folder.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(|source| Error::Write { path: path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, port, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { folder }),
            Err(TryLockError::Error(source)) => Err(Error::Write { path, source }),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The cluster of that name as it was left; a new one in a new folder.
    pub(super) fn cluster(&self, name: &str) -> Result<Sandbox, Error> {
        if self.port.is_none() {
            return Ok(Sandbox::new(name));
        }
        let loaded = Sandbox::load(name, self.folder.join(name));
        loaded.map_err(|source| Error::Resume { name: name.to_owned(), source })
    }

    /// Where the cluster is kept.
    pub(super) fn keep(&self, sandbox: &Sandbox) -> Keep {
        Keep::new(sandbox.clone(), self.folder.join(sandbox.name()))
    }

    /// Serves the repositories where they were served before: GitRepos name that port.
    pub(super) async fn serve(&self, repositories: &Path) -> Result<GitServer, Error> {
        let Some(port) = self.port else {
            return GitServer::start(repositories).await.map_err(|source| Error::Git { source });
        };
        let server = GitServer::start_at(repositories, port).await;
        server.map_err(|source| Error::GitAgain { port, source })
    }

    /// Says that all is there: from now on it can be gone on from.
    pub(super) fn seal(&self, git: &GitServer) -> Result<(), Error> {
        let port = git.address().port();
        if self.port == Some(port) {
            return Ok(());
        }
        let mark = json!({
            "format": FORMAT, "release": env!("CARGO_PKG_VERSION"), "gitPort": port,
            "clusters": CLUSTERS,
        });
        let path = self.folder.join(MARK);
        let written = write_whole(&path, &format!("{mark}\n"));
        written.map_err(|source| Error::Write { path, source })
    }
}

/// The port that a whole folder knows; nothing for an empty one.
fn mark(folder: &Path) -> Result<Option<u16>, Error> {
    let path = folder.join(MARK);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            let entries = fs::read_dir(folder).map_err(|source| Error::Folder { source })?;
            let foreign = entries.flatten().any(|it| it.file_name() != LOCK);
            let folder = folder.to_owned();
            return if foreign { Err(Error::Foreign { folder }) } else { Ok(None) };
        }
        Err(_) => return Err(Error::Damaged { path }),
    };
    let mark: Value = serde_json::from_str(&text).unwrap_or_default();
    let port = mark["gitPort"].as_u64().and_then(|it| u16::try_from(it).ok());
    match (mark["format"].as_u64(), port) {
        (Some(format), _) if format > FORMAT => Err(Error::Newer { path, format, known: FORMAT }),
        (Some(1..), Some(port)) => Ok(Some(port)),
        _ => Err(Error::Damaged { path }),
    }
}

/// The whole file or none, whenever the power fails.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), |it| File::open(it)?.sync_all())
}

/// Saves the clusters again and again.
pub(super) async fn keep(keeps: Vec<(&'static str, Keep)>) {
    loop {
        tokio::time::sleep(EVERY).await;
        save(&keeps).await;
    }
}

/// Saves the clusters. One that cannot be written is as it was before.
pub(super) async fn save(keeps: &[(&'static str, Keep)]) {
    for (cluster, keep) in keeps {
        if let Err(error) = keep.save().await {
            let error = anyhow::Error::new(error);
            tracing::error!(cluster, "what happens now will be forgotten: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::{Api, Client};

    use super::*;

    /// Which cluster it is.
    async fn uid(sandbox: &Sandbox) -> String {
        let namespaces: Api<Namespace> = Api::all(Client::new(sandbox.router(), "default"));
        namespaces.get("kube-system").await.unwrap().metadata.uid.unwrap()
    }

    /// A folder as a world leaves it.
    async fn left() -> (tempfile::TempDir, u16) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for name in CLUSTERS {
            state.keep(&state.cluster(name).unwrap()).save().await.unwrap();
        }
        let repositories = folder.path().join("repositories");
        fs::create_dir(&repositories).unwrap();
        let git = state.serve(&repositories).await.unwrap();
        state.seal(&git).unwrap();
        let port = git.address().port();
        git.stop().await;
        (folder, port)
    }

    fn refusal(folder: &Path) -> Error {
        State::open(folder).unwrap_err()
    }

    #[tokio::test]
    async fn clusters_and_repositories_are_where_they_were() {
        let (folder, port) = left().await;

        let state = State::open(folder.path()).unwrap();
        let git = state.serve(&folder.path().join("repositories")).await.unwrap();

        assert_eq!(git.address().port(), port);
        let hub = state.cluster("hub").unwrap();
        let kept = fs::read_to_string(folder.path().join("hub/cluster.jsonl")).unwrap();
        assert!(kept.contains(&uid(&hub).await));
    }

    #[tokio::test]
    async fn two_worlds_never_use_one_folder() {
        let (folder, _) = left().await;
        let _first = State::open(folder.path()).unwrap();

        let second = refusal(folder.path());

        assert!(matches!(second, Error::InUse { .. }), "{second}");
        assert!(second.to_string().contains("end it"));
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused_and_left_alone() {
        let (folder, _) = left().await;
        let path = folder.path().join(MARK);
        for (mark, wanted) in [
            ("{\"format\":2,\"gitPort\":1}", "later release"),
            ("{\"format\":1", "not whole"),
            ("", "not whole"),
        ] {
            fs::write(&path, mark).unwrap();

            let refused = refusal(folder.path());

            assert!(refused.to_string().contains(wanted), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), mark);
        }
        fs::remove_file(&path).unwrap();
        let foreign = refusal(folder.path());
        assert!(foreign.to_string().contains("name an empty folder"), "{foreign}");
    }

    #[tokio::test]
    async fn a_cluster_that_is_damaged_or_missing_is_no_new_one() {
        let (folder, _) = left().await;
        let file = folder.path().join("edge-1/cluster.jsonl");
        fs::write(&file, "{\"format\":1").unwrap();
        fs::remove_file(folder.path().join("edge-2/cluster.jsonl")).unwrap();

        let state = State::open(folder.path()).unwrap();

        for name in ["edge-1", "edge-2"] {
            let refused = state.cluster(name).unwrap_err();
            assert!(matches!(refused, Error::Resume { .. }), "{refused}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"format\":1");
        assert!(!folder.path().join("edge-2/cluster.jsonl").exists());
    }
}
