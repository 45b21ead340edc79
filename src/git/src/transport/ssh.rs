//! How is ssh spoken? In this process: sessions are kept for a minute and shared, keys stay in
//! memory, and no server is believed whose key nobody vouches for.
//!
//! ```text
//! open ── a kept session with room? ── channel ──▶ git-upload-pack '<path>'
//!   └── none, or it fails ── connect ── host key ── log in ──┘   once at a time for one login
//! ask ── the same, with the question right behind; and the next channel is opened in advance
//! ```

mod channel;
mod key;
mod session;
mod slots;
mod spare;
mod target;
mod tether;
mod trust;

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

pub use self::key::BadKey;
use self::{
    channel::Talk,
    session::{Leased, Session},
    slots::{Slot, Slots},
    target::Target,
    trust::FirstKeys,
};
use super::{
    pool::CONNECT,
    stream::{Counted, Stream, Version, lost},
};
use crate::{Error, Remote, Traffic};

/// Servers wait for two minutes and more; a check comes every minute or is rare.
const KEEP: Duration = Duration::from_mins(1);
/// How often the kept sessions are looked through.
const SWEEP: Duration = Duration::from_secs(10);
/// How often who waits for room looks whether a session is not used any more.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// All sessions together, in use or kept.
const MOST: usize = 256;

/// The sessions of one client.
pub(crate) struct Sessions {
    kept: Arc<Kept>,
    /// Takes leave of sessions that nobody uses. One at most, and none while nothing is kept.
    sweeper: Mutex<JoinSet<()>>,
}

struct Kept {
    slots: Slots,
    room: Arc<Semaphore>,
    first_keys: FirstKeys,
}

impl Default for Sessions {
    fn default() -> Self {
        let kept = Kept {
            slots: Slots::default(),
            room: Arc::new(Semaphore::new(MOST)),
            first_keys: FirstKeys::default(),
        };
        Self { kept: Arc::new(kept), sweeper: Mutex::default() }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_use = MOST.saturating_sub(self.kept.room.available_permits());
        write!(f, "Sessions({in_use})")
    }
}

impl Sessions {
    /// What `git-upload-pack` says of the remote's repository, and hears.
    ///
    /// Why the server ends it early, in the server's words, is the error of a read; see
    /// [`lost`](super::stream::lost).
    pub(crate) async fn open(
        &self,
        remote: &Remote,
        version: Version,
        traffic: &Traffic,
    ) -> Result<Box<dyn Stream>, Error> {
        let target = Target::of(remote)?;
        let talk = self.start(&target, version, (remote.timeout, traffic)).await?;
        Ok(Box::new(Counted::new(talk, traffic.clone(), Arc::clone(&target.label))))
    }

    /// The same in v2, with the question right behind.
    pub(crate) async fn ask(
        &self,
        remote: &Remote,
        question: &[u8],
        traffic: &Traffic,
    ) -> Result<Box<dyn Stream>, Error> {
        let target = Target::of(remote)?;
        let mut talk = self.start(&target, Version::Two, (remote.timeout, traffic)).await?;
        talk.expect_another();
        let mut stream = Counted::new(talk, traffic.clone(), Arc::clone(&target.label));
        let lost = |source| lost(&target.label, source);
        stream.write_all(question).await.map_err(lost)?;
        Ok(Box::new(stream))
    }

    async fn start(
        &self,
        target: &Target<'_>,
        version: Version,
        (timeout, traffic): (Duration, &Traffic),
    ) -> Result<Talk, Error> {
        let limit = CONNECT.min(timeout);
        let slow = |_| Error::Slow { host: target.label.to_string(), limit };
        let asking = Box::pin(async {
            let leased = self.lease(target, traffic).await?;
            traffic.asked(&target.label, 0);
            let host = Arc::clone(&target.label);
            let talk = Talk::start(leased, host, &target.command, version).await;
            talk.map_err(|it| target.failed(&it))
        });
        tokio::time::timeout(limit, asking).await.map_err(slow)?
    }

    /// A channel, on a kept session if one has room.
    async fn lease(&self, target: &Target<'_>, traffic: &Traffic) -> Result<Leased, Error> {
        let slot = self.kept.slots.of(target.identity());
        if let Some(leased) = slot.lease().await {
            return Ok(leased);
        }
        let _visit = Visit { slots: &self.kept.slots, slot: &slot };
        // Whoever comes second shares what the first opens.
        let _connecting = slot.connecting().await;
        if let Some(leased) = slot.lease().await {
            return Ok(leased);
        }
        self.connect(target, &slot, traffic).await
    }

    async fn connect(
        &self,
        target: &Target<'_>,
        slot: &Arc<Slot>,
        traffic: &Traffic,
    ) -> Result<Leased, Error> {
        let room = self.kept.room().await?;
        let trust = target.trust(&self.kept.first_keys)?;
        let session = Arc::new(Session::start(target, trust, room).await?);
        traffic.connected(&target.label);
        // Its own channel comes first: others may take what is left.
        let leased = session.lease().await.map_err(|it| target.failed(&it))?;
        slot.keep(session);
        self.sweep();
        Ok(leased)
    }

    fn sweep(&self) {
        let mut sweeper = self.sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        while sweeper.try_join_next().is_some() {}
        if sweeper.is_empty() {
            sweeper.spawn(sweep(Arc::downgrade(&self.kept)));
        }
    }
}

/// Until nothing is kept, or nobody keeps it.
async fn sweep(kept: Weak<Kept>) {
    loop {
        sleep(SWEEP).await;
        let Some(kept) = kept.upgrade() else { return };
        if kept.slots.sweep(KEEP) == 0 {
            return;
        }
    }
}

impl Kept {
    /// Room for one more session. One that nobody uses makes room, the longest unused first.
    async fn room(&self) -> Result<OwnedSemaphorePermit, Error> {
        let mut room = pin!(Arc::clone(&self.room).acquire_owned());
        loop {
            if self.room.available_permits() == 0 {
                self.slots.drop_longest_idle();
            }
            // A session that is given back is kept, which tells nobody who waits.
            if let Ok(permit) = timeout(LOOK_AGAIN, &mut room).await {
                return permit.map_err(|_| Error::Worker);
            }
        }
    }
}

/// A login that is under way. One that fails, or that nobody waits for any longer, leaves nothing.
struct Visit<'a> {
    slots: &'a Slots,
    slot: &'a Arc<Slot>,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.slots.forget_if_empty(self.slot);
    }
}

#[cfg(test)]
mod tests;
