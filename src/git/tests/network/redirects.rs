//! Where a server may send us, told from what the second server received: nothing, most often.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use ger_git::{Auth, Client, Error, FetchOptions, Reference, Remote, RemoteRef, Want};
use tokio::{net::TcpListener, task::JoinSet};

use crate::support::remote;

const ANSWER: &str = "003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\n0000";
const ADVERTISED: &str = "001e# service=git-upload-pack\n0000\
    003eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\0\n0000";
const SECRET: &str = "Bearer hunter2";
const QUERY: &str = "?service=git-upload-pack";

/// A server that remembers what it was asked.
pub(crate) struct Recorder {
    pub(crate) remote: Remote,
    seen: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    _serving: JoinSet<()>,
}

impl Recorder {
    pub(crate) async fn start(
        answer: impl Fn(&str) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let record = Arc::clone(&seen);
        let router = Router::new().fallback(move |request: Request| async move {
            let asked = format!("{} {}", request.method(), request.uri());
            record.lock().unwrap().push((asked.clone(), request.headers().clone()));
            answer(&asked)
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let uri = format!("http://{}/app", listener.local_addr().unwrap());
        let remote = Remote { auth: Auth::Token(SECRET.into()), ..remote(&uri) };
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { remote, seen, _serving: serving }
    }

    /// Asks for `main` over http in v2, or as far as this server lets us.
    async fn ask(&self) -> Result<Vec<RemoteRef>, Error> {
        let prefixes = ["refs/heads/main".to_owned()];
        Client::new().unwrap().ls_refs(&self.remote, &prefixes).await
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(asked, _)| asked.clone()).collect()
    }

    fn has_seen_the_secret(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.iter().any(|(_, headers)| headers.contains_key(header::AUTHORIZATION))
    }
}

pub(crate) fn moved(location: &str) -> Response {
    let location = [(header::LOCATION, location.to_owned())];
    (StatusCode::TEMPORARY_REDIRECT, location).into_response()
}

/// Git over http as every server speaks it, and nothing newer.
fn old(asked: &str, prefix: &str) -> Option<Response> {
    let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-advertisement")];
    let is_advertisement = asked == format!("GET {prefix}/info/refs{QUERY}");
    let is_post = asked == format!("POST {prefix}/git-upload-pack");
    match (is_advertisement, is_post) {
        (true, _) => Some((kind, ADVERTISED).into_response()),
        (_, true) => Some("".into_response()),
        _ => None,
    }
}

#[tokio::test]
async fn b5_another_host_is_not_even_asked() {
    let other = Recorder::start(|_| ANSWER.into_response()).await;
    let host = other.remote.uri.host().to_owned();
    for location in [
        format!("http://{host}/app/git-upload-pack"),
        format!("//{host}/app/git-upload-pack"),
        format!("http://user:pass@{host}/app/git-upload-pack"),
        format!("http://{host}/app/info/refs{QUERY}"),
        "http://169.254.169.254/app/git-upload-pack".to_owned(),
        "file:///app/git-upload-pack".to_owned(),
        "/login".to_owned(),
    ] {
        let from = Recorder::start(move |_| moved(&location)).await;

        let refused = from.ask().await.unwrap_err();

        assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");
        assert!(!refused.is_transient() && !format!("{refused:?}").contains("hunter2"));
        assert_eq!(from.asked(), ["POST /app/git-upload-pack"]);
    }
    assert_eq!(other.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn b5_the_old_way_and_a_fetch_do_not_follow_to_another_host_either() {
    let other = Recorder::start(|asked| {
        old(asked, "/app").unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
    })
    .await;
    let location = format!("{}/info/refs{QUERY}", other.remote.uri);
    let from = Recorder::start(move |asked| {
        if asked.starts_with("GET") { moved(&location) } else { "".into_response() }
    })
    .await;

    let refused = from.ask().await.unwrap_err();
    assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");

    let (refused, left_over) = fetch(from.remote.clone()).await;
    assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");
    assert_eq!((left_over, other.asked()), (0, Vec::<String>::new()));
    assert!(from.has_seen_the_secret() && !other.has_seen_the_secret());
}

#[tokio::test]
async fn a_repository_that_moved_on_its_host_is_found_with_its_credentials() {
    let answer = |asked: &str| match asked {
        "POST /app/git-upload-pack" => moved("/new/git-upload-pack"),
        "POST /new/git-upload-pack" => ANSWER.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    };
    let from = Recorder::start(answer).await;

    assert_eq!(from.ask().await.unwrap().len(), 1);
    assert_eq!(from.asked(), ["POST /app/git-upload-pack", "POST /new/git-upload-pack"]);
    let seen = from.seen.lock().unwrap();
    assert!(seen.iter().all(|(_, headers)| headers[header::AUTHORIZATION] == SECRET));
}

#[tokio::test]
async fn a_repository_that_moved_on_an_old_host_is_found() {
    let answer = |asked: &str| {
        let location = format!("/new/info/refs{QUERY}");
        let is_first = asked.starts_with("GET /app/");
        let first = is_first.then(|| moved(&location));
        first
            .or_else(|| old(asked, "/new"))
            .or_else(|| old(asked, "/app"))
            .unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
    };
    let from = Recorder::start(answer).await;

    assert_eq!(from.ask().await.unwrap().len(), 1);
    let asked = from.asked();
    assert_eq!(asked.last().unwrap(), &format!("GET /new/info/refs{QUERY}"));
    let seen = from.seen.lock().unwrap();
    let (_, headers) = seen.last().unwrap();
    assert_eq!(headers[header::AUTHORIZATION], SECRET);
    assert!(!headers.contains_key("git-protocol"));
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let from = Recorder::start(|_| moved("/app/git-upload-pack")).await;

    let refused = from.ask().await.unwrap_err();

    assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");
    assert!(from.asked().len() <= 4);
}

async fn fetch(remote: Remote) -> (Error, usize) {
    let work = move || {
        let directory = tempfile::tempdir().unwrap();
        let want = Want { commit: None, reference: Some(Reference::branch("main").unwrap()) };
        let options = FetchOptions::default();
        let error = ger_git::fetch(&remote, &want, directory.path(), &options).unwrap_err();
        (error, directory.path().read_dir().unwrap().count())
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}
