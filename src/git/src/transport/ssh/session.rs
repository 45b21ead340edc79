//! How does one session begin? Connect, see who it is, log in; then channels, a few at a time.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use std::{borrow::Cow, time::Duration};

use russh::{
    Channel, Preferred,
    client::{self, AuthResult, Handle, Msg},
    compression,
    keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg},
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::spare::Spares;
use super::{
    key::{self, Unread},
    slots::{lock, since},
    target::Target,
    tether::Tether,
    trust::Trust,
};
use crate::{Error, Said};

mod guard;

use self::guard::{Failure, Guard};

/// sshd allows ten at a time; some of ours may not be closed there yet.
const MOST_CHANNELS: usize = 8;
/// Half of it may be on its way while nobody reads.
const WINDOW: u32 = 1 << 20;
/// Packets that wait for their reader.
const MOST_WAITING: usize = 16;

/// A connection on which somebody has logged in.
pub(super) struct Session {
    handle: Arc<Handle<Guard>>,
    channels: Arc<Semaphore>,
    spares: Spares,
    /// When the last channel was given back.
    used: Mutex<Instant>,
    is_retired: AtomicBool,
    _cut: DropGuard,
    _room: OwnedSemaphorePermit,
}

/// A channel, and the right to it.
pub(super) struct Leased {
    pub(super) session: Arc<Session>,
    pub(super) channel: Channel<Msg>,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Session {
    pub(super) async fn start(
        target: &Target<'_>,
        trust: Trust,
        room: OwnedSemaphorePermit,
    ) -> Result<Self, Error> {
        let key = read_key(target).await?;
        let host = || target.label.to_string();
        let lost = |source| Error::Connection { host: host(), source };
        let stream = TcpStream::connect((target.name, target.port)).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;

        // Whatever the server does from here: once this is dropped, the connection ends.
        let cut = CancellationToken::new();
        let tether = Tether::new(stream, cut.clone());
        let cut = cut.drop_guard();
        let config = Arc::new(config(&trust));
        let guard = Guard::new(trust);
        let connecting = client::connect_stream(config, tether, guard);
        let mut handle = connecting.await.map_err(|it| explain(target, it))?;
        log_in(target, &mut handle, key).await?;

        Ok(Self {
            handle: Arc::new(handle),
            channels: Arc::new(Semaphore::new(MOST_CHANNELS)),
            spares: Spares::default(),
            used: Mutex::new(Instant::now()),
            is_retired: AtomicBool::new(false),
            _cut: cut,
            _room: room,
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.handle.is_closed() && !self.is_retired.load(Ordering::Acquire)
    }

    /// No more channels, from now on.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    pub(super) fn has_room(&self) -> bool {
        self.channels.available_permits() > 0
    }

    /// How long nobody has used it; none while somebody does.
    pub(super) fn idle(&self) -> Option<Duration> {
        (self.channels.available_permits() == MOST_CHANNELS).then(|| since(&self.used))
    }

    pub(super) fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    /// Opens a channel. `Pending`: it has as many as it may have.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Leased, russh::Error> {
        let permit = Arc::clone(&self.channels).try_acquire_owned();
        let permit = permit.map_err(|_| russh::Error::Pending)?;
        // Who waits no longer may leave a channel behind that opens later: it is the last one.
        let unfinished = Unfinished(Some(self));
        let channel = match self.spares.take().await {
            Some(channel) => channel,
            None => self.handle.channel_open_session().await?,
        };
        unfinished.finish();
        Ok(Leased { session: Arc::clone(self), channel, permit })
    }

    /// Asks for a channel that the next one finds open.
    pub(super) fn prepare(&self) {
        if self.is_alive() {
            self.spares.ask(&self.handle);
        }
    }

    /// No channels in advance, from now on: they seem to be none when they are needed.
    pub(super) fn prepare_no_more(&self) {
        self.spares.give_up();
    }
}

/// A channel that is being opened.
struct Unfinished<'a>(Option<&'a Session>);

impl Unfinished<'_> {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            session.retire();
        }
    }
}

async fn read_key(target: &Target<'_>) -> Result<PrivateKey, Error> {
    let key = target.key.clone();
    let host = target.label.to_string();
    let outcome = spawn_blocking(move || key::read(&key)).await.map_err(|_| Error::Worker)?;
    outcome.map_err(|it| match it {
        Unread::Bad(source) => Error::Key { host, source },
        Unread::NoPassphrase => Error::Passphrase { host, problem: "missing" },
        Unread::WrongPassphrase => Error::Passphrase { host, problem: "wrong" },
    })
}

fn config(trust: &Trust) -> client::Config {
    let preferred = Preferred {
        key: Cow::Owned(trust.algorithms()),
        // A few bytes from a stranger are not to become many.
        compression: Cow::Borrowed(&[compression::NONE]),
        ..Preferred::DEFAULT
    };
    client::Config {
        window_size: WINDOW,
        channel_buffer_size: MOST_WAITING,
        preferred,
        ..client::Config::default()
    }
}

async fn log_in(
    target: &Target<'_>,
    handle: &mut Handle<Guard>,
    key: PrivateKey,
) -> Result<(), Error> {
    let failed = |it| target.failed(&it);
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let key = Arc::new(key);
    for hash in hashes(handle, &key).await.map_err(failed)? {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
        let outcome = handle.authenticate_publickey(&target.user, key).await.map_err(failed)?;
        match outcome {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { .. } if handle.is_closed() => break,
            AuthResult::Failure { .. } => {}
        }
    }
    if handle.is_closed() {
        return Err(target.failed(&russh::Error::Disconnect));
    }
    let host = target.label.to_string();
    Err(Error::SshRefused { host, user: target.user.clone(), key: fingerprint })
}

/// With which hashes an RSA key may sign, best first: some servers name one that they then do not
/// take. Never SHA-1: a server that takes nothing else gets no signature.
async fn hashes(
    handle: &Handle<Guard>,
    key: &PrivateKey,
) -> Result<Vec<Option<HashAlg>>, russh::Error> {
    if !matches!(key.algorithm(), Algorithm::Rsa { .. }) {
        return Ok(vec![None]);
    }
    Ok(match handle.best_supported_rsa_hash().await? {
        Some(None) => Vec::new(),
        Some(Some(HashAlg::Sha256)) => vec![Some(HashAlg::Sha256)],
        _ => vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)],
    })
}

fn explain(target: &Target<'_>, failure: Failure) -> Error {
    let host = target.label.to_string();
    match failure {
        Failure::Verdict(error) => error,
        Failure::Ssh(russh::Error::IO(source)) => Error::Connection { host, source },
        Failure::Ssh(other) => Error::Ssh { host, source: Said::of(&other) },
        Failure::NotAKey => Error::Ssh { host, source: Said::of(&russh::Error::UnknownKey) },
    }
}
