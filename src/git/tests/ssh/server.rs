//! A server that keeps to ssh and to nothing else: what OpenSSH's cannot be brought to do.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ger_git::{Auth, HostKeys, Remote, RepoUri, SshKey};
use russh::{
    Channel, ChannelId, Disconnect,
    keys::{Algorithm, PrivateKey, ssh_key::LineEnding},
    server::{self, ChannelOpenHandle, Config, Handle, Handler, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What it does once somebody has logged in, or wants to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Never says whether the key is the right one.
    NeverDecides,
    /// Opens no channel.
    NoChannels,
    /// Runs nothing.
    NoCommands,
    /// Runs the command and says nothing.
    Silent,
    /// Complains without end.
    Complains,
    /// Says with colours that it does not like us.
    Colours,
    /// Says something that is not git's, without end.
    Babbles,
    /// Begins an answer, then ends the connection.
    BreaksOff,
    /// Begins an answer, then ends it without a status.
    EndsEarly,
    /// Asks for connections into our network.
    Connects,
}

/// The server. Dropped, it ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) host_key: PrivateKey,
    /// What it tried to open towards us and got.
    pub(crate) opened: Arc<Mutex<Vec<bool>>>,
    client_key: PrivateKey,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(manner: Manner, kind: Algorithm) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host_key = key(kind);
        let config = Arc::new(Config {
            keys: vec![host_key.clone()],
            auth_rejection_time: Duration::ZERO,
            nodelay: true,
            ..Config::default()
        });
        let opened = Arc::<Mutex<Vec<bool>>>::default();
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&opened);
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer { manner, opened: Arc::clone(&seen), tasks: JoinSet::new() };
                sessions.spawn(serve(Arc::clone(&config), stream, peer));
            }
        });
        let client_key = key(Algorithm::Ed25519);
        Self { port, host_key, opened, client_key, _tasks: tasks }
    }

    pub(crate) fn known_hosts(&self) -> String {
        let public = self.host_key.public_key().to_openssh().unwrap();
        format!("[127.0.0.1]:{} {public}\n", self.port)
    }

    pub(crate) fn remote(&self) -> Remote {
        self.remote_known(&self.known_hosts())
    }

    pub(crate) fn remote_known(&self, known_hosts: &str) -> Remote {
        remote(self.port, &self.client_key, HostKeys::Known(known_hosts.into()))
    }
}

async fn serve(config: Arc<Config>, stream: TcpStream, peer: Peer) {
    if let Ok(session) = server::run_stream(config, stream, peer).await {
        let _ = session.await;
    }
}

/// A key that is new.
pub(crate) fn key(kind: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), kind).unwrap()
}

pub(crate) fn remote(port: u16, key: &PrivateKey, host_keys: HostKeys) -> Remote {
    let private_key = key.to_openssh(LineEnding::LF).unwrap().as_bytes().into();
    Remote {
        auth: Auth::Ssh(SshKey { private_key, passphrase: None, host_keys }),
        timeout: Duration::from_secs(20),
        ..Remote::new(RepoUri::parse(&format!("ssh://git@127.0.0.1:{port}/app.git")).unwrap())
    }
}

struct Peer {
    manner: Manner,
    opened: Arc<Mutex<Vec<bool>>>,
    tasks: JoinSet<()>,
}

impl Handler for Peer {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<server::Auth, russh::Error> {
        if self.manner == Manner::NeverDecides {
            std::future::pending::<()>().await;
        }
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.manner != Manner::NoChannels {
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.manner == Manner::NoCommands {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        let (handle, manner) = (session.handle(), self.manner);
        let opened = Arc::clone(&self.opened);
        self.tasks.spawn(async move { manner.answer(handle, channel, &opened).await });
        Ok(())
    }
}

impl Manner {
    async fn answer(self, handle: Handle, channel: ChannelId, opened: &Mutex<Vec<bool>>) {
        match self {
            Self::Complains => {
                while handle.extended_data(channel, 1, vec![b'!'; 8192]).await.is_ok() {}
            }
            Self::Babbles => while handle.data(channel, vec![b'!'; 8192]).await.is_ok() {},
            Self::Colours => {
                let words = b"\x1b[31mgo\r\naway\x07\0 ".repeat(200);
                let _ = handle.extended_data(channel, 1, words).await;
                let _ = handle.exit_status_request(channel, 1).await;
                let _ = handle.close(channel).await;
            }
            Self::BreaksOff => {
                let _ = handle.data(channel, &b"000eversion 2\n0012agent"[..]).await;
                let _ = handle
                    .disconnect(Disconnect::ByApplication, String::new(), String::new())
                    .await;
            }
            Self::EndsEarly => {
                let _ = handle.data(channel, &b"000eversion 2\n0012agent"[..]).await;
                let _ = handle.eof(channel).await;
                let _ = handle.close(channel).await;
            }
            Self::Connects => {
                let tcp = handle.channel_open_forwarded_tcpip("127.0.0.1", 1, "h", 2).await;
                let agent = handle.channel_open_agent().await;
                let session = handle.channel_open_session().await;
                let x11 = handle.channel_open_x11("h", 2).await;
                let all = [tcp.is_ok(), agent.is_ok(), session.is_ok(), x11.is_ok()];
                opened.lock().unwrap().extend(all);
            }
            Self::NeverDecides | Self::NoChannels | Self::NoCommands | Self::Silent => {}
        }
    }
}
