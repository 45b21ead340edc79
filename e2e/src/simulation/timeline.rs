//! What happened, in order? What matters is kept as lines; all that passes goes into the digest.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When something happened, since the simulation began.
pub(super) type At = Duration;

/// Remembers one seed's life. Two lives with one digest were the same, request by request.
pub(super) struct Timeline {
    began: Instant,
    kept: Mutex<Kept>,
}

struct Kept {
    lines: Vec<(At, String)>,
    digest: DefaultHasher,
    trace: Option<Box<dyn Write + Send>>,
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timeline")
    }
}

impl Timeline {
    pub(super) fn new(trace: Option<Box<dyn Write + Send>>) -> Self {
        let kept = Kept { lines: Vec::new(), digest: DefaultHasher::new(), trace };
        Self { began: Instant::now(), kept: Mutex::new(kept) }
    }

    pub(super) fn now(&self) -> At {
        self.began.elapsed()
    }

    /// The moment at which so much has passed.
    pub(super) fn instant(&self, at: At) -> Instant {
        self.began + at
    }

    /// Remembers what a reader wants to know.
    pub(super) fn tell(&self, line: impl Into<String>) {
        let (now, line) = (self.now(), line.into());
        let mut kept = self.lock();
        kept.take(now, line.as_str());
        kept.lines.push((now, line));
    }

    /// Remembers what must be the same when it is replayed, and nobody wants to read.
    pub(super) fn pass(&self, what: impl Hash + fmt::Display) {
        let now = self.now();
        self.lock().take(now, what);
    }

    pub(super) fn digest(&self) -> u64 {
        self.lock().digest.finish()
    }

    pub(super) fn lines(&self) -> Vec<(At, String)> {
        self.lock().lines.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Nothing is written as a text that nobody reads: there are very many.
    fn take(&mut self, now: At, what: impl Hash + fmt::Display) {
        now.hash(&mut self.digest);
        what.hash(&mut self.digest);
        if let Some(trace) = &mut self.trace {
            // A trace that cannot be written is missed by whoever asked for it, and by nobody else.
            drop(writeln!(trace, "{:.3} {what}", now.as_secs_f64()));
        }
    }
}
