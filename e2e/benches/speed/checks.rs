//! What does a check cost us, and what would it cost to spawn `git ls-remote`?
//!
//! CPU is of this process with its children alone: the servers are elsewhere.

use std::cell::Cell;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::StreamExt as _;
use ger_git::backend::quiet_git;
use ger_git::{Client, Reference, Remote, Scheme};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::process::{Spent, spent_by};
use crate::remotes::{KINDS, Kind, REFS, Remotes, Where};

/// As many as a replica's check slots, by default.
const AT_ONCE: usize = 64;
/// Two rounds of them.
const LEAST_AT_ONCE: u32 = 128;
/// What everybody is asked for.
const MAIN: &str = "refs/heads/main";
/// Batches of which the middle one counts, so that a neighbour's moment does not.
const BATCHES: u32 = 3;
/// Fewer say nothing, however long they take.
const LEAST_IN_A_BATCH: u32 = 3;

/// How long each thing is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) ours: Duration,
    /// Its CPU time is counted in ticks: longer.
    pub(crate) git: Duration,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) each: Vec<Each>,
    pub(crate) rates: Vec<Rate>,
    pub(crate) of_many_files: Versus,
}

/// Checks of one repository behind one kind of server.
#[derive(Debug)]
pub(crate) struct Each {
    pub(crate) kind: Kind,
    pub(crate) refs: usize,
    pub(crate) ours: Used,
    pub(crate) git: Used,
}

/// What one check uses.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) near: Spent,
    pub(crate) far: Spent,
    /// On the wire, both ways, with headers and handshakes.
    pub(crate) bytes: u64,
}

/// Many checks at once on one thread.
#[derive(Debug)]
pub(crate) struct Rate {
    pub(crate) kind: Kind,
    pub(crate) refs: usize,
    pub(crate) per_second: f64,
    pub(crate) per_cpu_second: f64,
}

/// Two ways to ask the same.
#[derive(Debug)]
pub(crate) struct Versus {
    pub(crate) ours: Spent,
    pub(crate) git: Spent,
}

pub(crate) fn measure(remotes: &Remotes, effort: Effort) -> anyhow::Result<Checks> {
    let asking = Asking::new()?;
    let ls_remote = LsRemote { ssh: remotes.ssh_command() };
    let mut each = Vec::new();
    for kind in KINDS {
        for refs in REFS {
            let ours = used(remotes, kind, refs, effort.ours, &|it| asking.one(it))?;
            let git = used(remotes, kind, refs, effort.git, &|it| ls_remote.one(it))?;
            each.push(Each { kind, refs, ours, git });
        }
    }
    let mut rates = Vec::new();
    for kind in [Kind::Canned, Kind::CannedTls] {
        for refs in REFS {
            let remote = remotes.repository(kind, Where::Near, refs);
            rates.push(asking.rate(&remote, kind, refs, effort.ours));
        }
    }
    let files = remotes.files();
    let of_many_files = Versus {
        ours: batches(effort.ours, &|| asking.one(&files)),
        git: batches(effort.git, &|| ls_remote.one(&files)),
    };
    Ok(Checks { each, rates, of_many_files })
}

fn used(
    remotes: &Remotes,
    kind: Kind,
    refs: usize,
    time: Duration,
    check: &dyn Fn(&Remote),
) -> anyhow::Result<Used> {
    let near = remotes.repository(kind, Where::Near, refs);
    let far = remotes.repository(kind, Where::Far, refs);
    let near = batches(time, &|| check(&near));
    let times = Cell::new(0);
    let [before, _] = remotes.carried(kind)?;
    let far = batches(time, &|| {
        times.set(times.get() + 1);
        check(&far);
    });
    let [after, _] = remotes.carried(kind)?;
    Ok(Used { near, far, bytes: (after - before) / times.get() })
}

/// What one `check` takes, after one that is not counted.
pub(crate) fn batches(time: Duration, check: &dyn Fn()) -> Spent {
    check();
    let batch = |_| {
        let mut times = 0;
        let spent = spent_by(|| {
            let began = Instant::now();
            while times < LEAST_IN_A_BATCH || began.elapsed() < time / BATCHES {
                check();
                times += 1;
            }
        });
        Spent { cpu: spent.cpu / times, wall: spent.wall / times }
    };
    let mut measured: Vec<Spent> = (0..BATCHES).map(batch).collect();
    let middle = measured.len() / 2;
    measured.sort_unstable_by_key(|it| it.cpu);
    let cpu = measured[middle].cpu;
    measured.sort_unstable_by_key(|it| it.wall);
    Spent { cpu, wall: measured[middle].wall }
}

/// Everything that asking needs.
struct Asking {
    runtime: Runtime,
    client: Client,
    main: Reference,
}

impl Asking {
    /// One thread, so that what it does in a second is what one core does.
    fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, client: Client::new()?, main: Reference::branch("main")? })
    }

    fn one(&self, remote: &Remote) {
        self.runtime.block_on(self.ask(remote));
    }

    fn rate(&self, remote: &Remote, kind: Kind, refs: usize, time: Duration) -> Rate {
        let mut times = 0;
        let spent = spent_by(|| times = self.runtime.block_on(self.many(remote, time)));
        let per = |it: Duration| f64::from(times) / it.as_secs_f64();
        Rate { kind, refs, per_second: per(spent.wall), per_cpu_second: per(spent.cpu) }
    }

    async fn many(&self, remote: &Remote, time: Duration) -> u32 {
        let began = Instant::now();
        let asked = futures::stream::repeat(()).map(|()| self.ask(remote));
        let mut answered = pin!(asked.buffer_unordered(AT_ONCE));
        let mut times = 0;
        // Those that begin together end together: one round of them says nothing.
        while times < LEAST_AT_ONCE || began.elapsed() < time {
            answered.next().await;
            times += 1;
        }
        times
    }

    async fn ask(&self, remote: &Remote) {
        let head = self.client.resolve(remote, &self.main).await;
        drop(head.expect("the server is on this machine and has the branch"));
    }
}

/// What anybody would write in our place.
struct LsRemote {
    ssh: String,
}

impl LsRemote {
    fn one(&self, remote: &Remote) {
        let ran = Command::new("git")
            .args(["-c", "http.sslVerify=false", "ls-remote", "--quiet", &url(remote), MAIN])
            .envs(quiet_git())
            .env("GIT_SSH_COMMAND", &self.ssh)
            .stdin(Stdio::null())
            .output();
        let ran = ran.expect("git runs: the servers need it too");
        let is_found = ran.stdout.ends_with(b"\trefs/heads/main\n");
        assert!(is_found, "git ls-remote says: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// With the user, whom a URI that is shown leaves out.
fn url(remote: &Remote) -> String {
    let (host, path) = (remote.uri.host(), remote.uri.path());
    match (remote.uri.scheme(), remote.uri.user()) {
        (Scheme::Ssh, Some(user)) => format!("ssh://{user}@{host}{path}"),
        _ => remote.uri.to_string(),
    }
}
