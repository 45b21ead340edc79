//! Servers that mean harm, or are just broken: each gets a typed error, in bounded time.

use std::{convert::Infallible, net::Ipv4Addr, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream};
use ger_git::{Client, Error, FetchOptions, Malformed, Reference, Remote, RemoteRef, Want};
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
async fn b4_an_answer_without_an_end_is_cut_off() {
    let other = LINE.replace("refs/heads/main", "refs/pull/1/hea").repeat(1000);
    let router = Router::new().fallback(|| async move { stream_of(stream::repeat(other)) });

    let refused = Hostile::serve(router).await.ask().await.unwrap_err();

    assert!(matches!(refused, Error::Answer { source: Malformed::Long { .. }, .. }), "{refused:?}");
}

/// Each byte arrives in time, the answer never does.
#[tokio::test]
async fn b4_a_dripping_answer_costs_no_more_than_the_timeout() {
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
async fn an_answer_in_single_bytes_is_an_answer() {
    let drip = || async {
        let bytes = format!("{LINE}0000").into_bytes().into_iter();
        stream_of(stream::unfold((bytes, interval(Duration::from_millis(1))), |mut it| async {
            it.1.tick().await;
            it.0.next().map(|byte| (char::from(byte).to_string(), it))
        }))
    };
    let hostile = Hostile::serve(Router::new().fallback(drip)).await;

    assert_eq!(hostile.ask().await.unwrap().len(), 1);
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
    let date = (header::DATE, "Sat, 21 Nov 2026 10:00:00 GMT");
    for (status, wait, expected) in [
        (StatusCode::TOO_MANY_REQUESTS, "17", Some(17)),
        (StatusCode::SERVICE_UNAVAILABLE, "17", Some(17)),
        (StatusCode::FORBIDDEN, "17", Some(17)),
        (StatusCode::TOO_MANY_REQUESTS, "Sat, 21 Nov 2026 10:00:42 GMT", Some(42)),
        (StatusCode::SERVICE_UNAVAILABLE, "Sat, 21 Nov 2026 09:00:00 GMT", None),
        (StatusCode::SERVICE_UNAVAILABLE, "soon", None),
        (StatusCode::NOT_FOUND, "17", None),
    ] {
        let busy = (status, [date.clone(), (header::RETRY_AFTER, wait)]);

        let refused = Hostile::answering(busy).await.ask().await.unwrap_err();

        assert_eq!(refused.retry_after(), expected.map(Duration::from_secs), "{status} {wait}");
        assert_eq!(refused.is_transient(), status != StatusCode::NOT_FOUND);
        assert!(!refused.is_auth(), "{status}");
    }
}

/// A page, files for a client that walks them, or a server that takes no POST: each says what it is.
#[tokio::test]
async fn what_serves_files_alone_is_told_from_git() {
    let list = format!("{}\trefs/heads/main\n", "a".repeat(40));
    let listing = Router::new().route("/app/info/refs", axum::routing::get(|| async { list }));
    let none = Router::new().route("/app/info/refs", axum::routing::get(|| async { "" }));
    let page = "<html>Sign in</html>";
    let page =
        Router::new().route("/app/info/refs", axum::routing::get(move || async move { page }));
    for (router, expected) in [
        (listing, Malformed::Dumb),
        (none, Malformed::Truncated { lines: 0 }),
        (page, Malformed::Line { line: 1 }),
    ] {
        let no_post = || async { StatusCode::METHOD_NOT_ALLOWED };
        let router = router.route("/app/git-upload-pack", axum::routing::post(no_post));

        let refused = Hostile::serve(router).await.ask().await.unwrap_err();

        let is_so = matches!(&refused, Error::Older { source, .. } if *source == expected);
        assert!(is_so, "{expected}: {refused:?}");
    }
}

/// The oldest protocol says all refs whether they were asked for or not.
#[tokio::test]
async fn b4_an_endless_advertisement_is_cut_off() {
    let kind = "application/x-git-upload-pack-advertisement";
    let first = format!("001e# service=git-upload-pack\n0000{LINE}");
    let endless = move || async move {
        let pieces = stream::once(async { first }).chain(stream::repeat(LINE.repeat(1000)));
        let mut response = stream_of(pieces);
        response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
        response
    };
    let router = Router::new()
        .route("/app/git-upload-pack", axum::routing::post(|| async { "" }))
        .route("/app/info/refs", axum::routing::get(endless));
    let hostile = Hostile::serve(router).await;

    let refused = hostile.ask().await.unwrap_err();

    // Each line is a ref that was asked for: so many of one kind nobody has.
    assert!(matches!(refused, Error::Answer { source: Malformed::Many { .. }, .. }), "{refused:?}");
}

/// A million refs that all begin as asked.
#[tokio::test]
async fn b4_a_million_refs_are_too_many_to_keep() {
    let lines = |from: u32| {
        (from..from + 1000)
            .map(|it| format!("0043{} refs/heads/main{it:06}\n", "a".repeat(40)))
            .collect::<Vec<_>>()
            .concat()
    };
    let million = move || async move {
        let pieces = (0..1000).map(move |it| lines(it * 1000)).chain(["0000".to_owned()]);
        stream_of(stream::iter(pieces))
    };
    let hostile = Hostile::serve(Router::new().fallback(million)).await;
    let client = Client::new().unwrap();

    let refused = hostile.ask().await.unwrap_err();
    assert!(matches!(refused, Error::Answer { source: Malformed::Many { .. }, .. }), "{refused:?}");

    // One that is asked for by its name is found among them, and is all that is kept.
    let main = Reference::branch("main999999").unwrap();
    let found = client.resolve(&hostile.remote, &main).await.unwrap();
    assert_eq!(found.commit.as_str(), "a".repeat(40));
}

#[tokio::test]
async fn b2_a_ref_s_name_cannot_break_out_of_its_line() {
    let id = "a".repeat(40);
    for name in [
        "refs/heads/main\r\nx",
        "refs/heads/main\x1b[2J",
        "refs/heads/main\0x",
        "refs/heads/main\x7f",
    ] {
        let line = format!("{id} {name}\n");
        let answer = format!("{:04x}{line}0000", line.len() + 4);

        let refused = Hostile::answering(answer).await.ask().await.unwrap_err();

        assert!(
            matches!(refused, Error::Answer { source: Malformed::Record { line: 1 }, .. }),
            "{refused:?}"
        );
        assert!(!format!("{refused} {refused:?}").contains('\x1b'));
    }
}

#[tokio::test]
async fn b2_a_name_that_lies_is_never_asked_for() {
    let hostile = Hostile::answering(format!("{LINE}0000")).await;
    let client = Client::new().unwrap();

    for name in ["-x", "../../etc", "a\nb", "a\0b", &"a".repeat(5000)] {
        assert!(Reference::branch(name).is_err() && Reference::tag(name).is_err());
    }
    for prefix in ["refs/heads/a\nb", "a\0b", &"a".repeat(70_000)] {
        let refused = client.ls_refs(&hostile.remote, &[prefix.to_owned()]).await.unwrap_err();
        assert!(matches!(refused, Error::Prefix), "{refused:?}");
    }

    assert!(client.traffic().by_host().is_empty());
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
