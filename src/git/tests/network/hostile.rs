//! Servers that mean harm, or are just broken: each gets a typed error, in bounded time.

use std::{convert::Infallible, net::Ipv4Addr, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream};
use ger_git::{Auth, Client, Error, FetchOptions, Malformed, Reference, Remote, RemoteRef, Want};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, interval},
};

use crate::support::remote;

const LINE: &str = "003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\n";

/// Answers every request in one way, for as long as it is held.
struct Hostile {
    remote: Remote,
    _serving: JoinSet<()>,
}

impl Hostile {
    async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let remote = remote(&format!("http://{}/app", listener.local_addr().unwrap()));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { remote, _serving: serving }
    }

    async fn answering<R: IntoResponse + Clone + Send + Sync + 'static>(response: R) -> Self {
        Self::serve(Router::new().fallback(move || async move { response })).await
    }

    async fn ask(&self) -> Result<Vec<RemoteRef>, Error> {
        let prefixes = ["refs/heads/main".to_owned()];
        Client::new().unwrap().ls_refs(&self.remote, &prefixes).await
    }

    async fn fetch(&self) -> (Error, usize) {
        let remote = self.remote.clone();
        let work = move || {
            let directory = tempfile::tempdir().unwrap();
            let want = Want { commit: None, reference: Some(Reference::branch("main").unwrap()) };
            let options = FetchOptions::default();
            let error = ger_git::fetch(&remote, &want, directory.path(), &options).unwrap_err();
            (error, directory.path().read_dir().unwrap().count())
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }
}

fn stream_of(pieces: impl stream::Stream<Item = String> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces.map(|it| Ok::<_, Infallible>(Bytes::from(it))));
    ([(header::CONTENT_TYPE, "application/x-git-upload-pack-result")], body).into_response()
}

#[tokio::test]
async fn what_is_not_git_is_told_from_git() {
    for text in ["<html>Sign in</html>", "0001", "zzzz", "fff5aaaa", "0008oops"] {
        let hostile = Hostile::answering(text).await;

        let refused = hostile.ask().await.unwrap_err();

        assert!(
            matches!(
                refused,
                Error::Answer { source: Malformed::Line { .. } | Malformed::Record { .. }, .. }
            ),
            "{text}: {refused:?}",
        );
        assert!(refused.is_transient() && !refused.is_auth());
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_answer() {
    for text in [LINE.to_owned(), format!("{LINE}003faaaa")] {
        let refused = Hostile::answering(text).await.ask().await.unwrap_err();

        let is_cut =
            matches!(refused, Error::Answer { source: Malformed::Truncated { lines: 1 }, .. });
        assert!(is_cut, "{refused:?}");
    }
}

/// An empty answer may be an older server's: that is asked too, and says nothing either.
#[tokio::test]
async fn silence_in_every_version_is_an_error() {
    let refused = Hostile::answering("").await.ask().await.unwrap_err();

    assert!(matches!(refused, Error::Older { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_complaint_is_passed_on_without_tricks() {
    let hostile = Hostile::answering("001fERR no\x1b[2J such repository\n").await;

    let refused = hostile.ask().await.unwrap_err();

    assert_eq!(refused.to_string().split_once(' ').unwrap().1, "refuses: no [2J such repository");
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let other = LINE.replace("refs/heads/main", "refs/pull/1/hea").repeat(1000);
    let router = Router::new().fallback(|| async move { stream_of(stream::repeat(other)) });

    let refused = Hostile::serve(router).await.ask().await.unwrap_err();

    assert!(matches!(refused, Error::Answer { source: Malformed::Long { .. }, .. }), "{refused:?}");
}

/// Each byte arrives in time, the answer never does.
#[tokio::test]
async fn a_dripping_answer_costs_no_more_than_the_timeout() {
    let drip = || async {
        let ticks = stream::unfold(interval(Duration::from_millis(20)), |mut it| async {
            it.tick().await;
            Some((LINE.to_owned(), it))
        });
        stream_of(ticks)
    };
    let mut hostile = Hostile::serve(Router::new().fallback(drip)).await;
    hostile.remote.timeout = Duration::from_millis(300);
    let start = Instant::now();

    let refused = hostile.ask().await.unwrap_err();
    assert!(matches!(refused, Error::Slow { .. }), "{refused:?}");

    let (refused, left_over) = hostile.fetch().await;
    assert!(!matches!(refused, Error::RefNotFound { .. }), "{refused:?}");
    assert_eq!(left_over, 0);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_that_never_answers_costs_no_more_than_the_timeout() {
    let mut hostile = Hostile::serve(Router::new().fallback(std::future::pending::<()>)).await;
    hostile.remote.timeout = Duration::from_millis(200);

    let refused = hostile.ask().await.unwrap_err();
    assert!(matches!(refused, Error::Slow { .. }), "{refused:?}");

    let (refused, left_over) = hostile.fetch().await;
    assert!(matches!(refused, Error::Slow { .. }), "{refused:?}");
    assert_eq!(left_over, 0);
}

#[tokio::test]
async fn a_flush_is_the_end_whatever_comes_after_it() {
    let endless = || async {
        let first = stream::once(async { format!("{LINE}0000") });
        stream_of(first.chain(stream::pending()))
    };
    let hostile = Hostile::serve(Router::new().fallback(endless)).await;

    assert_eq!(hostile.ask().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back() {
    let busy = (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "17")]);
    let refused = Hostile::answering(busy).await.ask().await.unwrap_err();

    assert_eq!(refused.retry_after(), Some(Duration::from_secs(17)));
    assert!(refused.is_transient());
    let nonsense = (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "soon")]);
    let refused = Hostile::answering(nonsense).await.ask().await.unwrap_err();
    assert_eq!(refused.retry_after(), None);
}

/// A second server must never see the credentials, nor so much as a request.
#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let other = Hostile::answering(format!("{LINE}0000")).await;
    for suffix in ["/git-upload-pack", "/info/refs?service=git-upload-pack"] {
        let location = format!("{}{suffix}", other.remote.uri);
        let moved = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]);
        let mut hostile = Hostile::answering(moved).await;
        hostile.remote.auth = Auth::Token("Bearer hunter2".into());

        let refused = hostile.ask().await.unwrap_err();
        assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");
        assert!(!format!("{refused:?}").contains("hunter2"));

        let (refused, left_over) = hostile.fetch().await;
        assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");
        assert_eq!(left_over, 0);
    }
}

#[tokio::test]
async fn a_repository_that_moved_on_its_host_is_found() {
    let moved = || async {
        let location = [(header::LOCATION, "/new/git-upload-pack")];
        (StatusCode::PERMANENT_REDIRECT, location)
    };
    let check = |headers: HeaderMap| async move {
        match headers.get(header::AUTHORIZATION) {
            Some(value) if value == "Bearer hunter2" => format!("{LINE}0000").into_response(),
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    };
    let router = Router::new()
        .route("/app/git-upload-pack", axum::routing::post(moved))
        .route("/new/git-upload-pack", axum::routing::post(check));
    let mut hostile = Hostile::serve(router).await;
    hostile.remote.auth = Auth::Token("Bearer hunter2".into());

    assert_eq!(hostile.ask().await.unwrap().len(), 1);
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let moved = [(header::LOCATION, "/app/git-upload-pack")];
    let hostile = Hostile::answering((StatusCode::PERMANENT_REDIRECT, moved)).await;

    let refused = hostile.ask().await.unwrap_err();

    assert!(matches!(refused, Error::Redirect { .. }), "{refused:?}");
}

#[tokio::test]
async fn garbage_for_a_fetch_leaves_nothing_behind() {
    for text in ["", "<html>Sign in</html>", "001e# service=git-upload-pack\n0000ffff"] {
        let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-advertisement")];
        let hostile = Hostile::answering((kind, text)).await;

        let (refused, left_over) = hostile.fetch().await;

        assert!(matches!(refused, Error::Fetch { .. }), "{text}: {refused:?}");
        assert_eq!(left_over, 0);
    }
}
