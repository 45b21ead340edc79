//! Servers that mean harm, or only do not work: each ends in a clear error, in bounded time.

use std::{net::Ipv4Addr, time::Duration};

use ger_git::{Client, Error, HostKeys, Remote};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

use crate::{
    server::{Manner, Server, key, remote},
    sshd::main,
};

async fn ask(remote: &Remote) -> Error {
    let (client, reference) = (Client::new().unwrap(), main());
    let asking = client.resolve(remote, &reference);
    timeout(Duration::from_secs(30), asking).await.unwrap().unwrap_err()
}

async fn ask_one_that(manner: Manner) -> Error {
    let server = Server::start(manner, Algorithm::Ed25519).await;
    ask(&Remote { timeout: Duration::from_secs(2), ..server.remote() }).await
}

/// Asks a server that speaks no ssh, or not for long.
async fn ask_raw(serve: impl AsyncFnOnce(TcpStream)) -> Error {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let remote = Remote {
        timeout: Duration::from_secs(1),
        ..remote(port, &key(Algorithm::Ed25519), HostKeys::FirstUse)
    };
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    };
    let (error, ()) = tokio::join!(ask(&remote), serving);
    error
}

/// Reads until we hang up.
async fn await_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn b6_a_server_with_a_key_of_another_type_only_has_changed() {
    let server = Server::start(Manner::Silent, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 });
    let server = server.await;
    let known = Server::start(Manner::Silent, Algorithm::Ed25519).await;
    let line = known.known_hosts().replace(&known.port.to_string(), &server.port.to_string());

    let error = ask(&server.remote_known(&line)).await;

    let Error::HostKeyChanged { known: expected, presented, .. } = &error else {
        panic!("{error:?}")
    };
    let fingerprint = |it: &Server| it.host_key.fingerprint(HashAlg::Sha256).to_string();
    assert_eq!((expected, presented), (&fingerprint(&known), &fingerprint(&server)));
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_in_time() {
    let error = ask_raw(async |mut stream| await_end(&mut stream).await).await;

    assert!(matches!(error, Error::Slow { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_server_that_stops_in_the_handshake_is_left_in_time() {
    let error = ask_raw(async |mut stream| {
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
        await_end(&mut stream).await;
    })
    .await;

    assert!(matches!(error, Error::Slow { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_drips_is_left_in_time() {
    let error = ask_raw(async |mut stream| {
        let began = Instant::now();
        while stream.write_all(b"x").await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(10), "the connection is still open");
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;

    assert!(matches!(error, Error::Slow { .. } | Error::Ssh { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told() {
    for words in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-1.5-x\r\n", b"\0\xff\n", b""] {
        let error = ask_raw(async |mut stream| {
            let _ = stream.write_all(words).await;
        })
        .await;

        assert!(matches!(error, Error::Ssh { .. } | Error::Connection { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_decides_on_a_key_is_left_in_time() {
    let error = ask_one_that(Manner::NeverDecides).await;

    assert!(matches!(error, Error::Slow { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_in_time() {
    let error = ask_one_that(Manner::Silent).await;

    assert!(matches!(error, Error::Slow { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_opens_no_channel_is_asked_once_more_and_then_left() {
    let error = ask_one_that(Manner::NoChannels).await;

    assert!(matches!(error, Error::Ssh { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_runs_nothing_is_told() {
    let error = ask_one_that(Manner::NoCommands).await;

    let Error::Remote { message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(message, "no git-upload-pack here");
}

#[tokio::test]
async fn a_server_that_complains_without_end_is_not_listened_to() {
    let error = ask_one_that(Manner::Complains).await;

    let Error::Remote { message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*message, "!".repeat(256));
}

#[tokio::test]
async fn what_a_server_complains_of_has_no_control_characters() {
    let error = ask_one_that(Manner::Colours).await;

    let Error::Remote { message, .. } = &error else { panic!("{error:?}") };
    assert!(message.contains("go  away") && message.chars().count() <= 256, "{message:?}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

#[tokio::test]
async fn a_server_that_babbles_does_not_speak_git() {
    let error = ask_one_that(Manner::Babbles).await;

    assert!(matches!(error, Error::Answer { .. } | Error::Older { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_that_passes() {
    for manner in [Manner::BreaksOff, Manner::EndsEarly] {
        let error = ask_one_that(manner).await;

        assert!(error.is_transient(), "{manner:?}: {error:?}");
        assert!(!matches!(error, Error::Slow { .. }), "{manner:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_gets_no_way_into_our_network() {
    let server = Server::start(Manner::Connects, Algorithm::Ed25519).await;

    ask(&Remote { timeout: Duration::from_secs(2), ..server.remote() }).await;

    assert_eq!(*server.opened.lock().unwrap(), [false; 4]);
}
