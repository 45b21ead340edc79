//! What do strangers do to a server, and what becomes of it? Connections in memory and in paused time;
//! sockets where there must be many.

mod certificates;
mod http2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bodies::{Bodies, Keep};
use super::heads::Heads;
use super::patient::Patience;
use super::pulse::Pulse;
use super::server::{self, Door};
use crate::metrics::Metrics;

const PEER: ([u8; 4], u16) = ([127, 0, 0, 1], 9);
const LARGEST: usize = 100_000;

/// Reads bodies as the product does, and answers 202.
fn door(most: usize) -> Door {
    let bodies = Bodies::new(LARGEST, Duration::from_secs(30));
    Door {
        answers: Arc::new(move |request: Request<Body>| {
            let bodies = bodies.clone();
            Box::pin(async move {
                match bodies.read(request.into_body(), Keep::No, None).await {
                    Ok(_) => super::answer::Answer::recorded(vec!["run".to_owned()]),
                    Err(answer) => answer,
                }
                .into_response()
            })
        }),
        tls: None,
        patience: Patience { headers: Duration::from_secs(10), idle: Duration::from_mins(1) },
        heads: Heads::default(),
        most,
        metrics: Metrics::new("test").unwrap(),
    }
}

/// A connection in memory, and the task that serves it.
fn connect(door: Door) -> (DuplexStream, JoinSet<()>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let mut serving = JoinSet::new();
    let life = (Pulse::new(), CancellationToken::new());
    serving.spawn(server::talk(theirs, SocketAddr::from(PEER), door, life));
    (ours, serving)
}

/// A server on a port of its own.
struct Listening {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Listening {
    async fn ends(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// A server for so many connections, where it is, and what it counts.
async fn listens(most: usize) -> (SocketAddr, Metrics, Listening) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (door, stop) = (door(most), CancellationToken::new());
    let metrics = door.metrics.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(server::serve(listener, door, stop.clone()));
    (address, metrics, Listening { stop, tasks })
}

/// All that is said until the connection ends, and how long that takes.
async fn hear(mut stream: DuplexStream) -> (String, Duration) {
    let begun = Instant::now();
    let mut said = Vec::new();
    let _ended: Result<usize, _> = stream.read_to_end(&mut said).await;
    (String::from_utf8_lossy(&said).into_owned(), begun.elapsed())
}

const CALL: &[u8] = b"POST /apps/deploy HTTP/1.1\r\nhost: it\r\ncontent-length: 2\r\n\r\n{}";

/// Hears one answer, and leaves the connection open.
async fn one_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut said = Vec::new();
    while !said.ends_with(b"}") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        said.push(byte[0]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// A1: who is slow with its headers is told so, however it drips.
#[tokio::test(start_paused = true)]
async fn a1_headers_that_do_not_come_in_time_are_answered_408() {
    let (mut stalls, _one) = connect(door(8));
    stalls.write_all(b"POST /apps/deploy HTTP/1.1\r\nhost: i").await.unwrap();
    let (said, took) = hear(stalls).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert_eq!(took.as_secs(), 10);

    let (drips, _other) = connect(door(8));
    let (mut reads, mut writes) = tokio::io::split(drips);
    let mut dripping = JoinSet::new();
    dripping.spawn(async move {
        let head: &[u8] = b"POST /apps/deploy HTTP/1.1\r\nx-slow: ";
        for byte in head.iter().chain(std::iter::repeat_n(&b'x', 100)) {
            tokio::time::sleep(Duration::from_millis(500)).await;
            // Nobody may listen any more.
            let _written: Result<(), _> = writes.write_all(&[*byte]).await;
        }
    });
    let begun = Instant::now();
    let mut said = String::new();
    reads.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

/// A1: who says nothing is left, sooner before it ever said anything.
#[tokio::test(start_paused = true)]
async fn a1_connections_on_which_nothing_is_said_end() {
    let (silent, _one) = connect(door(8));
    let (said, took) = hear(silent).await;
    assert_eq!((said.as_str(), took.as_secs()), ("", 10));

    let (mut served, _other) = connect(door(8));
    for _ in 0..3 {
        served.write_all(CALL).await.unwrap();
        assert!(one_answer(&mut served).await.starts_with("HTTP/1.1 202 "));
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let (said, took) = hear(served).await;
    assert_eq!((said.as_str(), took.as_secs()), ("", 30), "60 s after its last request");
}

/// A1: a body without an end is cut off where it is too long, whatever it says of its length.
#[tokio::test(start_paused = true)]
async fn a1_a_body_without_end_is_answered_413_and_not_kept() {
    let (stream, _serving) = connect(door(8));
    let (mut reads, mut writes) = tokio::io::split(stream);
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        let head = b"POST /apps/deploy HTTP/1.1\r\nhost: it\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut sent = 0_usize;
        let mut piece = head.to_vec();
        while sent < 100_000_000 && writes.write_all(&piece).await.is_ok() {
            piece = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
            sent += piece.len();
        }
        sent
    });

    let mut said = String::new();
    let _ended = reads.read_to_string(&mut said).await;
    drop(reads);

    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    assert!(said.contains("connection: close"), "{said}");
    let sent = writing.join_next().await.unwrap().unwrap();
    assert!(sent < 1_000_000, "{sent} bytes were taken");
}

/// A1: a body that drips is given up.
#[tokio::test(start_paused = true)]
async fn a1_a_body_that_does_not_come_in_time_is_answered_408() {
    let (mut stream, _serving) = connect(door(8));
    stream
        .write_all(b"POST /apps/deploy HTTP/1.1\r\nhost: it\r\ncontent-length: 900\r\n\r\n{")
        .await
        .unwrap();

    let (said, took) = hear(stream).await;

    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert_eq!(took.as_secs(), 30);
}

/// A1: headers without end are not read on.
#[tokio::test(start_paused = true)]
async fn a1_a_flood_of_headers_is_refused() {
    for header in ["x-flood: 1\r\n".repeat(200), format!("x-flood: {}\r\n", "x".repeat(600 << 10))]
    {
        let (stream, _serving) = connect(door(8));
        let (mut reads, mut writes) = tokio::io::split(stream);
        let mut writing = JoinSet::new();
        writing.spawn(async move {
            let head = format!("POST /apps/deploy HTTP/1.1\r\nhost: it\r\n{header}\r\n");
            let _refused = writes.write_all(head.as_bytes()).await;
        });
        let mut said = String::new();
        let _ended = reads.read_to_string(&mut said).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    }
}

/// A1: who holds connections and does not use them keeps nobody out.
#[tokio::test]
async fn a1_idle_connections_give_way_to_those_who_call() {
    let (address, metrics, serving) = listens(50).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }

    let mut answers = 0;
    for _ in 0..20 {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(CALL).await.unwrap();
        answers += usize::from(one_answer(&mut caller).await.starts_with("HTTP/1.1 202 "));
    }

    assert_eq!(answers, 20);
    assert!(metrics.webhooks.connections.get() <= 51, "{}", metrics.webhooks.connections.get());
    serving.ends().await;
    assert_eq!(metrics.webhooks.connections.get(), 0);
}

/// A1: who sends a request and never its body keeps nobody out either; who is being answered is not disturbed.
#[tokio::test]
async fn a1_bodies_that_do_not_come_give_way_to_those_who_call() {
    let (address, metrics, serving) = listens(50).await;
    let mut slow = Vec::new();
    for _ in 0..60 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = b"POST /a/b HTTP/1.1\r\nhost: it\r\ncontent-length: 10\r\n\r\n";
        stream.write_all(head).await.unwrap();
        slow.push(stream);
    }

    let calling = async {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(CALL).await.unwrap();
        one_answer(&mut caller).await
    };
    let said = tokio::time::timeout(Duration::from_secs(10), calling).await.unwrap();

    assert!(said.starts_with("HTTP/1.1 202 "), "{said:?}");
    assert!(metrics.webhooks.dropped.with_label_values(&["gave_way"]).get() >= 11);
    drop(slow);
    serving.ends().await;
}

/// A1: headers that are not finished take a bounded place together; short ones find room all the same.
#[tokio::test(start_paused = true)]
async fn a1_unfinished_headers_share_a_bounded_place() {
    let door = door(1000);
    let mut slow = Vec::new();
    let mut refused = None;
    while refused.is_none() && slow.len() < 500 {
        let (mut stream, serving) = connect(door.clone());
        let line = format!("x-flood: {}\r\n", "x".repeat(8000));
        let head = format!("POST /a/b HTTP/1.1\r\nhost: it\r\n{}", line.repeat(31));
        let _cut: Result<(), _> = stream.write_all(head.as_bytes()).await;
        let (mut reads, writes) = tokio::io::split(stream);
        let mut byte = [0; 12];
        let hears = tokio::time::timeout(Duration::from_millis(1), reads.read_exact(&mut byte));
        refused = hears.await.ok().map(|_| String::from_utf8_lossy(&byte).into_owned());
        slow.push((reads, writes, serving));
    }

    assert_eq!(refused.as_deref(), Some("HTTP/1.1 503"), "after {}", slow.len());
    let (mut caller, _serving) = connect(door.clone());
    caller.write_all(CALL).await.unwrap();
    assert!(one_answer(&mut caller).await.starts_with("HTTP/1.1 202 "));
}

/// A replica that stops takes no new connection, and answers what it has taken.
#[tokio::test]
async fn a_server_that_stops_answers_what_it_has_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut door, stop) = (door(50), CancellationToken::new());
    let (arrived, arrives) = tokio::sync::watch::channel(false);
    let (go, goes) = tokio::sync::watch::channel(false);
    let arrived = Arc::new(arrived);
    door.answers = Arc::new(move |_| {
        let (arrived, mut goes) = (Arc::clone(&arrived), goes.clone());
        Box::pin(async move {
            arrived.send_replace(true);
            goes.wait_for(|it| *it).await.unwrap();
            super::answer::Answer::ping().into_response()
        })
    });
    let mut serving = JoinSet::new();
    serving.spawn(server::serve(listener, door, stop.clone()));
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(CALL).await.unwrap();
    let mut arrives = arrives;
    arrives.wait_for(|it| *it).await.unwrap();

    stop.cancel();
    let refused = async {
        // The listener is closed in the server's own time.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("it listens no more");
    go.send_replace(true);

    let mut said = String::new();
    caller.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with(&format!("HTTP/1.1 {} ", StatusCode::OK.as_u16())), "{said}");
    while let Some(ended) = serving.join_next().await {
        ended.unwrap();
    }
}
