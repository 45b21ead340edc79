//! One commit over every transport, from servers of every version, named by either hash.

use std::{fs, net::Ipv4Addr, time::Duration};

use ger_git::{
    Commit, Error, HashOptions, Hashing, Reference, Remote, Want,
    backend::{Daemon, Server, Versions},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use crate::support::{
    Site,
    fetching::{blob, by_commit, by_name, commit_tree, fetch, hash, hash_with, main_branch, names},
    remote,
};

const ALL: [Versions; 3] = [Versions::All, Versions::One, Versions::Oldest];

/// The commit that is checked out, and what there is: files with their contents.
async fn fetched(remote: &Remote, want: Want) -> (Commit, Vec<String>) {
    let out = tempfile::tempdir().unwrap();
    let fetched = fetch(remote.clone(), want, out.path()).await.unwrap();
    let told = |name: String| match fs::read_to_string(out.path().join(&name)) {
        Ok(content) => format!("{name}={content}"),
        Err(_) => name,
    };
    (fetched.commit, names(out.path()).into_iter().map(told).collect())
}

async fn all_give(
    remote: &Remote,
    wants: impl IntoIterator<Item = Want>,
    (commit, files): (&Commit, &[&str]),
) {
    for want in wants {
        let (found, there) = fetched(remote, want).await;
        assert_eq!((&found, there.join(" ")), (commit, files.join(" ")), "{remote:?}");
    }
}

#[tokio::test]
async fn every_transport_and_version_gives_the_same() {
    let mut hashes = Vec::new();
    for versions in ALL {
        let site = Site::start_speaking(versions).await;
        let commit = site.server.create_repo("app", &[("a", "1"), ("b/c", "2")]).await.unwrap();
        site.server.annotate("app", "v1", "main").await.unwrap();
        let root = site.server.path("app").parent().unwrap().to_owned();
        let daemon = Daemon::start(&root, versions).await.unwrap();

        for remote in [site.remote("app"), remote(&daemon.url("app"))] {
            let tag = by_name(Reference::tag("v1").unwrap());
            let wants = [by_commit(&commit), main_branch(), tag];
            all_give(&remote, wants, (&commit, &["a=1", "b"])).await;
            hashes.push(hash(remote, &["b/"]).await.unwrap().hash);
        }
    }
    assert_eq!(hashes.len(), 6);
    assert!(hashes.iter().all(|it| *it == hashes[0]), "{hashes:?}");
}

/// A repository that names its objects by sha256.
async fn create_sha256(server: &Server) -> Commit {
    fs::create_dir(server.path("long")).unwrap();
    let init = ["init", "--quiet", "--bare", "--object-format=sha256", "-b", "main", "."];
    server.git_in("long", &init, b"").await.unwrap();
    let file = blob(server, "long", "1").await;
    commit_tree(server, "long", &format!("100644 blob {file}\ta\n")).await
}

#[tokio::test]
async fn repositories_named_by_sha256_are_fetched_too() {
    for versions in ALL {
        let site = Site::start_speaking(versions).await;
        let commit = create_sha256(&site.server).await;
        let root = site.server.path("long").parent().unwrap().to_owned();
        let daemon = Daemon::start(&root, versions).await.unwrap();

        for remote in [site.remote("long"), remote(&daemon.url("long"))] {
            let wants = [by_commit(&commit), main_branch()];
            all_give(&remote, wants, (&commit, &["a=1"])).await;
            assert_eq!(hash(remote, &["a"]).await.unwrap().matched, 1);
        }
    }
}

/// None if nobody listens any more.
async fn say(stream: &mut TcpStream, first: &[u8], text: &[u8], repeated: usize) -> Option<()> {
    stream.write_all(first).await.ok()?;
    for _ in 0..repeated {
        stream.write_all(text).await.ok()?;
    }
    Some(())
}

/// Accepts, says the same to everybody for as long as they listen, and hears nothing.
struct Talker {
    remote: Remote,
    _serving: JoinSet<()>,
}

impl Talker {
    async fn saying(first: &'static [u8], text: &'static [u8], repeated: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let remote = remote(&format!("git://{}/app", listener.local_addr().unwrap()));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let said = say(&mut stream, first, text, repeated).await;
                // A server with nothing more to say hangs up; one with nothing to say does not.
                held.extend(said.filter(|()| first.is_empty()).map(|()| stream));
            }
        });
        Self { remote, _serving: serving }
    }

    async fn fails(&self) -> [Error; 2] {
        let out = tempfile::tempdir().unwrap();
        let fetched = fetch(self.remote.clone(), main_branch(), out.path()).await.unwrap_err();
        assert!(names(out.path()).is_empty());
        [fetched, hash(self.remote.clone(), &["a"]).await.unwrap_err()]
    }
}

#[tokio::test]
async fn b4_a_stream_that_never_speaks_costs_no_more_than_the_timeout() {
    let mut silent = Talker::saying(b"", b"", 0).await;
    silent.remote.timeout = Duration::from_millis(200);
    let start = Instant::now();

    for refused in silent.fails().await {
        assert!(matches!(refused, Error::Slow { .. }), "{refused:?}");
    }

    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn b4_refs_without_an_end_are_cut_off() {
    let first = b"0041aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\0ofs\n";
    let line = b"003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/more\n";
    let endless = Talker::saying(first, line, usize::MAX).await;
    let mut options = HashOptions { hashing: Hashing::Ours, ..HashOptions::default() };
    options.limits.received = 1 << 20;

    let refused = hash_with(endless.remote.clone(), main_branch(), &["a"], options).await;

    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Large { what: "bytes to send", .. }), "{refused:?}");
}

#[tokio::test]
async fn b4_a_stream_of_anything_else_is_told_from_git() {
    for text in
        [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"0000", b"zzzz", b"0008NAK\n", b"000eversion 2\n"]
    {
        for refused in Talker::saying(text, b"", 0).await.fails().await {
            let is_told = matches!(
                refused,
                Error::Fetch { .. }
                    | Error::Connection { .. }
                    | Error::RefNotFound { .. }
                    | Error::Worker
            );
            assert!(is_told, "{text:?}: {refused:?}");
        }
    }
}
