//! How long sessions are kept and how many there are, against a server in this process.

use std::{net::Ipv4Addr, time::Duration};

use russh::{
    Channel, ChannelOpenFailure,
    keys::{Algorithm, PrivateKey, key::safe_rng, ssh_key::LineEnding},
    server::{self, ChannelOpenHandle, Config, Handler, Msg},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::*;
use crate::{Auth, HostKeys, RepoUri, SshKey};

/// Lets everybody in, runs nothing, and counts its connections.
struct Server {
    port: u16,
    open: watch::Receiver<usize>,
    /// Channels that were opened so far.
    channels: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

struct Peer {
    channels: watch::Sender<usize>,
    most: usize,
}

impl Handler for Peer {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: server::VerifiedPublicKey<'_>,
    ) -> Result<server::Auth, russh::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), russh::Error> {
        if *self.channels.borrow() >= self.most {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
        } else {
            self.channels.send_modify(|it| *it += 1);
            reply.accept().await;
        }
        Ok(())
    }
}

fn key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
}

async fn serve(config: Arc<Config>, stream: TcpStream, count: watch::Sender<usize>, peer: Peer) {
    count.send_modify(|it| *it += 1);
    if let Ok(session) = server::run_stream(config, stream, peer).await {
        let _ = session.await;
    }
    count.send_modify(|it| *it -= 1);
}

impl Server {
    async fn start() -> Self {
        Self::with(usize::MAX).await
    }

    /// One that opens so many channels and no more.
    async fn with(most: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(Config { keys: vec![key()], ..Config::default() });
        let (count, open) = watch::channel(0);
        let (opened, channels) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer { channels: opened.clone(), most };
                sessions.spawn(serve(Arc::clone(&config), stream, count.clone(), peer));
            }
        });
        Self { port, open, channels, _tasks: tasks }
    }

    /// Somebody with a key of their own.
    fn remote(&self) -> Remote {
        let private_key = key().to_openssh(LineEnding::LF).unwrap().as_bytes().into();
        let host_keys = HostKeys::FirstUse;
        Remote {
            auth: Auth::Ssh(SshKey { private_key, passphrase: None, host_keys }),
            ..Remote::new(RepoUri::parse(&format!("ssh://h@127.0.0.1:{}/a", self.port)).unwrap())
        }
    }

    async fn wait_until_open(&mut self, count: usize) {
        let waiting = self.open.wait_for(|it| *it == count);
        timeout(Duration::from_secs(10), waiting).await.expect("in time").unwrap();
    }
}

async fn open(sessions: &Sessions, remote: &Remote) -> Result<Box<dyn Stream>, Error> {
    sessions.open(remote, Version::Two, &Traffic::default()).await
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it() {
    let mut server = Server::start().await;
    let sessions = Sessions::default();
    let stream = open(&sessions, &server.remote()).await.unwrap();

    assert_eq!(sessions.kept.slots.sweep(Duration::ZERO), 1, "it is in use");
    drop(stream);
    assert_eq!(sessions.kept.slots.sweep(KEEP), 1, "it may be used again");
    assert_eq!(sessions.kept.slots.sweep(Duration::ZERO), 0);

    server.wait_until_open(0).await;
    assert_eq!(sessions.kept.room.available_permits(), MOST);
}

async fn ask(sessions: &Sessions, remote: &Remote) -> Result<Box<dyn Stream>, Error> {
    sessions.ask(remote, b"0000", &Traffic::default()).await
}

impl Server {
    async fn wait_until_opened(&mut self, count: usize) {
        let waiting = self.channels.wait_for(|it| *it == count);
        timeout(Duration::from_secs(10), waiting).await.expect("in time").unwrap();
    }
}

#[tokio::test]
async fn the_next_channel_is_open_before_it_is_needed() {
    let mut server = Server::start().await;
    let (sessions, remote) = (Sessions::default(), server.remote());
    let first = ask(&sessions, &remote).await.unwrap();
    assert_eq!(*server.channels.borrow(), 1);

    drop(first);
    server.wait_until_opened(2).await;
    let second = ask(&sessions, &remote).await.unwrap();
    assert_eq!(*server.channels.borrow(), 2, "the one that was open is used");

    drop(second);
    server.wait_until_opened(3).await;
    assert_eq!(sessions.kept.slots.sweep(Duration::ZERO), 0, "it keeps no session");
    server.wait_until_open(0).await;
}

#[tokio::test]
async fn who_opens_streams_for_fetches_opens_none_in_advance() {
    let mut server = Server::start().await;
    let (sessions, remote) = (Sessions::default(), server.remote());

    for _ in 0..3 {
        drop(open(&sessions, &remote).await.unwrap());
    }

    server.wait_until_open(1).await;
    assert_eq!(*server.channels.borrow(), 3);
}

#[tokio::test]
async fn a_server_that_opens_none_in_advance_is_not_asked_to_again() {
    let mut server = Server::with(1).await;
    let (sessions, remote) = (Sessions::default(), server.remote());

    drop(ask(&sessions, &remote).await.unwrap());
    server.wait_until_opened(1).await;
    let refused = ask(&sessions, &remote).await;

    // The second session is refused as well: this server has opened what it opens.
    assert!(refused.is_err());
    assert_eq!(*server.channels.borrow(), 1);
}

#[tokio::test]
async fn sessions_end_with_those_who_keep_them() {
    let mut server = Server::start().await;
    let sessions = Sessions::default();
    drop(open(&sessions, &server.remote()).await.unwrap());
    server.wait_until_open(1).await;

    drop(sessions);

    server.wait_until_open(0).await;
}

#[tokio::test]
async fn a_ninth_channel_needs_a_second_session() {
    let mut server = Server::start().await;
    let (sessions, remote) = (Sessions::default(), server.remote());

    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(open(&sessions, &remote).await.unwrap());
    }
    server.wait_until_open(1).await;
    streams.push(open(&sessions, &remote).await.unwrap());

    server.wait_until_open(2).await;
}

#[tokio::test]
async fn sessions_without_number_make_room_for_one_another() {
    let mut server = Server::start().await;
    let mut sessions = Sessions::default();
    Arc::get_mut(&mut sessions.kept).unwrap().room = Arc::new(Semaphore::new(3));

    for _ in 0..10 {
        drop(open(&sessions, &server.remote()).await.unwrap());
    }
    server.wait_until_open(3).await;

    // All are in use: the next one waits, as long as it may.
    let (one, two, three) = (server.remote(), server.remote(), server.remote());
    let _one = open(&sessions, &one).await.unwrap();
    let _two = open(&sessions, &two).await.unwrap();
    let last = open(&sessions, &three).await.unwrap();
    let late = Remote { timeout: Duration::from_millis(300), ..server.remote() };
    assert!(matches!(open(&sessions, &late).await, Err(Error::Slow { .. })));
    let waiting = Remote { timeout: Duration::from_secs(5), ..late };
    let mut opening = pin!(open(&sessions, &waiting));
    assert!(futures::poll!(opening.as_mut()).is_pending());
    drop(last);
    assert!(opening.await.is_ok());
}

#[tokio::test]
async fn logins_that_fail_leave_nothing_behind() {
    let server = Server::start().await;
    let sessions = Sessions::default();

    for _ in 0..20 {
        let mut remote = server.remote();
        let Auth::Ssh(key) = &mut remote.auth else { panic!("no key") };
        key.host_keys = HostKeys::Known("".into());
        assert!(open(&sessions, &remote).await.is_err());
    }

    assert_eq!(sessions.kept.slots.len(), 0);
    assert_eq!(sessions.kept.room.available_permits(), MOST);
}

/// Nobody accepts there: the connection stands, and nothing is ever said.
#[tokio::test]
async fn logins_that_nobody_waits_for_leave_nothing_behind() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = Server { port: silent.local_addr().unwrap().port(), ..Server::start().await };
    let sessions = Sessions::default();

    let remote = Remote { timeout: Duration::from_millis(200), ..server.remote() };
    assert!(matches!(open(&sessions, &remote).await, Err(Error::Slow { .. })));

    assert_eq!(sessions.kept.slots.len(), 0);
    assert_eq!(sessions.kept.room.available_permits(), MOST);
}
