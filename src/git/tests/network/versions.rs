//! Servers of all ages, with ids of both lengths, over http and over `git://`.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    http::{StatusCode, header},
    response::IntoResponse as _,
};
use ger_git::{
    Auth, Client, Commit, Error, Reference, Remote, Tls,
    backend::{Daemon, Server, Versions, quiet_git},
};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{
    redirects::Recorder,
    support::{Site, remote},
};

const ALL: [Versions; 3] = [Versions::All, Versions::One, Versions::Oldest];

/// A repository whose ids have 64 digits.
async fn create_long(server: &Server) -> Commit {
    let init = ["init", "--quiet", "--bare", "--object-format=sha256", "-b", "main", "long"];
    server.git_in("", &init, b"").await.unwrap();
    let tree = server.git_in("long", &["mktree"], b"").await.unwrap();
    let commit = server.git_in("long", &["commit-tree", "-m", "x", &tree], b"").await.unwrap();
    server.git_in("long", &["branch", "main", &commit], b"").await.unwrap();
    Commit::parse(&commit).unwrap()
}

async fn create_empty(server: &Server) {
    let bare = ["init", "--quiet", "--bare", "-b", "main", "empty"];
    server.git_in("", &bare, b"").await.unwrap();
}

fn main() -> Reference {
    Reference::branch("main").unwrap()
}

#[tokio::test]
async fn a_server_without_version_2_is_asked_in_the_old_way_and_remembered() {
    for versions in [Versions::One, Versions::Oldest] {
        let site = Site::start_speaking(versions).await;
        let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
        let client = Client::new().unwrap();

        assert_eq!(client.resolve(&site.remote("app"), &main()).await.unwrap().commit, commit);
        let finding_out = site.server.requests();

        assert_eq!(client.resolve(&site.remote("app"), &main()).await.unwrap().commit, commit);
        assert_eq!(site.server.requests(), finding_out + 1);
    }
}

#[tokio::test]
async fn a_repository_with_long_ids_is_understood_in_every_version_and_remembered() {
    for versions in ALL {
        let site = Site::start_speaking(versions).await;
        let commit = create_long(&site.server).await;
        let client = Client::new().unwrap();

        let resolved = client.resolve(&site.remote("long"), &main()).await.unwrap();
        assert_eq!((resolved.commit.as_str().len(), &resolved.commit), (64, &commit));
        let finding_out = site.server.requests();

        client.resolve(&site.remote("long"), &main()).await.unwrap();
        assert_eq!(site.server.requests(), finding_out + 1, "{versions:?}");
    }
}

const ADVERTISED: &str = "001e# service=git-upload-pack\n0000\
    003eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\0\n0000";

/// Azure DevOps calls the question a bad request; JGit repeats it; frameworks name a charset.
#[tokio::test]
async fn an_old_server_may_refuse_the_question_in_its_own_way() {
    let words = "ERR expected 'want', got 'command=ls-refs'";
    let repeated = format!("{:04x}{words}", words.len() + 4);
    let kind = "Application/x-git-upload-pack-advertisement; charset=utf-8";
    for (status, said) in [
        (StatusCode::BAD_REQUEST, "TF401041: The Git protocol sent is not as expected".to_owned()),
        (StatusCode::OK, repeated),
    ] {
        let server = Recorder::start(move |asked| match asked.split_once(' ') {
            Some(("GET", _)) => ([(header::CONTENT_TYPE, kind)], ADVERTISED).into_response(),
            _ => (status, said.clone()).into_response(),
        })
        .await;
        let client = Client::new().unwrap();

        for _ in 0..2 {
            let resolved = client.resolve(&server.remote, &main()).await.unwrap();
            assert_eq!(resolved.commit.as_str(), "a".repeat(40));
        }

        let asked = server.asked();
        let posts = asked.iter().filter(|it| it.starts_with("POST")).count();
        assert_eq!(asked.last().unwrap(), &asked[posts], "asked in the old way at once: {asked:?}");
    }
}

/// A host may be many servers behind one name, or one that was upgraded.
#[tokio::test]
async fn a_host_that_is_known_to_be_old_may_have_a_new_repository() {
    let answer = "003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\n0000";
    let is_upgraded = Arc::new(AtomicBool::new(false));
    let upgraded = Arc::clone(&is_upgraded);
    let server = Recorder::start(move |asked| {
        let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-advertisement")];
        match (upgraded.load(Ordering::SeqCst), asked.starts_with("GET")) {
            (false, true) => (kind, ADVERTISED).into_response(),
            (false, false) => "".into_response(),
            (true, true) => "<html>Use version 2</html>".into_response(),
            (true, false) => answer.into_response(),
        }
    })
    .await;
    let client = Client::new().unwrap();
    client.resolve(&server.remote, &main()).await.unwrap();

    is_upgraded.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let resolved = client.resolve(&server.remote, &main()).await.unwrap();
        assert_eq!(resolved.commit.as_str(), "a".repeat(40));
    }

    assert!(server.asked().last().unwrap().starts_with("POST"), "{:?}", server.asked());
    assert_eq!(server.asked().len(), 6, "two POSTs and a GET; a GET and a POST; a POST");
}

/// The same address may be another repository later.
#[tokio::test]
async fn a_repository_may_change_its_hash() {
    let site = Site::start().await;
    create_long(&site.server).await;
    let client = Client::new().unwrap();
    client.resolve(&site.remote("long"), &main()).await.unwrap();

    std::fs::remove_dir_all(site.server.path("long")).unwrap();
    let commit = site.server.create_repo("long", &[("a", "b")]).await.unwrap();

    assert_eq!(client.resolve(&site.remote("long"), &main()).await.unwrap().commit, commit);
}

#[tokio::test]
async fn an_empty_repository_has_no_branch_in_any_version() {
    for versions in ALL {
        let site = Site::start_speaking(versions).await;
        create_empty(&site.server).await;
        let daemon = Daemon::start(&site.server.path(""), versions).await.unwrap();
        let client = Client::new().unwrap();

        for remote in [site.remote("empty"), remote(&daemon.url("empty"))] {
            assert!(client.ls_refs(&remote, &[]).await.unwrap().is_empty());
            let refused = client.resolve(&remote, &main()).await.unwrap_err();
            assert!(matches!(refused, Error::RefNotFound { .. }), "{refused}");
        }
    }
}

#[tokio::test]
async fn credentials_open_what_they_guard_in_the_old_way_too() {
    let site = Site::start_speaking(Versions::Oldest).await;
    let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    let auth = Auth::Basic { username: "user".into(), password: "pass".into() };
    site.server.guard("app", auth.clone());
    let client = Client::new().unwrap();

    let let_in = Remote { auth, ..site.remote("app") };
    for _ in 0..2 {
        assert_eq!(client.resolve(&let_in, &main()).await.unwrap().commit, commit);
        let refused = client.resolve(&site.remote("app"), &main()).await.unwrap_err();
        assert!(refused.is_auth(), "{refused}");
    }
}

#[tokio::test]
async fn a_stream_is_understood_in_every_version() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    site.server.annotate("app", "v1.2.0", "main").await.unwrap();
    let long = create_long(&site.server).await;
    for versions in ALL {
        let daemon = Daemon::start(&site.server.path(""), versions).await.unwrap();
        let client = Client::new().unwrap();
        let app = remote(&daemon.url("app"));

        assert_eq!(client.resolve(&app, &main()).await.unwrap().commit, commit);
        let best = client.resolve(&app, &Reference::semver("1.x").unwrap()).await.unwrap();
        assert_eq!((best.commit, best.tag.as_deref()), (commit.clone(), Some("v1.2.0")));
        assert!(best.tag_object.is_some());
        let resolved = client.resolve(&remote(&daemon.url("long")), &main()).await.unwrap();
        assert_eq!(resolved.commit, long);
        let names = client.ls_refs(&app, &[]).await.unwrap().into_iter().map(|it| it.name);
        assert_eq!(names.collect::<Vec<_>>(), ["HEAD", "refs/heads/main", "refs/tags/v1.2.0"]);

        let exchanged = client.traffic().by_host()[&daemon.address().to_string()];
        // Where v2 is known, the first question about a repository takes its ids for short.
        let asked = if matches!(versions, Versions::All) { 5 } else { 4 };
        assert_eq!((exchanged.requests, exchanged.connections), (asked, asked));
        assert_eq!(daemon.connections(), asked);
        assert!(exchanged.sent > 200 && exchanged.received > 400, "{exchanged:?}");
    }
}

/// `git daemon` itself, gone with its handle.
struct GitDaemon {
    port: u16,
    _child: Child,
}

impl GitDaemon {
    async fn start(root: &str) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        // `git` would start it as a child, which nobody would end.
        let path = Command::new("git").arg("--exec-path").output().await.unwrap().stdout;
        let program = format!("{}/git-daemon", String::from_utf8(path).unwrap().trim());
        let child = Command::new(program)
            .args(["--export-all", "--listen=127.0.0.1", "--reuseaddr"])
            .args([format!("--port={port}"), format!("--base-path={root}"), root.to_owned()])
            .envs(quiet_git())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let up = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), up).await.unwrap();
        Self { port, _child: child }
    }

    fn remote(&self, repository: &str) -> Remote {
        remote(&format!("git://127.0.0.1:{}/{repository}", self.port))
    }
}

#[tokio::test]
async fn git_daemon_is_understood_and_its_refusals_too() {
    let site = Site::start().await;
    let commit = site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    let daemon = GitDaemon::start(site.server.path("").to_str().unwrap()).await;
    let client = Client::new().unwrap();

    assert_eq!(client.resolve(&daemon.remote("app"), &main()).await.unwrap().commit, commit);

    let refused = client.resolve(&daemon.remote("none"), &main()).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Remote { message, .. } if message.contains("not exported")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn nobody_at_a_stream_s_other_end_is_told_with_the_host_alone() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let host = free.local_addr().unwrap().to_string();
    drop(free);
    let uri = format!("git://{host}/secret-app");

    let refused = Client::new().unwrap().resolve(&remote(&uri), &main()).await.unwrap_err();

    assert!(matches!(refused, Error::Connection { .. }) && refused.is_transient(), "{refused:?}");
    let shown = format!("{refused} {refused:?}");
    assert!(shown.contains(&host) && !shown.contains("secret-app"), "{shown}");
}

/// TLS is http's alone: a stream is neither verified nor hindered.
#[tokio::test]
async fn a_stream_does_not_care_for_certificates() {
    let site = Site::start().await;
    site.server.create_repo("app", &[("a", "b")]).await.unwrap();
    let daemon = Daemon::start(&site.server.path(""), Versions::All).await.unwrap();
    let skipping = Remote { tls: Tls::SkipVerify, ..remote(&daemon.url("app")) };

    Client::new().unwrap().resolve(&skipping, &main()).await.unwrap();
}
