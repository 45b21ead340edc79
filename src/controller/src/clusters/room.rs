//! How much of a cluster is held, and how much may be? One that has more is refused, and costs nobody else.

use std::io;
use std::iter::Sum;

use serde::Serialize;

use super::Limits;
use super::error::Fault;
use super::state::{Reason, Trouble};
use super::stores::Held;

/// A cluster that was too large is listed again after this, not sooner: each list costs as much as the last.
const AGAIN: std::time::Duration = std::time::Duration::from_mins(1);

/// So many objects, of so many bytes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) objects: usize,
    pub(super) bytes: usize,
}

impl Weight {
    pub(super) fn of(held: &impl Held) -> Self {
        Self { objects: 1, bytes: held.bytes() }
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self {
            objects: self.objects.saturating_sub(other.objects),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    /// Whether a cluster may weigh as much.
    pub(super) fn judge(self, limits: &Limits) -> Result<(), Fault> {
        let too_many = |what: &str, most: usize| {
            let text =
                format!("too large: it has more than {most} {what} for the controller to hold");
            let trouble = Trouble { reason: Reason::TooLarge, text };
            Err(Fault { trouble, relist: true, retry_after: Some(AGAIN), weight: 1 })
        };
        if self.objects > limits.objects {
            return too_many("objects", limits.objects);
        }
        if self.bytes > limits.bytes {
            return too_many("bytes", limits.bytes);
        }
        Ok(())
    }
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| Self {
            objects: sum.objects + it.objects,
            bytes: sum.bytes + it.bytes,
        })
    }
}

/// How long something is as text.
pub(super) fn bytes_of(value: &impl Serialize) -> usize {
    let mut counter = Counter(0);
    // What cannot be written has the length that was written of it.
    drop(serde_json::to_writer(&mut counter, value));
    counter.0
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
