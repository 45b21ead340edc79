//! What do strangers do over HTTP/2? In the clear, by prior knowledge; frame by frame where no client would.

use axum::body::Body;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `POST http://it/a/b`, as HPACK without an index.
fn head() -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, 4];
    block.extend(b"/a/b");
    block.extend([0x01, 2]);
    block.extend(b"it");
    block
}

/// What a caller says at first.
fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// Says it all, hears what comes until the connection ends, and gives the kinds of the frames and the time.
async fn frames_until_the_end(stream: DuplexStream, said: Vec<u8>) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let (mut reads, mut writes) = tokio::io::split(stream);
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        // Whoever is refused is not listened to any more.
        let _cut = writes.write_all(&said).await;
        writes
    });
    let mut heard = Vec::new();
    let _ended: Result<usize, _> = reads.read_to_end(&mut heard).await;
    let (mut kinds, mut rest) = (Vec::new(), heard.as_slice());
    while let [a, b, c, kind, ..] = rest {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    (kinds, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn http2_is_spoken_in_the_clear_by_prior_knowledge() {
    let (stream, _serving) = connect(door(8));
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (caller, connection) = handshake.await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);

    let calls = (0..40).map(|_| {
        let request = Request::post("http://it/apps/deploy").body(Body::from("{}")).unwrap();
        caller.clone().send_request(request)
    });
    let answers = futures::future::join_all(calls).await;

    // More at once than are served at once: the rest waits its turn.
    assert!(answers.iter().all(|it| it.as_ref().unwrap().status() == StatusCode::ACCEPTED));
}

/// A1: headers that do not come to their end are not waited for.
#[tokio::test(start_paused = true)]
async fn a1_slow_headers_over_http2_are_left() {
    let (stream, _serving) = connect(door(8));
    let said = [hello(), frame(HEADERS, 0, 1, &head())].concat();

    let (_, took) = frames_until_the_end(stream, said).await;

    assert_eq!(took.as_secs(), 10);
}

/// A1: nor do they grow without end.
#[tokio::test(start_paused = true)]
async fn a1_headers_over_http2_that_go_on_for_ever_are_cut_off() {
    let (stream, _serving) = connect(door(8));
    let field = [&[0x00, 1], b"x".as_slice(), &[0x7f, 0x81, 0x7d], &[b'y'; 16_128]].concat();
    let mut said = [hello(), frame(HEADERS, 0, 1, &head())].concat();
    for _ in 0..1000 {
        said.extend(frame(CONTINUATION, 0, 1, &field));
    }

    let (kinds, took) = frames_until_the_end(stream, said).await;

    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A1: requests that are taken back as soon as they are made end the connection, and reach nobody.
#[tokio::test(start_paused = true)]
async fn a1_rapid_resets_end_the_connection() {
    let (stream, _serving) = connect(door(8));
    let mut said = hello();
    for stream in (1..20_001).step_by(2) {
        said.extend(frame(HEADERS, END_HEADERS, stream, &head()));
        said.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }

    let (kinds, took) = frames_until_the_end(stream, said).await;

    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A1: so many requests at once, and no more: what exceeds it is refused, whatever the caller makes of it.
#[tokio::test(start_paused = true)]
async fn a1_a_connection_has_a_few_requests_at_once() {
    let (began, counts) = tokio::sync::watch::channel(0_usize);
    let mut door = door(8);
    let began = Arc::new(began);
    door.answers = Arc::new(move |_| {
        began.send_modify(|it| *it += 1);
        Box::pin(std::future::pending())
    });
    let (mut stream, _serving) = connect(door);
    let mut said = hello();
    for stream in (1..41).step_by(2) {
        said.extend(frame(HEADERS, END_HEADERS, stream, &head()));
    }

    stream.write_all(&said).await.unwrap();
    let mut refused = 0;
    while refused < 12 {
        let mut head = [0; 9];
        let heard = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut head));
        heard.await.expect("all that is too much is refused").unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        refused += usize::from(head[3] == RST_STREAM);
    }

    assert_eq!(*counts.borrow(), 8);
}
