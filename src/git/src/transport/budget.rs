//! How much may still come, and until when? One answer for all requests of one fetch, and the
//! place where the reason is kept when a library in between would lose it.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{Error, Remote, fetch::Meter};

/// What a server may say before the pack. It is held in memory; a million refs are half of it.
const MOST_TALK: u64 = 128 << 20;

/// Bytes and time, for one fetch.
#[derive(Debug)]
pub(crate) struct Budget {
    host: String,
    deadline: Instant,
    limit: Duration,
    most_bytes: u64,
    received: AtomicU64,
    /// Where `received` must stop for now.
    ceiling: AtomicU64,
    meter: Meter,
    /// What went wrong first.
    verdict: Mutex<Option<Error>>,
}

impl Budget {
    /// The remote's timeout begins now.
    pub(crate) fn of(remote: &Remote, most_bytes: u64, meter: Meter) -> Self {
        let now = Instant::now();
        Self {
            host: remote.uri.host().to_owned(),
            deadline: now.checked_add(remote.timeout).unwrap_or(now),
            limit: remote.timeout,
            most_bytes,
            received: AtomicU64::new(0),
            ceiling: AtomicU64::new(most_bytes.min(MOST_TALK)),
            meter,
            verdict: Mutex::default(),
        }
    }

    /// When the time is over.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What remains of the time.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(crate) fn slow(&self) -> Error {
        Error::Slow { host: self.host.clone(), limit: self.limit }
    }

    /// Keeps the reason, and gives what an interface of std can carry.
    pub(crate) fn fail(&self, error: Error) -> io::Error {
        let text = error.to_string();
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        io::Error::other(text)
    }

    /// The reason that a request failed, once.
    pub(crate) fn take_verdict(&self) -> Option<Error> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Counts bytes that came; refuses those that are too many.
    pub(crate) fn receive(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let received = self.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.meter.set_bytes(received);
        if received > self.ceiling.load(Ordering::Relaxed) {
            return Err(self.fail(Error::Large { what: "bytes to send", most: self.most_bytes }));
        }
        Ok(())
    }

    /// From here the server may talk, which is held in memory.
    pub(crate) fn expect_talk(&self) {
        let ceiling = self.received.load(Ordering::Relaxed).saturating_add(MOST_TALK);
        self.ceiling.store(ceiling.min(self.most_bytes), Ordering::Relaxed);
    }

    /// From here a pack of so many objects comes, which is written as it comes.
    pub(crate) fn expect_pack(&self, objects: u64) {
        self.meter.add_objects(objects);
        self.ceiling.store(self.most_bytes, Ordering::Relaxed);
    }
}
