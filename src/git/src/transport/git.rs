//! How is `git://` spoken? TCP to `git daemon`, one line that says what is wanted, then git.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use super::{
    pool::CONNECT,
    stream::{Counted, Stream, Version, lost},
};
use crate::{Error, Remote, RepoUri, Traffic};

/// Where `git daemon` listens.
const PORT: u16 = 9418;

/// Connects, and asks for `git-upload-pack` of the repository.
pub(crate) async fn open(
    remote: &Remote,
    version: Version,
    traffic: &Traffic,
) -> Result<Box<dyn Stream>, Error> {
    start(remote, request(&remote.uri, version), traffic).await
}

/// The same in v2, with the question right behind.
pub(crate) async fn ask(
    remote: &Remote,
    question: &[u8],
    traffic: &Traffic,
) -> Result<Box<dyn Stream>, Error> {
    let mut first = request(&remote.uri, Version::Two);
    first.extend_from_slice(question);
    start(remote, first, traffic).await
}

async fn start(
    remote: &Remote,
    first: Vec<u8>,
    traffic: &Traffic,
) -> Result<Box<dyn Stream>, Error> {
    let host = remote.uri.shared_host();
    let lost = |source| lost(remote.uri.host(), source);
    let stream = connect(&remote.uri, CONNECT.min(remote.timeout)).await.map_err(lost)?;
    traffic.connected(&host);

    traffic.asked(&host, 0);
    let mut stream = Counted::new(stream, traffic.clone(), host);
    stream.write_all(&first).await.map_err(lost)?;
    Ok(Box::new(stream))
}

async fn connect(uri: &RepoUri, limit: Duration) -> io::Result<TcpStream> {
    let (name, port) = uri.address();
    let connecting = TcpStream::connect((name, port.unwrap_or(PORT)));
    let stream = timeout(limit, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `git-upload-pack /app.git\0host=h\0\0version=2\0` as one pkt-line. No part of an address holds
/// a NUL, and it is shorter than any pkt-line may be.
fn request(uri: &RepoUri, version: Version) -> Vec<u8> {
    let mut text = b"git-upload-pack ".to_vec();
    text.extend_from_slice(&uri.decoded_path());
    text.extend_from_slice(b"\0host=");
    text.extend_from_slice(uri.host().as_bytes());
    text.push(0);
    if let Some(version) = version.asked_for() {
        text.push(0);
        text.extend_from_slice(version.as_bytes());
        text.push(0);
    }
    let mut line = format!("{:04x}", text.len().saturating_add(4)).into_bytes();
    line.append(&mut text);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_what_git_daemon_expects() {
        let uri = RepoUri::parse("git://h:1234/team/%61pp.git").unwrap();

        let new = request(&uri, Version::Two);
        let old = request(&uri, Version::Zero);

        assert_eq!(
            String::from_utf8(new).unwrap(),
            "0039git-upload-pack /team/app.git\0host=h:1234\0\0version=2\0",
        );
        assert_eq!(
            String::from_utf8(old).unwrap(),
            "002egit-upload-pack /team/app.git\0host=h:1234\0",
        );
    }
}
