//! Who is asked? Git remotes in another process, near and far: git's own servers, OpenSSH, and one
//! that has its answers ready.

mod canned;
pub(crate) mod distance;
mod spawned;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::serve::ListenerExt as _;
use ger_git::backend::{Backend, Server};
use ger_git::{Auth, HostKeys, Remote, RepoUri, SshKey, Tls};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use self::distance::Carried;
use crate::process::{Peer, say};

/// How many refs the repositories have.
pub(crate) const REFS: [usize; 3] = [1, 1_000, 100_000];
/// How many files the repository has that is cloned.
pub(crate) const FILES: usize = 10_000;
/// How many hosts there are for those who need more than one.
pub(crate) const HOSTS: usize = 10;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// git over http as git does it, a process a request.
    Backend,
    /// Sends what git said once, whatever is asked: all refs.
    Canned,
    /// The same over TLS.
    CannedTls,
    /// `git daemon`.
    Daemon,
    /// OpenSSH.
    Ssh,
}

pub(crate) const KINDS: [Kind; 5] =
    [Kind::Backend, Kind::Canned, Kind::CannedTls, Kind::Daemon, Kind::Ssh];

impl Kind {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Backend => "`git http-backend`",
            Self::Canned => "canned, http",
            Self::CannedTls => "canned, https",
            Self::Daemon => "`git daemon`",
            Self::Ssh => "`sshd`",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Canned => "canned",
            Self::CannedTls => "tls",
            Self::Daemon => "daemon",
            Self::Ssh => "ssh",
        }
    }
}

/// Whether bytes take time to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    Near,
    Far,
}

/// The remotes, as long as they are held.
pub(crate) struct Remotes {
    said: Value,
    peer: Mutex<Peer>,
}

impl Remotes {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut peer = Peer::start("remotes", &[])?;
        Ok(Self { said: peer.hear()?, peer: Mutex::new(peer) })
    }

    /// The repository with so many refs.
    pub(crate) fn repository(&self, kind: Kind, place: Where, refs: usize) -> Remote {
        let which = if place == Where::Near { "near" } else { "far" };
        self.remote(kind, &self.said[which][kind.name()], &format!("refs-{refs}"))
    }

    /// The repository with many files, behind git's own server.
    pub(crate) fn files(&self) -> Remote {
        self.remote(Kind::Backend, &self.said["near"]["backend"], &files())
    }

    /// One of many repositories with one ref each, on one of [`HOSTS`] hosts that are far.
    pub(crate) fn one_of_many(&self, kind: Kind, number: usize) -> Remote {
        let port = &self.said["hosts"][kind.name()][number % HOSTS];
        self.remote(kind, port, &format!("refs-1-{number}"))
    }

    /// A URL of a repository with one ref that answers at once.
    pub(crate) fn url(&self) -> String {
        self.repository(Kind::Canned, Where::Near, 1).uri.to_string()
    }

    /// What `main` is at in the canned repository with one ref.
    pub(crate) fn commit(&self) -> &str {
        self.said["commit"].as_str().unwrap_or_default()
    }

    /// Bytes and connections that came from far to this kind of server so far.
    pub(crate) fn carried(&self, kind: Kind) -> anyhow::Result<[u64; 2]> {
        let mut peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(serde_json::from_value(peer.ask(kind.name())?)?)
    }

    /// How git itself is told to use ssh.
    pub(crate) fn ssh_command(&self) -> String {
        let (key, known) = (self.text("key"), self.text("known_hosts"));
        format!(
            "ssh -F /dev/null -i {key} -o IdentitiesOnly=yes -o BatchMode=yes \
             -o StrictHostKeyChecking=yes -o UserKnownHostsFile={known}"
        )
    }

    /// Certificates are not verified, here and for git: that would cost git more at each check, and us
    /// at each connection.
    fn remote(&self, kind: Kind, port: &Value, name: &str) -> Remote {
        let root = self.text("root");
        let url = match kind {
            Kind::Backend | Kind::Canned => format!("http://127.0.0.1:{port}/{name}"),
            Kind::CannedTls => format!("https://127.0.0.1:{port}/{name}"),
            Kind::Daemon => format!("git://127.0.0.1:{port}/{name}"),
            Kind::Ssh => format!("ssh://{}@127.0.0.1:{port}{root}/{name}", self.text("user")),
        };
        let uri = RepoUri::parse(&url).expect("it is the URL of a server of ours");
        let auth = if kind == Kind::Ssh { self.ssh_key() } else { Auth::None };
        Remote { tls: Tls::SkipVerify, auth, ..Remote::new(uri) }
    }

    fn ssh_key(&self) -> Auth {
        let read = |name| std::fs::read(self.text(name)).unwrap_or_default();
        let host_keys = HostKeys::Known(read("known_hosts").into());
        Auth::Ssh(SshKey { private_key: read("key").into(), passphrase: None, host_keys })
    }

    fn text(&self, key: &str) -> &str {
        self.said[key].as_str().unwrap_or_default()
    }
}

fn files() -> String {
    format!("files-{FILES}")
}

/// Serves until the input ends.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let root = home.path().join("repositories");
    std::fs::create_dir(&root)?;
    let (answers, commit) = fill(&root).await?;
    let ssh = spawned::Ssh::new(&home.path().join("ssh")).await?;

    let mut serving = JoinSet::new();
    let near = serve_near(&root, answers, &ssh, &mut serving).await?;
    let carried: BTreeMap<&str, Arc<Carried>> =
        near.keys().map(|name| (*name, Arc::default())).collect();
    let (mut far, mut hosts) = (BTreeMap::new(), BTreeMap::new());
    for (name, port) in &near {
        let doors = (0..=HOSTS).map(|_| distance::door(*port, &carried[name]));
        let mut doors = doors.collect::<anyhow::Result<Vec<u16>>>()?;
        far.insert(*name, doors.pop());
        hosts.insert(*name, doors);
    }
    let ports: Vec<u16> = [Some(near["ssh"]), far["ssh"]].into_iter().flatten().collect();
    say(&json!({
        "near": near, "far": far, "hosts": hosts, "commit": commit, "root": root,
        "user": spawned::user().await?, "key": ssh.key(), "known_hosts": ssh.known_hosts(&ports)?,
    }))?;

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(name) = lines.next_line().await? {
        say(&carried.get(name.as_str()).map(|it| it.say()).unwrap_or_default())?;
    }
    Ok(())
}

/// Every kind of server, by name, and its port.
async fn serve_near(
    root: &Path,
    answers: BTreeMap<usize, canned::Recorded>,
    ssh: &spawned::Ssh,
    serving: &mut JoinSet<std::io::Result<()>>,
) -> anyhow::Result<BTreeMap<&'static str, u16>> {
    let mut near = BTreeMap::new();
    let router = canned::router(answers);
    let backend = Backend::new(root).router();
    for (kind, router) in [(Kind::Canned, router.clone()), (Kind::Backend, backend)] {
        let (listener, port) = spawned::listen().await?;
        // A held-back segment would be measured as ours.
        let listener = listener.tap_io(|it: &mut TcpStream| {
            let _ = it.set_nodelay(true);
        });
        serving.spawn(async move { axum::serve(listener, router).await });
        near.insert(kind.name(), port);
    }
    let (listener, port) = spawned::listen().await?;
    let listener = canned::Tls::on(listener)?;
    serving.spawn(async move { axum::serve(listener, router).await });
    near.insert(Kind::CannedTls.name(), port);

    let (listener, port) = spawned::listen().await?;
    let root = root.to_owned();
    serving.spawn(async move { spawned::serve(listener, || spawned::daemon(&root)).await });
    near.insert(Kind::Daemon.name(), port);
    let (listener, port) = spawned::listen().await?;
    let ssh = ssh.clone();
    serving.spawn(async move { spawned::serve(listener, || ssh.server()).await });
    near.insert(Kind::Ssh.name(), port);
    Ok(near)
}

/// Makes the repositories; gives what git says of those with refs, and the commit of the first.
async fn fill(root: &Path) -> anyhow::Result<(BTreeMap<usize, canned::Recorded>, String)> {
    let git = Server::start(root).await?;
    let mut answers = BTreeMap::new();
    let mut first = String::new();
    for refs in REFS {
        let name = format!("refs-{refs}");
        let commit = git.create_repo(&name, &[("README.md", "Hello\n")]).await?;
        // As git packs them. Made one by one, they would be as many files first.
        let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        for i in 1..refs {
            writeln!(packed, "{commit} refs/heads/feature-{i:06}")?;
        }
        std::fs::write(root.join(&name).join("packed-refs"), packed)?;
        answers.insert(refs, canned::record(&root.join(&name)).await?);
        if first.is_empty() {
            first = commit.to_string();
        }
    }
    let files: Vec<(String, String)> = (0..FILES).map(file).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|it| (&*it.0, &*it.1)).collect();
    git.create_repo(&self::files(), &files).await?;
    git.stop().await;
    Ok((answers, first))
}

/// A file of 2 KB that resembles the others, as sources do.
fn file(number: usize) -> (String, String) {
    let mut text = String::new();
    for line in 0..40 {
        let _ = writeln!(text, "line {line} of file {number}: {:016x}", number * 7_919 + line * 31);
    }
    (format!("folder-{:02}/part-{:02}/file-{number:05}.txt", number % 20, number % 7), text)
}
