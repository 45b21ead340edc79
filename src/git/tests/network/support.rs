//! A server with a repository to ask, in a directory that goes away.

pub(crate) mod crafted;
pub(crate) mod fetching;

use std::time::Duration;

use ger_git::{
    Auth, Remote, RepoUri, Tls,
    backend::{Server, Versions},
};
use tempfile::TempDir;

pub(crate) struct Site {
    pub(crate) server: Server,
    _root: TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_speaking(Versions::All).await
    }

    pub(crate) async fn start_speaking(versions: Versions) -> Self {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start_speaking(root.path(), versions).await.unwrap();
        Self { server, _root: root }
    }

    pub(crate) fn remote(&self, repository: &str) -> Remote {
        remote(&self.server.url(repository))
    }
}

pub(crate) fn remote(uri: &str) -> Remote {
    Remote {
        uri: RepoUri::parse(uri).unwrap(),
        auth: Auth::None,
        tls: Tls::Verify,
        timeout: Duration::from_secs(20),
    }
}
