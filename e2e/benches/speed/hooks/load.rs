//! Callers: each sends its next request when the last one is answered, and notes how long that took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What callers saw.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Calls for so long, and ends if an answer is another one than it should be.
pub(crate) async fn run(
    address: SocketAddr,
    request: &str,
    (callers, code): (usize, u16),
    time: Duration,
) -> anyhow::Result<Load> {
    let expected = format!("HTTP/1.1 {code} ");
    let mut calling = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..callers {
        let (request, expected) = (request.to_owned(), expected.clone());
        calling.spawn(async move { call(address, &request, &expected, begun + time).await });
    }
    let mut times = Vec::new();
    while let Some(called) = calling.join_next().await {
        times.append(&mut called??);
    }
    let took = begun.elapsed();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let count = u32::try_from(times.len())?;
    let per_second = f64::from(count) / took.as_secs_f64();
    Ok(Load { per_second, p50: at(50), p99: at(99) })
}

async fn call(
    address: SocketAddr,
    request: &str,
    expected: &str,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut times = Vec::new();
    let mut answer = vec![0; 4096];
    while Instant::now() < end {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let length = hear(&mut stream, &mut answer).await?;
        times.push(begun.elapsed());
        let told = String::from_utf8_lossy(&answer[..length]);
        anyhow::ensure!(told.starts_with(expected), "not {expected}: {told}");
    }
    Ok(times)
}

/// Requests of many kinds, no two alike: the one of a number, and the code that it is answered with.
pub(crate) type Mix = dyn Fn(usize) -> (String, u16) + Send + Sync;

/// How many calls were answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) all: usize,
    /// Those among them that were answered otherwise than they should be.
    pub(crate) otherwise: usize,
}

/// Calls for so long, from this number on, whatever is answered.
pub(crate) async fn soak(
    address: SocketAddr,
    mix: &Arc<Mix>,
    (callers, first): (usize, usize),
    time: Duration,
) -> anyhow::Result<Answered> {
    let mut calling = JoinSet::new();
    let end = Instant::now() + time;
    for caller in 0..callers {
        let (mix, numbers) = (Arc::clone(mix), (first + caller, callers));
        calling.spawn(async move { soak_one(address, mix.as_ref(), numbers, end).await });
    }
    let mut sum = Answered::default();
    while let Some(called) = calling.join_next().await {
        let Answered { all, otherwise } = called??;
        sum.all += all;
        sum.otherwise += otherwise;
    }
    Ok(sum)
}

async fn soak_one(
    address: SocketAddr,
    mix: &Mix,
    (first, step): (usize, usize),
    end: Instant,
) -> anyhow::Result<Answered> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answered = Answered::default();
    let mut answer = vec![0; 4096];
    let mut number = first;
    while Instant::now() < end {
        let (request, code) = mix(number);
        number += step;
        stream.write_all(request.as_bytes()).await?;
        let length = hear(&mut stream, &mut answer).await?;
        let is_it = answer[..length].starts_with(format!("HTTP/1.1 {code} ").as_bytes());
        answered.all += 1;
        answered.otherwise += usize::from(!is_it);
    }
    Ok(answered)
}

/// One answer: a JSON object ends it.
async fn hear(stream: &mut TcpStream, answer: &mut [u8]) -> anyhow::Result<usize> {
    let mut length = 0;
    loop {
        let read = stream.read(&mut answer[length..]).await?;
        anyhow::ensure!(read > 0, "the connection ended");
        length += read;
        if answer[..length].ends_with(b"}") {
            return Ok(length);
        }
    }
}

/// How long a probe and a call take at the most while so many connections say nothing.
pub(crate) async fn beside_idle(
    hooks: SocketAddr,
    utility: SocketAddr,
    count: usize,
    request: &str,
) -> anyhow::Result<(Duration, Duration)> {
    let mut idle = Vec::new();
    let (mut probe, mut call) = (Duration::ZERO, Duration::ZERO);
    for number in 0..count {
        idle.push(TcpStream::connect(hooks).await.with_context(|| format!("idle {number}"))?);
        if number % 250 != 249 {
            continue;
        }
        let begun = Instant::now();
        let mut stream = TcpStream::connect(utility).await?;
        stream.write_all(b"GET /alive HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n").await?;
        let mut told = String::new();
        stream.read_to_string(&mut told).await?;
        anyhow::ensure!(told.starts_with("HTTP/1.1 200 "), "{told}");
        probe = probe.max(begun.elapsed());
        let begun = Instant::now();
        let mut stream = TcpStream::connect(hooks).await?;
        stream.write_all(request.as_bytes()).await?;
        hear(&mut stream, &mut [0; 4096]).await?;
        call = call.max(begun.elapsed());
    }
    Ok((probe, call))
}
