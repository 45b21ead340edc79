//! Where do answers come from? The one seam to the network: a simulation's memory fits it too.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use ger_git::github_app::{self, App, Token, Wanted};
use ger_git::{
    Client, Error, Exchanged, Hashing, PathHash, Patterns, Reference, Remote, Resolved, Tls, Want,
};

/// Which files of which commit.
#[derive(Clone, Debug)]
pub struct Files {
    pub want: Want,
    pub patterns: Patterns,
    pub hashing: Hashing,
}

/// Whoever answers.
pub trait Remotes: Send + Sync {
    /// What `reference` points at now.
    fn resolve(
        &self,
        remote: Remote,
        reference: Reference,
    ) -> BoxFuture<'static, Result<Resolved, Error>>;

    /// A hash of files, which are fetched as far as that takes.
    fn path_hash(
        &self,
        remote: Remote,
        files: Files,
    ) -> BoxFuture<'static, Result<PathHash, Error>>;

    /// A token of a GitHub App's installation, kept or new.
    fn installation_token(
        &self,
        app: App,
        tls: Tls,
        wanted: Wanted,
    ) -> BoxFuture<'static, Result<Token, Arc<github_app::Error>>>;

    /// What was exchanged so far, by host.
    fn traffic(&self) -> BTreeMap<String, Exchanged>;
}

impl Remotes for Client {
    fn resolve(
        &self,
        remote: Remote,
        reference: Reference,
    ) -> BoxFuture<'static, Result<Resolved, Error>> {
        let client = self.clone();
        async move { Self::resolve(&client, &remote, &reference).await }.boxed()
    }

    fn path_hash(
        &self,
        remote: Remote,
        files: Files,
    ) -> BoxFuture<'static, Result<PathHash, Error>> {
        let client = self.clone();
        async move {
            let Files { want, patterns, hashing } = files;
            Self::path_hash(&client, &remote, &want, &patterns, hashing).await
        }
        .boxed()
    }

    fn installation_token(
        &self,
        app: App,
        tls: Tls,
        wanted: Wanted,
    ) -> BoxFuture<'static, Result<Token, Arc<github_app::Error>>> {
        let client = self.clone();
        async move { Self::installation_token(&client, &app, &tls, &wanted).await }.boxed()
    }

    fn traffic(&self) -> BTreeMap<String, Exchanged> {
        Self::traffic(self).by_host()
    }
}
