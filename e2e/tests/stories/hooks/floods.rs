//! What do floods do to a replica as it is shipped? Over real sockets: it stays alive, and serves who calls.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::real::World;
use e2e::{secs, story};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::real::PROGRAM;

/// Of each kind at once.
const STRANGERS: usize = 40;
/// It takes milliseconds, where the machine has nothing else to do; who waits for strangers waits for half a minute.
const PROBE: Duration = secs(10);
const HEAD: &str = "POST /apps/deploy/app HTTP/1.1\r\nhost: hooks.test\r\n";

/// Says all that, hears what is answered until the connection ends, and gives its code.
async fn told(address: SocketAddr, said: Vec<u8>) -> u16 {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reads, mut writes) = stream.into_split();
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        // Whoever is refused is not listened to any more.
        let _cut = writes.write_all(&said).await;
        writes
    });
    let mut heard = [0; 12];
    timeout(secs(30), reads.read_exact(&mut heard)).await.expect("it is answered").unwrap();
    let text = String::from_utf8_lossy(&heard).into_owned();
    text.trim_start_matches("HTTP/1.1 ").parse().unwrap()
}

/// Headers of so many bytes, in lines that are each as long as may be.
fn headers(bytes: usize) -> Vec<u8> {
    let line = format!("x-flood: {}\r\n", "x".repeat(8000));
    let lines = line.repeat(bytes.div_ceil(line.len()));
    format!("{HEAD}{lines}content-length: 0\r\n\r\n").into_bytes()
}

/// A1: headers are bounded, and so is what a stranger may hold: who probes the replica is answered meanwhile,
/// and whoever calls it too.
#[test]
fn a1_a_flood_of_strangers_leaves_the_replica_alive() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let mut program = world.run(&hub).await;
        program.ready().await;
        let (hooks, utility) = (program.hooks(), program.utility());
        assert_eq!(told(hooks, headers(100 << 10)).await, 404, "so much is let in");
        assert_eq!(told(hooks, headers(300 << 10)).await, 413);
        assert_eq!(told(hooks, headers(600 << 10)).await, 431);

        let mut strangers: JoinSet<u16> = JoinSet::new();
        let mut silent = Vec::new();
        for _ in 0..STRANGERS {
            silent.push(TcpStream::connect(hooks).await.unwrap());
            let mut slow = TcpStream::connect(hooks).await.unwrap();
            slow.write_all(HEAD.as_bytes()).await.unwrap();
            silent.push(slow);
            strangers.spawn(told(hooks, headers(300 << 10)));
            strangers.spawn(told(hooks, headers(600 << 10)));
            let piece = [b"8000\r\n".as_slice(), &vec![b'x'; 0x8000], b"\r\n"].concat();
            let head = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
            strangers.spawn(told(hooks, [head.into_bytes(), piece.repeat(150)].concat()));
        }
        let mut slowest = Duration::ZERO;
        let mut codes = Vec::new();
        while let Some(code) = strangers.join_next().await {
            codes.push(code.unwrap());
            if codes.len() % 10 == 0 {
                slowest = slowest.max(probe(utility).await);
                let call = format!("{HEAD}content-length: 2\r\n\r\n{{}}");
                assert_eq!(told(hooks, call.into_bytes()).await, 404, "nobody is kept out");
            }
        }

        assert!(slowest < PROBE, "a probe took {slowest:?}");
        for refused in [413, 431] {
            assert!(codes.contains(&refused), "{codes:?}");
        }
        // What has no trigger is told so, where its body takes too long to be too large.
        assert!(codes.iter().all(|it| [404, 413, 431].contains(it)), "{codes:?}");
        drop(silent);
        assert_eq!(program.stop().await, Some(0));
    });
}

/// A1: few files may be open, and strangers take all that they can get: those who probe the replica and those
/// who call it are answered all the same.
#[test]
fn a1_strangers_do_not_take_the_last_open_file() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let mut program = world.run_with_few_files(&hub, (256, 640)).await;
        program.ready().await;
        let (hooks, utility) = (program.hooks(), program.utility());
        let mut strangers = Vec::new();

        for number in 0..700 {
            let mut stranger = TcpStream::connect(hooks).await.unwrap();
            let said = format!("{HEAD}content-length: 10\r\n\r\n");
            stranger.write_all(said.as_bytes()).await.unwrap();
            strangers.push(stranger);
            if number % 100 == 99 {
                assert!(probe(utility).await < PROBE);
                let call = format!("{HEAD}content-length: 2\r\n\r\n{{}}");
                assert_eq!(told(hooks, call.into_bytes()).await, 404, "nobody is kept out");
            }
        }

        let open = program.open_files();
        assert!((64..400).contains(&open), "{open} files are open");
        drop(strangers);
        assert_eq!(program.stop().await, Some(0));
    });
}

/// A1: what strangers begin and do not finish takes a bounded place.
#[test]
fn a1_what_strangers_do_not_finish_takes_little_memory() {
    story!(Real, async {
        let mut world = World::start(PROGRAM).await;
        let hub = world.site("hub").await;
        let mut program = world.run(&hub).await;
        program.ready().await;
        let hooks = program.hooks();
        assert_eq!(told(hooks, headers(100 << 10)).await, 404, "so much is let in");
        let before = program.resident();
        let mut unfinished = headers(280 << 10);
        unfinished.truncate(unfinished.len() - "content-length: 0\r\n\r\n".len());

        let mut strangers = JoinSet::new();
        for _ in 0..700 {
            let said = unfinished.clone();
            strangers.spawn(async move {
                let mut stream = TcpStream::connect(hooks).await.unwrap();
                // Whoever finds no place is not listened to.
                let _cut = stream.write_all(&said).await;
                stream
            });
        }
        let mut held = Vec::new();
        while let Some(stream) = strangers.join_next().await {
            held.push(stream.unwrap());
        }
        assert_eq!(told(hooks, format!("{HEAD}content-length: 0\r\n\r\n").into()).await, 404);

        let grown = program.resident().saturating_sub(before) >> 10;
        assert!(grown < 150, "{grown} MiB for {} strangers", held.len());
        drop(held);
        assert_eq!(program.stop_by("-HUP").await, Some(0), "a hangup ends it in order too");
    });
}

async fn probe(utility: SocketAddr) -> Duration {
    let begun = Instant::now();
    let said = b"GET /alive HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n".to_vec();
    assert_eq!(told(utility, said).await, 200);
    begun.elapsed()
}
