//! Servers that mean harm where no http is in between: each gets a typed error, in bounded time.

use std::{io, net::Ipv4Addr, time::Duration};

use ger_git::{Client, Error, Malformed, Reference, Remote, Resolved};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, interval},
};

use crate::support::remote;

const REF: &str = "003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/heads/main\n";
const OTHER: &str = "003daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa refs/pull/1/hea\n";
const TWO: &str = "000eversion 2\n0013ls-refs=unborn\n0000";

/// How a server goes on once it has said what it says.
#[derive(Clone, Copy)]
enum Then {
    HangUp,
    Wait,
    Repeat(&'static str),
    /// The same, once it was asked something.
    Answer(&'static str),
    Drip(&'static str),
}

/// Says the same to everybody, for as long as it is held.
struct Hostile {
    remote: Remote,
    _serving: JoinSet<()>,
}

impl Hostile {
    async fn saying(first: String, then: Then) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let remote = remote(&format!("git://{}/app", listener.local_addr().unwrap()));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever is told too much hangs up.
                let _ = say(stream, &first, then).await;
            }
        });
        Self { remote, _serving: serving }
    }

    async fn ask(&self) -> Result<Resolved, Error> {
        let main = Reference::branch("main").unwrap();
        Client::new().unwrap().resolve(&self.remote, &main).await
    }
}

async fn say(mut stream: TcpStream, first: &str, then: Then) -> io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    let mut ticks = interval(Duration::from_millis(20));
    stream.write_all(first.as_bytes()).await?;
    if matches!(then, Then::Answer(_)) {
        let _ = stream.read(&mut request).await?;
    }
    loop {
        let text = match then {
            Then::HangUp => return Ok(()),
            Then::Wait => std::future::pending().await,
            Then::Repeat(text) | Then::Answer(text) => text.repeat(1000),
            Then::Drip(text) => {
                ticks.tick().await;
                text.to_owned()
            }
        };
        stream.write_all(text.as_bytes()).await?;
    }
}

#[tokio::test]
async fn what_is_not_git_is_told_from_git() {
    for text in
        ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n", "0008oops", "zzzz", "0001"]
    {
        let refused = Hostile::saying(text.to_owned(), Then::HangUp).await.ask().await.unwrap_err();

        assert!(matches!(refused, Error::Older { .. }), "{text:?}: {refused:?}");
        assert!(refused.is_transient() && !refused.is_auth());
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_answer() {
    for (text, lines) in
        [(REF.to_owned(), 1), (format!("{REF}003faaaa"), 1), ("000eversion 2\n".to_owned(), 1)]
    {
        let refused = Hostile::saying(text, Then::HangUp).await.ask().await.unwrap_err();

        let is_cut = matches!(
            refused,
            Error::Answer { source: Malformed::Truncated { lines: it }, .. } if it == lines
        );
        assert!(is_cut, "{refused:?}");
    }
}

/// The server hangs up where it should answer: a reset, or an end, but no answer.
#[tokio::test]
async fn b4_a_server_that_hangs_up_half_way_is_no_answer() {
    let hostile = Hostile::saying(TWO.to_owned(), Then::HangUp).await;

    let refused = hostile.ask().await.unwrap_err();

    assert!(matches!(refused, Error::Answer { .. } | Error::Connection { .. }), "{refused:?}");
}

#[tokio::test]
async fn b4_what_never_ends_is_cut_off() {
    for (first, then) in [
        (REF, Then::Repeat(OTHER)),
        ("000eversion 2\n", Then::Repeat("0013ls-refs=unborn\n")),
        (TWO, Then::Answer(OTHER)),
    ] {
        let refused = Hostile::saying(first.to_owned(), then).await.ask().await.unwrap_err();

        let is_long = matches!(refused, Error::Answer { source: Malformed::Long { .. }, .. });
        assert!(is_long, "{refused:?}");
    }
}

#[tokio::test]
async fn b4_silence_and_drops_cost_no_more_than_the_timeout() {
    for (first, then) in [
        ("", Then::Wait),
        (REF, Then::Wait),
        ("000eversion 2\n0000", Then::Wait),
        (REF, Then::Drip(OTHER)),
        ("0", Then::Wait),
    ] {
        let mut hostile = Hostile::saying(first.to_owned(), then).await;
        hostile.remote.timeout = Duration::from_millis(200);
        let start = Instant::now();

        let refused = hostile.ask().await.unwrap_err();

        assert!(matches!(refused, Error::Slow { .. }), "{refused:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_complaint_is_passed_on_without_tricks() {
    let text = "0022ERR no\x1b[2J such repository: x\n".to_owned();
    let refused = Hostile::saying(text, Then::HangUp).await.ask().await.unwrap_err();

    assert!(refused.to_string().ends_with("refuses: no [2J such repository: x"), "{refused}");
}
