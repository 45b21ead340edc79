//! The same repositories over `git://`: one `git upload-pack` a connection, as `git daemon` starts
//! it, in the protocol versions that the test wants.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Error, Versions, quiet_command};

/// A request names a path and a host.
const LONGEST_REQUEST: usize = 4096;

/// A server on a port of its own, on this machine alone. Stops when dropped.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Daemon {
    /// Serves the bare repositories below `root` in these protocol versions.
    pub async fn start(root: &Path, versions: Versions) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|source| Error::Listen { source })?;
        let address = listener.local_addr().map_err(|source| Error::Listen { source })?;
        let (root, connections) = (root.to_owned(), Arc::new(AtomicU64::new(0)));
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, root, versions, Arc::clone(&connections)));
        Ok(Self { address, connections, _serving: serving })
    }

    /// What `git clone` and a `repoUri` take.
    pub fn url(&self, repository: &str) -> String {
        format!("git://{}/{repository}", self.address)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn accept(
    listener: TcpListener,
    root: PathBuf,
    versions: Versions,
    connections: Arc<AtomicU64>,
) {
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        open.spawn(serve(stream, root.clone(), versions));
        while open.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, root: PathBuf, versions: Versions) {
    if let Err(source) = converse(stream, &root, versions).await {
        tracing::debug!(error = %source, "git upload-pack was left");
    }
}

async fn converse(mut stream: TcpStream, root: &Path, versions: Versions) -> io::Result<()> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let request = read_request(&mut stream).await?;
    let mut parts = request.split('\0');
    let path = parts.next().and_then(|it| it.strip_prefix("git-upload-pack /"));
    let path = root.join(path.filter(|it| !it.contains("..")).ok_or_else(broken)?);
    let asked = parts.find(|it| it.starts_with("version="));

    let mut command = quiet_command(&["upload-pack", "--strict"]);
    command.arg(path).envs(versions.of(asked).map(|it| ("GIT_PROTOCOL", it)));
    let mut child = command.spawn()?;
    let (mut input, mut output) =
        (child.stdin.take().ok_or_else(broken)?, child.stdout.take().ok_or_else(broken)?);
    let (mut hears, mut says) = stream.split();
    // A client that says no more may still listen; one that is gone is found out by writing to it.
    let forth = async move {
        let outcome = copy(&mut hears, &mut input).await;
        drop(input);
        outcome
    };
    let back = copy(&mut output, &mut says);
    tokio::pin!(forth, back);
    tokio::select! {
        _ = &mut back => {}
        _ = &mut forth => drop(back.await?),
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length =
        std::str::from_utf8(&length).ok().and_then(|it| usize::from_str_radix(it, 16).ok());
    let length = length.and_then(|it| it.checked_sub(4)).filter(|it| *it <= LONGEST_REQUEST);
    let mut request = vec![0; length.ok_or_else(broken)?];
    stream.read_exact(&mut request).await?;
    String::from_utf8(request).map_err(|_| broken())
}
