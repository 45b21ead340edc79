//! What does a check cost us, and what would it cost to spawn `git ls-remote`?
//!
//! CPU is of this process with its children alone: the servers are elsewhere.

use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};
use futures::StreamExt as _;
use ger_git::backend::quiet_git;
use ger_git::{Client, Reference, Remote, RepoUri, Tls};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::process::cpu_of;
use crate::remotes::{REFS, Remotes};

/// As many as a replica's check slots, by default.
const AT_ONCE: usize = 64;

/// What everybody is asked for.
const MAIN: &str = "refs/heads/main";

pub(crate) fn bench(criterion: &mut Criterion, remotes: &Remotes) -> anyhow::Result<()> {
    // One thread, so that what it does in a second is what one core does.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asking = Asking { runtime, client: Client::new()?, reference: Reference::branch("main")? };
    cpu_of_ours(criterion, remotes, &asking);
    cpu_of_git(criterion, remotes);
    rate(criterion, remotes, &asking);
    latency(criterion, remotes, &asking);
    Ok(())
}

fn cpu_of_ours(criterion: &mut Criterion, remotes: &Remotes, asking: &Asking) {
    let mut group = criterion.benchmark_group("cpu");
    for refs in REFS {
        let ways = [
            ("ours-canned", remotes.canned(refs)),
            ("ours-tls", remotes.canned_tls(refs)),
            ("ours-backend", remotes.backend(refs)),
        ];
        for (way, url) in ways {
            let remote = remote(&url);
            group.bench_function(BenchmarkId::new(way, refs), |bencher| {
                bencher.iter_custom(|times| cpu_of(|| asking.one_by_one(&remote, times)));
            });
        }
    }
    group.finish();
}

fn cpu_of_git(criterion: &mut Criterion, remotes: &Remotes) {
    let mut group = criterion.benchmark_group("cpu");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for refs in REFS {
        let ways = [
            ("git-canned", remotes.canned(refs)),
            ("git-tls", remotes.canned_tls(refs)),
            ("git-backend", remotes.backend(refs)),
        ];
        for (way, url) in ways {
            group.bench_function(BenchmarkId::new(way, refs), |bencher| {
                bencher.iter_custom(|times| cpu_of(|| (0..times).for_each(|_| ls_remote(&url))));
            });
        }
    }
    group.finish();
}

/// Time for a check where one thread has many in flight: the inverse of checks per second.
fn rate(criterion: &mut Criterion, remotes: &Remotes, asking: &Asking) {
    let mut group = criterion.benchmark_group("rate");
    for refs in REFS {
        for (way, url) in [("canned", remotes.canned(refs)), ("tls", remotes.canned_tls(refs))] {
            let remote = remote(&url);
            group.bench_function(BenchmarkId::new(way, refs), |bencher| {
                bencher.iter_custom(|times| asking.at_once(&remote, times));
            });
        }
    }
    group.finish();
}

/// How long one check takes that nothing else delays.
fn latency(criterion: &mut Criterion, remotes: &Remotes, asking: &Asking) {
    let mut group = criterion.benchmark_group("latency");
    group.sample_size(20).sampling_mode(SamplingMode::Flat);
    for refs in REFS {
        let url = remotes.backend(refs);
        let remote = remote(&url);
        group.bench_function(BenchmarkId::new("ours", refs), |bencher| {
            bencher.iter(|| asking.one_by_one(&remote, 1));
        });
        group.bench_function(BenchmarkId::new("git", refs), |bencher| {
            bencher.iter(|| ls_remote(&url));
        });
    }
    group.finish();
}

/// Everything that asking needs.
struct Asking {
    runtime: Runtime,
    client: Client,
    reference: Reference,
}

impl Asking {
    fn one_by_one(&self, remote: &Remote, times: u64) {
        self.runtime.block_on(async {
            for _ in 0..times {
                self.ask(remote).await;
            }
        });
    }

    fn at_once(&self, remote: &Remote, times: u64) -> Duration {
        self.runtime.block_on(async {
            let began = Instant::now();
            let asked = futures::stream::iter(0..times).map(|_| self.ask(remote));
            asked.buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
            began.elapsed()
        })
    }

    async fn ask(&self, remote: &Remote) {
        let head = self.client.resolve(remote, &self.reference).await;
        drop(head.expect("the server is on this machine and has the branch"));
    }
}

/// Certificates are not verified, here and for git: that would cost git more at each check, and us at
/// each connection.
fn remote(url: &str) -> Remote {
    let uri = RepoUri::parse(url).expect("it is the URL of a server of ours");
    Remote { tls: Tls::SkipVerify, ..Remote::new(uri) }
}

fn ls_remote(url: &str) {
    let ran = Command::new("git")
        .args(["-c", "http.sslVerify=false", "ls-remote", "--quiet", url, MAIN])
        .envs(quiet_git())
        .stdin(Stdio::null())
        .output();
    let ran = ran.expect("git runs: the servers need it too");
    let is_found = ran.stdout.ends_with(b"\trefs/heads/main\n");
    assert!(is_found, "git ls-remote says: {}", String::from_utf8_lossy(&ran.stderr));
}
