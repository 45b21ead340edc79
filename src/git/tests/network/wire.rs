//! What goes over the wire: how many connections, and whether git's own client gets on with our
//! server.

use std::{
    fs,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::serve::ListenerExt as _;
use ger_git::{
    Client, Commit, Error, Reference,
    backend::{Backend, Server},
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::support::{Site, remote};

async fn repository() -> (tempfile::TempDir, Commit) {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path()).await.unwrap();
    let commit = server.create_repo("app", &[("a", "1")]).await.unwrap();
    (root, commit)
}

#[tokio::test]
async fn checks_share_a_connection() {
    let (root, _commit) = repository().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let uri = format!("http://{}/app", listener.local_addr().unwrap());
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let listener = listener.tap_io(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut serving = JoinSet::new();
    let router = Backend::new(root.path()).router();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();

    for _ in 0..10 {
        client.resolve(&remote(&uri), &main).await.unwrap();
    }

    assert_eq!(opened.load(Ordering::Relaxed), 1);
    let by_host = client.traffic().by_host();
    let exchanged = by_host.values().next().unwrap();
    assert_eq!((exchanged.requests, exchanged.connections), (10, 1));
}

/// A change is pushed as a user does it, and seen by the next check.
#[tokio::test]
async fn git_itself_clones_and_pushes() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "1")]).await.unwrap();
    let work = tempfile::tempdir().unwrap();
    let at = work.path().join("app");
    let at = at.to_str().unwrap();
    let git = async |arguments: &[&str]| site.server.git_in("app", arguments, b"").await.unwrap();

    git(&["clone", "--quiet", &site.server.url("app"), at]).await;
    // Large enough to be sent in chunks.
    let noise =
        (0..400_000_u32).map(|it| it.wrapping_mul(2_654_435_761)).flat_map(u32::to_le_bytes);
    fs::write(work.path().join("app/noise"), noise.collect::<Vec<_>>()).unwrap();
    git(&["-C", at, "--git-dir=.git", "--work-tree=.", "add", "noise"]).await;
    git(&["-C", at, "commit", "--quiet", "-m", "push me"]).await;
    git(&["-C", at, "push", "--quiet", "origin", "main"]).await;

    let pushed = git(&["-C", at, "rev-parse", "HEAD"]).await;
    let main = Reference::branch("main").unwrap();
    let seen = Client::new().unwrap().resolve(&site.remote("app"), &main).await.unwrap();
    assert_eq!(seen.commit.as_str(), pushed);
}

#[tokio::test]
async fn a_stopped_server_answers_nobody() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path()).await.unwrap();
    server.create_repo("app", &[("a", "1")]).await.unwrap();
    let remote = remote(&server.url("app"));
    let client = Client::new().unwrap();
    let main = Reference::branch("main").unwrap();
    client.resolve(&remote, &main).await.unwrap();

    server.stop().await;

    let refused = client.resolve(&remote, &main).await.unwrap_err();
    assert!(matches!(refused, Error::Talk { .. }), "{refused:?}");
}
