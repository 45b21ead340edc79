//! How does one commit get here? One shallow fetch by gix, into a repository that heeds nobody.

use std::{num::NonZeroU32, path::Path, sync::atomic::AtomicBool};

use gix::{
    ObjectId, Repository, ThreadSafeRepository,
    create::{self, Kind},
    open,
    progress::Discard,
    protocol::transport::{Protocol, client::blocking_io::http::Transport},
    remote::{
        Direction,
        fetch::{Shallow, Tags},
    },
};

use super::Limits;
use crate::{Commit, Error, Said, transport::http::Session};

/// The commit that was received.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: Commit,
    pub(super) tree: ObjectId,
}

/// Why nothing was received.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server has nothing of this name.
    Nothing,
    Gix(gix::Error),
}

/// An empty repository that reads no configuration but its own and protects itself from names
/// that any file system takes for `.git`.
pub(super) fn create(directory: &Path, limits: &Limits) -> Result<Repository, Error> {
    let options = open::Options::isolated().config_overrides([
        "core.protectHFS=true".to_owned(),
        "core.protectNTFS=true".to_owned(),
        format!("gitoxide.objects.allocLimit={}", limits.object),
    ]);
    ThreadSafeRepository::init_opts(
        directory,
        Kind::WithWorktree,
        create::Options::default(),
        options,
    )
    .map(|it| it.to_thread_local())
    .map_err(|source| Error::Checkout { source: Said::of(&source) })
}

/// Receives what a full object id or a full ref name stands for.
pub(super) fn receive(
    repository: &Repository,
    session: &Session,
    what: &str,
    interrupt: &AtomicBool,
) -> Result<Found, Failed> {
    let remote = repository
        .remote_at(session.gix_url().map_err(Failed::Gix)?)
        .and_then(|it| it.with_fetch_tags(Tags::None).with_refspecs([what], Direction::Fetch))
        .map_err(Failed::Gix)?;
    let url = session.gix_url().map_err(Failed::Gix)?;
    let transport = Transport::new_http(session.clone(), url, Protocol::V2, false);
    let connection = remote
        .to_connection_with_transport(transport)
        // Without this gix would run the machine's credential helpers.
        .with_credentials(|_| Ok(None));
    let prepared = connection.prepare_fetch(Discard, gix::remote::ref_map::Options::default());
    let prepared = prepared.map_err(Failed::Gix)?;
    if prepared.ref_map().mappings.is_empty() {
        return Err(Failed::Nothing);
    }
    let outcome = prepared
        .with_shallow(Shallow::DepthAtRemote(NonZeroU32::MIN))
        .receive(Discard, interrupt)
        .map_err(Failed::Gix)?;
    let id = outcome.ref_map.mappings.first().and_then(|it| it.remote.as_id());
    let id = id.ok_or(Failed::Nothing)?.to_owned();
    peel(repository, id).map_err(Failed::Gix)?.ok_or(Failed::Nothing)
}

fn peel(repository: &Repository, id: ObjectId) -> Result<Option<Found>, gix::Error> {
    let commit = repository.find_object(id)?.peel_to_commit()?;
    let tree = commit.tree_id()?.detach();
    Ok(Commit::parse(&commit.id.to_string()).ok().map(|name| Found { name, tree }))
}
